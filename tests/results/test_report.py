"""A report in Markdown as the content of a page: nothing is lost, nothing is made up."""

import pytest
from PIL import Image

from ganlab.errors import GanlabError
from ganlab.results.page import Cell, render
from ganlab.results.report import Picture, report_page

TEXT = """# T & U

Before.

- one `x<y`
- **two**

After.

Command: `ganlab x`

Tolerated by request:
- size: no

## A b

words

| h | i | j |
| --- | ---: | ---: |
| 1 | \\| | 0.5 [0.4, 0.6] |
| 2 | 3x3 | 0.500 / 1.000 |

![a figure](drawn_0.png)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "report.md").write_text(TEXT)
    Image.new("RGB", (100, 50)).save(tmp_path / "drawn_0.png")
    (tmp_path / "drawn_0.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "numbers.csv").write_text("a,b\n1,2\n")
    return tmp_path


def test_every_part_has_its_place(folder):
    page = report_page(folder, "x", {"seeds": "3"}, {"drawn_": Picture(numbers="numbers.csv")})
    assert page.title == "T & U"
    assert page.summary == ["Before.", "one `x<y`", "two"]
    assert page.warnings == ["size: no"]
    section, reading = page.sections
    assert (section.title, section.text) == ("A b", ["words"])
    assert (reading.title, reading.text) == ("How to read this", ["After."])
    (table,), (figure,) = section.tables, section.figures
    assert table.rows == [["1", "|", Cell("0.5 [0.4, 0.6]", 0.5)], ["2", "3x3", Cell("0.500 / 1.000", 0.5)]]
    assert table.left == [0, 1]
    assert (figure.image, figure.alt) == (folder / "drawn_0.svg", "a figure")
    assert (figure.csv, figure.natural, figure.ink) == (folder / "numbers.csv", None, True)
    assert "x&lt;y" in render(page)


def test_photographs_are_not_inverted(folder):
    page = report_page(folder, "x", {}, {"drawn_0": Picture("Photos", ink=False)})
    figure = page.sections[0].figures[0]
    assert (figure.image.name, figure.alt, figure.caption) == ("drawn_0.svg", "Photos", "Photos")
    assert not figure.ink
    (folder / "drawn_0.svg").unlink()
    assert report_page(folder, "x", {}).sections[0].figures[0].image.name == "drawn_0.png"


def test_what_is_missing_is_named(folder, tmp_path):
    (folder / "drawn_0.png").unlink()
    (folder / "drawn_0.svg").unlink()
    with pytest.raises(GanlabError, match=r"drawn_0\.png cannot be read"):
        report_page(folder, "x", {})
    (folder / "report.md").write_text("# R\n\n![a figure\n")
    with pytest.raises(GanlabError, match="this is no figure"):
        report_page(folder, "x", {})
    (folder / "report.md").unlink()
    with pytest.raises(GanlabError, match="not finished; run the same 'ganlab x' again"):
        report_page(folder, "x", {})
