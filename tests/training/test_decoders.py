"""Networks that take images: every task trains, resumes to the byte, and says what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from run_digest import digest
from shared import SMALL_CODER as SMALL

from ganlab.config import ConfigError, load, resolve
from ganlab.data import load_training_images, with_masks
from ganlab.data.pairs import reduced
from ganlab.errors import GanlabError
from ganlab.models import DECODERS, build_network, count_parameters, load_generator, load_network
from ganlab.training import train
from ganlab.upsampling import UNPOOLERS, UPSAMPLERS


@pytest.fixture
def small():
    """A function from a preset and overrides to a tiny configuration."""
    return lambda preset, *overrides: load(preset, [*SMALL, *overrides])


VARIANTS = {
    "autoencoder": ("autoencoder32", []),
    "VAE, adversarial, penalty": (
        "autoencoder32",
        ["loss.kl_weight=0.1", "loss.adversarial_weight=0.1", "loss.penalty=r1", "loss.pixel=l2",
         "model.discriminator.width=4"],
    ),
    "superres, paired spectra": (
        "superres32",
        ["loss.spectral=[{kind: focal_frequency, average: none}, {kind: radial_profile, reference: batch}]",
         "logging.gradients_every=2"],
    ),
    "segment, un-pooling": ("segment32", ["model.num_classes=11", "model.upsampling=max_unpool"]),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interrupted_run_equals_an_uninterrupted_one(small, tmp_path, variant):
    preset, overrides = VARIANTS[variant]
    config = small(preset, *overrides, "training.steps=4")
    train(config, tmp_path / "whole")
    for stop_at in (1, 3, None):
        result = train(config, tmp_path / "parts", stop_at)
    assert result.finished
    assert digest(tmp_path / "whole") == digest(tmp_path / "parts")


def test_the_log_names_every_loss(small, tmp_path):
    preset, overrides = VARIANTS["VAE, adversarial, penalty"]
    train(small(preset, *overrides, "training.steps=2"), tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert set(json.loads(lines[-1])) == {
        "step", "generator/l2", "generator/kl", "generator/adversarial", "discriminator/adversarial",
        "discriminator/penalty", "discriminator/logit_real", "discriminator/logit_fake",
    }  # fmt: skip
    said = (tmp_path / "run" / "log.txt").read_text()
    count = count_parameters(load_network(tmp_path / "run"))
    assert f"{count:,} parameters" in said


@pytest.mark.parametrize("architecture", DECODERS)
@pytest.mark.parametrize("upsampling", [*UPSAMPLERS, *UNPOOLERS])
@pytest.mark.parametrize("task", ["autoencoder", "superres", "segment"])
def test_every_operator_in_every_family_and_task(small, architecture, upsampling, task):
    last = "nearest" if task == "superres" and upsampling in UNPOOLERS else upsampling
    up = f"{{name: {upsampling}, last: {last}}}" if last != upsampling else upsampling
    config = small(
        "superres32", f"task={task}", f"model.architecture={architecture}", f"model.upsampling={up}"
    )
    network = build_network(config)
    side = 8 if task == "superres" else 16
    output, divergence = network(torch.rand(2, 3, side, side) * 2 - 1)
    assert output.shape == (2, 2 if task == "segment" else 3, 16, 16)
    assert divergence == 0
    output.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_skips_change_the_channels_and_nothing_else(small):
    with_skips = build_network(small("superres32"))
    without = build_network(small("superres32", "model.skips=false"))
    ours, theirs = dict(with_skips.named_parameters()), dict(without.named_parameters())
    assert ours.keys() == theirs.keys()
    # the input's own size, 8 px, is the finest that the encoder has: 16 px has no skip
    assert [name for name in ours if ours[name].shape != theirs[name].shape] == ["levels.0.0.weight"]


def test_unpooling_goes_back_to_the_places_of_the_pooling():
    layer = UNPOOLERS["max_unpool"](1, 1, 1)
    with torch.no_grad():
        layer.reduce.weight.fill_(1.0)
        layer.reduce.bias.zero_()
        layer.conv.weight.zero_()
        layer.conv.weight[0, 0, 1, 1] = 1.0
        layer.conv.bias.zero_()
    x = torch.randn(2, 1, 8, 8)
    pooled, places = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    expected = torch.where(x == torch.kron(pooled, torch.ones(2, 2)), x, 0.0)
    assert torch.equal(layer(pooled, places), expected)
    with pytest.raises(GanlabError, match="no such places"):
        layer(pooled)


def test_reduction_is_pillows_bicubic():
    from PIL import Image

    from ganlab.images import to_float, to_uint8

    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    ours = to_uint8(reduced(to_float(pixels), 2))[0].astype(int)
    theirs = np.asarray(Image.fromarray(pixels[0]).resize((16, 16), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(ours - theirs).max() <= 1  # Pillow rounds once more, between the two axes
    with pytest.raises(GanlabError, match="cannot be reduced by 4"):
        reduced(torch.zeros(1, 3, 6, 6), 4)


def test_masks_follow_their_images(small, tmp_path):
    """Mirrored with them, and the characters' classes are the labels plus one."""
    config = small("segment32", "model.num_classes=11", "data.flip=true")
    data = with_masks(load_training_images(config.data, 16), config.data, 11)
    from ganlab.training.distributed import World, place
    from ganlab.training.loop import make_reader

    batch = make_reader(config, data, place(config.training), World()).batch(0)
    ink = batch.masks > 0
    bright = batch.images.mean(1)
    assert (bright[ink].mean() - bright[~ink].mean()) > 0.5
    assert torch.stack([image[mask].mean() for image, mask in zip(bright, ink, strict=True)]).min() > 0
    assert all(len(np.unique(mask)) == 2 for mask in data.masks)
    assert np.array_equal(data.masks.max((1, 2)), data.labels + 1)


