"""``compare_spectra``: sets of images in, a results folder of figures, numbers and tables out."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.spectra.figures import draw_maps, draw_peaks, draw_profiles, draw_rows
from ganlab.experiments.spectra.folder import PROVENANCE, identity, is_complete, provenance, staged
from ganlab.experiments.spectra.measure import (
    NULL_NAME,
    MeasuredSet,
    check_sets,
    difference_maps,
    level_maps,
    measure,
)
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.experiments.spectra.profiles import KINDS, predictions, profiles_of
from ganlab.experiments.spectra.stage_figures import write_stages
from ganlab.experiments.spectra.stages import generators, probe_stages
from ganlab.experiments.spectra.tables import (
    DeviationRow,
    deviation_rows,
    markdown_table,
    meaning,
    plain_table,
    row_from_plain,
    write_maps,
    write_profiles,
    write_rows,
)
from ganlab.results.style import save_figure
from ganlab.util.atomic import write_json, write_text
from ganlab.util.hashing import sha256_file

TABLE = "table"
SUMMARY = "summary.txt"


@dataclass(frozen=True)
class SpectraReport:
    """What ``compare_spectra`` found.

    Attributes:
        out: the results folder.
        rows: one a fake set in the order given, then the null control.
        warnings: what the comparison measures beside the generators.
        files: names of the files in ``out``.
        summary: the text of summary.txt.
        was_complete: the folder already held exactly these results; nothing was written.
    """

    out: Path
    rows: tuple[DeviationRow, ...]
    warnings: tuple[str, ...]
    files: tuple[str, ...]
    summary: str
    was_complete: bool = False

    def row(self, name: str) -> DeviationRow:
        """The row of one set.

        Raises:
            GanlabError: no set of that name.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise GanlabError(f"no set {name!r} in the table; it has {', '.join(row.name for row in self.rows)}")

    @property
    def null(self) -> DeviationRow:
        """The null control: what no difference looks like."""
        return self.rows[-1]


def compare_spectra(
    real: ImageSet,
    fakes: Sequence[ImageSet],
    out: str | os.PathLike[str],
    options: SpectraOptions | None = None,
    names: Sequence[str] | None = None,
    stages: Sequence[str | os.PathLike[str]] = (),
) -> SpectraReport:
    """Compare the mean spectra of fake sets with that of real images; write figures, numbers and tables.

    Memory does not grow with the number of images. The folder appears complete or not at all.

    Args:
        real: the reals.
        fakes: at least one set of fakes, of the same image size and channels.
        out: the results folder. If it already holds exactly this comparison, it is left alone and read.
        options: convention, window, resampling; the defaults when None.
        names: of all sets for legends and tables, reals first; by default the sets' own.
        stages: runs or generator files whose stages are measured as well (``spectra.stages``).

    Returns:
        The rows of the table as plain values, the warnings, and where everything is.

    Raises:
        GanlabError: sets that cannot be compared, a damaged file, names that repeat, a folder that holds
            something else.
    """
    chosen, folder = options or SpectraOptions(), Path(out)
    called = unique_names([real, *fakes]) if names is None else check_names(names, [real, *fakes])
    sets = [renamed(one, name) for one, name in zip([real, *fakes], called, strict=True)]
    wanted = {**identity(called, sets, chosen), "stages": generators(stages)}
    if is_complete(folder, wanted, sets, chosen.force):
        return read_report(folder)
    warnings = check_sets(sets[0], sets[1:])
    measured = [measure(one, "fake" if place else "real", chosen) for place, one in enumerate(sets)]
    with staged(folder) as place:
        for path in stages:
            write_stages(probe_stages(path, seed=chosen.seed), place)
        _write(place, measured, chosen, warnings, wanted)
    return read_report(folder, was_complete=False)


def renamed(images: ImageSet, name: str) -> ImageSet:
    """The same images under another name."""
    return images if images.name == name else images.subset(np.arange(len(images)), name)


def unique_names(sets: Sequence[ImageSet]) -> list[str]:
    """The sets' names; those that repeat get their folder's name in front.

    Raises:
        GanlabError: they repeat even so.
    """
    own = [images.name for images in sets]
    twice = {name for name, times in Counter(own).items() if times > 1}
    longer = [
        f"{images.path.absolute().parent.name}/{images.name}" if images.name in twice else images.name
        for images in sets
    ]
    return check_names(longer, sets)


