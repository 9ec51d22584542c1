"""One seed of a detection experiment: fit on every choice of sources, test on every source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import ParameterSampler

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.detection.options import DetectionOptions
from ganlab.experiments.spectra.run import renamed, unique_names
from ganlab.forensics import (
    NULL,
    Bench,
    Interval,
    NetDetector,
    System,
    evaluate,
    log_odds,
    make_perturbation,
)
from ganlab.forensics.features.extract import extract
from ganlab.util.hashing import derive_seed
from ganlab.util.rates import mean_of_rates

POOLED = "pooled"
SHUFFLED, ALONE = "without", "only"
"""Settings of a frequency band: shuffled among images, or all that a detector sees."""
FEWEST = {"train": 2, "test": 1}
"""Images of a class below which a detector can be neither fitted nor tested."""

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Record:
    """One measurement.

    Attributes:
        kind: "transfer", "robustness", "size" or "band"; of ``ganlab evade`` "frozen" or "fresh".
        system: name of the system.
        trained_on: a source, `POOLED`, "all but SOURCE", or the null control.
        tested_on: a source or the null control.
        seed: of split, detector and bootstrap.
        images: in the training set.
        setting: what was varied beside that: a perturbation, a size, a band.
        metrics: with intervals.
        tested: images in the test set.
    """

    kind: str
    system: str
    trained_on: str
    tested_on: str
    seed: int
    images: int
    setting: str
    metrics: dict[str, Interval]
    tested: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        metrics = {name: interval.as_list() for name, interval in self.metrics.items()}
        return {**self.__dict__, "metrics": metrics}

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Record:
        """What `as_json` described."""
        metrics = {name: Interval(*values) for name, values in entry["metrics"].items()}
        return Record(**{**entry, "metrics": metrics})


@dataclass(frozen=True)
class Fitted:
    """A detector and what it was fitted on: ``images`` training images in all."""

    detector: Any
    system: System
    trained_on: str
    images: int
    seed: int

    def scores(self, features: npt.NDArray[np.float32]) -> Floats:
        """Probability of fake, ``(N,)``."""
        return np.clip(np.asarray(self.detector.predict_proba(features), np.float64)[:, 1], 0.0, 1.0)

    def odds(self, features: npt.NDArray[np.float32]) -> Floats:
        """What ranks images where probabilities round to 0 or 1: log-odds of fake, ``(N,)``."""
        return log_odds(self.detector, features)


def choices(sources: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Rows of the transfer matrix: each source, the null control, all pooled, all but one."""
    rows: dict[str, tuple[str, ...]] = {name: (name,) for name in sources}
    rows[NULL] = (NULL,)
    if len(sources) > 1:
        rows[POOLED] = tuple(sources)
        for left in sources:
            rows[f"all but {left}"] = tuple(name for name in sources if name != left)
    return rows


def fit(
    bench: Bench, system: System, row: str, sources: Sequence[str], seed: int, limit: int | None = None
) -> Fitted:
    """Fit one system on equally many reals and fakes of the sources, ``limit`` images in all at most."""
    features, labels = bench.training(system, sources, limit)
    detector = system.make_detector(derive_seed(seed, f"detector/{system.name}/{row}") % 2**31)
    detector.fit(features, labels)
    return Fitted(detector, system, row, len(labels), seed)


def measure(
    fitted: Fitted,
    data: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
    kind: str,
    source: str,
    resamples: int,
    setting: str = "",
) -> Record:
    """Score a test set: its features and labels."""
    features, labels = data
    scores, odds = fitted.scores(features), fitted.odds(features)
    metrics = evaluate(labels, scores, resamples, seed=fitted.seed, ranking=odds)
    return Record(
        kind, fitted.system.name, fitted.trained_on, source, fitted.seed, fitted.images, setting, metrics,
        len(labels),
    )  # fmt: skip


def compare(reals: Floats, fakes: Floats, resamples: int, seed: int) -> dict[str, Interval]:
    """All metrics of reals ``(2, R)`` and fakes ``(2, F)``: probabilities of fake, and their log-odds."""
    labels = np.repeat([0, 1], [reals.shape[1], fakes.shape[1]])
    scores, odds = np.concatenate([reals, fakes], axis=1)
    return evaluate(labels, scores, resamples, seed=seed, ranking=odds)


