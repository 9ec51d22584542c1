"""Every architecture with every upsampler; parameter counts of the published networks; files."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

import ganlab
from ganlab.config.schema import Config, ModelConfig
from ganlab.errors import GanlabError
from ganlab.models import (
    GENERATORS,
    build_discriminator,
    build_generator,
    count_parameters,
    load_generator,
    save_generator,
)
from ganlab.models.layers import has_batch_norm
from ganlab.upsampling import UPSAMPLERS


def model(architecture: str, size: int, upsampling="nearest", **sections) -> ModelConfig:
    return ModelConfig.model_validate(
        {"architecture": architecture, "image_size": size, "upsampling": upsampling, **sections}
    )


def small(architecture: str, upsampling="nearest", **sections) -> ModelConfig:
    narrow = {"generator": {"width": 8, "z_dim": 16}, "discriminator": {"width": 8}}
    return model(architecture, 32, upsampling, **{**narrow, **sections})


PUBLISHED = [  # field-notes A4, from the layer shapes of the published code
    ("sngan", 32, "nearest", 128, 4_276_739, 1_053_825),
    ("sngan", 32, "bilinear", 128, 4_276_739, 1_053_825),
    ("sngan", 64, "nearest", 128, 12_220_675, 10_141_441),
    ("dcgan", 64, "transposed", 100, 3_576_704, 2_765_568),
    ("sndcgan", 32, "transposed", 128, 3_828_739, 5_860_865),
]


@pytest.mark.parametrize(
    ("architecture", "size", "upsampling", "z_dim", "generator", "discriminator"), PUBLISHED
)
def test_parameter_counts(architecture, size, upsampling, z_dim, generator, discriminator):
    config = model(architecture, size, upsampling, generator={"z_dim": z_dim})
    assert count_parameters(build_generator(config)) == generator
    assert count_parameters(build_discriminator(config)) == discriminator


def test_conditional_sngan_has_a_plain_last_norm():
    """10 classes, 32 pixels: gains and biases by class in the three blocks' norms alone."""
    config = model("sngan", 32, generator={"z_dim": 128}, num_classes=10)
    assert count_parameters(build_generator(config)) == 4_304_387


@pytest.mark.parametrize("architecture", GENERATORS)
@pytest.mark.parametrize("upsampling", UPSAMPLERS)
def test_every_pair_makes_images_and_trains(architecture, upsampling):
    config = small(architecture, upsampling)
    generator, discriminator = build_generator(config), build_discriminator(config)
    images = generator(torch.randn(3, 16))
    assert images.shape == (3, 3, 32, 32)
    assert images.abs().max() <= 1.0
    discriminator(images).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in generator.parameters())


@pytest.mark.parametrize(
    ("architecture", "size"),
    [("dcgan", size) for size in (16, 32, 64, 128, 256)] + [("sngan", size) for size in (32, 48, 64, 128)],
)
def test_every_size(architecture, size):
    narrow = {"generator": {"width": 2, "z_dim": 8}, "discriminator": {"width": 2}}
    config = model(architecture, size, **narrow)
    images = build_generator(config)(torch.randn(2, 8))
    assert images.shape == (2, 3, size, size)
    assert build_discriminator(config)(images).shape == (2,)


@pytest.mark.parametrize("architecture", GENERATORS)
@pytest.mark.parametrize("upsampling", UPSAMPLERS)
@pytest.mark.parametrize("activation", ["none", "relu"])
def test_tail(architecture, upsampling, activation):
    tail = {"name": upsampling, "tail": {"convs": 3, "kernel": 5, "activation": activation}}
    generator = build_generator(small(architecture, tail))
    assert generator(torch.randn(2, 16)).shape == (2, 3, 32, 32)
    convs = [m for m in generator.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (5, 5)]
    assert [conv.out_channels for conv in convs] == [8, 8, 3]


def test_upconv_last_block_is_nearest_and_three_linear_5x5():
    """UpConv: nearest x2, then 5x5 d->d, d->d and d->3 with nothing between."""
    config = small("dcgan", {"name": "transposed", "last": "nearest", "tail": {}})
    last = build_generator(config).stages[-1]
    assert last.up.name == "nearest"
    assert [type(layer).__name__ for layer in last.tail] == ["Conv2d"] * 3


