"""Packs: written atomically, read without pickle, refused when anything is wrong."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from ganlab.config.schema import DataConfig
from ganlab.data import PackWriter, load_training_images, read_pack
from ganlab.data.pack import pixels_sha256
from ganlab.errors import GanlabError


def write(path, images, labels=None, split=None, **options):
    with PackWriter(path, images.shape[1], **options) as writer:
        for i, image in enumerate(images):
            label = None if labels is None else int(labels[i])
            writer.add(image, label, None if split is None else int(split[i]), f"f{i}.png")
    return path


@pytest.fixture
def pack(tmp_path, arrays):
    return write(tmp_path / "a.gpack", arrays["images"], arrays["labels"], arrays["split"])


def test_written_pack_reads_back(pack, arrays):
    found = read_pack(pack)
    assert np.array_equal(found.images, arrays["images"])
    assert np.array_equal(found.labels, arrays["labels"])
    assert np.array_equal(found.split, arrays["split"])
    assert found.files == [f"f{i}.png" for i in range(10)]
    assert found.meta["images_sha256"] == pixels_sha256(arrays["images"])
    assert np.array_equal(np.load(pack / "images.npy", mmap_mode="r"), arrays["images"])


def test_large_packs_are_memory_mapped(pack, monkeypatch):
    monkeypatch.setattr("ganlab.data.pack.IN_MEMORY_BYTES", 100)
    assert isinstance(read_pack(pack).images, np.memmap)


def test_npz_reads_like_the_pack(npz, arrays):
    found = read_pack(npz)
    assert np.array_equal(found.images, arrays["images"])
    assert found.labels.dtype == np.int64
    assert found.class_names == ("a", "b", "c")
    assert found.files is None


def test_images_alone_are_a_pack(tmp_path, arrays):
    np.savez(tmp_path / "x.npz", images=arrays["images"])
    found = read_pack(tmp_path / "x.npz")
    assert found.labels is None
    assert found.split is None


class Evil:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('evil-was-here').touch()",))


def broken_npz(kind, path, arrays):
    """One way each of being wrong; returns what the message must say."""
    members = dict(arrays)
    changes = {
        "float": ("images", arrays["images"] / 255.0, "float64.*expected uint8.*to_uint8"),
        "grey": ("images", arrays["images"][..., 0], r"\(10, 8, 8\).*\(N, H, W, 3\)"),
        "nchw": ("images", arrays["images"].transpose(0, 3, 1, 2), "transpose"),
        "empty": ("images", arrays["images"][:0], "expected uint8"),
        "short labels": ("labels", arrays["labels"][:5], "'labels'.*each of the 10 images"),
        "float labels": ("labels", arrays["labels"].astype(float), "'labels'.*integer"),
        "label range": ("labels", arrays["labels"] + 1, "holds 3.*3 classes"),
        "negative label": ("labels", arrays["labels"] - 5, "holds -5"),
        "split value": ("split", arrays["split"] + 1, "'split' holds.*0 .train. and 1"),
        "all held out": ("split", np.ones(10, dtype=np.uint8), "none is left"),
        "pickle": ("images", np.array([Evil()] * 3, dtype=object), "pickled objects"),
        "pickled labels": ("labels", np.array([Evil()] * 10, dtype=object), "pickled objects"),
    }
    name, value, message = changes[kind]
    members[name] = value
    np.savez(path, **members)
    return message


KINDS = [
    "float", "grey", "nchw", "empty", "short labels", "float labels", "label range", "negative label",
    "split value", "all held out", "pickle", "pickled labels",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_npz_is_refused_with_its_name(kind, tmp_path, arrays, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = broken_npz(kind, tmp_path / "bad.npz", arrays)
    with pytest.raises(GanlabError, match=f"(?s)({message})") as caught:
        load_training_images(DataConfig(source="pack", path=str(tmp_path / "bad.npz")), 8)
    assert kind == "all held out" or "bad.npz" in str(caught.value)
    assert not (tmp_path / "evil-was-here").exists()


def test_npz_without_images_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "x.npz", pictures=np.zeros(3), labels=np.zeros(3))
    with pytest.raises(GanlabError, match="holds labels, pictures; expected an array 'images'"):
        read_pack(tmp_path / "x.npz")


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_truncated_npz(npz, keep):
    data = npz.read_bytes()
    npz.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(GanlabError, match=r"good\.npz"):
        read_pack(npz)


def test_a_flipped_byte_in_an_npz_is_noticed(npz):
    data = bytearray(npz.read_bytes())
    data[len(data) // 3] ^= 0xFF
    npz.write_bytes(bytes(data))
    with pytest.raises(GanlabError, match="damaged"):
        read_pack(npz)


def test_a_bare_pickle_in_place_of_a_pack(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.npz").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(GanlabError, match=r"x\.npz.*damaged or of another kind"):
        read_pack(tmp_path / "x.npz")
    assert not (tmp_path / "evil-was-here").exists()


def test_a_zip_member_that_is_no_array(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", b"not an array at all")
    with pytest.raises(GanlabError, match=r"x\.npz"):
        read_pack(tmp_path / "x.npz")


def test_fortran_order_is_refused_not_misread(tmp_path, arrays):
    np.savez(tmp_path / "x.npz", images=np.asfortranarray(arrays["images"]))
    with pytest.raises(GanlabError, match="Fortran"):
        read_pack(tmp_path / "x.npz")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


def replace_with_objects(path):
    stream = io.BytesIO()
    np.save(stream, np.array([Evil()], dtype=object), allow_pickle=True)
    path.write_bytes(stream.getvalue())


def edit_meta(**changes):
    def change(pack):
        meta = json.loads((pack / "meta.json").read_text())
        (pack / "meta.json").write_text(json.dumps({**meta, **changes}))

    return change


@pytest.mark.parametrize(("damage", "message"), [
    (lambda p: truncate(p / "images.npy"), "images.npy"),
    (lambda p: (p / "images.npy").unlink(), "no such file"),
    (lambda p: replace_with_objects(p / "images.npy"), "pickled objects"),
    (lambda p: replace_with_objects(p / "labels.npy"), "pickled objects"),
    (lambda p: np.save(p / "images.npy", np.zeros((10, 8, 8, 3))), "expected uint8"),
    (lambda p: np.save(p / "images.npy", np.zeros((9, 8, 8, 3), np.uint8)), "by meta.json"),
    (lambda p: np.save(p / "labels.npy", np.zeros(3, int)), "labels"),
    (lambda p: (p / "meta.json").write_text("{"), "JSON"),
    (lambda p: (p / "meta.json").write_text("[]"), "JSON object"),
    (lambda p: (p / "meta.json").unlink(), "ganlab data pack"),
    (edit_meta(version=99), "version 99.*pack the images again"),
    (edit_meta(format="other"), "expected 'ganlab-pack'"),
    (edit_meta(class_names="abc"), "list of names"),
])  # fmt: skip
def test_damaged_pack_folder(pack, damage, message):
    damage(pack)
    with pytest.raises(GanlabError, match=message):
        read_pack(pack)


def test_missing_pack(tmp_path):
    with pytest.raises(GanlabError, match="no such pack"):
        read_pack(tmp_path / "nothing.npz")


def test_an_error_in_the_middle_leaves_nothing(tmp_path, arrays):
    def fail_halfway():
        with PackWriter(tmp_path / "x.gpack", 8) as writer:
            writer.add(arrays["images"][0])
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_middle_of_replacing_keeps_the_old_pack(pack, arrays):
    def fail_halfway():
        with PackWriter(pack, 8, overwrite=True) as writer:
            writer.add(arrays["images"][0])
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail_halfway()
    assert len(read_pack(pack).images) == 10


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, arrays, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(GanlabError, match="No space left on device; nothing was changed"):
        write(tmp_path / "x.gpack", arrays["images"])
    assert list(tmp_path.iterdir()) == []


def test_existing_packs_and_other_folders_are_kept(pack, tmp_path, arrays):
    with pytest.raises(GanlabError, match=r"exists.*--force"):
        write(pack, arrays["images"][:2])
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "mine.jpg").touch()
    with pytest.raises(GanlabError, match="is no pack"):
        write(photos, arrays["images"], overwrite=True)
    assert (photos / "mine.jpg").exists()
    write(pack, arrays["images"][:2], overwrite=True)
    assert len(read_pack(pack).images) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gpack", "photos"]


def test_a_cache_entry_that_another_process_made_first_is_kept(tmp_path, arrays):
    path = tmp_path / "x.gpack"
    with PackWriter(path, 8, yield_to_existing=True) as writer:
        writer.add(arrays["images"][0])
        write(path, arrays["images"][:4])
    assert len(read_pack(path).images) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["x.gpack"]


def test_an_empty_pack_is_not_written(tmp_path):
    with pytest.raises(GanlabError, match="at least one"), PackWriter(tmp_path / "x.gpack", 8):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8, 3)), np.zeros((8, 9, 3), np.uint8), np.zeros((8, 8), np.uint8)]
)
def test_the_writer_takes_only_images_of_its_size(tmp_path, image):
    with (
        pytest.raises(GanlabError, match=r"expected uint8 \(8, 8, 3\)"),
        PackWriter(tmp_path / "x", 8) as writer,
    ):
        writer.add(image)


def test_header_is_standard_for_any_count(tmp_path):
    for count in (1, 3, 1000):
        write(tmp_path / f"{count}", np.zeros((count, 2, 2, 3), np.uint8))
        assert np.load(tmp_path / f"{count}" / "images.npy").shape == (count, 2, 2, 3)
