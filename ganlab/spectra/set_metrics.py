"""Distances of whole sets: Fréchet, how well a classifier tells them apart, and pairs of images."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.spectra.intervals import BOOTSTRAP_T, INVERSION, SHARES, STEPS, Inversion, Tried, bootstrap_t
from ganlab.spectra.resampling import bootstrap_counts, generator, null_parts, pieces, split_masks
from ganlab.spectra.statistics import SpectrumStatistics
from ganlab.spectra.transforms import POWER_FLOOR, check_images
from ganlab.util.hashing import derive_seed
from ganlab.util.rates import mean_of_rates

MAXIMUM_LENGTH = 64


def shorten(profiles: Tensor) -> Tensor:
    """Average neighbouring bins of ``(N, K)`` down to at most 64, so that covariances can be estimated."""
    length = profiles.shape[1]
    if length <= MAXIMUM_LENGTH:
        return profiles
    bounds = torch.linspace(0, length, MAXIMUM_LENGTH + 1).round().long().tolist()
    pairs = itertools.pairwise(bounds)
    return torch.stack([profiles[:, a:b].mean(1) for a, b in pairs], 1)


Gaussian = tuple[Tensor, Tensor]
"""Means ``(R, K)`` and covariances ``(R, K, K)``."""


def gaussian(profiles: Tensor, weights: Tensor) -> Gaussian:
    """Weighted mean ``(R, K)`` and covariance ``(R, K, K)`` of ``(N, K)`` profiles under ``(R, N)`` weights.

    Covariances are divided by n - 1, n the sum of the weights.
    """
    centre = profiles.mean(0)
    return _from_sums(centre, *_sums(profiles - centre, weights))


def _sums(centred: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights ``(R,)``, first ``(R, K)`` and second ``(R, K, K)`` moments of centred profiles."""
    second = torch.stack([(centred * row[:, None]).T @ centred for row in weights])
    return weights.sum(1), weights @ centred, second


def _from_sums(centre: Tensor, totals: Tensor, first: Tensor, second: Tensor) -> Gaussian:
    shift = first / totals[:, None]
    covariance = second / totals[:, None, None] - shift[:, :, None] * shift[:, None, :]
    return centre + shift, covariance * (totals / (totals - 1).clamp_min(1))[:, None, None]


def _parted(profiles: Tensor, masks: Tensor) -> tuple[Gaussian, Gaussian]:
    """Fits of the profiles that masks ``(R, N)`` of 0 and 1 choose, and of the others."""
    centre = profiles.mean(0)
    chosen = _sums(profiles - centre, masks)
    whole = _sums(profiles - centre, masks.new_ones(1, masks.shape[1]))
    others = tuple(total - part for total, part in zip(whole, chosen, strict=True))
    return _from_sums(centre, *chosen), _from_sums(centre, *others)


def _root(matrices: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrices)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()[:, None, :]) @ vectors.mT
    return root


def frechet_distance(first: Gaussian, second: Gaussian) -> Tensor:
    """Squared Fréchet (2-Wasserstein) distance of Gaussians, ``(R,)``.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)``, as FID has it (Heusel et al. 2017).

    Args:
        first: means ``(R, K)`` and covariances ``(R, K, K)``.
        second: likewise.
    """
    means = (first[0] - second[0]).square().sum(1)
    root = _root(first[1])
    cross = torch.linalg.eigvalsh(root @ second[1] @ root).clamp_min(0).sqrt().sum(1)
    traces = (first[1] + second[1]).diagonal(dim1=1, dim2=2).sum(1)
    distance: Tensor = means + traces - 2 * cross
    return distance.clamp_min(0)