def robustness(fitted: Fitted, bench: Bench, options: DetectionOptions) -> Iterator[Record]:
    """The detector's own source under every perturbation and severity; the first row is unperturbed.

    Nothing is yielded where no perturbation is asked for.
    """
    source = fitted.trained_on
    if not options.perturbations:
        return
    clean = bench.testing(fitted.system, source)
    yield measure(fitted, clean, "robustness", source, options.resamples, "none")
    for name, levels in options.severities().items():
        for level in levels:
            perturbation = make_perturbation(name, level)
            data = bench.perturbed(fitted.system, source, perturbation, fitted.seed)
            setting = name if level is None else f"{name} {level}"
            yield measure(fitted, data, "robustness", source, options.resamples, setting)


def sample_sizes(
    bench: Bench, system: System, source: str, seed: int, options: DetectionOptions
) -> Iterator[Record]:
    """One source, training sets of the given sizes, each inside the next; too large ones are left out."""
    _, labels = bench.training(system, [source])
    for size in sorted({*(s for s in options.sizes if s < len(labels)), len(labels)}):
        fitted = fit(bench, system, source, [source], seed, size)
        test = bench.testing(system, source)
        yield measure(fitted, test, "size", source, options.resamples, str(fitted.images))


def bands_of(frequencies: Floats, count: int) -> dict[str, Mask]:
    """Equal bands of 0 to 1/2 cycle per pixel as ``low-high``, each with the entries that it holds.

    Corners beyond 1/2 belong to the last band; empty bands are left out.
    """
    edges = np.linspace(0.0, 0.5, count + 1)
    band = np.clip(np.digitize(frequencies, edges[1:-1]), 0, count - 1)
    members = {f"{edges[i]:.3f}-{edges[i + 1]:.3f}": band == i for i in range(count)}
    return {name: mask for name, mask in members.items() if mask.any()}


def band_records(fitted: Fitted, bench: Bench, options: DetectionOptions) -> Iterator[Record]:
    """For every band: the detector with the band shuffled among images, and a new one on the band alone.

    Nothing is yielded where the feature has no frequencies.
    """
    frequencies = fitted.system.make_feature().frequencies(bench.real.shape)
    if frequencies is None or options.bands == 0:
        return
    source, resamples = fitted.trained_on, options.resamples
    train, labels = bench.training(fitted.system, [source])
    test, truth = bench.testing(fitted.system, source)
    yield measure(fitted, (test, truth), "band", source, resamples, "all")
    for name, members in bands_of(frequencies, options.bands).items():
        # all entries of an image move together: what a band says is exchanged, how its entries agree is not
        order = np.random.default_rng(derive_seed(fitted.seed, "band_shuffle")).permutation(len(test))
        shuffled = test.copy()
        shuffled[:, members] = test[order][:, members]
        yield measure(fitted, (shuffled, truth), "band", source, resamples, f"{SHUFFLED} {name}")
        seed = derive_seed(fitted.seed, f"band/{name}") % 2**31
        detector = fitted.system.make_detector(seed).fit(train[:, members], labels)
        alone = Fitted(detector, fitted.system, source, len(labels), fitted.seed)
        yield measure(alone, (test[:, members], truth), "band", source, resamples, f"{ALONE} {name}")


def unseen_rates(fitted: Fitted, bench: Bench, sets: Sequence[ImageSet]) -> Iterator[dict[str, Any]]:
    """Share of every never-seen set of reals that a detector calls fake, with an interval, as JSON values."""
    for images in sets:
        features = extract(fitted.system.make_feature(), images, bench.cache)
        alarms = np.array([(fitted.scores(features) >= 0.5).sum()])
        totals = np.array([images.num_images])
        rate = mean_share(alarms, totals)
        yield {
            "system": fitted.system.name, "trained_on": fitted.trained_on, "tested_on": images.name,
            "seed": fitted.seed, "images": images.num_images, "rate": rate.as_list(),
        }  # fmt: skip


@dataclass(frozen=True)
class OtherSets:
    """Data sets that nothing is trained on: their reals and their fakes."""

    reals: tuple[ImageSet, ...] = ()
    fakes: tuple[ImageSet, ...] = ()

    def pairs(self) -> list[tuple[tuple[ImageSet, ...], ImageSet]]:
        """Every set of fakes with the reals of its place, or with all where the numbers differ."""
        alone = len(self.reals) == len(self.fakes)
        return [((self.reals[k],) if alone else self.reals, fake) for k, fake in enumerate(self.fakes)]


