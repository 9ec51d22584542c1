"""The common style: atomic and reproducible files, no global state, curves that differ without colour."""

from __future__ import annotations

import matplotlib as mpl
import pytest

from ganlab.errors import GanlabError
from ganlab.results.style import COLUMN, PAGE, new_figure, save_figure, series_style, styled


@styled()
def drawn(width=COLUMN):
    figure = new_figure(width)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], **series_style(0).line(2), label="a")
    axes.legend()
    return figure


def test_figures_are_reproducible_and_complete(tmp_path):
    for name in "ab":
        svg, png = save_figure(drawn(), tmp_path / name / "v1.5")
        assert (svg.name, png.name) == ("v1.5.svg", "v1.5.png")
    for suffix in ("svg", "png"):
        assert (tmp_path / "a" / f"v1.5.{suffix}").read_bytes() == (
            tmp_path / "b" / f"v1.5.{suffix}"
        ).read_bytes()
    text = (tmp_path / "a" / "v1.5.svg").read_text()
    assert "<dc:date>" not in text
    assert 'width="252pt"' in text
    assert [path.name for path in sorted((tmp_path / "a").iterdir())] == ["v1.5.png", "v1.5.svg"]


def test_a_figure_that_cannot_be_written_leaves_the_old_one(tmp_path):
    save_figure(drawn(), tmp_path / "figure")
    before = (tmp_path / "figure.svg").read_bytes()
    broken = drawn(PAGE)
    broken.savefig = lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    with pytest.raises(GanlabError, match="No space left"):
        save_figure(broken, tmp_path / "figure")
    assert (tmp_path / "figure.svg").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_settings_last_for_the_drawing_only():
    before = dict(mpl.rcParams)
    drawn()
    assert dict(mpl.rcParams) == before


def test_no_figure_is_registered_with_pyplot(tmp_path):
    from matplotlib import _pylab_helpers

    save_figure(drawn(), tmp_path / "figure")
    assert _pylab_helpers.Gcf.get_num_fig_managers() == 0


def test_curves_differ_in_more_than_colour():
    styles = [series_style(place) for place in range(30)]
    assert len({(str(s.dashes), s.marker) for s in styles}) == 30
    assert len({s.color for s in styles[:6]}) == len({s.marker for s in styles[:6]}) == 6
    assert len({(s.color, str(s.dashes), s.marker) for s in map(series_style, range(210))}) == 210
