"""Lines in real images: the same in every one (content), or power without a common sign (cyclostationary)."""

from __future__ import annotations

import math
from typing import Any

import torch
from scipy.stats import t as student
from torch import Tensor

from ganlab.experiments.probe.findings import Finding

PERIODS = (2, 3, 4, 8, 16, 32)
LEAST = {"content": 3.0, "cyclostationary": 1.5}
"""dB over the neighbours from which on a line is worth a word."""


def lines(images: Tensor, stages: Any) -> list[Finding]:
    """Findings of kinds "content" and "cyclostationary" of real images ``(N, C, H, W)``.

    Of every period the strongest line is named, at most one a kind. Images get a Hann window, so that
    borders do not stand in for lines.
    """
    count, _, height, width = images.shape
    if count < 8:
        return []
    spectra = windowed(images)
    total = max((max(_period(stage, height, width)) for stage in stages), default=2)
    asked: dict[int, set[tuple[int, int]]] = {}
    taken: set[tuple[int, int]] = set()
    for period in (p for p in PERIODS if p <= max(total, 2)):
        asked[period] = lattice(period, height, width) - taken
        taken |= asked[period]
    found: list[Finding] = []
    for period, places in asked.items():
        best: dict[str, Finding] = {}
        for place in sorted(places):
            for kind in LEAST:
                finding = _judged(spectra, place, kind, period, stages, len(taken))
                if finding is not None and (kind not in best or finding.db > best[kind].db):
                    best[kind] = finding
        content, cyclic = best.get("content"), best.get("cyclostationary")
        if content is not None:
            found.append(content)
        # Power that a line explains is no further finding.
        if cyclic is not None and (content is None or cyclic.db > content.db + 3):
            found.append(cyclic)
    return found


def windowed(images: Tensor) -> Tensor:
    """Complex spectra of the images' luma-like mean over channels, Hann window: ``(N, H, W)``."""
    grey = images.double().mean(1)
    grey = grey - grey.mean((-2, -1), keepdim=True)
    rows = torch.hann_window(grey.shape[-2], periodic=True, dtype=torch.float64)
    columns = torch.hann_window(grey.shape[-1], periodic=True, dtype=torch.float64)
    spectra: Tensor = torch.fft.fft2(grey.cpu() * rows[:, None] * columns)
    return spectra


def lattice(period: int, height: int, width: int) -> set[tuple[int, int]]:
    """Coefficients at multiples of 1/period, one of each conjugate pair, far enough from zero frequency."""
    found = set()
    for a in range(period if height % period == 0 else 1):
        for b in range(period if width % period == 0 else 1):
            fy, fx = a * height // period, b * width // period
            other = ((-fy) % height, (-fx) % width)
            low = min(fy, height - fy) < 6 and min(fx, width - fx) < 6
            if not low:
                found.add(min((fy, fx), other))
    return found


def _judged(
    spectra: Tensor, place: tuple[int, int], kind: str, period: int, stages: Any, tests: int
) -> Finding | None:
    """What a coefficient shows over its neighbours; None where that is nothing."""
    _, height, width = spectra.shape
    own = spectra[:, place[0], place[1]]
    ring = [
        ((place[0] + dy) % height, (place[1] + dx) % width)
        for dy in range(-4, 5) for dx in range(-4, 5) if max(abs(dy), abs(dx)) >= 3
    ]  # fmt: skip
    near = spectra[:, [y for y, _ in ring], [x for _, x in ring]]
    value, error = level(own, near, kind)
    if kind == "content":
        real = 2 * place[0] % height == 0 and 2 * place[1] % width == 0
        p = tests * mean_chance(own, real)
    else:
        p = tests * float(student.sf(value / max(error, 1e-12), len(own) - 1))
    if not (value > LEAST[kind] and p < 0.05):
        return None
    stage = next((s.name for s in stages if period in _period(s, height, width)), None)
    stage = stage or (stages[-1].name if stages else "output")
    # Student's quantile: the level is inside, whatever the images are.
    reach = error * float(student.ppf(0.975, len(own) - 1))
    periods = (period if place[0] else 1, period if place[1] else 1)
    return Finding(stage, kind, *periods, value, value - reach, value + reach, p)


def level(own: Tensor, near: Tensor, kind: str) -> tuple[float, float]:
    """A coefficient over its neighbours in dB, of the mean image's power or of the mean power.

    Its standard error is the jackknife's (one image left out). A bootstrap would draw images twice, which
    raises the power of the neighbours' mean: percentiles would all lie below the level.

    Args:
        own: the coefficient of every image, complex ``(N,)``.
        near: those around it, ``(N, K)``.
        kind: "content" or "cyclostationary".

    Returns:
        Level and its standard error.
    """
    count = len(own)

    def without_one(values: Tensor) -> Tensor:
        """Means over all images, and over all but one: ``(1 + N, ...)``."""
        return torch.cat([values.mean(0, keepdim=True), (values.sum(0) - values) / (count - 1)])

    power = without_one(own.abs().square())
    if kind == "content":
        # Without the part that chance leaves of a mean over images.
        mean = without_one(own).abs().square()
        images = torch.tensor([count, *[count - 1] * count])
        top, around = mean - (power - mean) / images, without_one(near).abs().square().mean(1)
    else:
        top, around = power, without_one(near.abs().square()).mean(1)
    levels = 10 * (top.clamp_min(1e-30) / around.clamp_min(1e-30)).log10()
    error = ((count - 1) * (levels[1:] - levels[1:].mean()).square().mean()).sqrt()
    return float(levels[0]), float(error)


def mean_chance(own: Tensor, real: bool) -> float:
    """Probability of such a mean of a coefficient over independent images that have no part in common.

    Args:
        own: the coefficient of every image, complex ``(N,)``.
        real: it is its own conjugate: it has one chance to be large and not two.
    """
    free = len(own) - 1
    spread = (own - own.mean()).abs().square().sum() / free
    statistic = float(len(own) * own.mean().abs().square() / spread.clamp_min(1e-30))
    return float(2 * student.sf(math.sqrt(statistic), free)) if real else (1 + statistic / free) ** -free


def _period(stage: Any, height: int, width: int) -> tuple[int, int]:
    """Periods of the lattice that a stage's phases would leave, in output pixels."""
    return (
        stage.factor[0] * max(1, round(height / stage.size[0])),
        stage.factor[1] * max(1, round(width / stage.size[1])),
    )
