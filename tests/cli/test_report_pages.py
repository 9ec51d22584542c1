"""``ganlab report`` opens what any verb made, and says so where it cannot."""

from __future__ import annotations

import json
import shutil

import pytest

from ganlab.cli.report import PAGES
from ganlab.experiments.training_run import page
from ganlab.results.page import Page


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
