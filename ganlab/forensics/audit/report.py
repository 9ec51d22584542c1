"""What an audit found, as plain records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ganlab.errors import GanlabError
from ganlab.forensics.audit.two_samples import Separation

KINDS = {
    "codec": "container and codec of the files",
    "quality": "JPEG quantisation tables, or the strength of an earlier JPEG compression",
    "grid": "where the 8 x 8 blocks of JPEG begin",
    "subsampling": "how finely colour is sampled",
    "palette": "palettes: 256 colours or fewer in an image",
    "bit_depth": "bits a channel, grey, transparency",
    "jpeg_history": "pixels that were a JPEG file once",
    "enlarged": "pixels that were interpolated from fewer",
    "resampling": "another resampling filter, blur or sharpening",
    "size": "width, height, aspect",
    "exif": "EXIF tags, orientation, comments, text",
    "profile": "colour profiles and declared gamma",
    "duplicates": "the same, nearly the same or a mirrored picture twice",
    "constant": "images of a single value",
    "counts": "how many images there are",
    "brightness": "brightness, colour and tone curve",
}
"""Kind of finding -> what it is about."""
FAMILY_ALPHA = 0.01
"""Probability of any finding about two random halves of one set; every kind has an equal share."""
ALPHA = FAMILY_ALPHA / len(KINDS)

Side = Literal["reals", "fakes", "both"]


@dataclass(frozen=True)
class Finding:
    """One thing beside the generator that tells reals from fakes, or that spoils the comparison.

    Attributes:
        kind: a key of `KINDS`.
        evidence: what was seen, in a sentence.
        auc: area under the ROC curve of a detector that sees only this, 0.5 to 1.
        low: lower end of its 95 % interval.
        high: upper end.
        p: of two samples of one population differing so much, corrected for the looks within the kind; 0
            where nothing is left to chance (copies, counts).
        side: which set looks processed.
        generator: a generator may do this itself; only the history of the files can tell.
        fakes: name of the fake set.
    """

    kind: str
    evidence: str
    auc: float
    low: float
    high: float
    p: float = 0.0
    side: Side = "both"
    generator: bool = False
    fakes: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.evidence}; AUC {self.auc:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class AuditReport:
    """All findings of an audit.

    Attributes:
        findings: in the order of `KINDS`, fake set by fake set.
        real: name of the real set.
        counts: images of every set by name, the reals first.
        measured: how many images of every set were looked at pixel by pixel.
    """

    findings: tuple[Finding, ...]
    real: str
    counts: dict[str, int]
    measured: dict[str, int]

    @property
    def clean(self) -> bool:
        """Whether there is no finding."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """``{"findings": [...], "real": ..., "images": {...}, "measured": {...}}``, plain values."""
        findings = [asdict(finding) for finding in self.findings]
        return {
            "findings": findings, "real": self.real, "images": dict(self.counts),
            "measured": dict(self.measured),
        }  # fmt: skip


def finding(
    kind: str, evidence: str, measured: Separation | None, side: Side = "both", generator: bool = False
) -> Finding:
    """A finding with the figures of a test; without one a detector that sees only this is at chance.

    Raises:
        GanlabError: no such kind.
    """
    if kind not in KINDS:
        raise GanlabError(f"no kind of finding is called {kind!r}")
    if measured is None:
        return Finding(kind, evidence, 0.5, 0.5, 0.5, 0.0, side, generator)
    return Finding(kind, evidence, measured.auc, measured.low, measured.high, measured.p, side, generator)


def shares(reals: int, fakes: int, of_reals: int, of_fakes: int) -> str:
    """``3.0 % of the reals and 0.0 % of the fakes``."""
    return f"{100 * of_reals / reals:.1f} % of the reals and {100 * of_fakes / fakes:.1f} % of the fakes"
