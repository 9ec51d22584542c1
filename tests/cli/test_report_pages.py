"""``ganlab report`` opens what any verb made, and says so where it cannot."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from spectra_sets import coloured

from ganlab.cli.report import PAGES
from ganlab.data import open_image_set
from ganlab.experiments.spectra.options import SpectraOptions
from ganlab.experiments.spectra.run import compare_spectra
from ganlab.experiments.theory.run import write_theory
from ganlab.experiments.training_run import page
from ganlab.results.page import Page

HOSTILE = "<b>bold\"'&\u202eevil"


def test_a_training_run(tiny_runs, tmp_path, ganlab):
    run = tmp_path / "run"
    shutil.copytree(tiny_runs[0], run)
    done = ganlab("report", run)
    assert done.code == 0, done.output
    assert done.stdout.strip() == str(run / "index.html")
    text = (run / "index.html").read_text()
    for part in (
        "generator/adversarial",
        "upsampling",
        "nearest",
        "Samples",
        "Spectrum",
        "data:image/svg+xml",
    ):
        assert part in text
    assert not ganlab("report", run, "--out", tmp_path / "elsewhere.html").code
    assert (tmp_path / "elsewhere.html").read_text() == text


def test_an_unfinished_run_whose_last_line_was_cut(tiny_runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_runs[0], run, ignore=shutil.ignore_patterns("step-000000008.pt", "data.json"))
    with (run / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 9, "generator/adv')
    made = page(run)
    assert isinstance(made, Page)
    assert made.facts["state"] == "unfinished"
    assert "8 of 8 generator updates: not finished" in made.summary[0]


def test_a_folder_of_results_names_what_it_holds(tmp_path, ganlab):
    for name in ("b", "a", "fakes"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / "a" / "plan.json").write_text("{}")
    (tmp_path / "runs" / "b" / "config.yaml").write_text("")
    done = ganlab("report", tmp_path / "runs")
    assert done.code == 2
    folders = f"{tmp_path / 'runs' / 'a'}, {tmp_path / 'runs' / 'b'}"
    assert done.stderr == (
        f"error: {tmp_path / 'runs'} is no results folder, but holds 2; name one of them: {folders}\n"
    )


@pytest.mark.parametrize("content", [None, {}, {"photo.jpg": "x"}, {"plan.json": "{"}, {"plan.json": "[]"}])
def test_a_folder_of_no_verb_is_one_sentence(tmp_path, ganlab, content):
    folder = tmp_path / "folder"
    if content is not None:
        folder.mkdir()
        for name, text in content.items():
            (folder / name).write_text(text)
    done = ganlab("report", folder)
    assert done.code == 2
    assert str(folder) in done.stderr
    assert "Traceback" not in done.output
    if not content or "plan.json" not in content:
        assert "expected what" in done.stderr
        assert all(f"ganlab {verb}" in done.stderr for verb in PAGES)


def test_a_verb_without_a_page_is_named(tmp_path, ganlab):
    plan = {"verb": "dance", "identity": {}, "command": "ganlab dance"}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    done = ganlab("report", tmp_path)
    assert done.code == 2
    assert "results of 'ganlab dance'" in done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_runs):
    """A folder of spectra with hostile names, and one of theory."""
    place = tmp_path_factory.mktemp("made")
    real, fake = coloured(12), coloured(12, seed=1, slope=0.5)
    for name, images in (("real", real), ("fake", fake)):
        np.save(place / f"{name}.npy", images)
    sets = [open_image_set(place / f"{name}.npy") for name in ("real", "fake")]
    options = SpectraOptions(bootstrap=10, metrics="basic")
    compare_spectra(sets[0], sets[1:], place / "spectra", options, ["real", HOSTILE], [tiny_runs[0]])
    write_theory(place / "theory", 32, "ganlab theory")
    return place


@pytest.mark.parametrize("verb", ["spectra", "theory"])
def test_the_verb_writes_the_page_that_report_writes(made, verb, ganlab, tmp_path):
    page_file = made / verb / "index.html"
    text = page_file.read_text()
    assert not ganlab("report", made / verb, "--out", tmp_path / "again.html").code
    assert (tmp_path / "again.html").read_text() == text
    images = re.findall("<img [^>]*>", text)
    assert len(images) >= 3
    assert all(re.search('alt="[^"]+"', image) for image in images)
    assert all('src="data:image/' in image for image in images)
    for rule in ("prefers-color-scheme: dark", "@media print", "Content-Security-Policy"):
        assert rule in text
    assert "https:" not in text
    assert "http:" not in text


def test_hostile_names_of_sets_are_harmless(made):
    text = (made / "spectra" / "index.html").read_text()
    assert HOSTILE not in text
    assert "<b>bold" not in text
    assert "&lt;b&gt;bold" in text
    assert "\u202e" not in text


def test_a_missing_page_is_made_again(made, ganlab):
    (made / "theory" / "index.html").unlink()
    done = ganlab("theory", "--out", made / "theory", "--size", 32)
    assert "nothing was written" in done.stdout
    assert str(made / "theory" / "index.html") in done.stdout.splitlines()[-1]
    assert (made / "theory" / "index.html").is_file()
    refused = ganlab("theory", "--out", made / "theory", "--size", 64)
    assert refused.code == 2
    assert "--force" in refused.stderr