def domain_records(
    fitted: Fitted, bench: Bench, others: OtherSets, resamples: int
) -> Iterator[dict[str, Any]]:
    """A detector on the reals and the fakes of other data sets, as JSON values.

    Yields:
        ``system``, ``trained_on``, ``reals`` and ``fakes`` it is tested on, ``seed``, ``images`` (reals,
        fakes); with intervals ``balanced_accuracy``, ``roc_auc``, ``false_alarms`` (reals called fake) and
        ``found`` (fakes called fake).
    """

    def features_of(images: ImageSet) -> npt.NDArray[np.float32]:
        return extract(fitted.system.make_feature(), images, bench.cache)

    for reals, fake in others.pairs():
        if reals:
            name, features = " + ".join(r.name for r in reals), np.concatenate([*map(features_of, reals)])
        else:
            name, held = bench.real.name, bench.splits[bench.real.name].test
            features = bench.features(fitted.system, name)[held]
        real_scores, fake_scores = (
            np.stack([fitted.scores(own), fitted.odds(own)]) for own in (features, features_of(fake))
        )
        metrics = compare(real_scores, fake_scores, resamples, fitted.seed)
        shares = {
            key: mean_share(np.array([(own >= 0.5).sum()]), np.array([len(own)])).as_list()
            for key, own in (("false_alarms", real_scores[0]), ("found", fake_scores[0]))
        }
        yield {
            "system": fitted.system.name, "trained_on": fitted.trained_on, "reals": name, "fakes": fake.name,
            "seed": fitted.seed, "images": [real_scores.shape[1], fake_scores.shape[1]],
            "balanced_accuracy": metrics["balanced_accuracy"].as_list(),
            "roc_auc": metrics["roc_auc"].as_list(), **shares,
        }  # fmt: skip


def mean_share(hits: npt.NDArray[np.int64], totals: npt.NDArray[np.int64]) -> Interval:
    """Mean over classes ``(K,)`` of the share of hits, with a 95 % interval (``util.rates``)."""
    low, high = mean_of_rates(hits.tolist(), totals.tolist())
    return Interval(float((hits / totals).mean()), low, high)


SPACES: dict[str, Mapping[str, Sequence[Any]]] = {
    "logistic": {"cost": [10.0**k for k in range(-4, 5)]},
    "ridge": {"strength": [10.0**k for k in range(-6, 1)]},
    "lasso": {"strength": [10.0**k for k in range(-6, 0)]},
    "linear_svm": {"cost": [10.0**k for k in range(-4, 3)]},
    "rbf_svm": {"cost": [0.1, 0.3, 1.0, 3.0, 10.0, 30.0], "gamma": ["scale", 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]},
    "random_forest": {"trees": [300], "min_leaf": [1, 2, 4, 8, 16]},
    "gradient_boosting": {"trees": [100, 200, 400], "rate": [0.03, 0.1, 0.3], "depth": [2, 3, 5]},
    "knn": {"k": [1, 3, 5, 9, 17, 33, 65, 129]},
    "eigenfaces": {"variance": [0.25, 0.5, 0.75, 0.95], "cost": [1e-4, 1e-3, 1e-2, 1e-1]},
    "cnn": {"rate": [3e-4, 1e-3, 3e-3], "batch": [64, 128]},
}
"""What is tried; detectors that are not listed keep their settings."""
_RESIDUAL: dict[str, Sequence[Any]] = {
    "levels": [1, 2, 3, 4],
    "sigma": [step * 0.05 / 127.5 for step in range(1, 20)],
}
FEATURE_SPACES: dict[str, Mapping[str, Sequence[Any]]] = {"prnu": _RESIDUAL, "prnu_sensor": _RESIDUAL}
"""What is tried of the feature, by detector: Frank 2020's grid, 0.05 to 0.95 grey levels of noise."""


