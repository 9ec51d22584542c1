"""What experiments work with by default, and how much of it: recipes of generators, games, scales."""

from __future__ import annotations

from dataclasses import dataclass

SMALL: dict[str, tuple[str, ...]] = {
    "dcgan": (
        "training.same_start=true", "model.generator.z_dim=64", "training.threads=1", "data.num_images=10000",
    ),
    "sngan": (
        "training.same_start=true", "model.generator.z_dim=64", "training.threads=1", "data.num_images=10000",
        "model.architecture=sngan", "loss.adversarial=hinge", "optimizer.betas=[0.0, 0.9]",
        "optimizer.lr=1e-3", "optimizer.lr_discriminator=1e-3", "model.generator.width=32",
        "model.discriminator.width=32",
    ),
}  # fmt: skip
"""Family -> what it changes in the preset `small32`: the commands of the zoo."""
PAPER = {"dcgan": "dcgan64", "sngan": "sngan32-pfnet"}
"""Family -> the preset of its published size, for photographs."""
PHOTOGRAPHS = ("data.source=imagewoof", "data.path=null", "data.download=true")
"""What is trained on at paper scale without ``--real``."""
_OPERATORS = (
    "transposed", "nearest", "bilinear", "bicubic", "pixel_shuffle", "bed_of_nails", "binomial", "kaiser",
    "bilinear_align_corners",
)  # fmt: skip
_REMEDIES = {
    "durall": "loss.spectral=[{kind: radial_profile, weight: 0.5}]",
    "axis": "loss.spectral=[{kind: axis_profiles, weight: 0.1}]",
    "spectral-discriminator": "model.spectral_discriminator={input: radial}",
}
RECIPES: dict[str, tuple[str, ...]] = {
    **{f"dcgan-{name}": (f"model.upsampling={name}",) for name in _OPERATORS},
    **{
        f"{family}-{name}-{remedy}": (f"model.upsampling={name}", option)
        for family in SMALL
        for name in ("transposed", "bilinear")
        for remedy, option in _REMEDIES.items()
    },
    **{f"sngan-{name}": (f"model.upsampling={name}",) for name in _OPERATORS},
}
"""Name of a generator -> what it changes in its family's configuration. The zoo has some of them, with a seed
behind the name; the others are trained in the same way."""
GAMES: dict[str, tuple[str, ...]] = {
    "DCGAN": (),
    "DRAGAN": ("loss.penalty=dragan",),
    "LSGAN": ("loss.adversarial=least_squares",),
    "WGAN-GP": ("loss.adversarial=wasserstein", "loss.penalty=wgan_gp"),
}
"""Adversarial game -> what it changes in a generator's configuration."""


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Attributes:
        name: for the record.
        images: of each set.
        steps: of each training that happens here.
        zoo: whether the zoo's generators are taken where it has all that are compared.
        repeats: of splits and detectors.
        epochs: of networks that detect, at most.
        resamples: of bootstraps and permutations.
        work: of what is optimised in the experiment itself (testbeds), as a share of the published length.
        processes: trainings at a time; None: as many as there are cores.
    """

    name: str
    images: int
    steps: int
    zoo: bool
    repeats: int
    epochs: int
    resamples: int
    work: float
    processes: int | None = None


SCALES = {
    "tiny": Scale("tiny", images=60, steps=6, zoo=True, repeats=1, epochs=1, resamples=20, work=0.002),
    "small": Scale("small", images=1000, steps=600, zoo=True, repeats=3, epochs=15, resamples=300, work=0.1),
    "paper": Scale(
        "paper", images=10_000, steps=50_000, zoo=False, repeats=10, epochs=50, resamples=1000, work=1.0
    ),
}
"""tiny: seconds, to see what comes out; its verdicts mean nothing. small: minutes on two cores, from the zoo.
paper: days, or a GPU, with networks and counts near the published ones."""
