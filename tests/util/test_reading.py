"""The guarded reader: whatever a foreign file makes a library raise is one GanlabError with its name."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganlab.data import open_image_set
from ganlab.errors import GanlabError
from ganlab.util import atomic
from ganlab.util.reading import Archive, parse_json, read_bytes, read_json, read_text, reading


@pytest.mark.parametrize("error", [
    OSError(5, "broken"), RecursionError(), MemoryError(), NotImplementedError("method 99"), KeyError("x"),
    AssertionError(), struct.error("short"), type("PanicException", (BaseException,), {})("rust"),
])  # fmt: skip
def test_everything_a_reader_raises_is_one_sentence_with_the_file(error):
    with pytest.raises(GanlabError, match=r"^a\.zip: b\.png cannot be read: .*; expected c$"):  # noqa: SIM117
        with reading("a.zip", "b.png", "c"):
            raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GanlabError("mine")])
def test_what_is_no_fault_of_the_file_passes(error):
    with pytest.raises(type(error)) as caught, reading("a.zip"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(("text", "word"), [
    ("[" * 99_999, "nested too deep"), ("[" * 65 + "1" + "]" * 65, "nested too deep"),
    ('{"a": ' * 200 + "1" + "}" * 200, "nested too deep"),
    ("NaN", "NaN"), ("[-Infinity]", "Infinity"), ("1e999", "out of range"), ("9" * 5000, "out of range"),
    (str(2**64), "out of range"), ('{"a": 1, "a": 2}', "'a' stands twice"), ('"\\ud800"', "surrogate"),
    ('{"\\udfff": 1}', "surrogate"), (b"\xff", "UTF-8"), ("", "Expecting value"), (b"{}\x00", "Extra data"),
])  # fmt: skip
def test_json_that_nobody_can_compute_with_or_write_again(text, word):
    with pytest.raises(GanlabError, match=rf"^x is no readable JSON: .*{word}"):
        parse_json(text, "x")


def test_json_that_is_sound(tmp_path):
    assert parse_json(b'\xef\xbb\xbf{"a": [1, 2.5, "\\ud83d\\ude00"]}', "x", dict) == {"a": [1, 2.5, "😀"]}
    assert parse_json("[" * 60 + "]" * 60, "x", list)
    assert parse_json("[NaN, 1e999]", "x", finite=False)[1] == float("inf")
    with pytest.raises(GanlabError, match="x: expected a JSON object, got a JSON array"):
        parse_json("[]", "x", dict)


def test_only_regular_files_are_read(tmp_path):
    """A pipe that nobody writes to would be waited for, a device never ends."""
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "loop.json").symlink_to("loop.json")
    (tmp_path / "folder.json").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.json"))
    for name in ("pipe.json", "socket.json", "loop.json", "folder.json"):
        with pytest.raises(GanlabError, match=rf"{name} cannot be read"):
            read_json(tmp_path / name)
    for path in ("/dev/zero", "a\0b", "\ud800", "x" * 5000):
        with pytest.raises(GanlabError):
            read_bytes(path)
    with pytest.raises(GanlabError, match="is missing"):
        read_text(tmp_path / "none")


def zipped(path, data=b"x" * 1000, method=zipfile.ZIP_DEFLATED, name="a.png"):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, data)
    return path


def patched(path, signature, offset, value):
    """The archive with two bytes of the first header of this kind replaced."""
    data = bytearray(path.read_bytes())
    start = data.index(signature) + offset
    data[start : start + 2] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_member_is_named_whatever_it_is_packed_by(tmp_path, method):
    path = zipped(tmp_path / "a.zip", os.urandom(3000), method)
    assert len(Archive(path).read("a.png")) == 3000
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    data[900] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(GanlabError, match=r"a\.zip: a\.png cannot be read"):
        Archive(path).read("a.png")


def test_members_that_cannot_or_must_not_be_unpacked(tmp_path):
    encrypted = patched(zipped(tmp_path / "a.zip"), b"PK\x01\x02", 8, b"\x01\x00")
    with pytest.raises(GanlabError, match=r"a\.zip: a\.png is encrypted"):
        Archive(encrypted).open("a.png")
    unknown = patched(zipped(tmp_path / "b.zip"), b"PK\x01\x02", 10, b"\x63\x00")
    with pytest.raises(GanlabError, match=r"b\.zip: a\.png is packed by method 99"):
        Archive(unknown).open("a.png")
    bomb = zipped(tmp_path / "c.zip", bytes(70 * 2**20))
    with pytest.raises(GanlabError, match=r"c\.zip: a\.png: \d+ bytes would unpack to 73400320"):
        Archive(bomb).open("a.png")
    with pytest.raises(GanlabError, match=r"c\.zip cannot be read"):
        Archive(bomb).read("other")


def test_an_array_larger_than_its_file_takes_no_memory(tmp_path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (999999999, 64, 64, 3), }"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(100)
    (tmp_path / "a.npy").write_bytes(data)
    zipped(tmp_path / "a.npz", data, name="images.npy")
    for name in ("a.npy", "a.npz"):
        with pytest.raises(GanlabError, match=rf"{name}.* do not hold uint8"):
            open_image_set(tmp_path / name)


@pytest.mark.parametrize(
    "shape", ["(-4, 8, 8, 3)", "(4.0, 8, 8, 3)", "nonsense(", "4", "(True, 8, 8, 3)", "()"]
)
def test_nonsense_in_the_header_of_an_array(tmp_path, shape):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8 * 8 * 3 * 4)
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(GanlabError, match=r"a\.npy"):
        open_image_set(tmp_path / "a.npy")


def test_a_picture_of_a_few_bytes_that_says_it_is_huge(tmp_path):
    stream = io.BytesIO()
    Image.new("1", (9000, 9000)).save(stream, "PNG")
    (tmp_path / "a.png").write_bytes(stream.getvalue())
    with pytest.raises(GanlabError, match=r"a\.png.*9000x9000: \d+ bytes would unpack"):
        open_image_set(tmp_path / "a.png")


def test_a_document_that_calls_itself_a_picture_starts_no_program(tmp_path):
    """Pillow reads EPS by running Ghostscript on it, whatever the file is called."""
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\nquit\n"
    )
    with pytest.raises(GanlabError, match="of no format"):
        open_image_set(tmp_path / "a.png")


def test_names_that_are_no_text_are_named(tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    os.rename(os.fsencode(tmp_path / "a.png"), os.fsencode(tmp_path) + b"/\xff.png")
    with pytest.raises(GanlabError, match=r"udcff\.png' is not UTF-8 text"):
        open_image_set(tmp_path)
    with pytest.raises(GanlabError, match="is not UTF-8 text"):
        open_image_set("a\ud800.npz")


LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.floats(allow_nan=False)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@settings(max_examples=60, deadline=None)
@given(value=VALUES, spoiled=st.binary(max_size=6), place=st.integers(0, 200))
def test_any_json_is_read_as_it_is_or_refused(value, spoiled, place):
    text = json.dumps(value).encode()
    with contextlib.suppress(GanlabError):  # infinite, or too deep
        assert parse_json(text, "x") == value
    with contextlib.suppress(GanlabError):
        json.dumps(parse_json(text[:place] + spoiled + text[place:], "x"), allow_nan=False).encode("utf-8")


def test_a_pipe_or_a_device_gets_the_bytes_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        atomic.write_bytes(pipe, b"report")
        assert os.read(reader, 100) == b"report"
        assert pipe.is_fifo()
        with pytest.raises(GanlabError, match="name a file"), atomic.atomic_path(pipe):
            pass
    finally:
        os.close(reader)
    assert atomic.is_stream("/dev/null")
    assert not atomic.is_stream(tmp_path)
    assert not atomic.is_stream(tmp_path / "none")


def test_another_name_of_an_open_file_is_no_file_to_replace(tmp_path):
    with open(tmp_path / "out.txt", "ab") as stream:
        name = f"/proc/self/fd/{stream.fileno()}"
        if not os.path.islink(name):
            pytest.skip("no /proc here")
        with pytest.raises(GanlabError, match="name a file"):
            atomic.write_bytes(name, b"report")
