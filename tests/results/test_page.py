"""Pages: self-contained, escaped, readable in the dark, on paper and on a phone."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import zlib
from html.parser import HTMLParser

import pytest

from ganlab.errors import GanlabError
from ganlab.results.folder import ResultsFolder
from ganlab.results.page import ROWS_SHOWN, Cell, Extra, Figure, Page, Section, Table, render, write_page

HOSTILE = "<script>alert(1)</script>\"'&\u202egnp.exe</title>{{ 7 * 7 }}"


def png(side=2):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * side) * side)) + chunk(b"IEND", b"")
    )  # fmt: skip


class Elements(HTMLParser):
    """Every element with its attributes, and the text in each kind of element."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text, self._open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open:
            self.text.setdefault(self._open[-1], []).append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def full_page(tmp_path, name=HOSTILE):
    numbers = tmp_path / "numbers.csv"
    rows = "".join(f'"{name.replace(chr(34), chr(34) * 2)}",{k}\n' for k in range(ROWS_SHOWN + 5))
    numbers.write_text("set,dB\n" + rows, encoding="utf-8")
    table = Table([name, "dB"], [[name, 1.5], [Cell(name, 2.0, "muted"), None]], name, name)
    figure = Figure(png(), name, name, numbers, ink=True)
    extra = Extra(
        "<p id='extra'>{{ page.title }}</p>", "let extra = 1 < 2;", "#extra { color: red; }", {"a": name}
    )
    section = Section(name, [name], [table], [figure])
    return Page(name, "spectra", [name], [section], {name: name}, [name], extra, {name: name})


@pytest.fixture
def text(tmp_path):
    return render(full_page(tmp_path), {
        "command": HOSTILE, "identity": HOSTILE, "versions": {HOSTILE: HOSTILE}, "complete": True,
        "inputs": [{"name": HOSTILE, "path": HOSTILE, "images": 3, "sha256": "ab"}], "files": {HOSTILE: "cd"},
    })  # fmt: skip


def test_names_never_appear_raw(text):
    elements = Elements(text)
    assert "alert(1)</script>" not in text
    assert "\u202e" not in text
    assert "\\u202egnp.exe" in text
    assert "{{ 7 * 7 }}" in text  # a name is no template
    scripts = elements.of("script")
    assert len(scripts) == 3
    assert [s.get("type") for s in scripts] == ["application/json", None, None]
    assert not [key for _, attributes in elements.found for key in attributes if key.startswith("on")]
    assert elements.text["h1"] == [HOSTILE.replace("\u202e", "\\u202e")]


def test_it_asks_for_nothing_from_elsewhere(text):
    elements = Elements(text)
    addresses = [v for _, attrs in elements.found for k, v in attrs.items() if k in ("src", "href", "srcset")]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"https?:|url\(|@import", text)


def test_the_policy_admits_its_own_script_and_style_alone(text):
    policy = next(m["content"] for m in Elements(text).of("meta") if m.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    inline = re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", text, re.S)
    assert len(inline) == 3
    for part in inline:
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not [attributes for _, attributes in Elements(text).found if "style" in attributes]


def test_dark_paper_and_phones(text):
    for rule in (
        "@media (prefers-color-scheme: dark)", "@media print", "max-width: 520px", "color-scheme: light dark",
        "prefers-reduced-motion",
    ):  # fmt: skip
        assert rule in text
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in Elements(text).of("meta")


def test_every_picture_has_words_and_numbers(text):
    elements = Elements(text)
    assert elements.of("img")
    assert all(image["alt"] for image in elements.of("img"))
    assert f"The numbers: {ROWS_SHOWN + 5} rows of numbers.csv" in text
    assert f"The first {ROWS_SHOWN};" in text
    assert f">{ROWS_SHOWN - 1}<" in text
    assert f">{ROWS_SHOWN}<" not in text


def test_cells_sort_by_their_numbers(text):
    assert '<td data-sort="1.5">1.5</td>' in text
    assert 'data-sort="2.0"' in text
    assert text.count('aria-sort="none"') == 4


def test_words_in_backticks_are_code():
    text = render(Page("t", "spectra", ["say `a < b` twice"]))
    assert "say <code>a &lt; b</code> twice" in text


def test_every_anchor_leads_somewhere(text):
    elements = Elements(text)
    ids = {attributes["id"] for _, attributes in elements.found if "id" in attributes}
    assert {link["href"][1:] for link in elements.of("a")} <= ids


def test_the_page_of_a_folder_says_what_made_it(tmp_path):
    results = ResultsFolder(
        tmp_path / "out", "measure", {"seed": 7}, inputs=[{"name": "real", "sha256": "ab12"}]
    )
    with results.open("ganlab measure A") as place:
        (place / "numbers.csv").write_text("a\n1\n")
        unfinished = write_page(place, Page("t", "measure")).read_text()
        results.finish({"x": 1})
    assert "Unfinished" in unfinished
    text = write_page(tmp_path / "out", Page("t", "measure"), tmp_path / "elsewhere.html").read_text()
    assert not (tmp_path / "elsewhere").exists()
    for part in ("ganlab measure A", "&#34;seed&#34;: 7", "ab12", "numbers.csv", "scikit-learn"):
        assert part in text
    assert "Unfinished" not in text


@pytest.mark.parametrize("content", [None, b"GIF89a"])
def test_a_figure_that_cannot_be_shown_is_named(tmp_path, content):
    if content:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(GanlabError, match=r"figure.*a\.png"):
        render(Page("t", "v", sections=[Section("s", figures=[Figure(tmp_path / "a.png", "alt")])]))


def test_numbers_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "n.csv").write_bytes(b"\xff\xfe")
    for name in ("n.csv", "missing.csv"):
        with pytest.raises(GanlabError, match=name.replace(".", r"\.")):
            render(
                Page("t", "v", sections=[Section("s", figures=[Figure(png(), "alt", csv=tmp_path / name)])])
            )
