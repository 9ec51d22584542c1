"""Schwarz et al. 2021: generator or discriminator? Each alone, on images whose spectrum is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from ganlab.experiments.claims.drawing import bars, curves
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.seeds import student_mean
from ganlab.experiments.claims.setting import Setting
from ganlab.experiments.claims.testbeds import BANDS, band_errors, pull, radial_level, regress, ring_images
from ganlab.forensics import Interval
from ganlab.util.hashing import derive_seed

UPSAMPLERS = ("nearest", "bilinear", "bed_of_nails", "pixel_shuffle")
LOSSES = {"pixels": False, "pixels and spectrum": True}
DISCRIMINATORS = {
    "equal rings, stride": ("", "stride"), "equal rings, average": ("", "avg_pool"),
    "equal rings, blur": ("", "blur_pool"), "high ring 20 dB weaker": ("high", "avg_pool"),
    "low ring 20 dB weaker": ("low", "avg_pool"),
}  # fmt: skip
"""Name -> which ring is weaker, and how the discriminator halves."""
IMAGES, REALS = 10, 100
REGRESSION, PULLING = 5000, 3000
"""Steps at full length; a scale takes its share."""
LOOKS = (0.1, 0.25, 0.5, 1.0)
SEPARATE = 3.0
"""Decibels between bands, or between upsamplers, that count as a bias."""


def run(setting: Setting) -> Outcome:
    """Both testbeds; every run is kept."""
    size = 64 if setting.at_paper_scale else 32
    target = ring_images(IMAGES, size, setting.seed)
    steps = max(8, round(REGRESSION * setting.scale.work))
    made = {
        (name, loss): setting.once(
            f"regress-{name}-{loss}", partial(_regress, setting, name, loss, target, steps)
        )
        for name in UPSAMPLERS for loss in LOSSES
    }  # fmt: skip
    pulled = {
        name: setting.once(f"pull-{name}", partial(_pull, setting, *options, size))
        for name, options in DISCRIMINATORS.items()
    }
    # what two draws of the same images differ by, at the count of the discriminator's
    null = band_errors(*(ring_images(REALS, size, derive_seed(setting.seed, name)) for name in ("a", "b")))
    wanted = radial_level(target)
    drawings = [
        curves(
            "generator",
            "Reduced spectra of the regressed images and of their targets (real), under each maximum.",
            np.arange(len(wanted)) / (len(wanted) - 1),
            {
                loss: {"real": wanted, **{name: np.array(made[name, loss]["radial"]) for name in UPSAMPLERS}}
                for loss in LOSSES
            },
            "frequency (share of the corner's)", "power (dB under the maximum)",
        ),
        bars(
            "discriminator", "Power of the optimised pixels in the two rings over that of the reals.",
            {name: {band: student_mean(own[band]) for band in BANDS} for name, own in pulled.items()},
            "power over the reals' (dB)", 0.0,
        ),
    ]  # fmt: skip
    parts = [
        Part(
            "The generator alone",
            [f"{IMAGES} images with two rings of equal power, fixed latents, {steps} steps of Adam."],
            [_regressions(made)], [drawings[0]],
        ),
        Part(
            "The discriminator alone",
            ["Pixels are the parameters; they begin as weak noise and follow the discriminator's gradient."],
            [_pulls(pulled, null)], [drawings[1]],
        ),
    ]  # fmt: skip
    return _judged(made, pulled, parts)


def _regress(setting: Setting, name: str, loss: str, target: Tensor, steps: int) -> Any:
    looks = sorted({max(1, round(share * steps)) for share in LOOKS})
    images, seen = regress(name, target, steps, setting.seed, LOSSES[loss], looks)
    errors = band_errors(images, target)
    squared = (images - target).square().flatten(1).mean(1).double().numpy()
    return {
        **{band: errors[band].tolist() for band in BANDS}, "radial": radial_level(images).tolist(),
        # images span 2, from -1 to 1
        "psnr": (10 * np.log10(4 / np.maximum(squared, 1e-12))).tolist(),
        "course": {str(step): values for step, values in seen.items()},
    }  # fmt: skip


def _pull(setting: Setting, weaker: str, downsampling: str, size: int) -> Any:
    real = ring_images(REALS, size, setting.seed, weaker)
    images = pull(downsampling, real, REALS // 4, max(4, round(PULLING * setting.scale.work)), setting.seed)
    # there is no image i of the other set: against the reals' mean
    mean = real.square().mean().sqrt()
    own = {band: errors.tolist() for band, errors in band_errors(images, real[: len(images)]).items()}
    return {**own, "rms": float(images.square().mean().sqrt() / mean)}


def _regressions(made: Mapping[tuple[str, str], Any]) -> Table:
    rows = [
        [name, loss, *(shown(student_mean(own[key]), 1) for key in (*BANDS, "psnr")),
         ", ".join(f"{step}: {values['high']:+.1f}" for step, values in own["course"].items())]
        for (name, loss), own in made.items()
    ]  # fmt: skip
    header = ("upsampling", "loss", "low ring (dB)", "high ring (dB)", "PSNR (dB)", "high ring by step")
    return Table("regressions", "Power over the target's", header, rows, "Intervals over images; one seed.")


def _pulls(pulled: Mapping[str, Any], null: Mapping[str, Any]) -> Table:
    rows = [
        [name, *(shown(student_mean(own[band]), 1, sign=True) for band in BANDS), f"{own['rms']:.2f}"]
        for name, own in pulled.items()
    ]
    rows.append(
        ["null: other reals", *(shown(student_mean(null[band]), 1, sign=True) for band in BANDS), "1.00"]
    )
    header = ("setting", "low ring (dB)", "high ring (dB)", "contrast over the reals'")
    return Table("pulls", "Power over the reals'", header, rows, "Intervals over images; one seed.")


def _judged(made: Mapping[tuple[str, str], Any], pulled: Mapping[str, Any], parts: Sequence[Part]) -> Outcome:
    """The paper's four observations, as far as these two testbeds show them."""

    def high(name: str, loss: str) -> Interval:
        return student_mean(made[name, loss]["high"])

    def miss(name: str, band: str) -> Interval:
        return student_mean(pulled[name][band])

    plain = {name: high(name, "pixels").value for name in UPSAMPLERS}
    mended = {name: high(name, "pixels and spectrum").value for name in UPSAMPLERS}
    apart = max(plain.values()) - min(plain.values()) > SEPARATE
    nearer = [name for name in UPSAMPLERS if abs(mended[name]) < abs(plain[name])]
    weak_high, weak_low = miss("high ring 20 dB weaker", "high"), miss("low ring 20 dB weaker", "high")
    equal = miss("equal rings, average", "high")
    magnitude = abs(weak_high.value) > abs(weak_low.value) + SEPARATE
    halving = {name: miss(name, "high") for name in DISCRIMINATORS if name.startswith("equal")}
    spread = max(i.value for i in halving.values()) - min(i.value for i in halving.values())
    here = [
        "Generator, high ring over the target's after a pixel loss: "
        + ", ".join(f"{name} {shown(high(name, 'pixels'), 1, sign=True)}" for name in UPSAMPLERS) + " dB.",
        f"With the spectrum in the loss {len(nearer)} of {len(UPSAMPLERS)} are nearer: "
        + ", ".join(f"{name} {value:+.1f}" for name, value in mended.items()) + " dB.",
        f"Discriminator, high ring: rings of equal power {shown(equal, 1, sign=True)} dB; high ring weaker "
        f"{shown(weak_high, 1, sign=True)} dB; low ring weaker {shown(weak_low, 1, sign=True)} dB.",
        "Halving, high ring: "
        + ", ".join(f"{name} {shown(i, 1, sign=True)}" for name, i in halving.items())
        + f" dB, a spread of {spread:.1f} dB.",
    ]  # fmt: skip
    held = {
        "upsamplers bias the generator": apart, "the generator can compensate": bool(nearer),
        "magnitude, not frequency, is hard for the discriminator": magnitude,
        "halving matters": spread > SEPARATE,
    }  # fmt: skip
    kept = [name for name, found in held.items() if found]
    verdict = (
        Verdict.AT_THIS_SCALE if len(kept) == len(held) else Verdict.SHARPENED if kept else Verdict.UNDECIDED
    )
    because = (
        f"Seen here: {'; '.join(kept) or 'none of the four observations'}."
        + (f" Not seen beyond {SEPARATE:.0f} dB: {'; '.join(n for n in held if n not in kept)}."
           if len(kept) < len(held) else "")
        + " Toy images, small networks, one seed."
    )  # fmt: skip
    numbers = {
        "plain": plain,
        "with_spectrum": mended,
        "held": held,
        "halving": halving,
    }
    return Outcome(here, verdict, because, parts, numbers)


EXPERIMENT = Experiment(
    title="Generator or discriminator: fixed latents regress images; a discriminator pulls at pixels",
    source="Schwarz, Liao, Geiger 2021, arXiv 2111.02447",
    published=(
        Published("Upsampling operations bias the generator towards different spectra", "abstract"),
        Published("Checkerboards are not the whole of it: the generator can compensate for them", "abstract"),
        Published(
            "The discriminator struggles with frequencies of low magnitude, not with high ones", "abstract"
        ),
        Published("Its downsampling can impair the training signal", "abstract"),
    ),
    minutes=4,
    needs="nothing: it makes its own images",
    run=run,
    takes_fakes=False,
    takes_reals=False,
)
