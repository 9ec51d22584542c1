"""Lines in real images: the same in every one (content), or power without a common sign (cyclostationary)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.experiments.probe.findings import Finding

PERIODS = (2, 3, 4, 8, 16, 32)
DRAWS = 200
LEAST = {"content": 3.0, "cyclostationary": 1.5}
"""dB over the neighbours from which on a line is worth a word."""


def lines(images: Tensor, stages: Any, seed: int) -> list[Finding]:
    """Findings of kinds "content" and "cyclostationary" of real images ``(N, C, H, W)``.

    Of every period the strongest line is named, at most one a kind. Images get a Hann window, so that
    borders do not stand in for lines.
    """
    count, _, height, width = images.shape
    if count < 8:
        return []
    spectra = windowed(images)
    total = 1
    for stage in stages:
        total = max(total, *_period(stage, height, width))
    found: list[Finding] = []
    random = np.random.default_rng(seed)
    draws = torch.from_numpy(random.integers(0, count, (DRAWS, count)))
    taken: set[tuple[int, int]] = set()
    for period in (p for p in PERIODS if p <= max(total, 2)):
        places = lattice(period, height, width) - taken
        taken |= places
        if not places:
            continue
        best: dict[str, tuple[float, Finding]] = {}
        for fy, fx in sorted(places):
            for kind, finding in _judged(spectra, (fy, fx), period, stages, draws, len(places), seed).items():
                if kind not in best or finding.db > best[kind][0]:
                    best[kind] = (finding.db, finding)
        content = best.get("content")
        cyclic = best.get("cyclostationary")
        if content is not None:
            found.append(content[1])
        # Power that a line explains is no further finding.
        if cyclic is not None and (content is None or cyclic[1].db > content[1].db + 3):
            found.append(cyclic[1])
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
    spectra: Tensor, place: tuple[int, int], period: int, stages: Any, draws: Tensor, tests: int, seed: int
) -> dict[str, Finding]:
    """What a coefficient shows, over its neighbours."""
    _, height, width = spectra.shape
    own = spectra[:, place[0], place[1]]
    ring = [
        ((place[0] + dy) % height, (place[1] + dx) % width)
        for dy in range(-4, 5) for dx in range(-4, 5) if max(abs(dy), abs(dx)) >= 3
    ]  # fmt: skip
    near = torch.stack([spectra[:, y, x] for y, x in ring], 1)
    found = {}
    periods = (period if place[0] else 1, period if place[1] else 1)
    stage = next((s.name for s in stages if period in _period(s, height, width)), None)
    stage = stage or (stages[-1].name if stages else "output")
    for kind in ("content", "cyclostationary"):
        value = _excess(own, near, kind)
        resampled = [_excess(own[row], near[row], kind) for row in draws]
        low, high = (float(end) for end in np.quantile(resampled, (0.025, 0.975)))
        p = _chance(own, near, kind, tests)
        if value > LEAST[kind] and p < 0.05:
            found[kind] = Finding(stage, kind, *periods, value, low, high, p)
    return found


def _excess(own: Tensor, near: Tensor, kind: str) -> float:
    """A coefficient over its neighbours in dB: of the mean image's power, or of the mean power."""
    if kind == "content":
        # Without the part that chance leaves of a mean over images.
        mean = own.mean().abs().square() - (own - own.mean()).abs().square().mean() / len(own)
        around = near.mean(0).abs().square().mean()
        return 10 * math.log10(max(float(mean), 1e-30) / max(float(around), 1e-30))
    power = own.abs().square().mean()
    return 10 * math.log10(max(float(power), 1e-30) / max(float(near.abs().square().mean()), 1e-30))


def _chance(own: Tensor, near: Tensor, kind: str, tests: int) -> float:
    """Probability of as much by chance, times the number of coefficients that were looked at."""
    if kind == "content":
        spread = (own - own.mean()).abs().square().mean() / (len(own) - 1)
        statistic = float(own.mean().abs().square() / spread.clamp_min(1e-30))
    else:
        # Powers of independent images: a t-like distance of two means of logarithms.
        first = own.abs().square().clamp_min(1e-30).log()
        second = near.abs().square().mean(1).clamp_min(1e-30).log()
        gap = first - second
        statistic = float(gap.mean() + 0.577) / (float(gap.std()) / math.sqrt(len(gap)) + 1e-12)
        statistic = max(statistic, 0.0) ** 2 / 2
    return min(1.0, tests * math.exp(-min(statistic, 700.0)))


def _period(stage: Any, height: int, width: int) -> tuple[int, int]:
    """Periods of the lattice that a stage's phases would leave, in output pixels."""
    return (
        stage.factor[0] * max(1, round(height / stage.size[0])),
        stage.factor[1] * max(1, round(width / stage.size[1])),
    )
