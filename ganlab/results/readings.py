"""What a figure's file says of itself, so that a page can read its curves and maps.

`describe` looks at a drawn matplotlib figure: where each axes lies, what its curves and maps hold. The text
goes into the file's own description, SVG or PNG; `described` takes it out again. `adaptive` gives a drawing a
second set of colours for dark pages. Any job's figure has both by being saved through `results.style`.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import unescape

import numpy as np
from matplotlib.colors import to_hex, to_rgb

from ganlab.errors import GanlabError
from ganlab.util.reading import parse_json

MARK = "ganlab figure: "
"""How the description begins."""
LEAST_POINTS = 3
MOST_POINTS = 600
"""Of one curve; longer ones are thinned for the reading, not in the drawing."""
MOST_CELLS = 300_000
"""Of all maps of a figure; larger ones are read by their place alone."""
ABSENT = 65535
"""The level of a map's cell that holds no number; others go from 0 to 65534."""

DARK = {
    "#000000": "#e8ebee", "#dddddd": "#363d44", "#d0d0d0": "#454c54", "#7f7f7f": "#98a1aa",
    "#0072b2": "#4aa3e0", "#d55e00": "#f0813a", "#009e73": "#2fbf95", "#cc79a7": "#d98fb8",
}  # fmt: skip
"""Colours of `results.style` and what stands for them on a dark page: Okabe and Ito's, lighter."""
DARK_CARD = "#191d21"
"""The dark page's cards, which the white of a drawing becomes."""
_NUMBER = re.compile(r"[\u2212\-\d./]*")


def describe(figure: Any) -> str:
    """What a page needs to read a figure that has been laid out, as one line of JSON after `MARK`.

    Every curve with a label is a set. Its parts are named in the drawing (``set-3-0``, ``key-3-0`` in a
    legend), so that a page can leave a set out; what lies on a map is named ``keep-0``: its colours belong
    to the map's.

    Args:
        figure: matplotlib's, drawn once, so that its axes have their places.

    Returns:
        The text; "" where there is nothing to read. ``sets``: ``name``, ``color``, ``dashes``, ``marker``.
        ``axes``: ``box`` (left, top, right, bottom as parts of the figure), ``x`` and ``y`` (``low``,
        ``high``, ``log``, ``label``), ``title`` and either ``lines`` (``set``, ``x``, ``y``) or ``map``.
    """
    sets: dict[str, dict[str, Any]] = {}
    axes = [entry for place in figure.axes if (entry := _axes(figure, place, sets)) is not None]
    _name_parts(figure, list(sets))
    known = {"sets": list(sets.values()), "axes": axes}
    return MARK + json.dumps(known, allow_nan=False, separators=(",", ":")) if axes else ""


def described(data: bytes) -> dict[str, Any] | None:
    """The description in an SVG or PNG file; None where there is none that can be read."""
    text = next((text for text in _texts(data) if text.startswith(MARK)), None)
    try:
        known: dict[str, Any] = parse_json(text[len(MARK) :] if text else "", "a figure's description", dict)
    except GanlabError:
        return None
    return known if {"sets", "axes"} <= set(known) else None


def adaptive(data: bytes) -> bytes:
    """An SVG drawing with a second style for dark pages, without its metadata; maps and photos stay."""
    ink, kept = DARK["#000000"], '[id^="keep-"]'
    rules = [f"svg{{fill:{ink}}}", f"{kept}{{fill:#000}}"]
    for kind in ("fill", "stroke"):
        for light, dark in DARK.items():
            rules.append(f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}')
            rules.append(f'{kept} [style*="{kind}: {light}"]{{{kind}:{light}!important}}')
    # White paper and the white inside of markers; white letters stand on maps and stay.
    for shape in ("path", "use"):
        rules.append(f'{shape}[style*="fill: #ffffff"]{{fill:{DARK_CARD}!important}}')
        rules.append(f'{kept} {shape}[style*="fill: #ffffff"]{{fill:#fff!important}}')
    style = f"<style>@media screen and (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
    data = re.sub(rb"<metadata>.*?</metadata>", b"", data, count=1, flags=re.DOTALL)
    return re.sub(rb"<svg\b[^>]*>", lambda tag: tag[0] + style.encode(), data, count=1)


