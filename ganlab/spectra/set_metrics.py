"""Distances that need the profiles of single images, or the images themselves: beyond means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.spectra.cloaking import HeldOut, cloaking_score, held_out_cloaking, held_out_score
from ganlab.spectra.frechet import frechet_distance, gaussian, shorten
from ganlab.spectra.levels import POWER_FLOOR
from ganlab.spectra.paired import focal_frequency_distance, log_frequency_distance
from ganlab.spectra.profile_set import ProfileSet
from ganlab.spectra.resampling import bootstrap_counts, generator, pieces, split_masks

FRECHET_RESAMPLES = 200
"""Each costs two eigendecompositions; at most so many are drawn."""
NULL_SPLITS = 5
"""Classifiers are trained anew on so many random halvings of the real set."""


@dataclass(frozen=True)
class Options:
    """How a comparison is resampled: number of draws, level of intervals, seed, cloaking epochs."""

    resamples: int = 1000
    level: float = 0.95
    seed: int = 0
    epochs: int = 100


@dataclass(frozen=True)
class SetResult:
    """A distance and its values under resampling.

    Attributes:
        value: of the sets as given.
        boot: ``(R,)`` under the bootstrap, or None.
        null: ``(R,)`` between real and real, or None.
        permuted: ``(R,)`` under permuted labels, or None.
        how_null: how the null control was drawn.
    """

    value: float
    boot: Tensor | None = None
    null: Tensor | None = None
    permuted: Tensor | None = None
    how_null: str = ""


@dataclass(frozen=True)
class SetMetric:
    """One named distance: summary, unit, what it needs, how it is computed.

    Attributes:
        summary: one line that says what it is.
        unit: of the value.
        missing: ``(real, fake) ->`` why it cannot be had, or nothing.
        function: computes it.
        paired: whether image i is compared with image i.
    """

    summary: str
    unit: str
    missing: Callable[[ProfileSet, ProfileSet], str]
    function: Callable[[ProfileSet, ProfileSet, Options], SetResult]
    paired: bool = False


def needs_profiles(name: str, count: int) -> Callable[[ProfileSet, ProfileSet], str]:
    """Says why two sets lack profile ``name`` of at least ``count`` single images each, or nothing."""

    def missing(real: ProfileSet, fake: ProfileSet) -> str:
        if name not in real.profiles or name not in fake.profiles:
            return f"needs the {name} profiles of single images on both sides"
        few = min(real.sampled, fake.sampled)
        return "" if few >= count else f"needs {count} images on both sides; got {few}"

    return missing


def needs_pairs(real: ProfileSet, fake: ProfileSet) -> str:
    """Says why two sets cannot be compared image by image, or nothing."""
    if real.images is None or fake.images is None:
        return "needs both sets as tensors of images"
    if real.images.shape != fake.images.shape:
        return f"pairs images, and there are {len(real.images)} and {len(fake.images)}"
    return "" if len(real.images) >= 2 else "needs two pairs at least"


def frechet(real: ProfileSet, fake: ProfileSet, options: Options) -> SetResult:
    """Fréchet distance between Gaussian fits of the log radial profiles without the zero frequency."""
    logs = [
        shorten(one.profiles["radial"].double().clamp_min(POWER_FLOOR).log()[:, 1:]) for one in (real, fake)
    ]
    first, second = logs
    whole = [gaussian(log, log.new_ones(1, len(log))) for log in logs]
    value = float(frechet_distance(whole[0], whole[1]))
    draws = min(options.resamples, FRECHET_RESAMPLES)
    if not draws:
        return SetResult(value)
    source, pooled = generator(options.seed, "frechet"), torch.cat(logs)
    boot, null, dealt = [], [], []
    for rows in pieces(draws, len(pooled)):

        def drawn(log: Tensor, number: int, rows: int = rows) -> tuple[Tensor, Tensor]:
            return gaussian(log, bootstrap_counts(rows, len(log), number, source).double())

        boot.append(frechet_distance(drawn(first, len(first)), drawn(second, len(second))))
        null.append(frechet_distance(drawn(first, len(first)), drawn(first, len(second))))
        mask = split_masks(rows, len(pooled), len(first), source).double()
        dealt.append(frechet_distance(gaussian(pooled, mask), gaussian(pooled, 1 - mask)))
    how = (
        f"two draws with replacement from the real set, {len(first)} and {len(second)} images; {draws} times"
    )
    return SetResult(value, torch.cat(boot), torch.cat(null), torch.cat(dealt), how)


def _halves(real: Tensor, seed: int) -> list[tuple[Tensor, Tensor]]:
    source, half = generator(seed, "halves"), len(real) // 2
    orders = [torch.randperm(len(real), generator=source) for _ in range(NULL_SPLITS)]
    return [(real[order[:half]], real[order[half : 2 * half]]) for order in orders]


def _how_halves(real: Tensor) -> str:
    return f"{NULL_SPLITS} random halvings of the real set, {len(real) // 2} images each"


def cloaking_published(real: ProfileSet, fake: ProfileSet, options: Options) -> SetResult:
    """The cloaking score on training data; no interval, since the training images are the test images."""
    first, second = real.profiles["jung2021"], fake.profiles["jung2021"]
    value = cloaking_score(first, second, options.epochs, options.seed)
    if not options.resamples:
        return SetResult(value)
    null = [cloaking_score(a, b, options.epochs, options.seed) for a, b in _halves(first, options.seed)]
    return SetResult(value, null=torch.tensor(null), how_null=_how_halves(first))


def _resampled_scores(judged: HeldOut, options: Options) -> Tensor:
    source = generator(options.seed, "held-out")
    scores = []
    for rows in pieces(options.resamples, max(len(judged.right_real), len(judged.right_fake))):
        accuracies = [
            bootstrap_counts(rows, len(right), len(right), source).double() @ right / len(right)
            for right in (judged.right_real, judged.right_fake)
        ]
        scores += [held_out_score(float(accuracy)) for accuracy in torch.add(*accuracies) / 2]
    return torch.tensor(scores, dtype=torch.float64)


def cloaking_held_out(real: ProfileSet, fake: ProfileSet, options: Options) -> SetResult:
    """The cloaking score of a converged classifier on images it was not trained on."""
    first, second = real.profiles["jung2021"], fake.profiles["jung2021"]
    judged = held_out_cloaking(first, second, seed=options.seed)
    if not options.resamples:
        return SetResult(judged.score)
    null = [held_out_cloaking(a, b, seed=options.seed).score for a, b in _halves(first, options.seed)]
    boot = _resampled_scores(judged, options)
    return SetResult(judged.score, boot, torch.tensor(null), how_null=_how_halves(first))


def _paired(
    distance: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[ProfileSet, ProfileSet, Options], SetResult]:
    def function(real: ProfileSet, fake: ProfileSet, options: Options) -> SetResult:
        assert real.images is not None
        assert fake.images is not None
        values = distance(real.images, fake.images).double().cpu()
        if not options.resamples:
            return SetResult(float(values.mean()))
        source = generator(options.seed, "pairs")
        shift = int(torch.randint(1, len(values), (1,), generator=source))
        other = distance(real.images, real.images.roll(shift, 0)).double().cpu()
        boot, null = [], []
        for rows in pieces(options.resamples, len(values)):
            counts = bootstrap_counts(rows, len(values), len(values), source).double() / len(values)
            boot.append(counts @ values)
            null.append(counts @ other)
        how = f"every real image against another real image, {len(values)} pairs"
        return SetResult(float(values.mean()), torch.cat(boot), torch.cat(null), how_null=how)

    return function


focal_frequency = _paired(focal_frequency_distance)
log_frequency = _paired(log_frequency_distance)
