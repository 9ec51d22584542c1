"""``ganlab reproduce``: one experiment by name into a results folder: tables, figures, verdict, page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.experiments.claims.outcome import VERDICTS, Experiment, Outcome, Part
from ganlab.experiments.claims.page import as_markdown, page
from ganlab.experiments.claims.recipes import SCALES, Scale
from ganlab.experiments.claims.registry import EXPERIMENTS
from ganlab.experiments.claims.setting import KEPT, RUNS, Setting
from ganlab.forensics import GUARDS, Interval
from ganlab.results.folder import PAGE, RESULTS, ResultsFolder
from ganlab.results.page import write_page
from ganlab.results.style import save_figure
from ganlab.results.tables import aligned, plain, write_csv
from ganlab.util.atomic import write_text
from ganlab.util.reading import read_json

VERB = "reproduce"
TEXT = "verdict.md"
"""The page's words and tables as Markdown."""


def reproduce(
    name: str,
    out: str | os.PathLike[str],
    real: str | None = None,
    fakes: Sequence[str] = (),
    scale: str | Scale = "small",
    seed: int = 0,
    force: bool = False,
    allow: Sequence[str] = (),
    command: str = "",
) -> dict[str, Any]:
    """Run a published experiment or a claim; the same call goes on with what was interrupted.

    Args:
        name: a key of `EXPERIMENTS`.
        out: results folder.
        real: reals of one's own: a folder, a pack, an array, a zip.
        fakes: fakes of one's own: sets of images, or generators.
        scale: a key of `SCALES`, or a scale of one's own.
        seed: everything random follows from it.
        force: make all anew, also in the place of another experiment; finished trainings too.
        allow: guards whose findings are tolerated.
        command: what the user typed, for the record.

    Returns:
        The content of results.json: verdict, because, published, here, numbers, parts.

    Raises:
        GanlabError: an unknown name or scale, images that the experiment cannot use, an unfair comparison,
            or a folder that holds something else.
    """
    experiment = lookup(EXPERIMENTS, name, "experiment")
    sized = lookup(SCALES, scale, "scale") if isinstance(scale, str) else scale
    for guard in allow:
        lookup(dict.fromkeys(GUARDS), guard, "guard")
    if fakes and not experiment.takes_fakes:
        raise GanlabError(f"{name} makes its own fakes: leave --fake out")
    if real is not None and not experiment.takes_reals:
        raise GanlabError(f"{name} makes its own images: leave --real out")
    if real is not None and not fakes and not experiment.generators and experiment.takes_fakes:
        raise GanlabError(f"{name} needs --fake beside --real")
    named = experiment.generators, experiment.instead
    setting = Setting(Path(out), sized, seed, real, fakes, *named, allow)
    question = {"experiment": name, **setting.identity(experiment.seeds)}
    folder = ResultsFolder(out, VERB, question, unlisted=(RUNS, KEPT))
    with folder.open(command, force) as place:
        if not folder.is_complete:
            outcome = experiment.run(setting)
            write(place, outcome)
            found = as_json(name, experiment, outcome, sized)
            write_text(place / TEXT, as_markdown(found))
            folder.finish(found, [*setting.left_out, *outcome.warnings])
        if not (place / PAGE).is_file() or force:
            write_page(place, page(place))
        results: dict[str, Any] = read_json(place / RESULTS, dict)
    return results


def write(place: Path, outcome: Outcome) -> None:
    """Every table and figure of an outcome, with the numbers beside."""
    for part in outcome.parts:
        for table in part.tables:
            write_csv(place / f"{table.stem}.csv", table.header, table.rows)
        for drawing in part.drawings:
            save_figure(drawing.figure, place / drawing.stem)
            write_csv(place / f"{drawing.stem}.csv", drawing.header, drawing.rows)


def as_json(name: str, experiment: Experiment, outcome: Outcome, scale: Scale) -> dict[str, Any]:
    """Everything that the page says, as JSON values."""
    return {
        "experiment": name, "title": experiment.title, "source": experiment.source, "scale": scale.name,
        "published": [{"text": entry.text, "source": entry.source} for entry in experiment.published],
        "here": list(outcome.here), "verdict": outcome.verdict, "because": outcome.because,
        "numbers": plain(_listed(outcome.numbers)), "parts": [_part(part) for part in outcome.parts],
    }  # fmt: skip


def _listed(numbers: Any) -> Any:
    """Intervals as [value, low, high], at any depth."""
    if isinstance(numbers, Interval):
        return numbers.as_list()
    return {k: _listed(v) for k, v in numbers.items()} if isinstance(numbers, Mapping) else numbers


def _part(part: Part) -> dict[str, Any]:
    tables = [
        {"title": t.title, "header": list(t.header), "rows": plain(t.rows), "note": t.note}
        for t in part.tables
    ]
    drawings = [{"stem": d.stem, "caption": d.caption, "ink": d.ink} for d in part.drawings]
    return {"title": part.title, "text": list(part.text), "tables": tables, "drawings": drawings}


def listing() -> str:
    """What can be reproduced: name, minutes, what it needs, what it shows and whose it is."""
    rows = [("NAME", "minutes", "what it shows, source, what it needs")]
    text = aligned([row[:2] for row in rows + [(n, f"{e.minutes:g}", "") for n, e in EXPERIMENTS.items()]])
    lines = [f"{text.splitlines()[0]}  {rows[0][2]}"]
    for line, experiment in zip(text.splitlines()[1:], EXPERIMENTS.values(), strict=True):
        lines.append(f"{line}  {experiment.title} ({experiment.source}); {experiment.needs}")
    return "\n".join(lines)


def words(results: dict[str, Any]) -> str:
    """What the command prints: published, here, verdict."""
    published = [f"  {entry['text']} ({entry['source']})" for entry in results["published"]]
    here = [f"  {sentence}" for sentence in results["here"]]
    verdict = f"verdict: {results['verdict']} ({VERDICTS[results['verdict']]})\n  {results['because']}"
    return "\n".join([results["title"], "published:", *published, "here:", *here, verdict])
