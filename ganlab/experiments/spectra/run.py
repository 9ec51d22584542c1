"""``compare_spectra``: sets of images in, a results folder of figures, numbers and tables out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ganlab.adapters import Generator
from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.experiments.spectra.any_stages import probe_any_stages
from ganlab.experiments.spectra.figures import draw_maps, draw_p_values, draw_peaks, draw_profiles, draw_rows
from ganlab.experiments.spectra.lines import (
    ALPHA,
    SetLines,
    fake_lines,
    line_words,
    marks,
    null_lines,
    p_value_maps,
    write_lines,
)
from ganlab.experiments.spectra.measure import (
    NULL_NAME,
    MeasuredSet,
    batch_size,
    check_sets,
    difference_maps,
    level_maps,
    measure,
)
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.experiments.spectra.page import page
from ganlab.experiments.spectra.profiles import KINDS, predictions, profiles_of
from ganlab.experiments.spectra.published import write_published
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
from ganlab.results.folder import PAGE, PLAN, PROVENANCE, ResultsFolder, describe_sets, read_folder
from ganlab.results.page import write_page
from ganlab.results.style import save_figure
from ganlab.util.atomic import write_json, write_text
from ganlab.util.progress import bar
from ganlab.util.reading import read_json, read_text, reading

VERB = "spectra"
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
    stages: Sequence[str | os.PathLike[str] | Generator] = (),
) -> SpectraReport:
    """Compare the mean spectra of fake sets with that of real images; write figures, numbers and tables.

    Memory does not grow with the number of images. The results appear complete or not at all.

    Args:
        real: the reals.
        fakes: at least one set of fakes, of the same image size and channels.
        out: the results folder. If it already holds exactly this comparison, it is left alone and read.
        options: convention, window, resampling; the defaults when None.
        names: of all sets for legends and tables, reals first; by default the sets' own.
        stages: runs, generator files or any generators whose stages are measured as well.

    Returns:
        The rows of the table as plain values, the warnings, and where everything is.

    Raises:
        GanlabError: sets that cannot be compared, a damaged file, names that repeat, a folder that holds
            something else.
    """
    options = options or SpectraOptions()
    labels = unique_names([real, *fakes]) if names is None else check_names(names, [real, *fakes])
    sets = [renamed(images, name) for images, name in zip([real, *fakes], labels, strict=True)]
    warnings = check_sets(sets[0], sets[1:])
    for images in sets:
        # A pass yields the hash of the pixels; asked for here, reading a large set has a bar.
        with bar(total=len(images), desc=f"reading {images.name}", unit="img") as line:
            for batch in images.batches(batch_size(images)):
                line.update(len(batch))
    inputs = describe_sets(sets)
    identity = {
        "options": options.identity(),
        "sets": [{key: entry[key] for key in ("name", "images", "shape", "sha256")} for entry in inputs],
        "stages": generators(stages),
    }
    folder = ResultsFolder(out, VERB, identity, staged=True, inputs=inputs)
    with folder.open(options.command or "", options.force) as place:
        complete = folder.is_complete
        if not complete:
            # First: a generator whose stages cannot be seen is refused before the sets take their minutes.
            for source in stages:
                if isinstance(source, str | os.PathLike):
                    write_stages(probe_stages(source, seed=options.seed), place)
                else:
                    write_stages(probe_any_stages(source, seed=options.seed), place)
            measured, found = [measure(sets[0], "real", options)], []
            for images in sets[1:]:
                fake = measure(images, "fake", options)
                found.append(fake_lines(measured[0], fake, options))
                # The sums behind lattice lines, 70 MB a set at 256 px, are not needed any more.
                fake = replace(fake, lattice=None)
                measured.append(fake)
            found.append(null_lines(measured[0], options))
            measured[0] = replace(measured[0], lattice=None)
            warnings = _write(place, measured, found, options, warnings)
            folder.finish(warnings=warnings)
        # Also where a kill came between the results and their page.
        if not (Path(out) / PAGE).is_file():
            write_page(out, page(Path(out)))
    return read_report(Path(out), complete)


def renamed(images: ImageSet, name: str) -> ImageSet:
    """The same images under another name."""
    return images if images.name == name else images.subset(np.arange(len(images)), name)


def unique_names(sets: Sequence[ImageSet]) -> list[str]:
    """The sets' names; those that repeat get their folder's name in front.

    Raises:
        GanlabError: they repeat even so.
    """
    times = Counter(images.name for images in sets)
    longer = [
        f"{images.path.absolute().parent.name}/{images.name}" if times[images.name] > 1 else images.name
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
    found: Sequence[SetLines],
    options: SpectraOptions,
    warnings: Sequence[str],
) -> list[str]:
    """Every figure, table and number; the warnings with those that the deviations brought."""
    rings = {entry.name: marks(entry.lines) for entry in found}
    for stem, maps, difference in (
        ("heatmaps", level_maps(measured), False),
        ("difference-maps", difference_maps(measured), True),
    ):
        write_maps(place / f"{stem}.csv", maps)
        panels = tuple(replace(panel, marks=rings.get(panel.name, ())) for panel in maps.panels)
        save_figure(draw_maps(replace(maps, panels=panels), difference), place / stem)
    write_lines(place / "lines.csv", found)
    p_values = p_value_maps(found)
    if p_values is not None:
        write_maps(place / "p-values.csv", p_values)
        save_figure(draw_p_values(p_values, ALPHA), place / "p-values")
    for kind in KINDS:
        profiles = profiles_of(measured, kind, options.convention)
        write_profiles(place / f"{kind}.csv", profiles)
        save_figure(draw_profiles(profiles), place / kind)
    rows, doubts = deviation_rows(measured, options)
    rows = tuple(replace(row, lines=entry.lines) for row, entry in zip(rows, found, strict=True))
    write_rows(place / f"{TABLE}.csv", rows, options.window)
    settings = {"window": options.window, "bootstrap": options.bootstrap, "seed": options.seed}
    write_json(place / f"{TABLE}.json", {**settings, "rows": [row.plain() for row in rows]})
    write_text(place / f"{TABLE}.md", markdown_table(rows, options.window))
    save_figure(draw_rows(rows, options.window), place / TABLE)
    peaks = draw_peaks(rows, options.window)
    if peaks is not None:
        alone = [
            replace(row, values={key: peak for key, peak in row.values.items() if key.startswith("peak_")})
            for row in rows
        ]
        write_rows(place / "peaks.csv", alone, options.window)
        save_figure(peaks, place / "peaks")
    for name in options.published:
        write_published(name, [one.images for one in measured], place)

    everything = list(dict.fromkeys([*warnings, *doubts]))
    operators = [one.operator for one in predictions(measured)]
    parts = [
        plain_table(rows),
        line_words(found),
        meaning(rows, options.window, options.bootstrap, operators, measured[0].images.shape[2]),
    ]
    if everything:
        parts.append("".join(f"warning: {text}\n" for text in everything))
    files = sorted([*(path.name for path in place.iterdir()), SUMMARY])
    parts.append("files: " + ", ".join([*files, PROVENANCE]) + "\n")
    write_text(place / SUMMARY, "\n".join(parts))
    return everything


def read_report(folder: Path, was_complete: bool = True) -> SpectraReport:
    """The report of a results folder that ``compare_spectra`` wrote.

    Raises:
        GanlabError: the folder is none, or damaged.
    """
    with reading(folder, "the results of 'ganlab spectra'"):
        provenance = read_folder(folder).provenance or {}
        rows = tuple(row_from_plain(row) for row in read_json(folder / f"{TABLE}.json")["rows"])
        summary = read_text(folder / SUMMARY)
        files = (*(name for name in provenance["files"] if name != PLAN), PROVENANCE)
        return SpectraReport(folder, rows, tuple(provenance["warnings"]), files, summary, was_complete)
