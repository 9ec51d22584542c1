"""Sets of images in, findings and the words about them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ganlab.data.imageset import ImageSet
from ganlab.experiments.audit.options import AuditOptions
from ganlab.experiments.detection.measure import named_sets
from ganlab.experiments.sources import open_sets
from ganlab.forensics import KINDS, AuditReport, audit_sets
from ganlab.results.tables import with_interval
from ganlab.util.hashing import sha256_json

HEADER = ("fakes", "kind", "AUC of a detector that sees only this", "which set looks processed", "evidence")
FAIR = "No finding: nothing beside the generator tells these sets apart that this audit knows of."


def opened(paths: Sequence[str], options: AuditOptions, trust: Sequence[str] = ()) -> list[ImageSet]:
    """The sets under different names, files of several sizes allowed.

    Raises:
        GanlabError: a path holds no images, one set is given twice, or names repeat.
    """
    return named_sets(open_sets(paths, options.limit, trust, mixed=True), options.names)


def measured(sets: Sequence[ImageSet]) -> AuditReport:
    """The audit of every set of fakes against the reals, which come first."""
    return audit_sets(sets[0], list(sets[1:]))


def identity(sets: Sequence[ImageSet], options: AuditOptions) -> dict[str, Any]:
    """What the findings depend on: pixels and headers of every set, and the options."""
    described = {
        images.name: {
            "pixels": images.fingerprint(),
            "headers": sha256_json([str(header) for header in images.headers or ()]),
        }
        for images in sets
    }
    return {"sets": described, "options": options.as_json()}


def rows(findings: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Rows of the table below `HEADER`, from the JSON values of findings."""
    return [
        [one["fakes"], one["kind"], with_interval(one["auc"], one["low"], one["high"], 3), one["side"],
         one["evidence"]]
        for one in findings
    ]  # fmt: skip


def summary(report: Mapping[str, Any]) -> list[str]:
    """A sentence for every set of fakes.

    Args:
        report: JSON values of an `AuditReport`.
    """
    sentences = []
    for name, count in list(report["images"].items())[1:]:
        own = [one for one in report["findings"] if one["fakes"] == name]
        pair = f"{report['real']} ({report['images'][report['real']]}) against {name} ({count})"
        sure = [one for one in own if not one["generator"]]
        if not own:
            sentences.append(f"{pair}: {FAIR}")
            continue
        kinds = ", ".join(dict.fromkeys(one["kind"] for one in own))
        text = f"{pair}: {len(own)} of {len(KINDS)} kinds of difference found ({kinds})"
        if not sure:
            text += "; each may be the generator's own doing"
        sentences.append(text + ".")
    return sentences


def text(report: Mapping[str, Any]) -> str:
    """What the command prints: a sentence a set, a line a finding."""
    lines = []
    for sentence, name in zip(summary(report), list(report["images"])[1:], strict=True):
        lines.append(sentence)
        for fakes, kind, area, _, evidence in rows(report["findings"]):
            if fakes == name:
                lines.append(f"  {kind}: {evidence}. AUC {area}")
    return "\n".join(lines) + "\n"
