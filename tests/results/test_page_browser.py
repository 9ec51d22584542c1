"""Pages in a real headless Chromium: ``pytest -m browser``. Fails, not skips, where there is none.

With SCREENSHOTS=FOLDER the pictures are left there, to be looked at.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from chromium import browser
from PIL import Image

from ganlab.results.page import Page, Section, Table, stored_figure, write_page
from ganlab.results.style import PAGE, REAL, new_figure, save_figure, series_style, styled
from ganlab.results.tables import write_csv

SETS = ("real", "nearest", "transposed <b>\u202e")


@styled()
def draw(folder):
    """Two panels, curves and a map, with the names that a page needs."""
    figure = new_figure(PAGE, 2.6)
    left, right = figure.subplots(1, 2)
    frequencies = np.arange(1, 17) / 32
    for place, name in enumerate(SETS):
        style = REAL if place == 0 else series_style(place - 1)
        left.plot(frequencies, -10.0 * place - 20 * frequencies, label=name, **style.line(16, place))
    left.fill_between(frequencies, -40, -35, color=series_style(0).color, alpha=0.1)
    left.set(xlabel="frequency (cycles per pixel)", ylabel="power (dB)")
    levels = np.arange(12.0).reshape(3, 4)
    picture = right.imshow(levels, origin="lower", extent=(-0.5, 0.5, -0.5, 0.5), aspect="auto")
    right.set(xlabel="horizontal frequency (cycles per pixel)", ylabel="vertical (cycles per pixel)")
    figure.colorbar(picture, ax=right, label="difference (dB)")
    figure.legend(loc="outside lower center", ncols=3)
    save_figure(figure, folder / "curves")
    write_csv(folder / "curves.csv", ["frequency", *SETS], [[f, 1.0, 2.0, 3.0] for f in frequencies.tolist()])


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    draw(folder)
    rows = [[f"set {k}", (7 * k) % 13, "a rather long sentence " * 3] for k in range(13)]
    sentence = "the mean of red is 62.0 in the reals and 85.2 in the fakes, and so is that of green " * 2
    findings = [["bilinear", "palette", 0.93, "reals", sentence], ["bilinear", "counts", 0.5, None, "`few`"]]
    header = [
        "fakes",
        "kind",
        "area of a detector that sees only this",
        "which set looks processed",
        "evidence",
    ]
    section = Section(
        "Curves", tables=[Table(["set", "dB", "words"], rows, left=(0, 2))],
        figures=[stored_figure(folder, "curves", "Three curves and a map.", ink=True)],
    )  # fmt: skip
    audit = Section("Findings", tables=[Table(header, findings, left=(0, 1, 3, 4))])
    page = Page("A page", "spectra", ["One sentence."], [section, audit], warnings=["a", "b"])
    return write_page(folder, page)


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


@pytest.fixture(params=[1280, 390])
def page(request, chromium, page_file):
    opened = chromium.new_page(request.param)
    opened.open(page_file.as_uri())
    yield opened
    assert opened.faults == []
    assert all(address.startswith(("file:", "data:")) for address in opened.requests)


NOTE = "document.querySelector('.note-of-curves')"


def words(page, place=0):
    """What the figure's note says, line by line."""
    code = f"[...document.querySelectorAll('.note-of-curves')].at({place}).innerText"
    return page.evaluate(code).replace("\u00a0", " ").split("\n")


def key(page, name):
    page.call("Input.dispatchKeyEvent", type="keyDown", key=name)
    page.call("Input.dispatchKeyEvent", type="keyUp", key=name)


def move_to(page, area, across, down):
    """The pointer to a part of an axes, from its left and its top."""
    x, y = page.evaluate(f"""(() => {{ const node = document.querySelectorAll('.area')[{area}];
        node.scrollIntoView({{block: 'center', inline: 'center', behavior: 'instant'}});
        const box = node.getBoundingClientRect();
        return [box.x + {across} * box.width, box.y + {down} * box.height]; }})()""")
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)


@pytest.mark.browser
def test_a_pointer_reads_the_values_of_all_sets(page):
    assert page.evaluate(f"{NOTE}.hidden")
    middle = (0.25 - 1 / 32) / (0.5 - 1 / 32)  # the axis ends a little beyond the data
    move_to(page, 0, 0.045 + 0.91 * middle, 0.5)
    text = words(page)
    assert text[0] == "frequency 0.25 cycles per pixel"
    assert text[1:] == [
        "real",
        "\u22125 dB",
        "nearest",
        "\u221215 dB",
        "transposed <b>\\u202e",
        "\u221225 dB",
    ]
    # On a phone it stands below the figure, whose frame would cut it off.
    assert page.evaluate(f"{NOTE}.closest('.paper') === null") == (page.evaluate("window.innerWidth") < 500)
    rule = page.evaluate("document.querySelector('.rule').getBoundingClientRect().x")
    area = page.evaluate("(b => [b.x, b.width])(document.querySelector('.area').getBoundingClientRect())")
    assert abs((rule - area[0]) / area[1] - (0.045 + 0.91 * middle)) < 0.02
    move_to(page, 1, 0.1, 0.1)
    text = words(page, -1)
    assert text[0].startswith("horizontal frequency \u22120.375 cycles per pixel, vertical 0.3333")
    assert text[1] == "difference 8 dB"  # the third row from below, its first cell


