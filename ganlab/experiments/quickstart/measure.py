"""What a quickstart measures: an enlarged photo, the strongest line of each set, a detector's verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor

from ganlab.data import ImageSet
from ganlab.experiments.detection.measure import fit, measure
from ganlab.forensics import NULL, System, check, make_bench
from ganlab.images import luma, to_float, to_uint8
from ganlab.spectra import decibels, lattice_lines, power_spectrum
from ganlab.spectra.theory import predict_power
from ganlab.upsampling import UPSAMPLERS, FixedUpsampler, interpolate2x

PHOTO = "china.jpg"
"""One of the two photographs that scikit-learn brings along."""
CROP, REDUCTION = 384, 4
DETECTOR = System("dft", "ridge")
"""Log power of every frequency and a linear rule: what a checkerboard cannot hide from."""

GRID = ("jpeg_grid",)
Array = npt.NDArray[np.float64]


class Enlarged(NamedTuple):
    """The photo after one fixed operator; ``(K,)`` of the mean power over horizontal frequency, in dB."""

    name: str
    pixels: npt.NDArray[np.uint8]
    measured: Array
    predicted: Array


def enlarged_photo() -> list[Enlarged]:
    """A photo reduced by four, which leaves nothing of its JPEG blocks, then doubled by every fixed filter.

    The border is taken as circular, under which theory's curve is exact.
    """
    photo = load_sample_image(PHOTO)[:CROP, -CROP:]
    small = Image.fromarray(photo).resize((CROP // REDUCTION,) * 2, Image.Resampling.LANCZOS)
    images = to_float(np.asarray(small)[None]).double()
    before = power_spectrum(luma(images)[:, None])
    results = []
    for name, layer in UPSAMPLERS.items():
        # align_corners has no response: its phase drifts with position.
        if not issubclass(layer, FixedUpsampler) or name == "bilinear_align_corners":
            continue
        doubled = interpolate2x(images, name, "circular")
        after = power_spectrum(luma(doubled)[:, None])
        expected = predict_power(before, images.shape[-1], [name])
        curves = [decibels(power[0, 0].mean(0), 1e-6).numpy() for power in (after, expected)]
        results.append(Enlarged(name, to_uint8(doubled.float())[0], *curves))
    return results


def strongest_lines(real: ImageSet, fakes: Sequence[ImageSet]) -> dict[str, str]:
    """Of each fake set, the lattice line that stands out furthest against the reals, in words."""
    reals = _tensor(real)
    words = {}
    for fake in fakes:
        lines = lattice_lines(reals, _tensor(fake))
        best = max(lines, key=lambda line: abs(line.db), default=None)
        words[fake.name] = "no line stands out" if best is None else best.words
    return words


def detector_verdict(real: ImageSet, fakes: Sequence[ImageSet]) -> tuple[dict[str, float], str]:
    """How well a simple detector tells held-out fakes of each set from reals it never saw.

    Returns:
        Name -> balanced accuracy, the null control (real against real) last; and what it says, in two lines.
    """
    # Characters stand in the middle of their images, which the guard against JPEG blocks takes for a grid.
    bench = make_bench(check(real, fakes, GRID), 0, allow=GRID)
    shares: dict[str, float] = {}
    for name in (*bench.sources, NULL):
        fitted = fit(bench, DETECTOR, name, [name], 0)
        record = measure(fitted, bench.testing(DETECTOR, name), "transfer", name, resamples=0)
        shares[name] = record.metrics["balanced_accuracy"].value
    listed = ", ".join(f"{name} {100 * shares[name]:.0f} %" for name in bench.sources)
    return shares, (
        f"A detector of log power ({DETECTOR.name}) is right on held-out images of {listed};\n"
        f"on reals against reals, where there is nothing to find, {100 * shares[NULL]:.0f} %."
    )


def _tensor(images: ImageSet) -> Tensor:
    return torch.cat([to_float(np.asarray(part)) for part in images.batches(256)])
