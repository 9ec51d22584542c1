"""Whatever a user can get wrong in ``ganlab detect``: one clear error, exit status 2, nothing written."""

import json

import numpy as np
import pytest
from forensics_images import natural, striped
from PIL import Image

from ganlab.forensics import make_perturbation, perturb

COUNT, SIDE = 30, 16
QUICK = ["--system", "both+logistic", "--seeds", "1", "--bands", "0", "--resamples", "20"]


@pytest.fixture(scope="module")
def images():
    return natural(3 * COUNT, SIDE)


@pytest.fixture
def detect(tmp_path, ganlab):
    """Run on sets and options; the results folder is ``tmp_path / "out"``."""
    return lambda *arguments: ganlab("detect", *arguments, "--out", tmp_path / "out", *QUICK)


@pytest.fixture
def refused(detect, tmp_path):
    """The one error that a command ends in."""

    def run(*arguments):
        result = detect(*arguments)
        assert result.code == 2, result.output
        assert "Traceback" not in result.output
        assert result.output.count("error:") + result.output.count("Error:") == 1, result.output
        assert not (tmp_path / "out").exists()
        return " ".join(result.output.split())

    return run


def folder(place, images, mode=None):
    """PNG files."""
    place.mkdir(parents=True)
    for i, image in enumerate(images):
        picture = Image.fromarray(image.squeeze())
        (picture.convert(mode) if mode else picture).save(place / f"{i:03d}.png")
    return place


def pair(tmp_path, images, fakes=None):
    chosen = striped(images[COUNT : 2 * COUNT]) if fakes is None else fakes
    return folder(tmp_path / "real", images[:COUNT]), folder(tmp_path / "fake", chosen)


def test_the_right_sets_pass(tmp_path, images, detect):
    result = detect(*pair(tmp_path, images))
    assert result.code == 0, result.output
    assert (tmp_path / "out" / "results.json").is_file()


# ------------------------------------------------------------------------------------------------ too little


def test_one_class_only(tmp_path, images, refused):
    assert "at least one FAKE" in refused(folder(tmp_path / "real", images[:COUNT]))


@pytest.mark.parametrize("which", ["real", "fake"])
def test_three_images(tmp_path, images, refused, which):
    few = {"real": images[:COUNT], "fake": striped(images[COUNT : 2 * COUNT])}
    few[which] = few[which][:3]
    sets = [folder(tmp_path / name, part) for name, part in few.items()]
    assert f"count: {which} has 3 different images; at least 10" in refused(*sets)
    # the guard can be tolerated, but a detector cannot be fitted on one image
    assert "fall into the train part, at least 2 are needed" in refused(*sets, "--allow", "count")


def test_an_empty_folder_and_none_at_all(tmp_path, images, refused):
    real = folder(tmp_path / "real", images[:COUNT])
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(real, tmp_path / "empty")
    message = refused(real, tmp_path / "reel")
    assert "no such file or folder" in message
    assert "real" in message


# --------------------------------------------------------------------------------------- unusable pixels


def test_constant_images(tmp_path, images, refused):
    same = np.full((COUNT, SIDE, SIDE, 3), 90, np.uint8)
    message = refused(*pair(tmp_path / "same", images, same))
    assert "fake has 1 different images" in message
    assert "constant: fake: 30 of 30 images hold a single value" in message
    greys = np.arange(COUNT, dtype=np.uint8)[:, None, None, None].repeat(SIDE, 1).repeat(SIDE, 2).repeat(3, 3)
    message = refused(*pair(tmp_path / "greys", images, greys))
    assert "allow it by name (constant)" in message


def test_constant_images_can_be_tolerated(tmp_path, images, detect):
    greys = np.arange(COUNT, dtype=np.uint8)[:, None, None, None].repeat(SIDE, 1).repeat(SIDE, 2).repeat(3, 3)
    result = detect(*pair(tmp_path, images, greys), "--allow", "constant")
    assert result.code == 0, result.output
    findings = json.loads((tmp_path / "out" / "results.json").read_text())["findings"]
    assert findings == ["constant: fake: 30 of 30 images hold a single value"]
    assert "Told by the guards" in result.output


def test_floats_and_nan(tmp_path, images, refused):
    real = folder(tmp_path / "real", images[:COUNT])
    values = np.zeros((COUNT, SIDE, SIDE, 3), np.float32)
    values[3] = np.nan
    np.save(tmp_path / "fake.npy", values)
    message = refused(real, tmp_path / "fake.npy")
    assert "fake.npy" in message
    assert "float32" in message
    assert "expected uint8" in message