def check_names(names: Sequence[str], sets: Sequence[ImageSet]) -> list[str]:
    """The names, one a set and each once.

    Raises:
        GanlabError: too few, too many, empty, or repeated.
    """
    if len(names) != len(sets):
        raise GanlabError(f"{len(names)} names for {len(sets)} sets: give one each, the reals' first")
    counted = Counter([*names, NULL_NAME])
    twice = [name for name, times in counted.items() if times > 1 or not name.strip()]
    if twice:
        raise GanlabError(f"two sets would be called {twice[0]!r}: name every set with --name, reals first")
    return list(names)


def _write(
    place: Path,
    measured: Sequence[MeasuredSet],
    options: SpectraOptions,
    warnings: Sequence[str],
    wanted: Mapping[str, Any],
) -> None:
    """Every file of the results, provenance last."""
    _write_maps(place, measured)
    _write_profiles(place, measured, options)
    rows, doubts = deviation_rows(measured, options)
    _write_table(place, rows, options)
    told = list(dict.fromkeys([*warnings, *doubts]))
    about = provenance(wanted, [one.images for one in measured], options.command, told)
    files = sorted([*(path.name for path in place.iterdir()), SUMMARY])
    operators = [one.operator for one in predictions(measured)]
    read = meaning(rows, options.window, options.bootstrap, operators)
    write_text(place / SUMMARY, _summary(rows, read, told, [*files, PROVENANCE]))
    hashes = {name: sha256_file(place / name) for name in files}
    write_json(place / PROVENANCE, {**about, "files": hashes})


def _write_maps(place: Path, measured: Sequence[MeasuredSet]) -> None:
    for stem, maps, difference in (
        ("heatmaps", level_maps(measured), False),
        ("difference-maps", difference_maps(measured), True),
    ):
        write_maps(place / f"{stem}.csv", maps)
        save_figure(draw_maps(maps, difference), place / stem)


def _write_profiles(place: Path, measured: Sequence[MeasuredSet], options: SpectraOptions) -> None:
    for kind in KINDS:
        profiles = profiles_of(measured, kind, options.convention)
        write_profiles(place / f"{kind}.csv", profiles)
        save_figure(draw_profiles(profiles), place / kind)


def _write_table(place: Path, rows: Sequence[DeviationRow], options: SpectraOptions) -> None:
    write_rows(place / f"{TABLE}.csv", rows, options.window)
    about: dict[str, Any] = {"window": options.window, "bootstrap": options.bootstrap, "seed": options.seed}
    write_json(place / f"{TABLE}.json", {**about, "rows": [row.plain() for row in rows]})
    write_text(place / f"{TABLE}.md", markdown_table(rows))
    save_figure(draw_rows(rows, options.window), place / TABLE)
    peaks = draw_peaks(rows, options.window)
    if peaks is not None:
        write_rows(place / "peaks.csv", [_peaks_only(row) for row in rows], options.window)
        save_figure(peaks, place / "peaks")


def _peaks_only(row: DeviationRow) -> DeviationRow:
    return replace(row, values={k: v for k, v in row.values.items() if k.startswith("peak_")})


def _summary(rows: Sequence[DeviationRow], read: str, warnings: Sequence[str], files: Sequence[str]) -> str:
    parts = [plain_table(rows), read]
    if warnings:
        parts.append("".join(f"warning: {text}\n" for text in warnings))
    parts.append("files: " + ", ".join(files) + "\n")
    return "\n".join(parts)


def read_report(folder: Path, was_complete: bool = True) -> SpectraReport:
    """The report of a results folder that ``compare_spectra`` wrote.

    Raises:
        GanlabError: the folder is none, or damaged.
    """
    try:
        about = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
        table = json.loads((folder / f"{TABLE}.json").read_text(encoding="utf-8"))
        rows = tuple(row_from_plain(row) for row in table["rows"])
        summary = (folder / SUMMARY).read_text(encoding="utf-8")
        files = (*about["files"], PROVENANCE)
        return SpectraReport(folder, rows, tuple(about["warnings"]), files, summary, was_complete)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GanlabError(f"{folder}: no readable results of 'ganlab spectra' ({error})") from error
