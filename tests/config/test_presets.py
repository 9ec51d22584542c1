"""The presets: what field-notes A1 to A4 say the sources use."""

import pytest

from ganlab.config import flat, load, preset_names, resolve
from ganlab.config.sources import PRESET_FOLDER, preset_summary
from ganlab.config.yaml12 import load_yaml

ADAM = {"optimizer.lr": 2e-4, "training.batch_size": 64}
DCGAN = {"optimizer.betas": (0.5, 0.999), "training.n_dis": 1, "optimizer.schedule": "constant", **ADAM}
SNGAN = {
    "optimizer.betas": (0, 0.9),
    "training.n_dis": 5,
    "optimizer.schedule": "linear",
    "optimizer.decay_start": 0,
    "loss.adversarial": "hinge",
    "loss.penalty": "none",
    "model.generator.z_dim": 128,
    **ADAM,
}

SMALL32 = {
    "optimizer.lr": 2e-3,
    "optimizer.lr_discriminator": 5e-4,
    "optimizer.betas": (0.5, 0.999),
    "training.batch_size": 32,
    "training.steps": 2000,
    "training.ema_decay": 0.98,
    "training.n_dis": 1,
    "model.upsampling.name": "transposed",
    "model.generator.width": 24,
    "model.discriminator.width": 24,
    "data.source": "glyphs",
    "data.flip": False,
    "loss.adversarial": "non_saturating",
    "loss.penalty": "none",
}

CODER = {
    "optimizer.lr": 2e-3,
    "optimizer.betas": (0.9, 0.999),
    "model.architecture": "unet",
    "model.upsampling.name": "transposed",
    "model.image_size": 32,
    "data.source": "glyphs",
    "model.encoder.depth": 3,
    "loss.adversarial_weight": 0.0,
}

EXPECTED = {
    "sngan32-pfnet": {
        **SNGAN,
        "model.upsampling.name": "nearest",
        "model.generator.width": 256,
        "model.discriminator.width": 128,
        "training.generator_batch_size": 128,
        "training.steps": 50_000,
        "data.dequantize": True,
        "data.source": "cifar10",
        "model.image_size": 32,
    },
    "sngan32-mimicry": {
        **SNGAN,
        "model.upsampling.name": "bilinear",
        "model.generator.width": 256,
        "model.discriminator.width": 128,
        "training.generator_batch_size": 64,
        "training.steps": 100_000,
        "data.dequantize": False,
        "data.source": "cifar10",
        "model.image_size": 32,
    },
    "sngan64": {
        **SNGAN,
        "model.upsampling.name": "bilinear",
        "model.generator.width": 64,
        "model.discriminator.width": 64,
        "training.steps": 100_000,
        "model.image_size": 64,
    },
    "dcgan64": {
        **DCGAN,
        "model.upsampling.name": "transposed",
        "model.generator.z_dim": 100,
        "model.generator.width": 64,
        "loss.adversarial": "non_saturating",
        "model.image_size": 64,
        "model.discriminator.norm": "batch",
    },
    "sndcgan32": {
        **DCGAN,
        "model.upsampling.name": "transposed",
        "loss.adversarial": "non_saturating",
        "training.steps": 100_000,
        "model.generator.z_dim": 128,
        "model.image_size": 32,
    },
    "quickstart": {
        **DCGAN,
        **SMALL32,
        "data.num_images": 6000,
        "training.threads": 1,
    },
    "small32": SMALL32,
    "autoencoder32": {**CODER, "task": "autoencoder", "model.architecture": "encoder_decoder"},
    "superres32": {
        **CODER,
        "task": "superres",
        "data.source": "dead_leaves",
        "data.scale": 2,
        "model.skips": True,
    },
    "segment32": {**CODER, "task": "segment"},
    "dcgan32": {
        **DCGAN,
        "model.upsampling.name": "transposed",
        "model.generator.width": 32,
        "model.discriminator.width": 32,
        "data.source": "dead_leaves",
        "model.image_size": 32,
    },
}


def test_every_preset_is_expected():
    assert set(preset_names()) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_values(name):
    found = flat(load(name))
    assert {key: found[key] for key in EXPECTED[name]} == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_presets_give_no_warning(name):
    assert resolve(name).warnings == ()


@pytest.mark.parametrize("name", EXPECTED)
def test_upsampling_is_explicit_and_the_header_says_what_it_must(name):
    text = (PRESET_FOLDER / f"{name}.yaml").read_text()
    assert "upsampling" in load_yaml(text, name)["model"]
    header = text[: text.index("\n\n")]
    assert all(line.startswith("#") for line in header.splitlines())
    assert f"ganlab train {name}" in header
    for word in ("Source:", "Time:", "Shows:", "Differs from the source:"):
        assert word in header
    assert preset_summary(name)
