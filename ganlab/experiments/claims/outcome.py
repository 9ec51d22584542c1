"""What an experiment is, and what it says when it has run: tables, figures, a verdict on the published."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from ganlab.errors import GanlabError
from ganlab.forensics import Interval
from ganlab.results.tables import with_interval

if TYPE_CHECKING:
    from ganlab.experiments.claims.setting import Setting


class Verdict(StrEnum):
    """What an experiment says about a published statement; `VERDICTS` says what each takes."""

    STANDS = "stands"
    AT_THIS_SCALE = "stands at this scale"
    SHARPENED = "sharpened"
    REFUTED = "refuted"
    UNDECIDED = "not decided"


VERDICTS = {
    Verdict.STANDS: "measured on several seeds or sets beyond the null, as stated",
    Verdict.AT_THIS_SCALE: "measured as stated, on small networks and images, or on one generator of a kind",
    Verdict.SHARPENED: "true in part: what was measured says more exactly of what it holds",
    Verdict.REFUTED: "this measurement contradicts it",
    Verdict.UNDECIDED: "the intervals leave both open",
}
"""Verdict -> what it takes."""


@dataclass(frozen=True)
class Published:
    """Something that was published.

    Attributes:
        text: the statement or number, in our words.
        source: where it was read: "abstract", "README", "code", an issue's number. Never from memory.
    """

    text: str
    source: str


@dataclass(frozen=True)
class Table:
    """Rows of texts and numbers, kept as ``STEM.csv``."""

    stem: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True)
class Drawing:
    """A figure, kept as ``STEM.svg`` and ``STEM.png``, and its numbers as ``STEM.csv``.

    Attributes:
        stem: file name without suffix.
        figure: as `ganlab.results.style` makes it.
        caption: what it shows, also for who cannot see it.
        header: of the numbers.
        rows: the numbers.
        ink: a drawing of lines on white, not pictures or maps.
    """

    stem: str
    figure: Figure
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    ink: bool = True


@dataclass(frozen=True)
class Part:
    """A part of the page: paragraphs, tables, figures."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()


@dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Attributes:
        here: sentences with the numbers of this run that bear on what was published.
        verdict: a key of `VERDICTS`.
        because: one or two sentences: why this verdict, and what it does not cover.
        parts: tables and figures.
        numbers: what programs want: JSON values and intervals, which become [value, low, high].
        warnings: what a reader must know beside the numbers.
    """

    here: Sequence[str]
    verdict: str
    because: str
    parts: Sequence[Part]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise GanlabError(f"a verdict is one of {', '.join(VERDICTS)}; got {self.verdict!r}")
        if not self.here or not self.because:
            raise GanlabError("an outcome says what was measured here, and why that gives its verdict")


@dataclass(frozen=True)
class Experiment:
    """A published experiment or a claim.

    Attributes:
        title: what it shows, one line.
        source: of the paper, the lecture or the statement.
        published: what it says, each with where that was read.
        minutes: of CPU of one core at small scale, trainings included, from a real run.
        needs: what it takes beside this installation, in words.
        run: measures; everything it needs is asked of its `Setting`.
        generators: names of `ganlab.experiments.claims.recipes.RECIPES`, without seed: the default fakes.
        instead: what the zoo may have in their place; taken where it has all of these and not of the others.
        takes_fakes: whether ``--fake`` means anything to it; an experiment on training makes its own.
        takes_reals: whether ``--real`` does.
        seeds: trainings of every generator that it looks at, those with the seeds 0, 1, ...
    """

    title: str
    source: str
    published: Sequence[Published]
    minutes: float
    needs: str
    run: Callable[[Setting], Outcome]
    generators: Sequence[str] = ()
    instead: Sequence[str] = ()
    takes_fakes: bool = True
    takes_reals: bool = True
    seeds: int = 1


def shown(interval: Interval, digits: int = 2, sign: bool = False, unit: str = "") -> str:
    """``0.91 [0.88, 0.94]`` of an interval; without ends ``0.91 (one seed)``."""
    if math.isinf(interval.high):
        return f"{with_interval(interval.value, digits=digits, sign=sign, unit=unit)} (one seed)"
    return with_interval(interval.value, interval.low, interval.high, digits, sign, unit)