def _axes(figure: Any, axes: Any, sets: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """One axes, its curves entered into ``sets``; None where there is nothing to read."""
    lines = [entry for line in axes.lines if (entry := _line(line, sets)) is not None]
    picture = next((image for image in axes.images if np.ndim(image.get_array()) == 2), None)
    if not axes.get_visible() or axes.get_label() == "<colorbar>" or not (lines or picture is not None):
        return None
    # A subfigure's axes know their place in the subfigure; the window's pixels are the same for both.
    (left, bottom), (right, top) = figure.transFigure.inverted().transform(axes.get_window_extent())
    entry = {
        "box": [round(float(value), 5) for value in (left, 1 - top, right, 1 - bottom)],
        "title": " ".join(axes.get_title().split()),
        "x": _scale(axes.xaxis, axes.get_xlim(), figure.get_supxlabel()),
        "y": _scale(axes.yaxis, axes.get_ylim(), figure.get_supylabel()),
    }  # fmt: skip
    return entry | ({"lines": lines} if picture is None else {"map": _map(figure, axes, picture)})


def _scale(axis: Any, limits: tuple[float, float], common: str) -> dict[str, Any]:
    label = " ".join((axis.get_label_text() or common).split())
    low, high = (float(value) for value in limits)
    return {"low": low, "high": high, "log": axis.get_scale() == "log", "label": label}


def _line(line: Any, sets: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """A labelled curve over ascending x."""
    name = str(line.get_label())
    try:
        x, y = (np.asarray(values, dtype=float) for values in (line.get_xdata(), line.get_ydata()))
    except (TypeError, ValueError):
        return None
    rising = len(x) >= LEAST_POINTS and bool(np.isfinite(x).all() and (np.diff(x) > 0).all())
    if name.startswith("_") or not line.get_visible() or not rising:
        return None
    step = -(-len(x) // MOST_POINTS)
    # Matplotlib gives the dashes of a curve to nobody else; without them a swatch is a plain line.
    dashes = getattr(line, "_unscaled_dash_pattern", (0, None))[1] or ()
    marker = str(line.get_marker())
    look = {
        "name": name, "color": to_hex(line.get_color()), "dashes": [float(dash) for dash in dashes],
        "marker": "" if marker == "None" else marker, "line": line.get_linestyle() != "None",
    }  # fmt: skip
    sets.setdefault(name, look)
    place = list(sets).index(name)
    return {"set": place, "x": _numbers(x[::step], 6), "y": _numbers(y[::step], 4)}


def _numbers(values: Any, digits: int) -> list[float | None]:
    """Rounded to so many significant digits; what is no number is None."""
    return [float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in map(float, values)]


def _map(figure: Any, axes: Any, picture: Any) -> dict[str, Any]:
    """A picture of one level a cell: its reach from left to right and top to bottom, and its levels."""
    levels: Any = np.ma.filled(np.ma.asarray(picture.get_array(), dtype=float), np.nan)
    left, right, bottom, top = (float(value) for value in picture.get_extent())
    if picture.origin == "lower":
        levels, bottom, top = levels[::-1], min(bottom, top), max(bottom, top)
    rows, columns = levels.shape
    # Panels on one scale share a bar, which belongs to one of them.
    bars = [image.colorbar for place in figure.axes for image in place.images if image.colorbar is not None]
    bar = picture.colorbar or (bars[0] if len(bars) == 1 else None)
    entry: dict[str, Any] = {
        "rows": rows, "columns": columns, "reach": [left, right, top, bottom],
        "label": bar.ax.get_ylabel() or bar.ax.get_xlabel() if bar is not None else "",
    }  # fmt: skip
    for axis, count in (("x", columns), ("y", rows)):
        names = [label.get_text() for label in getattr(axes, f"{axis}axis").get_majorticklabels()]
        if len(names) == count and not all(map(_NUMBER.fullmatch, names)):
            entry[f"{axis}_names"] = names
    cells = sum(np.size(image.get_array()) for place in figure.axes for image in place.images)
    finite = np.isfinite(levels)
    if cells <= MOST_CELLS and finite.any():
        low, high = float(levels[finite].min()), float(levels[finite].max())
        steps = np.where(finite, (levels - low) / ((high - low) or 1.0) * (ABSENT - 1), ABSENT)
        codes = np.round(steps).astype("<u2")
        entry |= {"low": low, "high": high, "levels": base64.b64encode(codes.tobytes()).decode()}
    return entry


def _name_parts(figure: Any, names: Sequence[str]) -> None:
    """Give the parts of every set, and what lies on a map, a name in the drawing."""
    parts: list[tuple[Any, str]] = []
    for axes in figure.axes:
        if axes.images:
            parts += [(artist, "keep") for artist in (*axes.collections, *axes.texts, *axes.lines)]
            continue
        colors: dict[Any, int] = {}
        for line in axes.lines:
            if line.get_label() in names:
                place = names.index(line.get_label())
                colors.setdefault(to_rgb(line.get_color()), place)
                parts.append((line, f"set-{place}"))
        for band in axes.collections:
            # A band has no label; it is the first curve's of its colour.
            color = tuple(band.get_facecolor()[0][:3]) if len(band.get_facecolor()) else None
            parts += [(band, f"set-{colors[color]}")] if color in colors else []
    for legend in filter(None, (*figure.legends, *(axes.get_legend() for axes in figure.axes))):
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            if text.get_text() in names:
                parts += [(part, f"key-{names.index(text.get_text())}") for part in (handle, text)]
    counts: dict[str, int] = {}
    for artist, kind in parts:
        counts[kind] = counts.get(kind, -1) + 1
        artist.set_gid(f"{kind}-{counts[kind]}")


def _texts(data: bytes) -> Iterator[str]:
    """Descriptions in a file: of an SVG's metadata, or a PNG's text before its pixels."""
    if not data.startswith(b"\x89PNG"):
        for text in re.findall(rb"<dc:description>(.*?)</dc:description>", data, re.DOTALL):
            yield unescape(text.decode("utf-8", "replace"))
        return
    place = 8
    while place + 8 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        if kind == b"tEXt":
            key, _, text = data[place + 8 : place + 8 + size].partition(b"\0")
            if key == b"Description":
                yield text.decode("latin-1")
        place += 12 + size
