"""Claim: attribution recognises the architecture. Generators trained again are asked, split by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.experiments.claims import detecting
from ganlab.experiments.claims.drawing import bars
from ganlab.experiments.claims.outcome import Experiment, Outcome, Part, Published, Table, Verdict, shown
from ganlab.experiments.claims.seeds import SEEDS, asked, common, counted, repeated, seeded, student_mean
from ganlab.experiments.claims.separation import Matrix, features
from ganlab.experiments.claims.setting import Setting, floats
from ganlab.forensics import Interval, System
from ganlab.upsampling import UPSAMPLERS

SYSTEMS = ("dft+lda", "wavelets+lda", "pixels+cnn")
EPOCHS = 15
"""Of the network."""
FOLDS = 3
"""Groups of kinds: the seed is learnt on some kinds and asked for on others."""
CARRIED = 0.9
"""Share of the knowledge of kinds, beyond chance, from which on it is said to carry over to new seeds."""

Sets = Mapping[str, Mapping[int, Matrix]]
"""Kind -> seed -> features; even places are for training, odd ones for the test."""
Groups = Sequence[tuple[int, Matrix]]
"""Class and features of every generator."""
ASKED = {
    "Statement": (
        "What attribution recognises is the architecture, so that a generator trained again is recognised"
    ),
    "Source": (
        "Yu et al. 2019 (arXiv 1811.08180, README) tell apart ten ProGANs that differ in their seed; "
        "GDA-Net (arXiv 2406.18278, abstract) attributes architectures of unseen seeds"
    ),
    "Would be refuted by": (
        "kinds of new seeds named no better than by chance; it would stand if new seeds cost nothing"
    ),
    "Plan": (
        "Kinds are upsamplers in one DCGAN. The kind is learnt from all seeds but one and asked of that "
        "one, or of one that was learnt: equally many generators either way. The seed is asked for within "
        "a kind, and of kinds other than those it was learnt on: trainings of one seed share first "
        "weights and order of images"
    ),
    "Data": (
        "glyphs of 32 pixels, DCGANs of `ganlab zoo`, 1000 images of each, every other one for training"
    ),
    "Trainings": "the seed is the unit: Student's t over seeds",
    "Null": "reals dealt at random to as many groups as there are generators",
}


def accuracy(system: System, training: Groups, test: Groups, seed: int = 0) -> dict[int, float]:
    """Class -> share of its test images that are put into it."""
    matrix = np.concatenate([values[::2] for _, values in training])
    truth = np.concatenate([np.full(len(values[::2]), label) for label, values in training])
    detector = system.make_detector(seed).fit(matrix, truth)
    found: dict[int, list[npt.NDArray[np.bool_]]] = {}
    for label, values in test:
        found.setdefault(label, []).append(detector.predict(values[1::2]) == label)
    return {label: float(np.concatenate(parts).mean()) for label, parts in found.items()}


def measured(system: System, sets: Sets) -> dict[str, Any]:
    """Who made an image, asked in four ways.

    Args:
        system: feature (already applied) and detector.
        sets: kinds of generators with the same seeds, two or more.

    Returns:
        "seed of a kind": kind -> accuracy of naming the seed among generators of that kind. "kind, seeds
        seen" and "kind, new seed": seed -> kind -> accuracy of naming the kind of that seed's images, by a
        detector of all seeds but one: in the first case another seed is left out, in the second this one, so
        that both know equally many generators. "seed of new kinds": kind -> accuracy of naming the seed,
        learnt on other kinds.

    Raises:
        GanlabError: fewer than two seeds, or kinds that do not have the same ones.
    """
    seeds = sorted(next(iter(sets.values())))
    if len(seeds) < 2 or any(sorted(own) != seeds for own in sets.values()):
        raise GanlabError("marks of seeds and kinds take the same two or more seeds of every kind")
    kinds = list(sets)

    def of_kinds(chosen: Sequence[int]) -> Groups:
        return [(k, sets[kind][seed]) for k, kind in enumerate(kinds) for seed in chosen]

    def of_seeds(chosen: Sequence[str]) -> Groups:
        return [(s, sets[kind][seed]) for kind in chosen for s, seed in enumerate(seeds)]

    found: dict[str, Any] = {"seed of a kind": {
        kind: _mean(accuracy(system, of_seeds([kind]), of_seeds([kind]))) for kind in kinds
    }}  # fmt: skip
    for name, step in (("kind, seeds seen", 1), ("kind, new seed", 0)):
        found[name] = {}
        for place, seed in enumerate(seeds):
            left_out = seeds[(place + step) % len(seeds)]
            own = accuracy(system, of_kinds([s for s in seeds if s != left_out]), of_kinds([seed]))
            found[name][str(seed)] = {kinds[k]: share for k, share in own.items()}
    found["seed of new kinds"] = {}
    for fold in range(min(FOLDS, len(kinds)) if len(kinds) > 1 else 0):
        asked_of = kinds[fold::FOLDS]
        others = of_seeds([kind for kind in kinds if kind not in asked_of])
        for kind in asked_of:
            found["seed of new kinds"][kind] = _mean(accuracy(system, others, of_seeds([kind])))
    return found


def _mean(shares: Mapping[Any, float]) -> float:
    return float(np.mean(list(shares.values())))


def by_seed(found: Mapping[str, Any], question: str) -> Interval:
    """Accuracy of a question about kinds: mean over kinds, then Student's t over seeds."""
    return student_mean([_mean(shares) for shares in found[question].values()], share=True)


