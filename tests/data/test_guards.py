"""Guards: what makes two sets differ, or agree, for another reason than the generator."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ganlab.data import PackWriter, array_image_set, compare_sets, open_image_set, require_comparable
from ganlab.errors import GanlabError


def images(seed, count=6, side=16, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def folder(path, pixels, ending, **options):
    path.mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(path / f"{i}.{ending}", **options)
    return open_image_set(path)


def codes(real, fake, **options):
    return [(one.code, one.severity) for one in compare_sets(real, fake, **options)]


def test_comparable_sets_raise_nothing(tmp_path):
    real, fake = folder(tmp_path / "r", images(0), "png"), array_image_set(images(1), "f")
    assert compare_sets(real, fake) == []
    assert require_comparable(real, fake) == []


def test_sizes(tmp_path):
    real, fake = array_image_set(images(0), "real"), array_image_set(images(1, side=8), "fake")
    assert codes(real, fake) == [("size", "error")]
    with pytest.raises(GanlabError, match=r"real has images of 16x16, fake of 8x8.*ganlab data pack"):
        require_comparable(real, fake)


def test_channels():
    assert codes(array_image_set(images(0), "r"), array_image_set(images(1, channels=1), "f")) == [
        ("channels", "error")
    ]


def test_codecs_and_qualities(tmp_path):
    png = folder(tmp_path / "png", images(0), "png")
    q75 = folder(tmp_path / "q75", images(1), "jpg", quality=75)
    q75_more = folder(tmp_path / "q75b", images(2), "jpg", quality=75)
    q95 = folder(tmp_path / "q95", images(3), "jpg", quality=95)
    webp = folder(tmp_path / "webp", images(4), "webp")
    assert codes(png, q75) == codes(q75, png) == [("codec", "warning")]
    assert codes(q75, q75_more) == []
    assert codes(q75, q95) == [("quality", "warning")]
    assert codes(q75, webp) == [("codec", "warning")]
    text = str(compare_sets(png, q75)[0])
    assert "png is PNG and q75 is JPEG" in text
    assert "8x8 blocks" in text
    assert "--with-real" in text


def test_lossless_formats_agree(tmp_path):
    real = folder(tmp_path / "bmp", images(0), "bmp")
    assert codes(real, array_image_set(images(1), "raw")) == []


def test_recipes(tmp_path):
    sets = []
    for i, recipe in enumerate(
        ({"crop": "centre", "seed": 1}, {"crop": "none", "seed": 1}, {"crop": "centre", "seed": 2})
    ):
        with PackWriter(tmp_path / f"{i}.gpack", 16) as writer:
            writer.meta["recipe"] = recipe
            for image in images(i):
                writer.add(image)
        sets.append(open_image_set(tmp_path / f"{i}.gpack"))
    assert codes(sets[0], sets[1]) == [("recipe", "warning")]
    assert codes(sets[0], sets[2]) == []


def test_the_same_set_on_both_sides(tmp_path):
    pixels = images(0)
    real, fake = folder(tmp_path / "r", pixels, "png"), array_image_set(pixels[::-1], "f")
    assert codes(real, fake) == [("same_set", "warning")]
    assert codes(real, fake, sample=0) == []


def test_some_images_on_both_sides():
    real = array_image_set(images(0), "r")
    fake = array_image_set(np.concatenate([images(1), images(0)[3:5]]), "f")
    (found,) = compare_sets(real, fake)
    assert found.code == "duplicates"
    assert "2 images are in both r and f (the first: r#3 = f#6)" in found.message


def test_copies_are_looked_for_in_a_sample_only():
    real = array_image_set(images(0, count=100), "r")
    fake = array_image_set(np.concatenate([images(1, count=99), images(0, count=100)[99:]]), "f")
    assert codes(real, fake) == [("duplicates", "warning")]
    assert codes(real, fake, sample=10) == []
    assert codes(real, fake, sample=None) == [("duplicates", "warning")]


def test_a_set_is_hashed_once(monkeypatch):
    real = array_image_set(images(0), "r")
    compare_sets(real, array_image_set(images(1), "f"))
    real._stored.images = None
    assert codes(real, array_image_set(images(0), "g")) == [("same_set", "warning")]


def test_errors_come_first(tmp_path):
    real = folder(tmp_path / "r", images(0), "jpg")
    fake = array_image_set(images(1, side=8, channels=1), "f")
    assert [one.severity for one in compare_sets(real, fake)] == ["error", "error", "warning"]
