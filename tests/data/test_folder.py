"""Folders of images become packs: recipe, order, classes, splits, and every kind of bad file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ganlab.config.schema import DataConfig
from ganlab.data import DataWarning, load_training_images, open_image_set, pack_folder, read_pack
from ganlab.data.decode import prepare
from ganlab.data.listing import list_images, ordered_map
from ganlab.errors import GanlabError


def pack(folder, size=8, out="out.gpack", **options):
    path = folder.parent / out
    report = pack_folder(folder, path, size, **options)
    return read_pack(path), report


def test_class_folders_give_labels_in_sorted_order(class_folder):
    found, report = pack(class_folder)
    assert found.class_names == ("cat", "dog")
    assert found.labels.tolist() == [0] * 5 + [1] * 3
    assert found.files == [f"cat/{i}.png" for i in range(5)] + [f"dog/{i}.png" for i in range(3)]
    assert found.split is None
    assert report.num_images == 8
    assert report.skipped == ()
    assert report.notes == ()


def test_a_flat_folder_has_no_labels(tmp_path, save):
    for name in ("b.png", "a.png", ".hidden.png"):
        save(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("x")
    found, _ = pack(tmp_path / "in")
    assert found.labels is None
    assert found.files == ["a.png", "b.png"]
    assert found.meta["source"]["other_files"] == 1


@pytest.mark.parametrize("held_out", ["val", "valid", "validation", "test", "Val"])
@pytest.mark.parametrize("classes", [True, False])
def test_train_and_held_out_subfolders_are_kept(tmp_path, save, held_out, classes):
    root = tmp_path / "in"
    for i in range(3):
        save(root / "train" / ("cat" if classes else ".") / f"{i}.png", i)
    save(root / held_out / ("cat" if classes else ".") / "9.png", 9)
    found, _ = pack(root)
    expected = {f"{'train'}/{'cat/' if classes else ''}{i}.png": 0 for i in range(3)}
    expected[f"{held_out}/{'cat/' if classes else ''}9.png"] = 1
    assert dict(zip(found.files, found.split.tolist(), strict=True)) == expected
    assert found.class_names == (("cat",) if classes else ())


def test_train_and_other_names_are_just_classes(tmp_path, save):
    save(tmp_path / "in" / "train" / "0.png")
    save(tmp_path / "in" / "bus" / "0.png")
    found, _ = pack(tmp_path / "in")
    assert found.class_names == ("bus", "train")
    assert found.split is None


def test_a_seeded_split_can_be_written_into_the_pack(class_folder):
    found, _ = pack(class_folder, val_fraction=0.25, seed=1)
    assert found.split.sum() == 2
    again, _ = pack(class_folder, out="again.gpack", val_fraction=0.25, seed=1)
    assert np.array_equal(found.split, again.split)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
def test_an_impossible_val_fraction(class_folder, fraction):
    with pytest.raises(GanlabError, match="between 0 and 1"):
        pack(class_folder, val_fraction=fraction)


def test_a_split_folder_takes_no_val_fraction(tmp_path, save):
    save(tmp_path / "in" / "train" / "0.png")
    save(tmp_path / "in" / "val" / "0.png")
    with pytest.raises(GanlabError, match="held-out subfolders already"):
        pack(tmp_path / "in", val_fraction=0.5)


def test_native_size_is_copied_to_the_last_bit(tmp_path, save):
    path = save(tmp_path / "in" / "a.png", 3, 8, 8)
    found, _ = pack(tmp_path / "in", 8)
    assert np.array_equal(found.images[0], np.asarray(Image.open(path)))


def test_tiles_are_the_photo_s_own_pixels(tmp_path):
    """Row by row from the upper left corner; what is left over at the right and below is not used."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 27, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    Image.fromarray(pixels[:8, :8]).save(tmp_path / "photos" / "b.png")
    report = pack_folder(tmp_path / "photos", tmp_path / "pack", 8, tiles=True)
    pack = read_pack(tmp_path / "pack")
    expected = [pixels[row : row + 8, left : left + 8] for row in (0, 8) for left in (0, 8, 16)]
    np.testing.assert_array_equal(pack.images, [*expected, pixels[:8, :8]])
    assert (report.num_images, report.notes) == (7, ())
    assert (pack.meta["recipe"]["kind"], pack.meta["recipe"]["resize"]) == ("tiles", "never")