@pytest.mark.browser
def test_arrow_keys_read_them_too(page):
    page.evaluate("document.querySelector('.area').focus({focusVisible: true})")
    before = words(page)[0]
    key(page, "ArrowRight")
    after = words(page)[0]
    steps = [float(text.split()[1]) for text in (before, after)]
    assert steps[1] - steps[0] == pytest.approx(1 / 32, abs=1e-4)
    key(page, "Escape")
    assert page.evaluate(f"{NOTE}.hidden")


@pytest.mark.browser
def test_a_set_can_be_left_out_and_taken_in_again(page):
    drawn = "decodeURIComponent(document.querySelector('main img').src)"
    assert page.evaluate("document.querySelectorAll('[aria-pressed]').length") == len(SETS)
    page.click("[aria-pressed]:nth-of-type(2)")
    assert page.evaluate(f"{drawn}.match(/display=.none/g).length") == 2  # the curve and its band
    page.evaluate("document.querySelector('.area').focus({focusVisible: true})")
    assert "nearest" not in words(page)
    page.click("[aria-pressed=false]")
    assert page.evaluate(f"{drawn}.match(/display=.none/g)") is None


@pytest.mark.browser
def test_a_figure_is_enlarged_and_put_back(page):
    width = page.evaluate("document.querySelector('.drawing').clientWidth")
    page.click(".enlarge")
    assert page.evaluate("document.querySelector('dialog').open")
    for _ in range(3):
        key(page, "+")
    assert page.evaluate("document.querySelector('dialog .drawing').clientWidth") > max(width, 1000)
    move_to(page, 0, 0.5, 0.5)
    assert not page.evaluate(f"{NOTE}.hidden")
    page.click("dialog button[aria-label=Close]")
    assert page.evaluate("document.querySelector('figure .drawing').clientWidth") == width
    assert page.evaluate("document.activeElement.className") == "enlarge"


@pytest.mark.browser
def test_the_page_itself_never_scrolls_sideways(page):
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.click("details summary")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_a_first_column_is_never_squeezed_to_letters(page):
    """A wide table on a narrow screen scrolls; its names stay readable beside it."""
    assert page.evaluate("document.querySelector('tbody td').getBoundingClientRect().width") >= 80


@pytest.mark.browser
def test_long_texts_have_room_and_are_cards_on_phones(page):
    share = page.evaluate("""(box => { const last = box.querySelector('td:last-child span');
        return [last.offsetWidth / box.clientWidth, box.scrollWidth <= box.clientWidth,
          getComputedStyle(box.querySelector('thead')).display, last.parentNode.dataset.title]; })
        (document.querySelector('.cards'))""")
    narrow = page.evaluate("window.innerWidth") < 500
    assert share[0] > 0.4
    assert share[1:] == [True, "none" if narrow else "table-header-group", "evidence"]
    hidden = "getComputedStyle(document.querySelector('.cards tr:last-child td:nth-child(4)')).display"
    assert (page.evaluate(hidden) == "none") == narrow  # an empty value needs no line of its own


@pytest.mark.browser
def test_tables_sort_and_filter(page):
    page.click("main .table th:nth-child(2) button")
    rows = "document.querySelector('main .table').querySelectorAll('tbody tr:not([hidden])')"
    column = f"[...{rows}].map(row => row.cells[1])"
    assert page.evaluate(f"{column}.map(cell => Number(cell.textContent))") == list(range(13))
    page.click("input[type=search]")
    page.type("set 12")
    assert page.evaluate(f"{column}.length") == 2  # the row of set 12, and the row of the number 12


@pytest.mark.browser
def test_dark_and_paper(chromium, page_file, tmp_path):
    place = Path(os.environ.get("SCREENSHOTS", tmp_path))
    place.mkdir(parents=True, exist_ok=True)
    levels = {}
    for scheme in ("light", "dark"):
        opened = chromium.new_page(1280)
        wanted = {"name": "prefers-color-scheme", "value": scheme}
        opened.call("Emulation.setEmulatedMedia", features=[wanted])
        opened.open(page_file.as_uri())
        opened.screenshot(place / f"page-{scheme}.png")
        levels[scheme] = np.asarray(Image.open(place / f"page-{scheme}.png").convert("L")).astype(float)
    # The drawing's paper too: less than one pixel in a hundred of the dark page is nearly white.
    assert np.median(levels["light"]) > 230 > 60 > np.median(levels["dark"])
    assert (levels["dark"] > 240).mean() < 0.01
    opened.call("Emulation.setEmulatedMedia", media="print")
    assert opened.evaluate("getComputedStyle(document.querySelector('footer')).display") == "none"
    printed = opened.pdf()
    (place / "page.pdf").write_bytes(printed)
    assert printed.startswith(b"%PDF-")
