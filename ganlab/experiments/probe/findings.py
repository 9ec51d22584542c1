"""What a probe found: findings of three kinds, kept apart, and the report in plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.results.tables import plain
from ganlab.spectra.lattice import sized

FLOOR = (2 / 255) ** 2 / 12
"""Power of 8-bit rounding in images of [-1, 1]; a pattern is measured against it where all else is silent."""
KINDS = ("structure", "content", "cyclostationary")


@dataclass(frozen=True)
class Finding:
    """One lattice, seam, border or drift.

    Attributes:
        stage: path of the module, or a call's name, that makes it.
        kind: "structure" (a field that is constant shows it, so the network itself makes it), "content" (the
            same line in every image, of whatever cause) or "cyclostationary" (power or correlation that
            depends on the place, without a common sign).
        period_y: vertical period in pixels of the output; 1 where nothing repeats vertically.
        period_x: horizontal period.
        db: structure: variation over the signal's power at the stage, over 8-bit rounding of a signal of
            power 1; the others: level over the neighbouring frequencies.
        low: lower end of its 95 % interval.
        high: upper end.
        p: structure: probability that rounding alone varies so alike in two runs whose fields differ a
            little, adjusted for every variation that was asked; 0 for what rounding cannot make (sizes,
            seams, drifts, overflow). The others: probability of as much in independent images that have no
            line, adjusted for all frequencies that were looked at.
        what: "lattice", "drift", "size", "pattern", "seam", "border" or "overflow".
        words: what the stage is and what would be without the fault.
        offset: phase (y, x) in pixels at which a lattice is highest, where it is known.
        later: dB by which each later stage changed it, in their order.
    """

    stage: str
    kind: str
    period_y: int
    period_x: int
    db: float
    low: float
    high: float
    p: float
    what: str = "lattice"
    words: str = ""
    offset: tuple[int, int] | None = None
    later: tuple[tuple[str, float], ...] = ()

    @property
    def period(self) -> int:
        """The larger of its periods."""
        return max(self.period_y, self.period_x)

    @property
    def sentence(self) -> str:
        """What it is, how strong, and what makes it."""
        shape = f"{self.period_y}x{self.period_x}"
        kind = {
            "lattice": f"{sized(self.period_y, self.period_x)} lattice",
            "drift": "a resampler whose phase drifts with the position",
            "size": "a wrong size",
            "pattern": "a fixed pattern",
            "seam": f"seams every {self.period} pixels",
            "border": "a border far above what lies inside",
            "overflow": "values that are not finite",
        }[self.what]
        if self.kind == "content":
            kind = f"a line of period {shape} that is the same in every image"
        if self.kind == "cyclostationary":
            cell = sized(self.period_y, self.period_x)
            kind = f"power that depends on the place in {cell} cell (no common sign, not a fault)"
        text = f"{kind}, {self.db:+.1f} dB [{self.low:.1f}, {self.high:.1f}], "
        text += f"{'made by' if self.kind == 'structure' else 'as'} `{self.stage}`"
        if self.kind != "structure":
            text = text.replace("as `", "of the period of `")
        if self.words:
            text += f": {self.words}"
        if self.later:
            changes = ", ".join(f"`{stage}` {change:+.0f} dB" for stage, change in self.later)
            text += f" (later: {changes})"
        return text


@dataclass(frozen=True)
class ProbeReport:
    """What `probe_generator` found.

    Attributes:
        name: of the generator.
        ok: no finding of kind "structure" that is significant and above ``fail_above``.
        findings: strongest structure first, then content, then cyclostationary.
        fail_above: dB above which structure fails.
        stages: the resizings that were found, with factor and size.
        image_size: height and width of the images.
        clipped: part of the real images' values at or beyond the ends of their range.
        value_range: lowest and highest value seen, and the stated range.
        notes: what could not be measured and why.
        pictures: name -> array: "response" (an image for constant input, gain raised), "spectrum" (mean power
            of real images, dB, un-shifted half plane), "samples".
        about: what is known of the source.
    """

    name: str
    ok: bool
    findings: tuple[Finding, ...]
    fail_above: float
    stages: tuple[dict[str, Any], ...] = ()
    image_size: tuple[int, int] = (0, 0)
    clipped: float = 0.0
    value_range: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    pictures: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict, repr=False, compare=False)
    about: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[Finding, ...]:
        """Findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def passes(self, strict: bool = False) -> bool:
        """Whether it is clean; ``strict`` also asks that no line is the same in every image."""
        content = any(fails(finding, self.fail_above, strict=True) for finding in self.findings)
        return self.ok and not (strict and content)

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        faults = [finding for finding in self.findings if fails(finding, self.fail_above)]
        if faults:
            more = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
            return f"{self.name}: {faults[0].sentence}{more}"
        content = self.of("content")
        beside = f"; but {content[0].sentence}" if content else ""
        return f"{self.name}: no lattice of its own above {self.fail_above:g} dB{beside}"

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values, without pictures."""
        findings = [
            {**plain(finding), "period": finding.period, "sentence": finding.sentence}
            for finding in self.findings
        ]
        return {
            "name": self.name, "ok": self.ok, "verdict": self.verdict, "fail_above": self.fail_above,
            "findings": findings, "stages": plain(self.stages), "image_size": list(self.image_size),
            "clipped": self.clipped, "value_range": plain(self.value_range), "notes": list(self.notes),
            "about": plain(self.about),
        }  # fmt: skip


def fails(finding: Finding, above: float, strict: bool = False) -> bool:
    """Whether a finding is a fault: structure, or under ``strict`` content, significant and above a level."""
    counts = finding.kind == "structure" or (strict and finding.kind == "content")
    return counts and finding.db > above and finding.p < 0.05


def decibel(share: float) -> float:
    """A share of power over the floor of 8-bit rounding, in dB."""
    return 10 * math.log10(max(share, 1e-30) / FLOOR)