def carried(found: Mapping[str, Any]) -> Interval:
    """What part of the knowledge of kinds beyond chance is left for a new seed, over seeds."""
    first = next(iter(found["kind, seeds seen"].values()))
    chance = 1 / len(first)
    pairs = zip(found["kind, new seed"].values(), found["kind, seeds seen"].values(), strict=True)
    return student_mean([(_mean(new) - chance) / max(_mean(seen) - chance, 1e-9) for new, seen in pairs])


def judged(results: Mapping[str, Mapping[str, Any]], kinds: int, seeds: int) -> tuple[str, str]:
    """Verdict over the systems, and why."""
    new = {name: by_seed(found, "kind, new seed") for name, found in results.items()}
    parts = {name: carried(found) for name, found in results.items()}
    own = {name: _mean(found["seed of a kind"]) for name, found in results.items()}
    above = [name for name, one in new.items() if one.low > 1 / kinds]
    text = "; ".join(
        f"{name}: kind of a new seed {shown(new[name])}, {shown(parts[name])} of what it knows of seen "
        f"seeds beyond chance; seed within a kind {own[name]:.2f}"
        for name in results
    )
    text += f" (chance {1 / kinds:.2f} and {1 / seeds:.2f})."
    if not above:
        sure = all(one.high < 2 / kinds for one in new.values())
        return (
            Verdict.REFUTED if sure else Verdict.UNDECIDED,
            f"Kinds of new seeds are not recognised beyond chance. {text}",
        )
    if all(one.low >= CARRIED for one in parts.values()):
        return Verdict.AT_THIS_SCALE, f"What is known of a kind carries over to new seeds. {text}"
    if any(share > 1.2 / seeds for share in own.values()):
        return Verdict.SHARPENED, (
            "There are marks of both: of the kind, which carry over to new seeds in part, and of the "
            f"single training. {text}"
        )
    return (
        Verdict.UNDECIDED,
        f"Kinds of new seeds are recognised, how much of it carries over is open. {text}",
    )


