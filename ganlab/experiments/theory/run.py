"""What the fixed x2 operators do by theory alone: a table, their responses, replicas after several stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import ganlab
from ganlab.errors import GanlabError
from ganlab.experiments.theory.figures import draw_layers, draw_replica_maps, draw_replicas, draw_responses
from ganlab.experiments.theory.learned import LearnedRow, response_lines
from ganlab.experiments.theory.page import LAYERS, page
from ganlab.results.folder import PAGE, ResultsFolder
from ganlab.results.page import write_page
from ganlab.results.style import save_figure
from ganlab.results.tables import FREQUENCY, aligned, number, plain, write_csv
from ganlab.spectra import decibels
from ganlab.spectra.rings import FloatArray, orbit_sums
from ganlab.spectra.theory import (
    Null,
    frequency_response,
    image_power,
    image_rejection,
    predict_power,
    spectral_nulls,
)
from ganlab.spectra.transforms import axis_means
from ganlab.upsampling import KERNELS
from ganlab.util.atomic import write_json, write_text

STAGES = (1, 2, 3, 4)
FINE = 512
"""Points of the grid on which responses are drawn."""
TABLE = "theory.json"
DEEPEST = 1e-30
"""Power below this counts as this: nulls are exact here, and far below what images can hold."""


@dataclass(frozen=True)
class OperatorRow:
    """What theory says of one operator, along one axis.

    Attributes:
        name: of the operator.
        nulls: frequencies it removes altogether.
        quarter_db: response at 1/4 cycles per pixel, the highest frequency of its input, dB.
        eighth_rejection_db: how much weaker the image of 1/8 (at 3/8) is than 1/8 itself, dB.
        image_share: share of the output power above 1/4, where only images lie, for white input.
    """

    name: str
    nulls: tuple[Null, ...]
    quarter_db: float
    eighth_rejection_db: float
    image_share: float

    def cells(self) -> list[str]:
        """The row as text."""
        nulls = ", ".join(f"{null.frequency:.3g} (x{null.order})" for null in self.nulls) or "none"
        return [
            self.name, nulls, f"{self.quarter_db:.1f}", f"{self.eighth_rejection_db:.1f}",
            f"{100 * self.image_share:.1f}",
        ]  # fmt: skip


HEAD = ["operator", "nulls (cycles/pixel)", "dB at 1/4", "image of 1/8 (dB)", "image power (%)"]


def operator_rows(names: Iterable[str] = tuple(KERNELS)) -> tuple[OperatorRow, ...]:
    """One row an operator.

    Raises:
        GanlabError: a name that is no fixed operator with a kernel.
    """
    return tuple(
        OperatorRow(
            name,
            spectral_nulls(name),
            float(20 * frequency_response(name, 8)[2].log10()),
            float(image_rejection(name, 8)[1]),
            image_power(name),
        )
        for name in names
    )


def table_text(rows: Sequence[OperatorRow]) -> str:
    """The table for a terminal, and two lines on how to read it."""
    return aligned([HEAD, *(row.cells() for row in rows)]) + (
        "\nFrequencies are those of the output; 1/2 is Nyquist; x3: a triple zero. A null survives every\n"
        "linear layer after it. Doubling repeats what lies at f at 1/2 - f, so many dB weaker than at f.\n"
    )


def replica_maps(size: int, stages: Sequence[int] = STAGES) -> dict[tuple[str, int], FloatArray]:
    """(operator, stages) -> mean power of white noise after so many doublings, ``(size, size//2+1)``, dB.

    Relative to its own mean over the plane; un-shifted half planes, as ``power_spectrum``.

    Raises:
        GanlabError: a size that cannot come from that many doublings of two pixels or more.
    """
    found = {}
    for name in KERNELS:
        for count in stages:
            start = _start(size, count)
            power = predict_power(torch.ones(start, start // 2 + 1).double(), start, [name] * count)
            mean = orbit_sums(power[None], size).sum() / size**2
            found[name, count] = decibels(power / mean, DEEPEST).numpy()
    return found


def replica_profiles(size: int, stages: Sequence[int] = STAGES[:3]) -> dict[tuple[str, int], FloatArray]:
    """(operator, stages) -> axis profile of a 1/f^2 spectrum after so many doublings, minus 1/f^2, dB.

    The input holds what a ``size`` x ``size`` field of power 1/f^2 has below the input's Nyquist frequency,
    and nothing at zero. The lowest frequency is the level 0 dB. Frequencies k/size: ``(size//2+1)``.

    Raises:
        GanlabError: as ``replica_maps``.
    """
    base, found = _axis(_natural(size, 1.0), size), {}
    for name in KERNELS:
        for count in stages:
            start = _start(size, count)
            # Power per coefficient falls by 4 with each halving that keeps the amplitudes.
            before = _natural(start, start / size) / 4**count
            ratio = _axis(predict_power(before, start, [name] * count), size) / base
            found[name, count] = decibels(ratio / ratio[1], DEEPEST).numpy()
    return found


def _start(size: int, stages: int) -> int:
    start = size >> stages
    if start < 2 or start << stages != size or start % 2:
        raise GanlabError(
            f"{size} pixels cannot come from {stages} doublings of an even number of pixels: "
            f"choose a size divisible by {2 ** (max(STAGES) + 1)}"
        )
    return start


def _natural(size: int, nyquist: float) -> torch.Tensor:
    """1/f^2 on the half plane of ``size``^2 pixels whose Nyquist frequency is ``nyquist``/2; 0 at zero."""
    rows, columns = np.fft.fftfreq(size) * nyquist, np.arange(size // 2 + 1) / size * nyquist
    squares = rows[:, None] ** 2 + columns[None, :] ** 2
    squares[0, 0] = np.inf
    return torch.from_numpy(1 / squares)


def _axis(power: torch.Tensor, size: int) -> torch.Tensor:
    return axis_means(orbit_sums(power[None], size), size, size)[0][0]


def write_theory(
    out: Path,
    size: int = 64,
    command: str = "",
    force: bool = False,
    learned: Sequence[LearnedRow] = (),
) -> tuple[tuple[OperatorRow, ...], bool]:
    """Table, responses and replicas into a folder; the same results found there are left alone.

    Args:
        out: the folder.
        size: pixels of the maps after the last stage.
        command: the command line to record, if there was one.
        force: put them in the place of theory of another size.
        learned: upsampling layers of generators, drawn beside.

    Returns:
        The table, and whether the folder already held all this.

    Raises:
        GanlabError: the folder holds something else, or a size that is not possible.
    """
    rows, maps, profiles = operator_rows(), replica_maps(size), replica_profiles(size)
    layers = [row.cells() for row in learned]
    identity = {"size": size, "operators": plain(rows), **({"layers": layers} if layers else {})}
    folder = ResultsFolder(out, "theory", identity, staged=True)
    with folder.open(command, force) as place:
        complete = folder.is_complete
        if not complete:
            responses = {name: frequency_response(name, FINE).numpy() for name in KERNELS}
            save_figure(draw_responses(responses), place / "responses")
            save_figure(draw_replica_maps(maps, size), place / "replica-maps")
            save_figure(draw_replicas(profiles, size), place / "replicas")
            _write_numbers(place, size, rows, responses, maps, profiles)
            if learned:
                write_csv(place / "layers.csv", LAYERS, layers)
                write_csv(
                    place / "layer-responses.csv", ("generator", "stage", FREQUENCY, "gain_db"),
                    response_lines(learned),
                )  # fmt: skip
                save_figure(draw_layers(learned), place / "layer-responses")
            about = {"ganlab": ganlab.__version__, "size": size, "operators": plain(rows), "layers": layers}
            write_json(place / TABLE, about)
            folder.finish()
        if not (out / PAGE).is_file():
            write_page(out, page(out))
    return rows, complete


def _write_numbers(
    place: Path,
    size: int,
    rows: Sequence[OperatorRow],
    responses: Mapping[str, FloatArray],
    maps: Mapping[tuple[str, int], FloatArray],
    profiles: Mapping[tuple[str, int], FloatArray],
) -> None:
    """CSV beside every figure, and the table."""
    write_csv(place / "theory.csv", HEAD, [row.cells() for row in rows])
    write_text(place / "theory.txt", table_text(rows))
    lines: Iterable[Sequence[object]]
    lines = [(name, k / FINE, value) for name, values in responses.items() for k, value in enumerate(values)]
    write_csv(place / "responses.csv", ("operator", FREQUENCY, "amplitude"), lines)
    lines = [(*key, k / size, value) for key, level in profiles.items() for k, value in enumerate(level)]
    write_csv(place / "replicas.csv", ("operator", "stages", FREQUENCY, "over_natural_db"), lines)
    columns = [f"horizontal_{number(k / size, 6)}" for k in range(size // 2 + 1)]
    lines = [
        (*key, number(row, 6), *(number(value, 6) for value in values))
        for key, level in maps.items()
        for row, values in zip(np.fft.fftfreq(size), level, strict=True)
    ]
    write_csv(place / "replica-maps.csv", ("operator", "stages", "vertical_frequency", *columns), lines)