def _pair(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    first, second = check_images(first), check_images(second)
    if first.shape != second.shape:
        raise GanlabError(
            "paired distances compare image i with image i: both sets have one shape; got "
            f"{tuple(first.shape)} and {tuple(second.shape)}"
        )
    return first, second


def focal_frequency_distance(first: Tensor, second: Tensor, alpha: float = 1.0) -> Tensor:
    """Focal frequency loss of every pair of images (Jiang et al. 2021), images in [0, 1].

    With d the difference of the orthonormal spectra of a channel: the mean over the plane of
    ``|d|^alpha / max(|d|^alpha) * |d|^2``, the weight taken as a constant; mean over channels.

    Args:
        first: float ``(N, C, H, W)`` in [-1, 1].
        second: the same shape.
        alpha: power of the weight.

    Returns:
        ``(N,)``. Differentiable, with the weight detached as in the released code.

    Raises:
        GanlabError: wrong type or shape, shapes that differ.

    Source: arXiv 2012.12821; EndlessSora/focal-frequency-loss 352f69d.
    """
    first, second = _pair(first, second)
    difference = torch.fft.fft2((first - second) / 2, norm="ortho")
    square: Tensor = difference.real.square() + difference.imag.square()
    weight = square.detach().pow(alpha / 2)
    largest = weight.amax((-1, -2), keepdim=True)
    weight = weight / torch.where(largest > 0, largest, torch.ones_like(largest))
    return (weight * square).mean((1, 2, 3))


def log_frequency_distance(first: Tensor, second: Tensor) -> Tensor:
    """Log frequency distance of every pair (Jiang et al. 2021), images in 0..255.

    ``ln(mean |F1 - F2|^2 + 1)`` with un-normalised transforms. By Parseval it is ``ln(H W MSE + 1)``: a
    function of the pixel error alone, which is how it is computed here.

    Args:
        first: float ``(N, C, H, W)`` in [-1, 1].
        second: the same shape.

    Returns:
        ``(N,)``. Differentiable.

    Raises:
        GanlabError: wrong type or shape, shapes that differ.

    Source: arXiv 2012.12821; EndlessSora/focal-frequency-loss 352f69d, metrics.
    """
    first, second = _pair(first, second)
    error = ((first - second) * 127.5).square().mean((1, 2, 3))
    return torch.log(error * (first.shape[-2] * first.shape[-1]) + 1)


def score(accuracy: float) -> float:
    """``1 - |accuracy - 1/2| / (1/2)``: 1 cannot be told apart, 0 always (or never) told apart."""
    return 1 - abs(accuracy - 0.5) / 0.5


def held_out_score(accuracy: float) -> float:
    """The score of an accuracy on unseen images: below one half there is nothing learnt, so it is 1."""
    return score(max(accuracy, 0.5))


def _both(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or not len(real) or not len(fake):
        raise GanlabError(
            f"profiles are (N, K) of equal K, at least one of each; got {tuple(real.shape)} and "
            f"{tuple(fake.shape)}"
        )
    labels = torch.cat((torch.ones(len(real)), torch.zeros(len(fake)))).to(real.device)
    return torch.cat((real, fake)), labels


@torch.enable_grad()
def cloaking_score(real: Tensor, fake: Tensor, epochs: int = 100, seed: int = 0) -> float:
    """The score as Jung & Keuper publish it, on the classifier's own training data.

    One linear layer (torch's initialisation), binary cross-entropy summed over batches of 1000, Adam at 1e-3,
    ``epochs`` passes; accuracy on the training set at logit 0. After 100 epochs the classifier is far from
    converged, so that the score depends on the training budget and the seed as much as on the spectra:
    ``held_out_cloaking`` is the one to trust. As published, equally many profiles of each kind are taken.

    Args:
        real: ``(N, K)`` profiles, min-max ones ("jung2021") as published.
        fake: ``(M, K)``; the larger set is cut to the size of the smaller.
        epochs: 100 or 1000 in the released code's reports.
        seed: of initialisation and shuffling.

    Raises:
        GanlabError: profiles of different length, or none.

    Source: Jung & Keuper AAAI 2021, arXiv 2012.03110; steffen-jung/SpectralGAN 497cc04, DetectionScore.py.
    """
    count = min(len(real), len(fake))
    profiles, labels = _both(real[:count].float().cpu(), fake[:count].float().cpu())
    generator = torch.Generator().manual_seed(derive_seed(seed, "cloaking"))
    bound = profiles.shape[1] ** -0.5
    parameters = torch.empty(profiles.shape[1] + 1).uniform_(-bound, bound, generator=generator)
    weights = parameters.requires_grad_()
    optimizer = torch.optim.Adam([weights])
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(labels), generator=generator), 1000):
            optimizer.zero_grad()
            logits = profiles[chosen] @ weights[:-1] + weights[-1]
            loss = F.binary_cross_entropy_with_logits(logits, labels[chosen], reduction="sum")
            torch.autograd.backward(loss)
            optimizer.step()
    with torch.no_grad():
        right = ((profiles @ weights[:-1] + weights[-1] > 0) == (labels > 0)).float()
    return score(float(right.mean()))


@dataclass(frozen=True)
class HeldOut:
    """Which profiles a classifier trained on the others told right.

    Attributes:
        right_real: ``(N,)`` 0 or 1.
        right_fake: ``(M,)`` 0 or 1.
    """

    right_real: Tensor
    right_fake: Tensor

    @property
    def accuracy(self) -> float:
        """Mean of the accuracies on reals and on fakes."""
        return (float(self.right_real.mean()) + float(self.right_fake.mean())) / 2

    @property
    def score(self) -> float:
        """The cloaking score of ``accuracy``, where worse than chance counts as chance."""
        return held_out_score(self.accuracy)


