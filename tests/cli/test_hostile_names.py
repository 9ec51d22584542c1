"""Names of runs, sets, classes and files are text: a page shows them and is not changed by them."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from forensics_images import natural
from patch_sets import keep_detector, png_folder, stripes
from PIL import Image

NAMES = [
    "<img src=x onerror=alert(1)>",
    "$\\frac{x$ 100% _{",
    "a|b`c`**d** </script><b>",
    "![x](y.png) {{ 7*7 }}",
]
SCRIPTS, IMAGES = "script", "img"


class Elements(HTMLParser):
    """Counts the elements of a page and keeps what no page of ganlab has."""

    def __init__(self, text):
        super().__init__()
        self.count, self.strange = {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        given = dict(attrs)
        handlers = [name for name in given if name.startswith("on")]
        source = given.get("src") or "data:"
        if (
            handlers
            or not source.startswith("data:")
            or not (given.get("href") or "#").startswith(("#", "data:,"))
        ):
            self.strange.append((tag, attrs))


@pytest.fixture
def sets(tmp_path):
    """Four folders of 24 images, their classes and files as hostile as they."""
    for number, name in enumerate(NAMES):
        folder = tmp_path / "sets" / name / "<i>class$_{"
        folder.mkdir(parents=True)
        for index, image in enumerate(natural(24, 32, seed=number)):
            Image.fromarray(image).save(folder / f"<b>$x_{{{index}.png")
    return [tmp_path / "sets" / name for name in NAMES]


def checked(page, plain):
    """The elements of a page are those of the same page about plain names."""
    found, other = Elements(page.read_text()), Elements(plain.read_text())
    assert found.strange == []
    assert found.count == other.count


def plainly(sets, tmp_path):
    """The same sets under plain names."""
    for name, folder in zip("rabc", sets, strict=True):
        shutil.copytree(folder, tmp_path / name)
    return [tmp_path / name for name in "rabc"]


def test_a_comparison_of_sets(ganlab, sets, tmp_path):
    options = ("--bootstrap", 0, "--metrics", "basic")
    code, _, error = ganlab("spectra", *sets[:2], "--out", tmp_path / "<u>out$", *options)
    assert code == 0, error
    code, _, error = ganlab("spectra", *plainly(sets, tmp_path)[:2], "--out", tmp_path / "plain", *options)
    assert code == 0, error
    checked(tmp_path / "<u>out$" / "index.html", tmp_path / "plain" / "index.html")


def test_a_detection(ganlab, sets, tmp_path):
    options = (
        "--system",
        "both+logistic",
        "--seeds",
        1,
        "--resamples",
        20,
        "--bands",
        0,
        "--allow",
        "near_duplicates",
    )
    code, _, error = ganlab("detect", *sets[:3], "--out", tmp_path / "<u>out$", *options)
    assert code == 0, error
    code, _, error = ganlab("detect", *plainly(sets, tmp_path)[:3], "--out", tmp_path / "plain", *options)
    assert code == 0, error
    checked(tmp_path / "<u>out$" / "index.html", tmp_path / "plain" / "index.html")


def test_a_run(ganlab, tiny_runs, tmp_path):
    hostile, plain = tmp_path / NAMES[0], tmp_path / "plain"
    for run in (hostile, plain):
        shutil.copytree(tiny_runs[0], run)
    data = json.loads((hostile / "data.json").read_text())
    data |= {"source": NAMES[0], "path": NAMES[2], "class_names": NAMES, "notes": NAMES}
    (hostile / "data.json").write_text(json.dumps(data))
    environment = json.loads((hostile / "environment.json").read_text())
    (hostile / "environment.json").write_text(json.dumps(dict.fromkeys(environment, NAMES[2])))
    with (hostile / "metrics.jsonl").open("a") as stream:
        stream.write(json.dumps({"step": 8, "<b>$x_{": 1.0, "a/$\\frac{/logit": 2}) + "\n")
    (hostile / "log.txt").write_text("\n".join(NAMES))
    for run in (hostile, plain):
        code, _, error = ganlab("report", run)
        assert code == 0, error
    found = Elements((hostile / "index.html").read_text())
    assert found.strange == []
    assert found.count[SCRIPTS] == Elements((plain / "index.html").read_text()).count[SCRIPTS]


def test_an_audit(ganlab, sets, tmp_path):
    code, _, error = ganlab("audit", *sets, "--out", tmp_path / "<u>out$")
    assert code in (0, 1), error
    code, _, error = ganlab("audit", *plainly(sets, tmp_path), "--out", tmp_path / "plain")
    assert code in (0, 1), error
    checked(tmp_path / "<u>out$" / "index.html", tmp_path / "plain" / "index.html")


@pytest.mark.slow
def test_a_probe(ganlab, tiny_runs, tmp_path):
    runs = tmp_path / NAMES[2].replace("/", "_"), tmp_path / "run"
    outs = tmp_path / "<u>out$", tmp_path / "plain"
    for run, out in zip(runs, outs, strict=True):
        shutil.copytree(tiny_runs[1], run)
        assert ganlab("probe", run, "--samples", 16, "--out", out).code in (0, 1)
        assert ganlab("report", out).code == 0
    checked(*(out / "index.html" for out in outs))


@pytest.mark.slow
def test_a_fake_set(ganlab, tiny_runs, tmp_path):
    """Its runs' names are those of its folders, and of what is measured of them."""
    run = tmp_path / "runs" / NAMES[0]
    shutil.copytree(tiny_runs[0], run)
    out = tmp_path / NAMES[1]
    for words in (["--num", 40, "--with-real"], ["--num", 40, "--with-real", "--format", "zip"]):
        shutil.rmtree(out, ignore_errors=True)
        done = ganlab("generate", run, *words, "--out", out)
        assert done.code == 0, done.stderr
        assert ganlab("generate", "--verify", out).code == 0


