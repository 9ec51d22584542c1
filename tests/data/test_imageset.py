"""Sets for analysis: every storage gives the same pixels, nothing is altered, what is wrong is named."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.data import PackWriter, array_image_set, open_image_set
from ganlab.data.pack import pixels_sha256
from ganlab.errors import GanlabError


@pytest.fixture
def images():
    return np.random.default_rng(3).integers(0, 256, (23, 10, 12, 3), dtype=np.uint8)


def as_folder(images, path):
    path.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(path / f"{i:03d}.png")
    return path


def as_classes(images, path):
    path.mkdir()
    for i, image in enumerate(images):
        folder = path / ("a" if i < 10 else "b")
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:03d}.png")
    return path


def as_npz(images, path):
    np.savez(path.with_suffix(".npz"), images=images)
    return path.with_suffix(".npz")


def as_npy(images, path):
    np.save(path.with_suffix(".npy"), images)
    return path.with_suffix(".npy")


def as_zip(images, path, labels=None):
    """A StyleGAN zip: stored, not deflated; five-digit folders; dataset.json."""
    with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_STORED) as archive:
        names = [f"{i // 1000:05d}/img{i:08d}.png" for i in range(len(images))]
        for name, image in zip(names, images, strict=True):
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, format="png", compress_level=0)
            archive.writestr(name, stream.getvalue())
        listed = None if labels is None else [[n, int(k)] for n, k in zip(names, labels, strict=True)]
        archive.writestr("dataset.json", json.dumps({"labels": listed}))
    return path.with_suffix(".zip")


STORAGES = [as_folder, as_classes, as_npz, as_npy, as_zip]


@pytest.mark.parametrize("store", STORAGES)
@pytest.mark.parametrize("size", [1, 5, 23, 100])
def test_every_storage_gives_the_same_pixels(store, size, images, tmp_path):
    found = open_image_set(store(images, tmp_path / "set"))
    assert found.num_images == len(found) == 23
    assert found.shape == (10, 12, 3)
    batches = list(found.batches(size))
    assert all(len(batch) == size for batch in batches[:-1])
    assert np.array_equal(np.concatenate(batches), images)
    assert len(found.paths) == len(set(found.paths)) == 23
    assert found.name == "set"
    assert found.codecs == ({"raw"} if store in (as_npz, as_npy) else {"PNG"})


@pytest.mark.parametrize("store", STORAGES)
def test_fingerprint_is_that_of_the_pixels(store, images, tmp_path):
    found = open_image_set(store(images, tmp_path / "set"))
    assert found.fingerprint() == pixels_sha256(images)
    changed = images.copy()
    changed[-1, -1, -1, -1] ^= 1
    assert array_image_set(changed, "x").fingerprint() != found.fingerprint()


def test_fingerprint_comes_with_a_full_pass(images):
    found = array_image_set(images, "x")
    list(found.batches(4))
    found._stored.images = None
    assert found.fingerprint() == pixels_sha256(images)


def test_pack_folder_and_its_record(tmp_path, arrays):
    with PackWriter(tmp_path / "p.gpack", 8) as writer:
        writer.meta["recipe"] = {"kind": "test"}
        for i, image in enumerate(arrays["images"]):
            writer.add(image, int(arrays["labels"][i]), int(arrays["split"][i]), f"{i}.jpg")
    found = open_image_set(tmp_path / "p.gpack")
    assert found.recipe == {"kind": "test"}
    assert found.paths[:2] == ["0.jpg", "1.jpg"]
    assert found.fingerprint() == pixels_sha256(arrays["images"])
    held_out = open_image_set(f"{tmp_path / 'p.gpack'}@val")
    assert held_out.paths == ["7.jpg", "8.jpg", "9.jpg"]
    assert held_out.fingerprint() == pixels_sha256(arrays["images"][7:])
    assert held_out.name == "p@val"


def test_parts_of_an_npz(npz, arrays):
    for part, wanted in (("train", range(7)), ("val", range(7, 10)), ("test", range(7, 10))):
        found = open_image_set(f"{npz}@{part}")
        assert np.array_equal(np.concatenate(list(found.batches())), arrays["images"][list(wanted)])
        assert found.labels.tolist() == arrays["labels"][list(wanted)].tolist()
    assert open_image_set(npz).num_images == 10


def test_parts_of_a_folder(tmp_path, save):
    for name in ("train/cat/0.png", "train/dog/1.png", "val/cat/2.png"):
        save(tmp_path / "in" / name, int(name[-5]))
    assert open_image_set(f"{tmp_path / 'in'}@val").paths == ["val/cat/2.png"]
    found = open_image_set(tmp_path / "in")
    assert found.labels.tolist() == [0, 1, 0]
    assert found.class_names == ("cat", "dog")


def test_a_path_that_contains_the_mark_is_taken_as_it_is(images, tmp_path):
    assert open_image_set(as_npy(images, tmp_path / "odd@val")).num_images == 23


@pytest.mark.parametrize(("part", "message"), [
    ("train", "has no split"), ("vall", "did you mean 'val'"), ("0", "after '@' only"),
])  # fmt: skip
def test_wrong_parts(images, tmp_path, part, message):
    with pytest.raises(GanlabError, match=message):
        open_image_set(f"{as_npy(images, tmp_path / 'x')}@{part}")


@pytest.mark.parametrize("store", STORAGES)
def test_limit_is_evenly_spaced(store, images, tmp_path):
    found = open_image_set(store(images, tmp_path / "set"), limit=5)
    assert np.array_equal(np.concatenate(list(found.batches(2))), images[[0, 4, 9, 13, 18]])
    assert open_image_set(tmp_path / found.path.name, limit=1000).num_images == 23


def test_read_and_subset(images, tmp_path):
    found = open_image_set(as_folder(images, tmp_path / "set"))
    assert np.array_equal(found.read([4, 2, 4]), images[[4, 2, 4]])
    assert found.read([]).shape == (0, 10, 12, 3)
    some = found.subset([20, 3], name="two")
    assert some.paths == ["020.png", "003.png"]
    assert np.array_equal(next(some.batches()), images[[20, 3]])
    assert some.subset([1]).paths == ["003.png"]


def test_zip_labels(images, tmp_path):
    labels = np.arange(23) % 4
    assert open_image_set(as_zip(images, tmp_path / "l", labels)).labels.tolist() == labels.tolist()
    assert open_image_set(as_zip(images, tmp_path / "n")).labels is None


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"labels": [["other.png", 1]]}', '{"labels": [[1, 2, 3]]}', "{}"]
)
def test_wrong_dataset_json(images, tmp_path, text):
    path = as_zip(images[:2], tmp_path / "z")
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist() if n != "dataset.json"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr("dataset.json", text)
    with pytest.raises(
        GanlabError,
        match=r"z\.zip: dataset\.json(: expected a JSON| is no readable JSON| cannot be read: .*expected)",
    ):
        open_image_set(path)


def test_grey_sets_have_one_channel_and_mixed_sets_three(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (6, 6), dtype=np.uint8)
    (tmp_path / "g").mkdir()
    Image.fromarray(grey).save(tmp_path / "g" / "0.png")
    found = open_image_set(tmp_path / "g")
    assert found.shape == (6, 6, 1)
    assert np.array_equal(next(found.batches())[0, ..., 0], grey)
    Image.fromarray(np.zeros((6, 6, 3), np.uint8)).save(tmp_path / "g" / "1.png")
    mixed = open_image_set(tmp_path / "g")
    assert mixed.shape == (6, 6, 3)
    assert np.array_equal(next(mixed.batches())[0], np.stack([grey] * 3, -1))


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:2, :, 3] = 255
    (tmp_path / "t").mkdir()
    Image.fromarray(rgba).save(tmp_path / "t" / "0.png")
    pixels = next(open_image_set(tmp_path / "t").batches())[0]
    assert (pixels[:2] == 0).all()
    assert (pixels[2:] == 255).all()


def test_pixels_are_those_stored_whatever_the_orientation_tag(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.arange(96, dtype=np.uint8).reshape(4, 8, 3)
    (tmp_path / "e").mkdir()
    Image.fromarray(pixels).save(tmp_path / "e" / "0.png", exif=exif)
    assert np.array_equal(next(open_image_set(tmp_path / "e").batches())[0], pixels)


def test_npy_of_grey_images(tmp_path):
    np.save(tmp_path / "g.npy", np.zeros((5, 6, 7), np.uint8))
    assert open_image_set(tmp_path / "g.npy").shape == (6, 7, 1)


def test_npz_of_grey_images(tmp_path):
    np.savez(tmp_path / "g.npz", images=np.zeros((5, 6, 7, 1), np.uint8))
    assert open_image_set(tmp_path / "g.npz").shape == (6, 7, 1)


@pytest.mark.parametrize("array", [
    np.zeros((2, 3, 8, 8), np.uint8), np.zeros((2, 8, 8, 3)), np.zeros((2, 8), np.uint8),
    np.zeros((0, 8, 8, 3), np.uint8), np.zeros((2, 8, 8, 4), np.uint8),
])  # fmt: skip
def test_wrong_npy(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(GanlabError, match=r"x\.npy: .*expected uint8 \(N, H, W, 3\)"):
        open_image_set(tmp_path / "x.npy")


def test_pickled_npy(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(GanlabError, match="pickled objects"):
        open_image_set(tmp_path / "x.npy")


def test_mixed_sizes_name_the_first_odd_file(tmp_path, save):
    for i, side in enumerate((24, 24, 20, 16)):
        save(tmp_path / "in" / f"{i}.png", i, side, side)
    with pytest.raises(
        GanlabError, match=r"3 sizes; 2\.png is 20x20, the first \(0\.png\) is 24x24.*never resizes"
    ):
        open_image_set(tmp_path / "in")


def test_an_unreadable_file_is_named_at_once_and_a_cut_one_while_reading(tmp_path, save):
    save(tmp_path / "in" / "0.png")
    data = save(tmp_path / "in" / "1.png").read_bytes()
    (tmp_path / "in" / "1.png").write_bytes(data[: len(data) * 2 // 3])
    found = open_image_set(tmp_path / "in")
    with pytest.raises(GanlabError, match=r"in: 1\.png cannot be read"):
        list(found.batches())
    (tmp_path / "in" / "2.png").write_text("no image")
    with pytest.raises(GanlabError, match=r"2\.png cannot be read: it is damaged"):
        open_image_set(tmp_path / "in")


@pytest.mark.parametrize(("name", "content", "message"), [
    ("x.zip", b"no zip", "damaged or of another kind"), ("x.npz", b"no zip", "damaged"),
    ("x.npy", b"no array", "damaged"), ("x.txt", b"", "expected a folder of images, a pack"),
])  # fmt: skip
def test_wrong_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GanlabError, match=message):
        open_image_set(tmp_path / name)


def test_one_image_is_a_set(images, tmp_path):
    folder = as_folder(images[:2], tmp_path / "two")
    found = open_image_set(folder / "001.png")
    assert (found.num_images, found.name, found.paths, found.shape) == (1, "001", ["001.png"], (10, 12, 3))
    assert np.array_equal(found.read([0]), images[1:2])
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(GanlabError, match=r"x\.png cannot be read"):
        open_image_set(tmp_path / "x.png")


def test_a_zip_without_images(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(GanlabError, match="no image in this zip"):
        open_image_set(tmp_path / "x.zip")


def test_a_missing_set_names_the_nearest(images, tmp_path):
    as_npy(images, tmp_path / "fakes_bilinear")
    with pytest.raises(GanlabError, match=r"did you mean 'fakes_bilinear\.npy'"):
        open_image_set(tmp_path / "fake_bilinear.npy")


def test_large_images_are_decoded_by_several_threads_in_order(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 110, 100, 3), dtype=np.uint8)
    found = open_image_set(as_folder(images, tmp_path / "big"))
    assert np.array_equal(np.concatenate(list(found.batches(7))), images)


def generated(folder, form, parts):
    """A folder as ``ganlab generate`` leaves it, as far as reading needs it."""
    for path in parts:
        pixels = np.full((2, 4, 4, 3), len(path), np.uint8)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        {"folder": as_folder, "zip": as_zip, "npy": as_npy}[form](pixels, target)
    plan = {"format": form, "parts": [{"path": path} for path in parts]}
    (folder / "manifest.json").write_text(json.dumps({"plan": plan}))
    return folder


@pytest.mark.parametrize("form", ["folder", "zip", "npy"])
def test_a_generated_folder_means_its_only_set(tmp_path, form):
    found = open_image_set(generated(tmp_path / "fakes", form, ["nearest"]))
    assert found.num_images == 2
    assert found.name == "fakes"
    assert not any("nearest" in path for path in found.paths) or form == "npy"


@pytest.mark.parametrize("form", ["folder", "zip", "npy"])
def test_reals_and_fakes_are_never_taken_for_one_set(tmp_path, form):
    folder = generated(tmp_path / "fakes", form, ["nearest", "real"])
    with pytest.raises(GanlabError, match=r"holds 2 sets of images; name one.*fakes/nearest.*fakes/real"):
        open_image_set(folder)
    assert (
        open_image_set(folder / ("real" + {"folder": "", "zip": ".zip", "npy": ".npy"}[form])).num_images == 2
    )


def test_generated_train_and_test_parts_are_a_split(tmp_path):
    folder = generated(tmp_path / "fakes", "folder", ["train/x", "test/x"])
    assert open_image_set(folder).num_images == 4
    assert open_image_set(f"{folder}@test").paths == ["test/x/000.png", "test/x/001.png"]
    with pytest.raises(GanlabError, match="holds 4 sets"):
        open_image_set(
            generated(tmp_path / "two", "folder", ["train/x", "train/real", "test/x", "test/real"])
        )


def test_an_unfinished_generated_set_is_refused(tmp_path, save):
    save(tmp_path / "fakes" / "a.png")
    (tmp_path / "fakes" / ".unfinished").mkdir()
    with pytest.raises(GanlabError, match="unfinished set"):
        open_image_set(tmp_path / "fakes")


def test_any_other_manifest_is_no_matter(tmp_path, save):
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "manifest.json").write_text('{"plan": 3}')
    assert open_image_set(tmp_path / "in").num_images == 1


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 8, 8, 3), np.float32), torch.zeros(2, 3, 8, 8), np.zeros((8, 8, 3), np.uint8), [1]],
)
def test_what_is_no_array_of_pixels_is_no_set(images):
    with pytest.raises(GanlabError, match=r"mine: .*; expected a NumPy array, uint8"):
        array_image_set(images, "mine")


def test_an_array_without_an_image_says_so(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 8, 8, 3), np.uint8))
    with pytest.raises(GanlabError, match="holds no image"):
        open_image_set(tmp_path / "a.npy")