def test_one_name_per_stage_and_last():
    generator = build_generator(small("dcgan", ("bicubic", "nearest", "bilinear")))
    names = [type(stage.up).__name__ for stage in generator.stages]
    assert names == ["Bicubic", "Nearest", "Bilinear"]
    generator = build_generator(small("sngan", {"name": "nearest", "last": "pixel_shuffle"}))
    assert [type(stage.residual_up).__name__ for stage in generator.stages] == [
        "Nearest",
        "Nearest",
        "PixelShuffle",
    ]
    assert [type(stage.shortcut).__name__ for stage in generator.stages] == [
        "Nearest",
        "Nearest",
        "PixelShuffle",
    ]


@pytest.mark.parametrize("architecture", GENERATORS)
def test_conditional(architecture):
    config = small(architecture, num_classes=4)
    generator, discriminator = build_generator(config), build_discriminator(config)
    z, labels = torch.randn(3, 16), torch.tensor([0, 1, 3])
    logits = discriminator(generator(z, labels), labels)
    assert logits.shape == (3,)
    other = discriminator(generator(z, labels).detach(), torch.tensor([1, 2, 0]))
    assert not torch.allclose(logits, other)
    with pytest.raises(GanlabError, match="conditional"):
        generator(z)
    with pytest.raises(GanlabError, match="conditional"):
        discriminator(torch.zeros(3, 3, 32, 32))


def test_untrained_upsamplers_start_with_the_same_contrast():
    """Glorot by terms per output pixel: no upsampler starts much darker or brighter than nearest."""
    spread = {}
    for name in UPSAMPLERS:
        torch.manual_seed(0)
        generator = build_generator(model("sngan", 32, name, generator={"width": 64}))
        spread[name] = generator(torch.randn(16, 128)).std().item()
    assert all(0.5 < value / spread["nearest"] < 2.0 for value in spread.values()), spread


def test_icnr_survives_the_networks_initialisation():
    config = small("sngan", {"name": "pixel_shuffle", "icnr": True})
    conv = build_generator(config).stages[0].residual_up.conv
    assert torch.equal(conv.weight[0::4], conv.weight[3::4])


def test_norm_choices():
    auto = build_discriminator(Config(model=small("dcgan")))
    assert has_batch_norm(auto)
    gradient_penalty = Config.model_validate(
        {"model": small("dcgan").model_dump(), "loss": {"penalty": "wgan_gp"}}
    )
    assert not has_batch_norm(build_discriminator(gradient_penalty))
    assert any(isinstance(m, torch.nn.GroupNorm) for m in build_discriminator(gradient_penalty).modules())
    assert not has_batch_norm(build_discriminator(small("sngan")))


def test_spectral_norm_bounds_the_layers():
    discriminator = build_discriminator(small("sngan"))
    for _ in range(20):
        discriminator(torch.randn(2, 3, 32, 32))
    for module in discriminator.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            largest = torch.linalg.matrix_norm(module.weight.flatten(1), 2).item()
            assert largest == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("config", ["sngan32-pfnet", {"architecture": "dcgan", "upsampling": "nearest"}])
def test_names_and_mappings_build(config):
    generator = build_generator(config)
    assert generator(torch.randn(2, generator.z_dim)).shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: build_generator({"architecture": "dcgan", "upsampling": "nearst"}), "nearest"),
        (lambda: build_generator(model("dcgan", 48)), "48"),
        (lambda: build_generator(model("sngan", 40)), "40"),
        (lambda: build_generator("no-such-preset"), "no-such-preset"),
        (lambda: build_generator(small("dcgan"))(torch.randn(2, 15)), r"\(N, 16\)"),
        (lambda: build_discriminator(small("dcgan"))(torch.randn(2, 3, 16, 16)), "32, 32"),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(GanlabError, match=text):
        call()


def saved(tmp_path):
    config = Config(model=small("dcgan", "bilinear"))
    generator = build_generator(config)
    raw = {
        name: value + 1 if value.is_floating_point() else value
        for name, value in generator.state_dict().items()
    }
    save_generator(tmp_path / "generator.safetensors", generator.state_dict(), raw, config, step=7)
    return config, generator


