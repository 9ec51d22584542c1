"""Stages and widths against field-notes A4."""

import pytest

from ganlab.config import load
from ganlab.config.architecture import (
    PUBLISHED,
    discriminator_norm,
    discriminator_widths,
    generator_widths,
    shape,
    stage_names,
    stage_sides,
    uses_spectral_norm,
)

TABLE = {
    ("sngan", 32): ((256,) * 4, (128,) * 4, 4),
    ("sngan", 48): ((512, 256, 128, 64), (64, 128, 256, 512, 1024), 6),
    ("sngan", 64): ((1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024), 4),
    ("sngan", 128): ((1024, 1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024, 1024), 4),
    ("sndcgan", 32): ((512, 256, 128, 64), (64, 128, 256, 512), 4),
    ("dcgan", 16): ((128, 64), (64, 128), 4),
    ("dcgan", 32): ((256, 128, 64), (64, 128, 256), 4),
    ("dcgan", 64): ((512, 256, 128, 64), (64, 128, 256, 512), 4),
    ("dcgan", 128): ((1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024), 4),
    ("dcgan", 256): ((1024, 1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024, 1024), 4),
}
CASES = [(name, size) for name, sizes in PUBLISHED.items() for size in sizes]


def model(architecture, size, *overrides):
    free = ["model.generator.width=null", "model.discriminator.width=null", "training.n_dis=5"]
    chosen = [f"model.architecture={architecture}", f"model.image_size={size}"]
    return load("dcgan32", [*free, *chosen, *overrides]).model


def test_the_table_covers_everything():
    assert set(CASES) == set(TABLE)


@pytest.mark.parametrize(("architecture", "size"), CASES)
def test_published_widths(architecture, size):
    found = model(architecture, size)
    generator, discriminator, base = TABLE[architecture, size]
    assert generator_widths(found) == generator
    assert discriminator_widths(found) == discriminator
    assert stage_sides(found)[0] == base
    assert stage_sides(found)[-1] == size
    assert len(stage_names(found)) == len(stage_sides(found)) - 1
    assert len(generator) == len(stage_sides(found)) - (architecture == "dcgan")


@pytest.mark.parametrize(("architecture", "size"), CASES)
def test_the_discriminator_ends_at_a_small_map(architecture, size):
    found = shape(model(architecture, size))
    assert found is not None
    assert len(found.downsamples) == len(found.discriminator)
    side = size / 2 ** sum(found.downsamples)
    assert side == {"sngan": {32: 8, 48: 3, 64: 2, 128: 4}}.get(architecture, {}).get(size, 4)


def test_widths_scale_and_are_capped():
    overrides = ("model.generator.width=96", "model.generator.max_width=200", "model.discriminator.width=10")
    found = model("dcgan", 64, *overrides)
    assert generator_widths(found) == (200, 200, 192, 96)
    assert discriminator_widths(found) == (10, 20, 40, 80)
    assert generator_widths(model("sngan", 32, "model.generator.width=64")) == (64,) * 4
    assert generator_widths(model("dcgan", 16, "model.generator.widths=[7, 5]")) == (7, 5)


def test_stage_names():
    assert stage_names(model("dcgan", 32, "model.upsampling=nearest")) == ("nearest",) * 3
    last = model("dcgan", 32, "model.upsampling={name: nearest, last: bilinear}")
    assert stage_names(last) == ("nearest", "nearest", "bilinear")
    each = model("dcgan", 16, "model.upsampling=[bilinear, transposed]")
    assert stage_names(each) == ("bilinear", "transposed")


def test_an_unknown_size_is_a_clear_error():
    found = model("dcgan", 32).model_copy(update={"image_size": 40})
    assert shape(found) is None
    with pytest.raises(ValueError, match="no dcgan for 40 px; expected one of 16, 32, 64, 128, 256"):
        generator_widths(found)


@pytest.mark.parametrize(
    ("overrides", "norm"),
    [
        ([], "batch"),
        (["loss.penalty=r1"], "layer"),
        (["model.discriminator.spectral_norm=true"], "none"),
        (["model.discriminator.norm=layer"], "layer"),
        (["model.architecture=sndcgan"], "none"),
        (["model.architecture=sndcgan", "model.discriminator.spectral_norm=false"], "batch"),
    ],
)
def test_the_automatic_norm(overrides, norm):
    config = load("dcgan32", overrides)
    assert discriminator_norm(config.model, config.loss) == norm


def test_spectral_norm_by_default():
    assert {name: uses_spectral_norm(model(name, 32)) for name in PUBLISHED} == {
        "dcgan": False,
        "sndcgan": True,
        "sngan": True,
    }