@pytest.mark.parametrize("damage", ["header", "body"])
def test_a_corrupt_file_is_named(tmp_path, images, refused, damage):
    real, fake = pair(tmp_path, images)
    data = (fake / "007.png").read_bytes()
    (fake / "007.png").write_bytes(data[:10] if damage == "header" else data[: len(data) // 2])
    message = refused(real, fake)
    assert "007.png" in message
    assert "cannot be read" in message


# --------------------------------------------------------------------------------------- unlike pixels


def test_grey_against_colour(tmp_path, images, refused):
    real = folder(tmp_path / "real", images[:COUNT])
    fake = folder(tmp_path / "fake", striped(images[COUNT : 2 * COUNT]), mode="L")
    assert "channels: real has 3 channels and fake 1" in refused(real, fake)


def test_grey_on_both_sides_is_fine(tmp_path, images, detect):
    real = folder(tmp_path / "real", images[:COUNT], mode="L")
    result = detect(real, folder(tmp_path / "fake", striped(images[COUNT : 2 * COUNT]), mode="L"))
    assert result.code == 0, result.output


def test_opaque_rgba_is_rgb_and_transparency_lies_on_white(tmp_path, images, detect):
    fakes = striped(images[COUNT : 2 * COUNT])
    real, plain = pair(tmp_path, images, fakes)
    opaque = folder(tmp_path / "opaque" / "fake", fakes, mode="RGBA")
    veiled = folder(tmp_path / "veiled" / "fake", fakes, mode="RGBA")
    for file in veiled.iterdir():
        picture = Image.open(file)
        picture.putalpha(128)
        picture.save(file)
    found = []
    for number, place in enumerate((plain, opaque, veiled)):
        result = detect(real, place)
        assert result.code == 0, result.output
        plan = json.loads((tmp_path / "out" / "plan.json").read_text())
        found.append(plan["identity"]["sets"]["fake"])
        (tmp_path / "out").rename(tmp_path / f"out{number}")
    assert found[0] == found[1] != found[2]


def test_different_sizes(tmp_path, images, refused):
    real, fake = pair(tmp_path, images)
    smaller = folder(tmp_path / "smaller", striped(images[COUNT : 2 * COUNT, :12, :12]))
    message = refused(real, smaller)
    assert "size: real has images of 16x16, smaller of 12x12" in message
    Image.fromarray(images[0, :12]).save(fake / "extra.png")
    message = refused(real, fake)
    assert "images of 2 sizes" in message
    assert "extra.png" in message


def test_images_too_small_or_odd_for_a_system(tmp_path, images, refused, ganlab):
    odd = images[:, :15, :15]
    sets = folder(tmp_path / "real", odd[:COUNT]), folder(tmp_path / "fake", striped(odd[COUNT : 2 * COUNT]))
    assert "npr+logistic cannot be used here: NPR needs even sides" in refused(
        *sets, "--system", "npr+logistic"
    )
    message = refused(*sets, "--system", "pixels+attribution")
    assert "pixels+attribution cannot be used here: this network takes square images" in message
    assert "durall_300+durall_svm cannot be used here" in refused(*sets, "--system", "durall_300+durall_svm")


# ------------------------------------------------------------------------------------------ the same images


def test_the_same_folder_twice(tmp_path, images, refused):
    real, fake = pair(tmp_path, images)
    (tmp_path / "link").symlink_to(real)
    for other in (real, f"{real}/", f"{fake}/../real"):
        assert "is given twice" in refused(real, other)
    assert "is given twice" in refused(real, fake, fake)
    assert "duplicates: real and link share 30 identical images" in refused(real, tmp_path / "link")
    assert "is given twice" in refused(real, fake, "--unseen", real)


def test_a_recompressed_real_among_the_fakes(tmp_path, refused, detect):
    images = natural(2 * COUNT, 32)
    fakes = striped(images[COUNT : 2 * COUNT])
    fakes[4] = perturb(images[6:7], make_perturbation("jpeg", quality=75))[0]
    sets = pair(tmp_path, images, fakes)
    message = refused(*sets)
    assert "near_duplicates: real and fake share 1 pictures" in message
    assert "006.png and 004.png" in message
    assert detect(*sets, "--allow", "near_duplicates").code == 0


def test_sets_of_one_name_are_told_apart_by_their_folders(tmp_path, images, detect):
    real = folder(tmp_path / "real", images[:COUNT])
    one = folder(tmp_path / "a" / "fakes", striped(images[COUNT : 2 * COUNT]))
    two = folder(tmp_path / "b" / "fakes", striped(images[2 * COUNT :]))
    result = detect(real, one, two)
    assert result.code == 0, result.output
    assert "**a/fakes**" in result.output
    assert "**b/fakes**" in result.output


def test_names_can_be_given(tmp_path, images, detect, refused):
    sets = pair(tmp_path, images)
    assert "two sets cannot both be called 'x'" in refused(*sets, "--name", "x", "--name", "x")
    assert "3 names for 2 sets" in refused(*sets, "--name=a", "--name=b", "--name=c")
    assert "no set can be called 'pooled'" in refused(*sets, "--name", "photos", "--name", "pooled")
    result = detect(*sets, "--name", "photos", "--name", "stripes")
    assert "**stripes**: found by" in result.output


def test_reals_never_seen_must_be_of_the_same_size(tmp_path, images, refused):
    small = folder(tmp_path / "small", images[2 * COUNT :, :8, :8])
    assert "small (--unseen) has images of 8x8x3" in refused(*pair(tmp_path, images), "--unseen", small)


# ------------------------------------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--preset", "frank20"], "did you mean 'frank2020'"),
        (["--split", "80-20"], "--split is TRAIN/TEST"),
        (["--split", "80/30"], "in per cent"),
        (["--split", "0/100"], "positive"),
        (["--split", "80/20", "--optimize", "3"], "this split has none"),
        (["--set", "logistic=3"], "--set is DETECTOR.OPTION=VALUE"),
        (["--set", "ridge.strength=3"], "no system has the detector 'ridge'; there are logistic"),
        (["--set", "logistic.costs=3"], "costs"),
        (["--immunise"], "--immunise needs --attribution"),
        (["--preset", "yu2019", "--perturbation", "none"], "--immunise needs"),
        (["--epochs", "0"], "--epochs"),
    ],
)
def test_options_that_cannot_be(tmp_path, images, refused, options, word):
    assert word in refused(*pair(tmp_path, images), *options)