def test_tiles_of_one_photo_stay_in_one_part(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in range(10):
        flat = np.full((16, 16, 3), 20 * name, dtype=np.uint8)
        Image.fromarray(flat).save(tmp_path / "photos" / f"{name}.png")
    pack_folder(tmp_path / "photos", tmp_path / "pack", 8, val_fraction=0.3, tiles=True)
    pack = read_pack(tmp_path / "pack")
    parts = {int(image[0, 0, 0]): set() for image in pack.images}
    for image, part in zip(pack.images, pack.split, strict=True):
        parts[int(image[0, 0, 0])].add(int(part))
    assert len(parts) == 10
    assert all(len(found) == 1 for found in parts.values())
    with pytest.raises(GanlabError, match="smaller than 32x32"):
        pack_folder(tmp_path / "photos", tmp_path / "large", 32, tiles=True)


def test_centre_crop_without_resize_is_exact(tmp_path, save):
    path = save(tmp_path / "in" / "a.png", 3, 8, 13)
    found, _ = pack(tmp_path / "in", 8)
    assert np.array_equal(found.images[0], np.asarray(Image.open(path))[:, 2:10])


def test_reduction_is_antialiased_lanczos():
    """Against an own float64 Lanczos-3 with support stretched by the factor (Pillow rounds twice)."""
    rng = np.random.default_rng(0)
    image = rng.integers(60, 196, (40, 40, 3), dtype=np.uint8)
    size, factor = 10, 4.0
    centres = (np.arange(size) + 0.5) * factor
    distance = (np.arange(40) + 0.5 - centres[:, None]) / factor
    weights = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    expected = np.einsum("yi,ijc,xj->yxc", weights, image.astype(float), weights)
    assert np.abs(prepare(Image.fromarray(image), size) - expected).max() <= 1.01


def test_exif_orientation_is_applied(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255  # white on top
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: white on the right
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png", exif=exif)
    found, _ = pack(tmp_path / "in", 8)
    assert (found.images[0][:, 4:] == 255).all()
    assert (found.images[0][:, :4] == 0).all()


def save_as(kind, path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    rgba = np.dstack([np.full((8, 8, 3), 100, np.uint8), np.where(grey > 128, 255, 0).astype(np.uint8)])
    palette = Image.fromarray(np.stack([grey] * 3, -1)).convert("P", palette=Image.Palette.ADAPTIVE)
    images = {
        "grey.png": Image.fromarray(grey),
        "bilevel.png": Image.fromarray((grey > 128).astype(np.uint8) * 255).convert("1"),
        "rgba.png": Image.fromarray(rgba),
        "la.png": Image.fromarray(rgba).convert("LA"),
        "palette.gif": palette,
        "cmyk.jpg": Image.fromarray(np.stack([grey] * 3, -1)).convert("CMYK"),
        "deep.png": Image.fromarray(grey.astype(np.uint16) * 257),
        "x.webp": Image.fromarray(np.stack([grey] * 3, -1)),
        "x.bmp": Image.fromarray(np.stack([grey] * 3, -1)),
        "x.tiff": Image.fromarray(np.stack([grey] * 3, -1)),
    }
    images[kind].save(path / kind)
    return grey


@pytest.mark.parametrize("kind", [
    "grey.png", "bilevel.png", "rgba.png", "la.png", "palette.gif", "cmyk.jpg", "deep.png", "x.webp", "x.bmp",
    "x.tiff",
])  # fmt: skip
def test_all_kinds_become_rgb(tmp_path, kind):
    (tmp_path / "in").mkdir()
    grey = save_as(kind, tmp_path / "in").astype(int)
    pixels = pack(tmp_path / "in", 8)[0].images[0].astype(int)
    if kind in ("rgba.png", "la.png"):
        expected = np.where(grey > 128, 100, 255)
        assert np.abs(pixels - expected[..., None]).max() <= 1
    elif kind == "bilevel.png":
        assert np.array_equal(pixels[..., 0], np.where(grey > 128, 255, 0))
    else:
        lossy = kind in ("cmyk.jpg", "x.webp")
        assert np.abs(pixels - grey[..., None]).max() <= (40 if lossy else 2 if kind == "palette.gif" else 0)


def test_float_images_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "in" / "a.tiff")
    with pytest.raises(GanlabError, match=r"a\.tiff.*no defined range"):
        pack(tmp_path / "in")


def damaged(folder, save):
    """A folder of 20 good images and three kinds of damaged ones."""
    for i in range(20):
        save(folder / f"good{i:02d}.png", i)
    whole = save(folder / "cut.png", 1).read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    jpeg = save(folder / "cut.jpg", 1, 64, 64, quality=95).read_bytes()
    (folder / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").touch()


def test_damaged_files_are_fatal_and_named(tmp_path, save):
    damaged(tmp_path / "in", save)
    with pytest.raises(GanlabError, match=r"2 of 24 images cannot be read: empty\.png .*text\.png.*skip"):
        pack(tmp_path / "in")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_file_that_is_damaged_further_inside_is_fatal_too(tmp_path, save):
    for i in range(30):
        save(tmp_path / "in" / f"{i:02d}.png", i)
    whole = (tmp_path / "in" / "17.png").read_bytes()
    (tmp_path / "in" / "17.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GanlabError, match=r"1 of 30 images cannot be read: 17\.png"):
        pack(tmp_path / "in")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_damaged_files_are_skipped_with_a_count(tmp_path, save):
    damaged(tmp_path / "in", save)
    found, report = pack(tmp_path / "in", on_error="skip")
    assert {one.name for one in report.skipped} == {"cut.png", "cut.jpg", "text.png", "empty.png"}
    assert all(one.reason and "<_io" not in one.reason for one in report.skipped)
    assert found.files == [f"good{i:02d}.png" for i in range(20)]
    assert sorted(name for name, _ in found.meta["skipped"]) == sorted(one.name for one in report.skipped)


def test_nothing_left_after_skipping(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_text("no image")
    with pytest.raises(GanlabError, match="none of 1 images could be used"):
        pack(tmp_path / "in", on_error="skip")


def test_too_small_images_are_never_enlarged(tmp_path, save):
    save(tmp_path / "in" / "a.png", 0, 24, 24)
    save(tmp_path / "in" / "b.png", 1, 15, 30)
    save(tmp_path / "in" / "c.png", 2, 40, 12)
    expected = r"2 of 3 images are too small.*the smallest: c\.png \(12x40 is smaller than 16x16\), b\.png"
    with pytest.raises(GanlabError, match=expected):
        pack(tmp_path / "in", 16)
    found, report = pack(tmp_path / "in", 16, on_error="skip")
    assert found.files == ["a.png"]
    assert len(report.skipped) == 2


@pytest.mark.parametrize(("files", "message"), [
    ([], "it is empty"),
    (["a.txt", "b.txt", "c.csv"], r"3 other files \(2 \.txt, 1 \.csv\)"),
])  # fmt: skip
def test_a_folder_without_images(tmp_path, files, message):
    (tmp_path / "in").mkdir()
    for name in files:
        (tmp_path / "in" / name).touch()
    with pytest.raises(GanlabError, match=message):
        pack(tmp_path / "in")


def test_no_such_folder(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(GanlabError, match=r"no such folder.*data\.path.*did you mean 'photos'"):
        pack(tmp_path / "photoz")


def test_images_beside_class_folders_are_ambiguous(class_folder, save):
    save(class_folder / "loose.png")
    with pytest.raises(GanlabError, match=r"1 images lie beside the class folders \(the first: loose\.png\)"):
        pack(class_folder)


def test_notes_about_formats_and_sizes(tmp_path, save):
    save(tmp_path / "in" / "a.png", 0, 8, 8)
    save(tmp_path / "in" / "b.jpg", 1, 24, 24)
    _, report = pack(tmp_path / "in", 8)
    codec, native, sizes = report.notes
    assert "1 PNG, 1 JPEG" in codec
    assert "8x8 blocks" in codec
    assert "1 of 2 images already have the size 8" in native
    assert "shorter sides 8 to 24 px" in sizes
    assert "1.00 to 3.00" in sizes


def test_the_recipe_is_recorded(class_folder):
    meta = pack(class_folder)[0].meta
    assert meta["recipe"]["size"] == 8
    assert "Lanczos" in meta["recipe"]["resize"]
    assert meta["source"]["files"] == 8
    assert "pillow" in meta["written_with"]


def test_packing_twice_gives_the_same_bytes(class_folder):
    pack(class_folder, out="a.gpack")
    pack(class_folder, out="b.gpack")
    for name in ("images.npy", "labels.npy", "files.json", "meta.json"):
        assert (class_folder.parent / "a.gpack" / name).read_bytes() == (
            class_folder.parent / "b.gpack" / name
        ).read_bytes()


def test_threads_do_not_change_the_order():
    items = list(range(500))
    for workers in (1, 2, 5):
        assert list(ordered_map(lambda i: i * i, items, workers)) == [i * i for i in items]


def test_an_error_in_a_thread_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda i: 1 / (i - 77), list(range(200)), 3))


KILLED = """
import os, signal, sys
from pathlib import Path
import ganlab.data.folder as folder
original, calls = folder._pixels, []
def killed_at_the_fourth(size, cut, item):
    calls.append(item)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(size, cut, item)
folder._pixels = killed_at_the_fourth
folder.pack_folder(Path(sys.argv[1]), Path(sys.argv[2]), 8)
"""


def test_a_killed_packing_leaves_nothing_at_the_target(class_folder, tmp_path):
    command = [sys.executable, "-c", KILLED, str(class_folder), str(tmp_path / "out.gpack")]
    ended = subprocess.run(command, env=os.environ, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.gpack").exists()
    found, _ = pack(class_folder)
    assert len(found.images) == 8


def test_folder_source_packs_once_and_again_after_a_change(class_folder, own_cache, save):
    config = DataConfig(source="folder", path=str(class_folder))
    first = load_training_images(config, 8)
    assert first.class_names == ("cat", "dog")
    packs = list(own_cache.glob("photos_8-*.gpack"))
    stamp = packs[0].stat().st_mtime_ns
    load_training_images(config, 8)
    assert packs[0].stat().st_mtime_ns == stamp
    save(class_folder / "dog" / "new.png", 77)
    assert len(load_training_images(config, 8).images) == 9
    assert len(list(own_cache.glob("photos_8-*.gpack"))) == 2


def test_folder_source_repeats_its_warnings_from_the_cache(class_folder, save):
    (class_folder / "cat" / "bad.png").write_text("no image")
    save(class_folder / "cat" / "c.jpg", 5)
    config = DataConfig(source="folder", path=str(class_folder), on_error="skip")
    for _ in range(2):
        with pytest.warns(DataWarning) as caught:
            load_training_images(config, 8)
        texts = " ".join(str(one.message) for one in caught)
        assert "several formats" in texts
        assert "1 images were left out: cat/bad.png" in texts
    with pytest.raises(GanlabError, match=r"cat/bad\.png"):
        load_training_images(config.model_copy(update={"on_error": "fail"}), 8)


def test_listing_is_sorted_and_leaves_hidden_folders_out(tmp_path, save):
    for name in ("b/1.png", "a/2.png", "a/10.png", ".cache/x.png"):
        save(tmp_path / "in" / name)
    assert [file.name for file in list_images(tmp_path / "in").files] == ["a/10.png", "a/2.png", "b/1.png"]


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (["real/1.png", "fake/1.png"], ("real", "fake")),
        (["real/a/1.png", "fake-dcgan/b/1.png", "fake-dcgan/c/1.png"], ("real", "fake-dcgan")),
        (["cat/0_real/1.png", "cat/1_fake/1.png", "dog/0_real/1.png"], ("cat/0_real", "cat/1_fake")),
        (["train/Reals/1.png", "train/Generated/1.png"], ("train/Reals", "train/Generated")),
    ],
)
def test_reals_and_fakes_in_one_folder_are_one_set_and_a_remark(tmp_path, save, files, named):
    for name in files:
        save(tmp_path / "in" / name)
    with pytest.warns(DataWarning) as caught:
        assert len(open_image_set(tmp_path / "in")) == len(files)
    (remark,) = [str(one.message) for one in caught]
    assert f"{named[0]}/ and {named[1]}/ are read as one set" in remark
    assert remark.endswith(f"apart: {tmp_path / 'in' / named[0]} {tmp_path / 'in' / named[1]}")
    assert "\n" not in remark


@pytest.mark.parametrize(
    "files",
    [
        ["real/1.png", "cat/1.png"],
        ["a/real/1.png", "b/fake/1.png"],
        ["surreal/1.png", "fakery/1.png"],
        ["real/fake/1.png", "real/2.png"],
    ],
)
@pytest.mark.filterwarnings("error")
def test_no_remark_on_other_folders(tmp_path, save, files):
    for name in files:
        save(tmp_path / "in" / name)
    assert len(list_images(tmp_path / "in").files) == len(files)


def test_meta_is_plain_json(class_folder):
    pack(class_folder)
    json.loads((class_folder.parent / "out.gpack" / "meta.json").read_text())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_among_the_images_is_named_and_not_waited_for(class_folder, tmp_path):
    os.mkfifo(class_folder / "cat" / "pipe.png")
    with pytest.raises(GanlabError, match=r"pipe\.png.*no regular file"):
        pack_folder(class_folder, tmp_path / "o.gpack", 8)
    report = pack_folder(class_folder, tmp_path / "o.gpack", 8, on_error="skip")
    assert [refused.name for refused in report.skipped] == ["cat/pipe.png"]
    with pytest.raises(GanlabError, match=r"pipe\.png cannot be read: it is a pipe"):
        open_image_set(class_folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("ending", [".png", ".npz", ".npy", ".zip"])
def test_a_pipe_as_a_set_is_refused(tmp_path, ending):
    os.mkfifo(tmp_path / f"set{ending}")
    with pytest.raises(GanlabError, match="is a pipe, a socket or a device"):
        open_image_set(tmp_path / f"set{ending}")