def run(setting: Setting) -> Outcome:
    """The upsamplers trained most often, the same seeds of each, three systems."""
    generators = repeated(seeded(setting, [f"dcgan-{name}" for name in UPSAMPLERS]))
    seeds = common(generators)
    if len(seeds) < 2:
        raise GanlabError("this claim needs two seeds of a kind of generators; the zoo here has one of each")
    systems = detecting.systems(setting, SYSTEMS, EPOCHS)
    images = {
        kind: {seed: floats(setting.fake(own[seed], kind)) for seed in seeds}
        for kind, own in generators.items()
    }
    real = floats(setting.real)
    # Groups of reals in the place of generators: nobody made them, so that all answers are guesses. A group
    # below 8 images would leave nothing to learn from.
    dealt = list(images)[: max(2, len(real) // (8 * len(seeds)))]
    step = len(dealt) * len(seeds)
    groups = {
        kind: {seed: real[k * len(seeds) + n :: step] for n, seed in enumerate(seeds)}
        for k, kind in enumerate(dealt)
    }
    results, nulls = (
        {
            system.name: setting.once(f"{name}-{system.name}", partial(_of, system, sets))
            for system in systems
        }
        for name, sets in (("marks", images), ("null", groups))
    )  # fmt: skip
    verdict, because = judged(results, len(images), len(seeds))
    here = [
        f"{name}: kind of seeds that were seen {shown(by_seed(found, 'kind, seeds seen'))}, of a new seed "
        f"{shown(by_seed(found, 'kind, new seed'))}; seed among generators of one kind "
        f"{_mean(found['seed of a kind']):.2f}, of kinds that were not learnt "
        f"{_mean(found['seed of new kinds']):.2f}."
        for name, found in results.items()
    ]
    return Outcome(
        here, verdict, because,
        [
            asked(ASKED, counted({kind: {s: own[s] for s in seeds} for kind, own in generators.items()})),
            Part("Who made it?", tables=_tables(results, nulls, len(seeds)), drawings=[_picture(results)]),
        ],
        {"results": results, "null": nulls},
    )  # fmt: skip


def _of(system: System, images: Mapping[str, Mapping[int, Tensor]]) -> Any:
    return measured(
        system,
        {kind: {seed: features(system, one) for seed, one in own.items()} for kind, own in images.items()},
    )


def _picture(results: Mapping[str, Mapping[str, Any]]) -> Any:
    groups = {
        name: {question: by_seed(found, question) for question in ("kind, seeds seen", "kind, new seed")}
        for name, found in results.items()
    }
    kinds = len(next(iter(next(iter(results.values()))["kind, new seed"].values())))
    caption = "Share of images whose kind of upsampler is named, over seeds; the line is chance."
    return bars("kinds", caption, groups, "accuracy", 1 / kinds, (0.0, 1.02))


def _tables(
    results: Mapping[str, Mapping[str, Any]], nulls: Mapping[str, Mapping[str, Any]], seeds: int
) -> list[Table]:
    """Each question by system, then every kind by the first system."""
    rows = []
    for name, found in results.items():
        null = nulls[name]
        for question in found:
            over = question.startswith("kind")
            chance = 1 / len(found["seed of a kind"]) if over else 1 / seeds
            value = shown(by_seed(found, question)) if over else f"{_mean(found[question]):.2f}"
            control = shown(by_seed(null, question)) if over else f"{_mean(null[question]):.2f}"
            rows.append([name, question, value, f"{chance:.2f}", control])
    singles = [
        [kind, name, *(f"{np.mean([own[kind] for own in found[q].values()]):.2f}"
                       for q in ("kind, seeds seen", "kind, new seed")),
         *(f"{found[q][kind]:.2f}" for q in ("seed of a kind", "seed of new kinds"))]
        for name, found in results.items() for kind in found["seed of a kind"]
    ]  # fmt: skip
    note = "Accuracy on images that no detector saw. Questions about kinds: over seeds, Student's t."
    return [
        Table("questions", "Who made an image, asked in four ways",
              ("system", "question", "accuracy", "chance", "null: reals dealt at random"), rows, note),
        Table("kinds_single", "Every kind", ("kind", "system", "kind, seeds seen", "kind, new seed",
              "seed of a kind", "seed of new kinds"), singles),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    title="Are the marks of attribution those of the architecture, or those of the single training?",
    source="Yu et al. 2019, arXiv 1811.08180; GDA-Net 2024, arXiv 2406.18278",
    published=(
        Published(
            "Ten ProGANs that differ in the seed alone are ten classes that a network tells apart", "README"
        ),
        Published(
            "Architectures are attributed also of unseen seeds and fine-tuned models", "abstract of GDA-Net"
        ),
    ),
    minutes=6.3,
    needs="two or more seeds of the zoo's generators",
    run=run,
    generators=tuple(f"dcgan-{name}" for name in UPSAMPLERS),
    takes_fakes=False,
    takes_reals=False,
    seeds=len(SEEDS),
)
