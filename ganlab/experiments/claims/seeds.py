"""Numbers over trainings: generators by seed, Student's t over seeds, factors' shares of a variance.

The unit is the trained generator. A thousand images of one say how well that generator was measured; what
another training would have given only other trainings can say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from scipy.stats import t as student
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.experiments.claims.outcome import Part
from ganlab.experiments.claims.setting import Setting, floats
from ganlab.forensics import Interval

T = TypeVar("T")
SEEDS = (0, 1, 2)
"""Training seeds of the zoo's plan."""
ASKED = ("Statement", "Source", "Would be refuted by", "Plan", "Data", "Trainings", "Null")
"""What a claim fixes before anything is measured."""


def seeded(setting: Setting, recipes: Sequence[str]) -> dict[str, dict[int, str]]:
    """Recipe -> seed -> generator: those that the zoo has of `SEEDS`; where it has none, all are trained.

    Raises:
        GanlabError: a training failed or was stopped.
    """
    pairs = [(name, seed) for name in recipes for seed in SEEDS]
    ready = {pair: own[pair[0]] for pair in pairs if (own := setting.in_zoo(pair[:1], pair[1]))}
    if not ready:
        wanted = {f"{name}-s{seed}": (name, (f"seed={seed}",)) for name, seed in pairs}
        trained = setting.trained(wanted)
        ready = {pair: trained[f"{pair[0]}-s{pair[1]}"] for pair in pairs}
    return {
        name: {seed: at for (own, seed), at in ready.items() if own == name}
        for name in dict.fromkeys(own for own, _ in ready)
    }


def compared(
    setting: Setting,
    generators: Mapping[str, Mapping[int, str]],
    measure: Callable[[Tensor, Tensor], Any],
) -> tuple[dict[str, dict[int, Any]], Any]:
    """Every generator's images held against the reals; what was measured is kept from run to run.

    Args:
        setting: of the experiment.
        generators: as `seeded` returns them.
        measure: of reals and fakes, float ``(N, C, H, W)``; gives JSON values.

    Returns:
        Kind -> seed -> what was measured; and the null, one half of the reals against the other.
    """
    real = floats(setting.real)

    def make(source: str) -> Any:
        return measure(real, floats(setting.fake(source, "fake")))

    values = {
        kind: {seed: setting.once(f"{kind}-s{seed}", partial(make, at)) for seed, at in own.items()}
        for kind, own in generators.items()
    }
    return values, setting.once("null", lambda: measure(real[::2], real[1::2]))


def common(generators: Mapping[Any, Mapping[int, Any]]) -> tuple[int, ...]:
    """Seeds that every kind has: a comparison of kinds is one of the same seeds."""
    return tuple(seed for seed in SEEDS if all(seed in own for own in generators.values()))


def repeated(found: Mapping[str, Mapping[int, T]]) -> dict[str, Mapping[int, T]]:
    """The kinds that were trained most often: means over kinds are then over the same ones for every seed."""
    most = max(map(len, found.values()))
    return {kind: own for kind, own in found.items() if len(own) == most}


def student_mean(values: Sequence[float], share: bool = False) -> Interval:
    """Mean and its 95 % interval by Student's t; without ends (infinite ones) of one value.

    Args:
        values: independent ones: of trainings, of images, of parts of a set.
        share: the values are shares or areas, so that the interval ends at 0 and 1.

    Raises:
        GanlabError: no value.
    """
    if not len(values):
        raise GanlabError("a mean needs at least one value")
    mean = float(np.mean(values))
    if len(values) == 1:
        return Interval(mean, -math.inf, math.inf)
    reach = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    low, high = (0.0, 1.0) if share else (-math.inf, math.inf)
    return Interval(mean, max(mean - reach, low), min(mean + reach, high))


def variance_shares(cells: Mapping[tuple[str, str], Sequence[float]]) -> dict[str, float]:
    """What part of the variation each of two factors makes: sums of squares of a balanced two-way table.

    Args:
        cells: (level of the first factor, level of the second) -> values of the trainings, equally many in
            every cell, every combination of levels present.

    Returns:
        "first", "second", "both" (what only the combination explains) and "seeds" (what trainings of one cell
        differ by); they add up to 1. All 0 where nothing varies.

    Raises:
        GanlabError: a combination is missing, or counts differ.

    Source: Fisher's analysis of variance; eta squared.
    """
    first, second = (list(dict.fromkeys(key[k] for key in cells)) for k in (0, 1))
    counts = {len(values) for values in cells.values()}
    if len(cells) != len(first) * len(second) or len(counts) != 1 or counts == {0}:
        raise GanlabError("shares of variance need every combination of levels, with equally many trainings")
    table = np.array([[cells[a, b] for b in second] for a in first], np.float64)
    repeats, grand = table.shape[2], table.mean()
    rows, columns, means = table.mean((1, 2)), table.mean((0, 2)), table.mean(2)
    sums = {
        "first": repeats * len(second) * ((rows - grand) ** 2).sum(),
        "second": repeats * len(first) * ((columns - grand) ** 2).sum(),
        "both": repeats * ((means - rows[:, None] - columns[None] + grand) ** 2).sum(),
        "seeds": ((table - means[..., None]) ** 2).sum(),
    }
    # Rounding alone is no variation.
    total = sum(sums.values())
    nothing = total <= 1e-20 * max(1.0, float((table**2).sum()))
    return {name: 0.0 if nothing else float(part / total) for name, part in sums.items()}


def asked(fixed: Mapping[str, str], trainings: str) -> Part:
    """The part of a claim's page that was fixed before anything was measured.

    Args:
        fixed: texts by `ASKED`.
        trainings: how many there were, in words.
    """
    texts = {name: fixed[name] for name in ASKED}
    texts["Trainings"] = f"{trainings}; {texts['Trainings']}"
    return Part(
        "The claim and how it is put to the test", [f"{name}: {text}." for name, text in texts.items()]
    )


def counted(generators: Mapping[str, Mapping[int, str]]) -> str:
    """How many trainings there are, in words."""
    counts = {name: len(own) for name, own in generators.items()}
    most = max(counts.values())
    few = [f"{name} has {count}" for name, count in counts.items() if count < most]
    text = f"{sum(counts.values())} generators of {len(counts)} kinds, {most} seed{'s' * (most > 1)} of each"
    return text + (f"; {', '.join(few)}" if few else "")
