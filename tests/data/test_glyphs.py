"""Glyphs: deterministic, whole, labelled, with masks that are the ink."""

from __future__ import annotations

import numpy as np
import pytest

from ganlab.config import resolve
from ganlab.config.errors import ConfigError
from ganlab.config.schema import DataConfig, glyph_characters
from ganlab.data import Glyphs, load_training_images
from ganlab.errors import GanlabError

DIGITS = DataConfig(source="glyphs", num_images=40)


def test_image_i_depends_on_seed_and_i_alone():
    glyphs = Glyphs(32, seed=3)
    ten = [glyphs.image(index) for index in range(10)]
    assert np.array_equal(ten[7], Glyphs(32, seed=3).image(7))
    assert not np.array_equal(ten[7], ten[8])
    assert not np.array_equal(ten[7], Glyphs(32, seed=4).image(7))


@pytest.mark.parametrize("size", [16, 32, 50, 128])
def test_the_same_character_at_every_size(size):
    """The small picture is close to the large one reduced: the draws do not know the size."""
    small, large = Glyphs(16), Glyphs(size)
    for index in range(3):
        assert large.label(index) == small.label(index)
        share = large.mask(index).mean()
        assert share == pytest.approx(small.mask(index).mean(), abs=0.05)
        assert large.image(index).shape == (size, size, 3)


@pytest.mark.parametrize("classes", ["digits", "letters"])
def test_no_character_is_cut(classes):
    glyphs = Glyphs(32, characters=glyph_characters(classes))
    for index in range(300):
        mask = glyphs.mask(index)
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert not border.any()
        assert 0.005 < mask.mean() < 0.5


def test_the_mask_is_the_light_part():
    glyphs = Glyphs(32)
    for index in range(20):
        luma, mask = glyphs.image(index).mean(2), glyphs.mask(index)
        assert luma[mask].min() > luma[~mask].max() - 1
        ground = glyphs.image(index)[0, 0]
        assert (ground < 100).all()


def test_classes_are_even_and_the_three_hues_occur():
    glyphs = Glyphs(16)
    counts = np.bincount([glyphs.label(index) for index in range(1000)], minlength=10)
    assert counts.min() > 60
    grounds = np.array([glyphs.image(index)[0, 0] for index in range(60)])
    assert set(grounds.argmax(1)) == {0, 1, 2}


def test_the_source_is_a_labelled_cached_pack(own_cache):
    data = load_training_images(DIGITS, 16)
    assert data.class_names == tuple("0123456789")
    assert data.num_classes == 10
    glyphs = Glyphs(16)
    assert data.labels.tolist() == [glyphs.label(index) for index in range(40)]
    assert np.array_equal(data.images[5], glyphs.image(5))
    assert data.description["recipe"] == glyphs.recipe()
    load_training_images(DIGITS, 16)
    load_training_images(DIGITS.model_copy(update={"classes": "0OQ"}), 16)
    assert len(list(own_cache.glob("glyphs_16-*.gpack"))) == 2


@pytest.mark.parametrize(("size", "characters"), [(15, "01"), (129, "01"), (32, ""), (32, "00")])
def test_impossible_recipes_are_refused(size, characters):
    with pytest.raises(GanlabError, match="glyphs"):
        Glyphs(size, characters=characters)


def glyph_config(*overrides):
    return resolve("dcgan32", ["data.source=glyphs", "data.flip=false", *overrides])


def test_the_configuration_knows_glyphs():
    assert glyph_config("model.num_classes=10").warnings == ()
    assert glyph_config("model.num_classes=52", "data.classes=letters").warnings == ()
    assert "mirrored" in str(glyph_config("data.flip=true").warnings[0])
    with pytest.raises(ConfigError, match="glyphs has 3 classes"):
        glyph_config("model.num_classes=10", "data.classes=0OQ")
    with pytest.raises(ConfigError, match="got 123"):
        glyph_config("data.classes=0123")
    with pytest.raises(ConfigError, match="drawn at 16 to 128 px"):
        glyph_config("model.image_size=256")
    with pytest.raises(ConfigError, match="each once"):
        glyph_config("data.classes=aa")
    assert "only glyphs" in str(resolve("dcgan32", ["data.classes=letters"]).warnings[0])