def test_round_trip_of_a_file(tmp_path):
    config, generator = saved(tmp_path)
    z = torch.randn(4, 16)
    expected = generator.eval()(z)
    for path in (tmp_path, tmp_path / "generator.safetensors"):
        loaded = ganlab.load_generator(path)
        assert not loaded.training
        assert loaded.config == config.model
        assert torch.equal(loaded(z), expected)
    assert not torch.equal(load_generator(tmp_path, weights="raw")(z), expected)


def test_damaged_files_are_named(tmp_path):
    saved(tmp_path)
    file = tmp_path / "generator.safetensors"
    data = file.read_bytes()
    with pytest.raises(GanlabError, match="no generator at"):
        load_generator(tmp_path / "nowhere")
    with pytest.raises(GanlabError, match="unknown weights"):
        load_generator(file, weights="best")
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(GanlabError, match=r"generator\.safetensors"):
        load_generator(file)
    save_file({"x": torch.ones(1)}, file)
    with pytest.raises(GanlabError, match="no generator of ganlab"):
        load_generator(file)
    save_file({"ema.x": torch.ones(1)}, file, metadata={"ganlab": "{"})
    with pytest.raises(GanlabError, match="damaged"):
        load_generator(file)
    good = {
        "format": "ganlab-generator-1",
        "step": 1,
        "config": Config(model=small("dcgan")).model_dump(mode="json"),
    }
    save_file({"ema.x": torch.ones(1)}, file, metadata={"ganlab": json.dumps(good)})
    with pytest.raises(GanlabError, match="do not fit"):
        load_generator(file)


def test_a_pickle_in_place_of_a_generator_runs_nothing(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "generator.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(GanlabError, match="safetensors"):
        load_generator(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_metadata_is_readable_without_ganlab(tmp_path):
    saved(tmp_path)
    data = (tmp_path / "generator.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert json.loads(header["__metadata__"]["ganlab"])["config"]["model"]["upsampling"]["name"] == "bilinear"


def test_a_generator_file_has_the_users_own_permissions(tmp_path):
    saved(tmp_path)
    (tmp_path / "plain").write_text("")
    modes = {(tmp_path / name).stat().st_mode for name in ("plain", "generator.safetensors")}
    assert len(modes) == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"step": None}, r"g\.safetensors: the configuration inside is damaged"),
        ({"config": [1]}, r"g\.safetensors"),
        ({"config": {"model": {"upsampling": "nearest"}, "later": 1}}, r"g\.safetensors: later: unknown key"),
        ({"config": {"model": {"upsampling": "nearest"}}}, r"g\.safetensors: the weights do not fit"),
    ],
)
def test_a_strange_description_names_the_file(tmp_path, change, text):
    file = tmp_path / "g.safetensors"
    about = {"format": "ganlab-generator-1", "step": 1, "config": {"model": {"upsampling": "nearest"}}}
    save_file({"ema.x": torch.ones(1)}, file, metadata={"ganlab": json.dumps(about | change)})
    with pytest.raises(GanlabError, match=text) as error:
        load_generator(file)
    assert len(str(error.value)) < 800


def test_a_conditional_model_builds_from_its_section_alone():
    section = {"architecture": "dcgan", "image_size": 16, "upsampling": "nearest", "num_classes": 3}
    generator, discriminator = build_generator(section).eval(), build_discriminator(section)
    labels = torch.tensor([0, 2])
    images = generator(torch.randn(2, generator.z_dim), labels)
    assert discriminator(images, labels).shape == (2,)
    with pytest.raises(GanlabError, match="give integer labels"):
        generator(torch.randn(2, generator.z_dim), labels.float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_generator_saved_in_half_precision_computes_in_single(dtype, tmp_path):
    generator = build_generator(small("dcgan")).eval()
    generator.to(dtype).save_pretrained(tmp_path / "half")
    again = type(generator).from_pretrained(tmp_path / "half")
    latents = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again(latents), generator.float()(latents))


def test_a_generator_is_not_saved_over_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    generator = build_generator(small("dcgan"))
    with pytest.raises(GanlabError, match="cannot write"):
        generator.save_pretrained(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
