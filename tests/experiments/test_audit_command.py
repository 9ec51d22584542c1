"""``ganlab audit``: exit codes, JSON, the results folder and its page."""

import json

import numpy as np
import pytest
from forensics_images import natural
from PIL import Image


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Reals, clean fakes, and fakes of seven bits."""
    folder = tmp_path_factory.mktemp("audit")
    draw = np.random.default_rng(5)
    shifted = (
        natural(120, 32, seed=5) + draw.normal(0, 25, (120, 1, 1, 1)) + draw.normal(0, 8, (120, 1, 1, 3))
    )
    images = np.clip(np.rint(shifted), 0, 255).astype(np.uint8)
    parts = {"real": images[:60], "clean": images[60:], "seven": images[60:] // 2 * 2}
    for name, part in parts.items():
        np.save(folder / f"{name}.npy", part)
    return folder


def test_a_fair_set_ends_with_zero(ganlab, sets, tmp_path):
    done = ganlab("audit", sets / "real.npy", sets / "clean.npy", "--out", tmp_path / "out")
    assert done.code == 0
    assert "No finding" in done.stdout
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<p>None.</p>" in page
    assert "evidence</button>" not in page  # a table without rows says nothing


def test_findings_end_with_one_and_are_kept(ganlab, sets, tmp_path):
    words = ["audit", sets / "real.npy", sets / "seven.npy", "--json", tmp_path / "audit.json"]
    done = ganlab(*words, "--out", tmp_path / "out")
    assert done.code == 1
    assert "bit_depth" in done.stdout
    assert "AUC 1.000 [0.9" in done.stdout
    (found,) = json.loads((tmp_path / "audit.json").read_text())["findings"]
    assert found["kind"] == "bit_depth"
    assert found["side"] == "fakes"
    assert 0.9 < found["low"] < found["auc"] <= found["high"] == 1
    assert found["evidence"].startswith("all values lie on the levels of 7 bits")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "bit_depth" in page
    assert "Is this a fair detection set?" in page
    assert "bit_depth" in (tmp_path / "out" / "findings.csv").read_text()
    # the same again is read; the page can be written anew
    before = (tmp_path / "out" / "provenance.json").stat().st_mtime_ns
    assert ganlab(*words, "--out", tmp_path / "out").code == 1
    assert (tmp_path / "out" / "provenance.json").stat().st_mtime_ns == before
    assert ganlab("report", tmp_path / "out").code == 0


def test_several_sets_are_named(ganlab, sets):
    done = ganlab("audit", sets / "real.npy", sets / "clean.npy", sets / "seven.npy", "--name", "photos")
    assert done.code == 1
    assert "photos (60) against clean (60): No finding" in done.stdout.replace("  duplicates", "")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["real.npy", "nothing.npy"], "no such file"),
        (["real.npy", "real.npy"], "given twice"),
        (["real.npy", "clean.npy", "--limit", "2"], "4 images"),
    ],
)
def test_errors_end_with_two(ganlab, sets, words, text, monkeypatch):
    monkeypatch.chdir(sets)
    done = ganlab("audit", *words)
    assert done.code == 2
    assert text in done.stderr


def test_folders_of_several_sizes_are_audited(ganlab, tmp_path):
    for name, side in (("real", 32), ("fake", 30)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(natural(40, 32, seed=side)):
            Image.fromarray(image[:, : side if number < 20 else 32]).save(tmp_path / name / f"{number}.png")
    done = ganlab("audit", tmp_path / "real", tmp_path / "fake", "--out", tmp_path / "out")
    assert done.code == 1
    assert "size: " in done.stdout
    assert "30x32" in done.stdout