def optimised(
    bench: Bench, system: System, candidates: int, seed: int
) -> tuple[System, list[dict[str, Any]]]:
    """The system with the options of the best mean validation ROC-AUC over all sources, and what was tried.

    Candidates are drawn from `SPACES` without repetition (scikit-learn's ParameterSampler). Test images are
    never looked at.
    """
    space = {(False, name): values for name, values in SPACES.get(system.detector, {}).items()}
    if system.feature == "residual":
        of_feature = FEATURE_SPACES.get(system.detector, {})
        space |= {(True, name): values for name, values in of_feature.items()}
    if not space or candidates == 0:
        return system, []
    total = int(np.prod([len(values) for values in space.values()]))
    sampler = ParameterSampler(
        space, min(candidates, total), random_state=derive_seed(seed, "search") % 2**31
    )
    systems, areas = [], []
    for drawn in sampler:
        candidate = system.with_detector_options(
            {name: value for (of_feature, name), value in drawn.items() if not of_feature}
        ).with_feature_options({name: value for (of_feature, name), value in drawn.items() if of_feature})
        own = []
        for source in bench.sources:
            detector = candidate.make_detector(seed).fit(*bench.training(candidate, [source]))
            held, truth = bench.testing(candidate, source, part="val")
            scores = np.clip(detector.predict_proba(held)[:, 1], 0, 1)
            ranking = log_odds(detector, held)
            own.append(evaluate(truth, scores, resamples=0, ranking=ranking)["roc_auc"].value)
        systems.append(candidate)
        areas.append(float(np.mean(own)))
    tried = [{**options_of(one), "roc_auc": area} for one, area in zip(systems, areas, strict=True)]
    return systems[int(np.argmax(areas))], tried


def options_of(system: System) -> dict[str, Any]:
    """What a system's options are, as JSON values."""
    return {"options": dict(system.detector_options), "feature_options": dict(system.feature_options)}


def named_sets(sets: Sequence[ImageSet], given: Sequence[str] | None = None) -> list[ImageSet]:
    """The sets under different names.

    Args:
        sets: in the order of the command line.
        given: names of the first ones; the others keep their own, with their folder's in front if it repeats.

    Raises:
        GanlabError: one set is given twice, two have one name, one has a name that tables use otherwise, or
            there are more names than sets.
    """
    given = given or ()
    twice = [name for k, name in enumerate(given) if name in given[:k]]
    if twice:
        raise GanlabError(f"two sets cannot both be called {twice[0]!r}")
    if len(given) > len(sets):
        raise GanlabError(f"{len(given)} names for {len(sets)} sets: give at most one each, the reals' first")
    seen: set[tuple[str, str]] = set()
    for images in sets:
        origin = (str(images.path.expanduser().absolute().resolve()), images.name)
        if origin in seen:
            raise GanlabError(f"{images.path} is given twice: a set cannot be held against itself")
        seen.add(origin)
    called = [renamed(images, name) for images, name in zip(sets, given, strict=False)]
    called += sets[len(given) :]
    names = unique_names(called)
    for name in names:
        if name in (POOLED, NULL) or name.startswith("all but "):
            raise GanlabError(
                f"no set can be called {name!r}, which is a row of the tables: rename the folder"
            )
    return [renamed(images, name) for images, name in zip(sets, names, strict=True)]


def check_unseen(real: ImageSet, unseen: Sequence[ImageSet]) -> None:
    """Never-seen reals are of the reals' size.

    Raises:
        GanlabError: another size or number of channels.
    """
    for images in unseen:
        if images.shape != real.shape:
            own, size = ("{1}x{0}x{2}".format(*one.shape) for one in (images, real))
            raise GanlabError(
                f"{images.name} (--unseen) has images of {own}, the reals of {size}: detectors "
                "fitted on one say nothing about the other"
            )


def check_feasible(bench: Bench, systems: Sequence[System]) -> None:
    """Every system takes images of this size, and every part has images enough.

    Raises:
        GanlabError: naming the system, or the set and what is missing.
    """
    for source in (*bench.sources, NULL):
        for part, least in FEWEST.items():
            for kind, count in zip(("reals", "fakes"), bench.counts(source, part), strict=True):
                if count < least:
                    raise GanlabError(
                        f"{source}: {count} {kind} fall into the {part} part, at least {least} are "
                        "needed: give more images or another --split"
                    )
    for system in systems:
        try:
            dims = system.make_feature().dims(bench.real.shape)
            detector = system.make_detector(0)
            if isinstance(detector, NetDetector):
                detector.built(dims, 1 + len(bench.sources))
        except GanlabError as error:
            raise GanlabError(f"{system.name} cannot be used here: {error}") from error