def test_the_decoder_half_is_a_generator(small, tmp_path):
    train(small("autoencoder32", "training.steps=2"), tmp_path / "run")
    generator = load_generator(tmp_path / "run")
    network = load_network(tmp_path / "run")
    images = generator.sample(0, 0, 3)
    assert images.shape == (3, 3, 16, 16)
    code = torch.randn(2, generator.z_dim)
    assert torch.equal(generator(code), network.decoder(code))
    generator.save_pretrained(tmp_path / "saved")
    again = type(generator).from_pretrained(tmp_path / "saved")
    assert torch.equal(again(code), generator(code))


@pytest.mark.parametrize(
    ("preset", "overrides", "reason"),
    [
        ("superres32", [], "was trained for superres"),
        ("superres32", ["task=autoencoder"], "has no code to draw"),
        ("autoencoder32", ["model.upsampling=max_unpool"], "needs the places of an encoder's"),
    ],
)
def test_what_is_no_generator_says_so(small, tmp_path, preset, overrides, reason):
    train(small(preset, *overrides, "training.steps=1"), tmp_path / "run")
    with pytest.raises(GanlabError, match=reason) as error:
        load_generator(tmp_path / "run")
    assert "--reconstruct" in str(error.value)


def test_a_gan_has_nothing_to_read_a_photo_with(tiny_runs):
    with pytest.raises(GanlabError, match="trained as a GAN"):
        load_network(tiny_runs[0])


WRONG = {
    "an image too small for the depth": (
        ["model.encoder.depth=4", "model.image_size=24"], "halve it to 1.5 px; expected a multiple of 16"),
    "a scale beyond the depth": (["model.encoder.depth=1", "data.scale=4"], "enlarge by 2 at most"),
    "un-pooling without pooling": (
        ["task=autoencoder", "model.upsampling=max_unpool", "model.encoder.downsampling=stride"],
        "expected max_pool or auto"),
    "un-pooling beyond the input": (["model.upsampling=max_unpool"], "no pooling to go back to"),
    "un-pooling in a GAN": (
        ["task=gan", "model.architecture=dcgan", "model.upsampling=max_unpool"], "a GAN has no encoder"),
    "a GAN of images": (["task=gan"], "a unet takes images; expected task: autoencoder"),
    "an autoencoder of latents": (["task=autoencoder", "model.architecture=dcgan"], "images of latents"),
    "a code where there is none": (["task=autoencoder", "loss.kl_weight=1"], "no code between"),
    "masks of photos": (["task=segment", "data.source=dead_leaves"], "data.masks: missing"),
    "classes of no glyphs": (["task=segment", "model.num_classes=5"], "2 classes .ground, ink. or 11"),
    "classes of an autoencoder": (["task=autoencoder", "model.num_classes=3"], "knows no classes"),
    "spectra of masks": (["task=segment", "loss.spectral=[{kind: log_power}]"], "makes masks, no images"),
    "targets of a GAN": (
        ["task=gan", "model.architecture=dcgan", "loss.spectral=[{kind: focal_frequency, average: none}]"],
        "no targets of their own"),
    "no discriminator of this size": (
        ["model.image_size=24", "loss.adversarial_weight=1", "model.encoder.depth=3"], "discriminator of 24"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_one_message(small, fault):
    overrides, message = WRONG[fault]
    with pytest.raises(ConfigError, match=message) as error:
        small("superres32", *overrides)
    assert "\n" not in str(error.value).strip()


def test_keys_of_other_tasks_have_no_effect():
    found = resolve(
        "superres32", {"loss.kl_weight": 1.0, "loss.penalty": "r1", "training.augment": ("color",)}
    )
    assert [text.split(": ")[1] for text in found.warnings] == [
        "loss.kl_weight", "training.augment", "loss.penalty",
    ]  # fmt: skip
    assert resolve("dcgan32", {"model.skips": False}).warnings[0].endswith("autoencoder, superres, segment")


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.zeros((5, 16, 16), int), "5 masks and 64 images are no pairs"),
        (np.zeros((64, 8, 16), int), "masks are 8x16, the images 16x16"),
        (np.full((64, 16, 16), 2), "mask 0 has class 2; expected 0 to 1"),
        (np.full((64, 16, 16), -1), "mask 0 has class -1"),
        (np.zeros((64, 16, 16)), "masks are integers"),
    ],
)
def test_bad_masks_give_one_message(small, tmp_path, masks, message):
    np.save(tmp_path / "masks.npy", masks)
    with pytest.raises(GanlabError, match=message):
        train(small("segment32", f"data.masks={tmp_path / 'masks.npy'}"), tmp_path / "run")


def test_masks_of_a_file_are_held_to_their_bytes(small, tmp_path):
    """Another mask in the file's place is refused, as other images are."""
    masks = np.random.default_rng(0).integers(0, 3, (64, 16, 16))
    np.save(tmp_path / "masks.npy", masks)
    given = [f"data.masks={tmp_path / 'masks.npy'}", "model.num_classes=3", "data.source=dead_leaves"]
    config = small("segment32", *given, "training.steps=2")
    train(config, tmp_path / "run", 1)
    np.save(tmp_path / "masks.npy", masks[::-1])
    with pytest.raises(GanlabError, match="begun on other images"):
        train(config, tmp_path / "run")
