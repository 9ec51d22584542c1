"""The report in a real headless Chromium: ``pytest -m browser``. Fails, not skips, where there is none.

With SCREENSHOTS=FOLDER the pictures of the page are left there, to be looked at.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from ablation_results import NASTY, make_results
from chromium import NAMES, browser, find_browser
from PIL import Image


@pytest.fixture(scope="module")
def page_file(tmp_path_factory, cache_folder):
    return make_results(tmp_path_factory.mktemp("browser"), cache_folder) / "index.html"


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


@pytest.fixture
def page(chromium, page_file):
    opened = chromium.new_page()
    opened.open(page_file.as_uri())
    yield opened
    assert opened.faults == []


@pytest.fixture
def screenshots(tmp_path):
    place = Path(os.environ.get("SCREENSHOTS", tmp_path))
    place.mkdir(parents=True, exist_ok=True)
    return place


def column(page, number):
    rows = "[...document.querySelectorAll('#runs tbody tr')]"
    return page.evaluate(f"{rows}.map(row => row.children[{number}].firstChild?.textContent ?? '')")


def count(page, selector):
    return page.evaluate(f"document.querySelectorAll({selector!r}).length")


def tick(page, remedy, seed=0):
    name = page.evaluate(f"data.rows.find(row => row.remedy === {remedy!r} && row.seed === {seed}).cell")
    page.click(f'#runs input[data-cell="{name}"]')


def test_without_a_browser_it_says_what_was_looked_for(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match=r"looked for chromium, .* on PATH \(/nowhere\)"):
        find_browser()
    monkeypatch.setenv("CHROMIUM", "/nowhere/chrome")
    with pytest.raises(RuntimeError, match="looked for CHROMIUM=/nowhere/chrome"):
        find_browser()
    assert "chromium" in NAMES


@pytest.mark.browser
def test_faults_would_be_seen(chromium, tmp_path):
    """The net has no holes: an exception, a message and a request to elsewhere are all noticed."""
    for code, word in (
        ("<script>nothing.there()</script>", "nothing is not defined"),
        ("<script>console.error('a complaint')</script>", "a complaint"),
    ):
        (tmp_path / "bad.html").write_text(f"<!doctype html><title>bad</title>{code}")
        page = chromium.new_page()
        page.open((tmp_path / "bad.html").as_uri())
        assert any(word in fault for fault in page.faults)
    (tmp_path / "bad.html").write_text(
        "<!doctype html><title>bad</title><img src='http://127.0.0.1:9/x.png'>"
    )
    page = chromium.new_page()
    page.open((tmp_path / "bad.html").as_uri())
    assert any(url.startswith("http:") for url in page.requests)


@pytest.mark.browser
def test_it_loads_without_errors_and_asks_for_nothing_else(page, page_file):
    assert page.evaluate("document.title") == "Ablation out"
    assert count(page, "#runs tbody tr") == 8
    assert count(page, "#runs tfoot tr") == 1
    addresses = [url for url in page.requests if not url.startswith("data:")]
    assert addresses == [page_file.as_uri()]
    assert NASTY in column(page, 1)  # shown as text, not taken for markup
    assert page.evaluate("document.querySelectorAll('#runs b').length") == 0


@pytest.mark.browser
def test_a_click_on_a_heading_sorts(page):
    heading = "#runs thead th:nth-child(7)"
    values = lambda: [float(text.replace("\u2212", "-")) for text in column(page, 6) if text]  # noqa: E731
    plan_order = values()
    page.click(f"{heading} button")
    rising = values()
    assert rising == sorted(plan_order) != plan_order
    assert page.evaluate(f"document.querySelector('{heading}').ariaSort") == "ascending"
    assert column(page, 3)[-2:] == ["diverged", "diverged"]  # without a value: last, both ways
    page.click(f"{heading} button")
    assert values() == rising[::-1]
    assert column(page, 3)[-2:] == ["diverged", "diverged"]
    page.click("#runs thead th:nth-child(2) button")
    assert column(page, 1) == sorted(column(page, 1), key=str.lower)


@pytest.mark.browser
def test_two_picked_variants_are_two_curves_two_maps_and_two_sheets(page):
    page.click("#pick-none")
    assert count(page, "#profiles polyline.run") == count(page, "#maps figure") == 0
    tick(page, "none")
    tick(page, "learned", 1)
    charts = page.evaluate(
        "[...document.querySelectorAll('#profiles svg')].map(s => s.querySelectorAll('polyline.run').length)"
    )
    assert charts == [2, 2, 2]
    lines = "[...document.querySelectorAll('#profiles .drawing:first-child > svg polyline.run')]"
    assert len(set(page.evaluate(f"{lines}.map(line => line.getAttribute('stroke'))"))) == 2
    assert count(page, "#profiles polyline.real") == 3
    assert count(page, "#differences polyline.run") == 6
    assert count(page, "#maps figure") == count(page, "#map-differences figure") == 3  # reals or null first
    assert count(page, "#samples img") == 3
    legend = page.evaluate("document.getElementById('legend').textContent")
    assert "none \u00b7 seed 0" in legend
    assert "learned \u00b7 seed 1" in legend
    assert count(page, "#curves polyline.run") >= 4
    page.click("#pick-seeds")
    assert count(page, "#profiles polyline.run") == 12
    assert count(page, "#samples img") == 5


@pytest.mark.browser
def test_theory_and_null_control_are_toggled(page):
    page.click("#pick-none")
    tick(page, "none")
    tick(page, "learned")
    assert count(page, "polyline.theory") == 0
    assert count(page, "#profiles polyline.null") == count(page, "#differences polyline.null") == 3
    page.click("#with-null")
    assert count(page, "polyline.null") == 0
    page.click("#with-theory")
    assert count(page, "polyline.theory") == 6
    text = page.evaluate("document.getElementById('about-theory').textContent")
    assert "No theory curve for transposed" in text
    assert "nearest alone (theory)" in page.evaluate("document.getElementById('legend').textContent")
    tick(page, "none")
    assert count(page, "polyline.theory") == 0  # the last run with a fixed upsampling was unticked


@pytest.mark.browser
def test_losses_of_every_seed_and_of_a_diverged_run(page):
    page.click("#pick-none")
    tick(page, NASTY, 1)
    titles = page.evaluate("[...document.querySelectorAll('#curves svg')].map(s => s.ariaLabel)")
    assert titles[:2] == ["discriminator/adversarial", "generator/adversarial"]
    assert any(title.endswith("gradient_ratio") for title in titles)
    page.click("#pick-none")
    tick(page, "mad")
    assert count(page, "#samples img") == 0
    assert "Missing: diverged: " in page.evaluate("document.getElementById('missing').textContent")


@pytest.mark.browser
def test_the_filter_leaves_matching_rows(page):
    page.click("#filter")
    page.type("learned finished")
    assert set(column(page, 1)) == {"learned"}
    assert page.evaluate("document.getElementById('count').textContent") == "2 of 8 runs"
    page.click("#pick-none")
    page.click("#pick-shown")
    assert count(page, "#profiles .drawing:first-child > svg polyline.run") == 2


@pytest.mark.browser
def test_lines_lie_inside_their_charts(page):
    outside = page.evaluate("""[...document.querySelectorAll('polyline.run')].filter(line => {
        const chart = line.ownerSVGElement.getBoundingClientRect(), box = line.getBoundingClientRect();
        return box.left < chart.left || box.right > chart.right
            || box.top < chart.top || box.bottom > chart.bottom;
    }).length""")
    assert count(page, "polyline.run") > 0
    assert outside == 0
    wide = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert wide  # tables scroll in their own boxes, the page does not


@pytest.mark.browser
def test_it_prints_and_leaves_a_screenshot(page, screenshots):
    page.click("#with-theory")
    page.screenshot(screenshots / "report.png")
    picture = np.asarray(Image.open(screenshots / "report.png").convert("RGB"))
    assert picture.shape[1] == 1280
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000  # photos, maps, curves; not a blank page
    printed = page.pdf()
    (screenshots / "report.pdf").write_bytes(printed)
    assert printed.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 3
    assert len(re.findall(rb"/Subtype\s*/Image", printed)) >= 4
