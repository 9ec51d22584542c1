"""Tasks other than gan: which networks take images, what their losses and data need, what has no effect."""

from __future__ import annotations

from collections.abc import Iterator
from math import log2
from typing import Any

from ganlab.config.architecture import DECODERS, SMALLEST_BASE, encoder_downsampling, shape, stage_names
from ganlab.config.errors import Problem, error, no_effect
from ganlab.config.names import names
from ganlab.config.schema import Config, glyph_characters

OF_IMAGES = ("autoencoder", "superres", "segment")
OWN_KEYS = {
    "data.masks": ("segment",),
    "data.scale": ("superres",),
    "loss.pixel": ("autoencoder", "superres"),
    "loss.kl_weight": ("autoencoder",),
    "loss.adversarial_weight": ("autoencoder", "superres"),
    "model.skips": OF_IMAGES,
    "model.encoder.depth": OF_IMAGES,
    "model.encoder.downsampling": OF_IMAGES,
    "model.encoder.latent": OF_IMAGES,
}
"""Key -> the tasks that read it."""
GAN_KEYS = ("training.augment", "training.generator_batch_size", "model.generator.z_dim")
"""What only a GAN reads."""


def _changed(config: Config, key: str) -> bool:
    """Whether a key differs from its default."""
    *sections, name = key.split(".")
    section: Any = config
    kind: Any = Config
    for part in sections:
        section, kind = getattr(section, part), kind.model_fields[part].annotation
    return bool(getattr(section, name) != kind.model_fields[name].default)


def architecture_of_task(config: Config) -> Iterator[Problem]:
    """Networks of images for tasks of images, generators for GANs."""
    name, task = config.model.architecture, config.task
    if task == "gan" and name in DECODERS:
        text = f"a {name} takes images; expected task: {', '.join(OF_IMAGES)}, or one of "
        yield error("model.architecture", text + ", ".join(names("generators")))
    if task != "gan" and name in names("generators"):
        text = f"{name} makes images of latents; for task: {task} expected one of {', '.join(DECODERS)}"
        yield error("model.architecture", text)


def unpooling(config: Config) -> Iterator[Problem]:
    """Max-unpooling needs the places of a max pooling at the same size."""
    model = config.model
    stages = stage_names(model) if shape(model) else ()
    used = [name for name in stages if name in names("unpoolers")]
    if config.task == "gan" and used:
        text = f"{used[0]} goes back to the places of an encoder's max pooling, and a GAN has no encoder"
        yield error("model.upsampling", f"{text}; expected one of {', '.join(names('upsamplers'))}")
    if config.task == "gan" or not used:
        return
    if encoder_downsampling(model) != "max_pool":
        yield error(
            "model.encoder.downsampling",
            f"got {model.encoder.downsampling}; {used[0]} goes back to the places of an encoder's max "
            "pooling; expected max_pool or auto",
        )
    missing = int(log2(config.data.scale)) if config.task == "superres" else 0
    if any(name in used for name in stages[len(stages) - missing :]):
        side = model.image_size // 2**missing
        yield error(
            "model.upsampling",
            f"the last {missing} of {len(stages)} stages have no pooling to go back to, because the input of "
            f"task: superres has {side} px; expected another upsampler there, such as {{name: "
            f"{used[0]}, last: nearest}} for scale 2",
        )


def depth(config: Config) -> Iterator[Problem]:
    """The image can be halved as often as the depth asks, and the input of a super-resolution network too."""
    model = config.model
    if model.architecture not in DECODERS:
        return
    stages, side = model.encoder.depth, model.image_size
    if shape(model) is None:
        least = SMALLEST_BASE * 2**stages
        yield error(
            "model.image_size",
            f"got {side}; {stages} stages (model.encoder.depth) halve it to {side / 2**stages:g} px; "
            f"expected a multiple of {2**stages} of at least {least}, or a smaller depth",
        )
    if config.task == "superres" and config.data.scale > 2**stages:
        text = f"got {config.data.scale}; {stages} stages enlarge by {2**stages} at most"
        yield error("data.scale", f"{text}; expected that or less, or a greater model.encoder.depth")


def segmentation(config: Config) -> Iterator[Problem]:
    """Masks come from glyphs or from a file; their classes fit; no image comes out that a loss could see."""
    data, classes = config.data, config.model.num_classes
    if config.task != "segment":
        if config.task != "gan" and classes:
            text = f"got {classes}; task: {config.task} knows no classes; expected 0"
            yield error("model.num_classes", text)
        return
    if data.masks is None and data.source != "glyphs":
        text = f"missing; {data.source} has no masks of its own; expected a .npy of integers (N, H, W)"
        yield error("data.masks", text)
    if classes == 1 or classes > 256:
        yield error("model.num_classes", f"got {classes}; masks have 2 to 256 classes (0 stands for 2)")
    characters = len(glyph_characters(data.classes))
    if data.masks is None and data.source == "glyphs" and classes not in (0, 2, characters + 1):
        yield error(
            "model.num_classes",
            f"got {classes}; masks of {characters} glyphs have 2 classes (ground, ink) or {characters + 1} "
            "(ground, then each character)",
        )
    if config.loss.spectral:
        yield error("loss.spectral", "task: segment makes masks, no images; expected none")
    if config.model.upsampling.tail is not None:
        yield error("model.upsampling.tail", "its last convolution makes RGB; task: segment makes masks")


def losses_of_images(config: Config) -> Iterator[Problem]:
    """A divergence needs a code, an adversarial term a discriminator of this size, pairs a target."""
    model, loss = config.model, config.loss
    if loss.kl_weight > 0 and config.task == "autoencoder" and model.architecture != "encoder_decoder":
        text = f"a {model.architecture} has no code between encoder and decoder"
        yield error("loss.kl_weight", f"{text}; expected 0, or model.architecture: encoder_decoder")
    if config.task in ("autoencoder", "superres") and loss.adversarial_weight > 0:
        found = shape(model)
        if found is not None and not found.discriminator:
            text = f"there is no discriminator of {model.image_size} px; expected 0, or a size of"
            yield error("loss.adversarial_weight", f"{text} 16, 32, 64, 128 or 256 px")
        if model.spectral_discriminator is not None:
            text = "stands beside a GAN's discriminator only; expected none"
            yield error("model.spectral_discriminator", text)
    for index, term in enumerate(loss.spectral):
        if config.task == "gan" and term.kind == "focal_frequency" and term.average == "none":
            text = "got none; a GAN's images have no targets of their own; expected amplitude or complex"
            yield error(f"loss.spectral[{index}].average", text)


def keys_of_other_tasks(config: Config) -> Iterator[Problem]:
    """Options that the task does not read."""
    task = config.task
    for key, tasks in OWN_KEYS.items():
        if task not in tasks and _changed(config, key):
            yield no_effect(key, f"task is {task}; it is for {', '.join(tasks)}")
    if task == "gan":
        return
    for key in GAN_KEYS:
        if _changed(config, key):
            yield no_effect(key, f"task is {task}; it is for gan")
    if config.model.architecture == "unet" and config.model.upsampling.tail is not None:
        yield no_effect("model.upsampling.tail", "a unet has convolutions of its own after the last stage")
    if config.loss.adversarial_weight == 0 and task != "segment":
        for key in ("loss.penalty", "loss.penalty_weight", "training.n_dis", "optimizer.lr_discriminator"):
            if _changed(config, key):
                yield no_effect(key, "loss.adversarial_weight is 0, so there is no discriminator")