@pytest.mark.slow
def test_heat_maps_and_an_evasion(ganlab, tiny_runs, tmp_path):
    pages = []
    for outer, names in (("hostile", NAMES), ("plain", ["r", "f", "d", "g"])):
        place = tmp_path / outer
        real, fake = stripes(60, 16, 3)
        folders = []
        for name, one in zip(names[:2], (real, fake), strict=True):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            folders.append(png_folder(place / name, one.read(np.arange(30))))
        home = place / names[2]
        home.mkdir(parents=True)
        model = keep_detector(home, real, fake, backbone="xception", depth=1, epochs=2)
        shutil.copytree(tiny_runs[0], place / names[3])
        allow = [word for name in ("jpeg_grid", "resampling") for word in ("--allow", name)]
        short = ["--resamples", 10, *allow]
        out = place / "patches" / names[0]
        line = ["--shown", 2, "--gallery", 2, "--pairs", 1]
        done = ganlab("patches", model, *folders, "--out", out, *line, *short)
        assert done.code == 0, done.output
        pages.append(out / "index.html")
        out = place / "evade" / names[1]
        line = ["--num", 24, "--steps", 2, "--batch", 4, "--seeds", 1, "--epochs", 1]
        words = [place / names[3], "--model", model, "--real", folders[0], "--out", out, *line, *short]
        done = ganlab("evade", *words)
        assert done.code == 0, done.output
        pages.append(out / "index.html")
    checked(pages[0], pages[2])
    checked(pages[1], pages[3])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "a\nb", "\u202eabc", "-x", "é" * 60, "%s{0}", "a b\tc"])
def test_quickstart_in_a_hostile_folder(name, ganlab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = ganlab("quickstart", f"--out={name}", "--size", "tiny", "--steps", 2)
    assert done.code == 0, done.output
    assert Elements((tmp_path / name / "index.html").read_text()).strange == []
    assert ganlab("report", "--", name).code == 0
