"""What a figure's file says of its curves and maps, and its colours for dark pages."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from ganlab.results.page import Page, Section, render, stored_figure
from ganlab.results.readings import ABSENT, DARK, adaptive, described
from ganlab.results.style import COLUMN, new_figure, save_figure, series_style, styled, svg_bytes

HOSTILE = "</script><b>&\u202e"


@styled()
def draw():
    figure = new_figure(COLUMN, 3.0)
    curves, levels = figure.subplots(2, 1)
    x = np.arange(5) / 8
    curves.plot(x, [1.0, 2.0, np.nan, 1e-9, 123456.0], label=HOSTILE, **series_style(1).line(5))
    curves.plot(x, x, label="_unnamed")
    curves.plot(x[::-1], x, label="falling")
    curves.fill_between(x, 0, 1, color=series_style(1).color, alpha=0.2)
    curves.set(xlabel="frequency (cycles per pixel)", ylabel="power (dB)", xlim=(0, 0.5))
    curves.legend()
    cells = np.ma.masked_invalid([[0.0, 1.0, np.nan], [2.0, 3.0, 4.0]])
    shown = levels.imshow(cells, origin="lower", extent=(-0.5, 0.5, -0.5, 0.5))
    levels.text(0, 0, "on the map")
    levels.set_xticks((-0.3, 0, 0.3), ("a", "b", "c"))
    figure.colorbar(shown, ax=levels, label="level (dB)")
    return figure


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return save_figure(draw(), tmp_path_factory.mktemp("figure") / "figure")


def test_both_files_say_the_same(files):
    svg, png = (described(path.read_bytes()) for path in files)
    assert svg == png
    assert svg is not None


def test_curves_and_their_axes(files):
    known = described(files[1].read_bytes())
    curve = known["axes"][0]
    assert [(entry["name"], entry["color"]) for entry in known["sets"]] == [(HOSTILE, "#0072b2")]
    assert known["sets"][0]["dashes"] == [5.0, 1.5]
    assert curve["lines"] == [{"set": 0, "x": [0, 0.125, 0.25, 0.375, 0.5], "y": [1, 2, None, 1e-9, 123500]}]
    assert curve["x"] == {"low": 0, "high": 0.5, "log": False, "label": "frequency (cycles per pixel)"}
    left, top, right, bottom = curve["box"]
    assert 0 < left < right < 1
    assert 0 < top < bottom < known["axes"][1]["box"][1] < 1  # the map stands below


def test_boxes_are_where_the_picture_has_its_axes(files):
    """The upper axes' left spine is a column of dark pixels, its lower spine a row."""
    from PIL import Image

    picture = np.asarray(Image.open(files[1]).convert("L")) < 128
    left, top, _right, bottom = described(files[1].read_bytes())["axes"][0]["box"]
    height, width = picture.shape
    rows = slice(round(top * height) + 3, round(bottom * height) - 3)
    columns = picture[rows, round(left * width) - 2 : round(left * width) + 3]
    assert columns.all(0).any()


def test_a_map_can_be_read_to_its_last_cell(files):
    entry = described(files[1].read_bytes())["axes"][1]["map"]
    codes = np.frombuffer(base64.b64decode(entry["levels"]), "<u2").reshape(2, 3)
    assert codes[1, 2] == ABSENT  # rows from the top: the first row of the array is the last
    values = entry["low"] + np.where(codes == ABSENT, np.nan, codes / (ABSENT - 1)) * (
        entry["high"] - entry["low"]
    )
    np.testing.assert_allclose(values, [[2, 3, 4], [0, 1, np.nan]], atol=1e-4)
    assert entry["reach"] == [-0.5, 0.5, 0.5, -0.5]
    assert (entry["rows"], entry["columns"], entry["label"]) == (2, 3, "level (dB)")
    assert entry["x_names"] == ["a", "b", "c"]
    assert "y_names" not in entry


def test_parts_of_a_drawing_are_named(files):
    tree = ET.fromstring(files[0].read_text(encoding="utf-8"))
    ids = [node.get("id") for node in tree.iter() if node.get("id")]
    assert {"set-0-0", "set-0-1", "key-0-0", "key-0-1", "keep-0"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_a_drawing_adapts_and_stays_well_formed(files):
    drawn = adaptive(files[0].read_bytes())
    ET.fromstring(drawn.decode())
    assert b"prefers-color-scheme:dark" in drawn
    assert b"<metadata>" not in drawn
    assert all(color.encode() in drawn for color in DARK.values())


def test_equal_figures_give_equal_bytes():
    assert svg_bytes(draw()) == svg_bytes(draw())


@pytest.mark.parametrize("data", [
    b"", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + b"\xff" * 40, b"<svg></svg>",
    b"<svg><dc:description>ganlab figure: {</dc:description></svg>",
    b"<svg><dc:description>ganlab figure: [1]</dc:description></svg>",
    b"<svg><dc:description>ganlab figure: " + b"[" * 100_000 + b"</dc:description></svg>",
])  # fmt: skip
def test_other_files_say_nothing(data):
    assert described(data) is None


def test_the_page_holds_the_readings_and_no_raw_name(files):
    figure = stored_figure(files[0].parent, "figure", "Curves above a map.", ink=True)
    text = render(Page("t", "spectra", sections=[Section("s", figures=[figure])]))
    assert text.count('class="reading"') == 1
    assert HOSTILE not in text
    assert '<div class="paper drawn">' in text
