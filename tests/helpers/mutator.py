"""A seeded mutator: files that are almost what they should be, and files that are nothing of the kind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import struct
import time
import traceback
import warnings
import zipfile
from pathlib import Path

import numpy as np

from ganlab.errors import GanlabError

TOKENS = [
    b"", b"\x00", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"NaN", b"-Infinity", b"1e999", b"-1", b"9" * 400,
    b"null",
    b"true", b"{}", b"[]", b'"\\ud800"', b"[" * 99_999, b'{"a":' * 3000, b'"', b"'", b"\\", b"\r\n", b"..",
    b"/",
    b"\x1b[31m", "\u202e".encode(), b"%s%n", b"PK\x03\x04", b"\x80\x04K\x05.", b"(-1,)", b"0" * 40,
]  # fmt: skip
VALUES = [
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 2**64, 10**30, -(10**400), 0.5, 1e308, float("nan"),
    float("inf"),
    "", "a", "\ud800", "\x00", "a\nb", "../../x", "/etc/passwd", ".", "x/..", "\u202eabc",
    "<script>alert(1)</script>",
    "x" * 100_000, [], {}, [[]], [None], {"": None}, [1, 2, 3], ["a", "b"], {"a": {"a": {"a": 1}}},
    list(range(3000)),
]  # fmt: skip
SIZES = [0, 1, 7, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]


def deep(levels, closed):
    value = closed
    for _ in range(levels):
        value = [value] if closed else {"a": value}
    return value


class Mutator:
    """Spoils bytes, JSON values, zips, arrays and places in a folder, the same way for the same seed."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def below(self, count):
        return int(self.rng.integers(max(count, 1)))

    def pick(self, options):
        return options[self.below(len(options))]

    # ------------------------------------------------------------------------------------------------ bytes

    def data(self, data):
        """Bytes with one to four faults."""
        for _ in range(1 + self.below(4)):
            faults = [
                self._cut,
                self._flip,
                self._flip,
                self._number,
                self._delete,
                self._repeat,
                self._token,
            ]
            data = self.pick([*faults, self._noise])(bytearray(data))
        return bytes(data)

    def _cut(self, data):
        return data[: self.below(len(data) + 1)]

    def _flip(self, data):
        for _ in range(1 + self.below(8)):
            if data:
                data[self._place(data)] ^= 1 << self.below(8)
        return data

    def _place(self, data):
        """Half of the faults lie near the beginning or the end, where headers are."""
        near = self.pick([min(len(data), 64), min(len(data), 300), len(data), len(data)])
        place = self.below(near)
        return len(data) - 1 - place if self.below(4) == 0 else place

    def _number(self, data):
        if len(data) > 8:
            start, form = min(self._place(data), len(data) - 8), self.pick(["<H", ">H", "<I", ">I", "<Q"])
            value = self.pick(SIZES) % 2 ** (8 * struct.calcsize(form))
            struct.pack_into(form, data, start, value)
        return data

    def _delete(self, data):
        start = self._place(data) if data else 0
        del data[start : start + 1 + self.below(40)]
        return data

    def _repeat(self, data):
        start = self._place(data) if data else 0
        return data[:start] + data[start : start + 1 + self.below(60)] * self.pick([2, 3, 50]) + data[start:]

    def _token(self, data):
        start = self._place(data) if data else 0
        return data[:start] + self.pick(TOKENS) + data[start + self.below(8) :]

    def _noise(self, data):
        start, count = self._place(data) if data else 0, 1 + self.below(64)
        data[start : start + count] = self.rng.bytes(count)
        return data

    # ------------------------------------------------------------------------------------------------- JSON

    def value(self, value):
        """A JSON value with one leaf, key or branch of another kind."""
        if self.below(12) == 0:
            return self.pick([*VALUES, deep(70, 1), deep(3000, None)])
        if isinstance(value, dict) and value:
            key = self.pick(list(value))
            kind = self.below(8)
            if kind == 0:
                return {name: item for name, item in value.items() if name != key}
            if kind == 1:
                return {**value, str(self.pick([key + "x", "", "\x00", "__class__"])): self.pick(VALUES)}
            return {**value, key: self.value(value[key])}
        if isinstance(value, list) and value:
            place, kind = self.below(len(value)), self.below(8)
            if kind == 0:
                return value[:place] + value[place + 1 :]
            if kind == 1:
                return value + [value[place]] * self.pick([1, 2000])
            return [*value[:place], self.value(value[place]), *value[place + 1 :]]
        return self.pick(VALUES)

    def text(self, value):
        """A JSON text of a value, spoiled as a value, as bytes, or both; sometimes with a key twice."""
        if self.below(4):
            value = self.value(value)
        try:
            data = json.dumps(value).encode()
        except (RecursionError, ValueError):
            data = b"[" * 99_999
        if self.below(6) == 0 and data.startswith(b"{") and len(data) > 2:
            data = data[:-1] + b"," + data[1:]
        return self.data(data) if self.below(3) == 0 else data

    def json_file(self, data):
        """A JSON file's bytes, spoiled."""
        return self.text(json.loads(data))

    # ------------------------------------------------------------------------------------------- containers

    def zip_file(self, data, spoil=None):
        """A zip: its bytes, the bytes of a member, its methods, flags, names and sizes."""
        if self.below(3) == 0:
            return self.data(data)
        stream = io.BytesIO()
        method = self.pick([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
        with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(stream, "w", method) as after:
            names = before.namelist()
            chosen = self.pick(names)
            for name in names:
                content, called = before.read(name), name
                if name == chosen:
                    called = self.pick(
                        [name] * 6 + ["../" + name, "/" + name, "a\\" + name, name.upper(), "é.png", " "]
                    )
                    content = (spoil or self.spoil_member)(name, content)
                if not (name == chosen and self.below(12) == 0):
                    after.writestr(called, content)
                if self.below(20) == 0:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        after.writestr(called, content)
            if self.below(25) == 0:
                after.writestr(self.pick(names), bytes(80 * 2**20), zipfile.ZIP_DEFLATED)
        built = bytearray(stream.getvalue())
        if self.below(2):
            signature = self.pick([b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"])
            start = built.find(signature)
            if start >= 0 and start + 32 < len(built):
                place = start + 4 + self.below(26)
                built[place] = self.pick([0, 1, 8, 9, 12, 14, 99, 255])
        return bytes(built) if self.below(4) else self.data(bytes(built))

    def spoil_member(self, name, content):
        """By what the name says it is."""
        if name.endswith(".json"):
            return self.json_file(content)
        return self.npy_file(content) if name.endswith(".npy") else self.data(content)

    def npy_file(self, data):
        """An array file: its bytes, or a header that says something else."""
        if self.below(2):
            return self.data(data)
        shape = self.pick([
            "(-1, 8, 8, 3)", "(999999999, 64, 64, 3)", "(3,)", "()", "(2, 8, 8, 3)", "(10, 8, 8, 4)",
            "(1.5,)", "'x'", "(10, 0, 8, 3)", "(" * 500, "(" + "1, " * 60 + ")", "[4]", "(True, 8, 8, 3)",
            "9" * 5000,
        ])  # fmt: skip
        kind = self.pick(
            ["'|u1'", "'<f8'", "'|O'", "'<U100000'", "[('a', '|u1')]", "'nonsense'", "None", "'>i8'"]
        )
        order = self.pick(["False", "True", "0", "nonsense"])
        header = f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
        version = self.pick([b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"])
        length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header))
        return b"\x93NUMPY" + version + length + header + data[128:]

    def tensors(self, data, inner=None):
        """A safetensors file: its bytes, its header, or the JSON text inside its metadata under ``inner``."""
        if self.below(4) == 0:
            return self.data(data)
        (size,) = struct.unpack("<Q", data[:8])
        header, content = json.loads(data[8 : 8 + size]), data[8 + size :]
        if inner and self.below(4):
            text = self.json_file(header["__metadata__"][inner].encode())
            header["__metadata__"][inner] = text.decode("latin-1")
            new = json.dumps(header).encode()
        elif self.below(3) == 0:
            # Sound in itself, but with other types and numbers.
            name = self.pick([key for key in header if key != "__metadata__"])
            header[name]["dtype"] = self.pick(["F16", "BF16", "I8", "F64", "F8_E4M3", "BOOL", "U64", "C64"])
            new = json.dumps(header).encode()
            filler = self.pick([b"\xff\xff\xff\x7f", b"\x00\x00\xc0\x7f", b"\x00" * 4])
            content = filler * (len(content) // 4) + b"\x00" * (len(content) % 4)
        else:
            new = self.text(header)
        length = len(new) if self.below(6) else self.pick(SIZES)
        return struct.pack("<Q", length) + new + content

    # ----------------------------------------------------------------------------------------------- places

    def place(self, path):
        """In the file's place something that is no file of bytes; False where the file stays."""
        kind = self.below(40)
        if kind > 7:
            return False
        path.unlink()
        if kind == 0:
            path.mkdir()
        elif kind == 1:
            os.mkfifo(path)
        elif kind == 2:
            path.symlink_to(path.name)
        elif kind == 3:
            path.symlink_to(path.with_name("nothing"))
        elif kind == 4:
            path.touch()
        elif kind == 5:
            path.symlink_to("/dev/zero")
        elif kind == 6:
            with socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):  # too long a path
                server.bind(str(path))
        return True


def entries(folder: Path):
    """Everything below a folder, to see what a reader leaves behind."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


SECONDS = 5


class TooLongError(BaseException):
    """No Exception: nothing may catch it on its way."""


def escape(work, limit=SECONDS):
    """What a case ended in, if it was neither success nor a GanlabError within its time; None otherwise."""

    def stop(*_):
        raise TooLongError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, limit)
    start = time.process_time()
    try:
        work()
    except GanlabError as error:
        if not str(error).strip() or len(str(error)) > 20_000:
            return f"a message of {len(str(error))} characters"
    except TooLongError:
        return f"more than {limit} s\n{traceback.format_exc()}"
    except BaseException:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    seconds = time.process_time() - start
    return f"{seconds:.1f} s" if seconds > limit else None