def _fit_logistic(features: Tensor, labels: Tensor, ridge: float) -> Tensor:
    """Weights of ridge logistic regression by Newton's method; classes count equally. Last weight: bias."""
    share = torch.where(labels > 0, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    penalty = torch.full((features.shape[1],), ridge * len(labels), dtype=features.dtype)
    penalty[-1] = 0
    weights = features.new_zeros(features.shape[1])
    for _ in range(50):
        chance = torch.sigmoid(features @ weights)
        slope = features.T @ (share * (chance - labels)) + penalty * weights
        curve = (features * (share * chance * (1 - chance) + 1e-9)[:, None]).T @ features + penalty.diag()
        step = torch.linalg.solve(curve, slope)
        # A Newton step that runs away on separable data is shortened; the ridge makes the optimum finite.
        weights = weights - step * min(1.0, 10.0 / float(step.norm().clamp_min(1e-12)))
        if float(step.abs().max()) < 1e-8:
            break
    return weights


def held_out_cloaking(
    real: Tensor, fake: Tensor, folds: int = 5, ridge: float = 1e-4, seed: int = 0
) -> HeldOut:
    """Cross-validated, converged logistic regression on standardised profiles.

    Args:
        real: ``(N, K)`` profiles.
        fake: ``(M, K)``; need not be as many, both kinds count equally.
        folds: each profile is judged by a classifier trained on the other ``folds - 1`` parts.
        ridge: L2 penalty per example on the standardised weights.
        seed: of the split.

    Returns:
        Which profiles were told right; ``.score`` is the cloaking score.

    Raises:
        GanlabError: profiles of different length, or fewer than ``folds`` of a kind.
    """
    profiles, labels = _both(real.double().cpu(), fake.double().cpu())
    if min(len(real), len(fake)) < folds or folds < 2:
        raise GanlabError(
            f"{folds} folds need at least {folds} profiles of each kind, and there are two folds"
        )
    generator = torch.Generator().manual_seed(derive_seed(seed, "held-out cloaking"))
    fold = torch.cat([torch.randperm(n, generator=generator) % folds for n in (len(real), len(fake))])
    right = torch.zeros(len(labels), dtype=torch.float64)
    for k in range(folds):
        train, test = fold != k, fold == k
        mean, std = profiles[train].mean(0), profiles[train].std(0)
        scaled = (profiles - mean) / torch.where(std > 0, std, torch.ones_like(std))
        features = torch.cat((scaled, scaled.new_ones(len(scaled), 1)), 1)
        weights = _fit_logistic(features[train], labels[train].double(), ridge)
        right[test] = ((features[test] @ weights > 0) == (labels[test] > 0)).double()
    return HeldOut(right[: len(real)], right[len(real) :])


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
    """A distance with its interval and its values under resampling.

    Attributes:
        observed: of the sets as given.
        value: the estimate; None where that is the distance as given.
        low: lower end of the interval, or None.
        high: upper end.
        method: of the interval.
        null: estimates ``(R,)`` between real and real, or None.
        permuted: ``(R,)`` under permuted labels, or None.
        how_null: how the null control was drawn.
    """

    observed: float
    value: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
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
    missing: Callable[[SpectrumStatistics, SpectrumStatistics], str]
    function: Callable[[SpectrumStatistics, SpectrumStatistics, Options], SetResult]
    paired: bool = False


def needs_profiles(name: str, count: int) -> Callable[[SpectrumStatistics, SpectrumStatistics], str]:
    """Says why two sets lack profile ``name`` of at least ``count`` single images each, or nothing."""

    def missing(real: SpectrumStatistics, fake: SpectrumStatistics) -> str:
        if name not in real.profiles or name not in fake.profiles:
            return f"needs the {name} profiles of single images on both sides"
        few = min(real.sampled, fake.sampled)
        return "" if few >= count else f"needs {count} images on both sides; got {few}"

    return missing


def needs_pairs(real: SpectrumStatistics, fake: SpectrumStatistics) -> str:
    """Says why two sets cannot be compared image by image, or nothing."""
    if real.images is None or fake.images is None:
        return "needs both sets as tensors of images"
    if real.images.shape != fake.images.shape:
        return f"pairs images, and there are {len(real.images)} and {len(fake.images)}"
    return "" if len(real.images) >= 2 else "needs two pairs at least"


def frechet(real: SpectrumStatistics, fake: SpectrumStatistics, options: Options) -> SetResult:
    """Fréchet distance between Gaussian fits of the log radial profiles without the zero frequency.

    Assumed truths of the test inversion lie on the straight line of optimal transport from the real fit to
    the fake one: at share t of the way their distance is t^2 of the whole.
    """
    first, second = (
        shorten(one.profiles["radial"].double().clamp_min(POWER_FLOOR).log()[:, 1:]) for one in (real, fake)
    )
    fits = [gaussian(log, log.new_ones(1, len(log))) for log in (first, second)]
    observed = float(frechet_distance(*fits))
    draws = min(options.resamples, FRECHET_RESAMPLES)
    if not draws:
        return SetResult(observed)
    source, pooled = generator(options.seed, "frechet"), torch.cat((first, second))
    a, b, factor = null_parts(len(first), len(first), len(second))
    shown, apart, null, dealt = [], [], [], []
    for rows in pieces(draws, len(pooled)):
        drawn = [
            gaussian(log, bootstrap_counts(rows, len(log), len(log), source).double())
            for log in (first, second)
        ]
        ends = [_transported(drawn[1], fits[0], fits[1], share) for share in (0.0, 1.0, 2.0)]
        shown.append(torch.stack([frechet_distance(drawn[0], end) for end in ends]))
        apart.append(torch.stack([end[0] - drawn[0][0] for end in ends[:2]]))
        halves = _parted(first, split_masks(rows, len(first), b, source).double())
        null.append(frechet_distance(*halves) * factor**2)
        mask = split_masks(rows, len(pooled), len(first), source).double()
        dealt.append(frechet_distance(*_parted(pooled, mask)))
    # The distance of one resample is a parabola in the share: its mean part is, the other nearly.
    at_0, at_1, at_2 = (values.numpy() for values in torch.cat(shown, 1))
    shares = np.asarray(SHARES)[:, None]
    bend = (at_2 - 2 * at_1 + at_0) / 2
    curves = np.maximum(at_0 + (at_1 - at_0 - bend) * shares + bend * shares**2, 0)
    tried = (observed * np.asarray(SHARES) ** 2, curves)
    at_real, at_fake = (values.numpy() for values in torch.cat(apart, 1))
    step = (fits[1][0] - fits[0][0])[0].numpy()
    # Above the estimate only the means move on, in their least favourable direction (see ``invert``).
    scores = (at_1 - at_1.mean()) / max(float(at_1.std()), 1e-300)
    worst = ((at_fake - step) * scores[:, None]).mean(0)
    steps = np.asarray(STEPS)

    def above(share: float) -> Tried:
        start = np.maximum(at_0 + (at_1 - at_0 - bend) * share + bend * share**2, 0)
        along = (at_real + share * (at_fake - at_real)) @ worst
        gain = steps**2 * (worst @ worst)
        distances = observed * share**2 + 2 * steps * share * (step @ worst) + gain
        return np.maximum.accumulate(distances), start + 2 * steps[:, None] * along + gain[:, None]

    inverted = Inversion(observed, tried, above, options.level)
    how = (
        f"{draws} random splits of the real set into {a} and {b} images, distances times {factor**2:.2f}: as "
        f"for {len(first)} and {len(second)}"
    )
    estimates = torch.from_numpy(inverted.estimates(torch.cat(null).numpy()))
    return SetResult(
        observed, inverted.value, inverted.low, inverted.high, INVERSION, estimates, torch.cat(dealt), how
    )


def _transported(drawn: Gaussian, real: Gaussian, fake: Gaussian, share: float) -> Gaussian:
    """Fits drawn about the fake one, moved to the fit at a share of the way from the real one to it."""
    root = _root(fake[1])
    values, vectors = torch.linalg.eigh(fake[1])
    kept = values > 1e-10 * values[:, -1:]
    inverse = vectors * torch.where(kept, values, torch.ones_like(values)).rsqrt()[:, None, :] * kept[:, None]
    inverse = inverse @ vectors.mT
    back = inverse @ _root(root @ real[1] @ root) @ inverse
    matrix = share * torch.eye(back.shape[-1], dtype=back.dtype) + (1 - share) * back
    mean = real[0] + share * (fake[0] - real[0]) + ((drawn[0] - fake[0])[:, None] @ matrix)[:, 0]
    return mean, matrix @ drawn[1] @ matrix.mT


def _halves(real: Tensor, seed: int) -> list[tuple[Tensor, Tensor]]:
    source, half = generator(seed, "halves"), len(real) // 2
    orders = [torch.randperm(len(real), generator=source) for _ in range(NULL_SPLITS)]
    return [(real[order[:half]], real[order[half : 2 * half]]) for order in orders]


def _how_halves(real: Tensor) -> str:
    return f"{NULL_SPLITS} random halvings of the real set, {len(real) // 2} images each"


def cloaking_published(real: SpectrumStatistics, fake: SpectrumStatistics, options: Options) -> SetResult:
    """The cloaking score on training data; no interval, since the training images are the test images."""
    first, second = real.profiles["jung2021"], fake.profiles["jung2021"]
    value = cloaking_score(first, second, options.epochs, options.seed)
    if not options.resamples:
        return SetResult(value)
    null = [cloaking_score(a, b, options.epochs, options.seed) for a, b in _halves(first, options.seed)]
    return SetResult(value, null=torch.tensor(null), how_null=_how_halves(first))


def cloaking_held_out(real: SpectrumStatistics, fake: SpectrumStatistics, options: Options) -> SetResult:
    """The cloaking score of a converged classifier on images it was not trained on.

    The interval is that of the mean of two rates; it speaks of classifiers trained on as many images.
    """
    first, second = real.profiles["jung2021"], fake.profiles["jung2021"]
    judged = held_out_cloaking(first, second, seed=options.seed)
    if not options.resamples:
        return SetResult(judged.score)
    null = [held_out_cloaking(a, b, seed=options.seed).score for a, b in _halves(first, options.seed)]
    right = (judged.right_real, judged.right_fake)
    low, high = mean_of_rates([int(one.sum()) for one in right], [len(one) for one in right], options.level)
    return SetResult(
        judged.score, None, held_out_score(high), held_out_score(low), "Clopper-Pearson",
        torch.tensor(null), how_null=_how_halves(first),
    )  # fmt: skip


def _paired(
    distance: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[SpectrumStatistics, SpectrumStatistics, Options], SetResult]:
    def function(real: SpectrumStatistics, fake: SpectrumStatistics, options: Options) -> SetResult:
        assert real.images is not None
        assert fake.images is not None
        values = distance(real.images, fake.images).double().cpu()
        mean, count = values.mean(), len(values)
        if not options.resamples:
            return SetResult(float(mean))
        source = generator(options.seed, "pairs")
        shift = int(torch.randint(1, count, (1,), generator=source))
        other = distance(real.images, real.images.roll(shift, 0)).double().cpu()
        boot, variances, null = [], [], []
        for rows in pieces(options.resamples, count):
            counts = bootstrap_counts(rows, count, count, source).double() / count
            boot.append(counts @ (values - mean))
            variances.append((counts @ (values - mean).square() - boot[-1].square()) / (count - 1))
            null.append(counts @ other)
        low, high = bootstrap_t(
            mean[None], values.var()[None] / count, mean + torch.cat(boot)[:, None],
            torch.cat(variances)[:, None].clamp_min(0), options.level,
        )  # fmt: skip
        how = f"every real image against another real image, {count} pairs"
        return SetResult(
            float(mean), None, max(float(low), 0.0), float(high), BOOTSTRAP_T, torch.cat(null), how_null=how
        )

    return function


focal_frequency = _paired(focal_frequency_distance)
log_frequency = _paired(log_frequency_distance)

SET_DEVIATIONS: dict[str, SetMetric] = {
    "frechet": SetMetric(
        "Fréchet distance of Gaussian fits of the log radial profiles",
        "nat^2",
        needs_profiles("radial", 2),
        frechet,
    ),
    "cloaking_published": SetMetric(
        "cloaking score on training data (Jung 2021): 1 cannot be told apart, 0 always told apart",
        "1",
        needs_profiles("jung2021", 4),
        cloaking_published,
    ),
    "cloaking_held_out": SetMetric(
        "cloaking score of a converged classifier on held-out images: 1 cannot be told apart",
        "1",
        needs_profiles("jung2021", 10),
        cloaking_held_out,
    ),
    "focal_frequency": SetMetric(
        "focal frequency loss (Jiang 2021), image by image: for reconstructions only",
        "1",
        needs_pairs,
        focal_frequency,
        paired=True,
    ),
    "log_frequency": SetMetric(
        "log frequency distance (Jiang 2021), image by image: for reconstructions only",
        "nat",
        needs_pairs,
        log_frequency,
        paired=True,
    ),
}
"""Distances that need the profiles of single images, or pairs of images, by name."""
