"""What can go wrong around an ablation: bad weights, huge plans, full disks, folders changed by hand."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from ablation_results import FIXED, SMALL, in_this_process

from ganlab.errors import GanlabError
from ganlab.experiments.ablation import run as library
from ganlab.experiments.ablation.jobs import Cluster
from ganlab.experiments.ablation.measure import cell_lock
from ganlab.experiments.ablation.run import ablate, open_ablation

PLAN = {
    "base": "dcgan32",
    "overrides": {**SMALL, **FIXED},
    "axes": {"remedy": {"none": {}, "loss": {"loss.spectral": [{"kind": "axis_profiles"}]}}},
    "generate": {"num": 64},
    "measure": {"resamples": 10, "inception": False},
}
TABLES = [f"{name}.{kind}" for name in ("table", "comparisons", "ranks") for kind in ("json", "csv")]


@pytest.fixture
def plan(tmp_path):
    """A function that writes the plan with some keys replaced."""

    def write(**changes):
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump({**PLAN, **changes}, sort_keys=False))
        return tmp_path / "plan.yaml"

    return write


@pytest.fixture(scope="module")
def made_once(tmp_path_factory, cache_folder):
    """An ablation of two cells that has been run; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLAB_CACHE", str(cache_folder))
        patch.setattr(library, "run_cells", in_this_process)
        ablate(open_ablation(folder / "plan.yaml", folder / "out"), Cluster())
    return folder / "out"


@pytest.fixture
def finished(made_once, plan, tmp_path, monkeypatch):
    """A copy of it, and its rows."""
    monkeypatch.setattr(library, "run_cells", in_this_process)
    opened = open_ablation(plan(), shutil.copytree(made_once, tmp_path / "out"))
    return opened, opened.rows()


def same(found, expected):
    """Equal rows but for the time of a training that is done already."""
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for key in ours.keys() - {"seconds_training"}:
            if isinstance(theirs[key], float):
                assert ours[key] == pytest.approx(theirs[key], rel=1e-4, abs=1e-6), key
            else:
                assert ours[key] == theirs[key], key


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), "much"])
def test_weights_that_are_none_are_refused_before_anything_is_written(plan, tmp_path, weight):
    axes = {"remedy": {"none": {}, "loss": {"loss.spectral": [{"kind": "radial_profile", "weight": weight}]}}}
    text = r"cell remedy=loss: .*loss\.spectral\[0\]\.weight: got .*; expected a number >= 0"
    with pytest.raises(GanlabError, match=text):
        open_ablation(plan(axes=axes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_seeds_out_of_range_are_refused(plan):
    for seeds in ([0, -1], [3, 2**31]):
        with pytest.raises(GanlabError, match=r"seed: got -?\d+; expected an integer >= 0"):
            open_ablation(plan(seeds=seeds), "out")


def test_ten_thousand_cells_need_yes_on_the_command_line(plan, tmp_path, ganlab):
    path = plan(seeds=list(range(5000)))
    done = ganlab("ablate", path, "--out", tmp_path / "out", "--dry-run")
    assert done.code == 2
    assert "10,000 cells; add --yes if that is meant" in done.output
    options = ("--yes", "--dry-run", "--only", "seed=4999")
    done = ganlab("ablate", path, "--out", tmp_path / "out", *options)
    assert done.code == 0, done.output
    assert "2 of 2 cells to run" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("full", TABLES)
def test_a_disk_that_fills_up_during_the_tables_costs_nothing(finished, monkeypatch, full):
    """Every file is the old or the new one, whole; the next run completes without computing again."""
    opened, rows = finished
    before = {name: (opened.out / name).read_bytes() for name in TABLES}
    honest = Path.write_bytes

    def fills_up(path, data):
        if path.name.startswith(f".{full}."):
            honest(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return honest(path, data)

    (opened.out / "table.csv").write_bytes(before["table.csv"] + b"# older\n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fills_up)
        with pytest.raises(GanlabError, match=rf"{full}: No space left on device; nothing was changed there"):
            ablate(opened, Cluster())
    for name in TABLES:
        assert (opened.out / name).read_bytes() in (before[name], before[name] + b"# older\n")
    assert not list(opened.out.glob(".*.tmp"))
    monkeypatch.setattr(library, "run_cells", lambda folders, *_: {} if not folders else pytest.fail("again"))
    assert ablate(opened, Cluster()) == rows
    assert {name: (opened.out / name).read_bytes() for name in TABLES} == before
    with open(opened.out / "table.csv", newline="") as stream:
        assert [line["status"] for line in csv.DictReader(stream)] == ["finished", "finished"]


@pytest.mark.parametrize("file", ["samples.npz", "spectra.npz"])
def test_a_disk_that_fills_up_during_a_cell_is_a_failure_that_is_tried_again(
    plan, tmp_path, monkeypatch, file
):
    monkeypatch.setattr(library, "run_cells", in_this_process)
    opened = open_ablation(plan(), tmp_path / "out")
    honest = os.replace

    def full(source, target):
        if Path(target).name == file:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        honest(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        rows = ablate(opened, Cluster())
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert rows[0]["reason"] == f"cannot write {file}: No space left on device; nothing was changed there"
    weights = [opened.folder(cell) / "run" / "generator.safetensors" for cell in opened.cells]
    times = [path.stat().st_mtime_ns for path in weights]
    assert [row["status"] for row in ablate(opened, Cluster())] == ["finished", "finished"]
    assert [path.stat().st_mtime_ns for path in weights] == times  # trained once


def test_a_result_cut_off_by_hand_is_measured_again(finished):
    opened, rows = finished
    folder = opened.folder(opened.cells[0])
    (result,) = folder.glob("result-*.json")
    whole = result.read_text()
    for text in (whole[: len(whole) // 2], "[]", ""):
        result.write_text(text)
        assert opened.rows()[0]["status"] == "not run"
        same(ablate(opened, Cluster()), rows)
        assert json.loads(result.read_text())["status"] == "finished"


def test_a_spec_cut_off_by_hand_is_written_again(finished):
    opened, rows = finished
    folder = opened.folder(opened.cells[0])
    (folder / "cell.json").write_text('{"var')
    next(folder.glob("result-*.json")).unlink()
    same(ablate(opened, Cluster()), rows)


def test_a_generator_removed_by_hand_says_so_and_redo_mends_it(finished):
    """Other measurements of a run whose generator is gone: a failure with its reason, nothing else lost."""
    opened, rows = finished
    folder = opened.folder(opened.cells[0])
    (result,) = folder.glob("result-*.json")
    (folder / "run" / "generator.safetensors").unlink()
    assert ablate(opened, Cluster()) == rows  # it was measured before
    result.unlink()
    again = ablate(opened, Cluster())
    assert again[1] == rows[1]
    assert again[0]["status"] == "failed"
    assert "generator.safetensors" in again[0]["reason"]
    assert str(opened.out) not in again[0]["reason"]
    same(ablate(opened, Cluster(), redo=["remedy=none"]), rows)


def test_cells_that_a_process_works_on_are_not_removed(finished):
    opened, _ = finished
    folder = opened.folder(opened.cells[0])
    with cell_lock(folder), pytest.raises(GanlabError, match=r"a process works on .*; stop it first"):
        ablate(opened, Cluster(), redo=["remedy=none"])
    assert (folder / "samples.npz").exists()


def test_the_plan_in_the_results_needs_no_other_file(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "parent.yaml").write_text("extends: dcgan32\nmodel: {image_size: 16}\n")
    (tmp_path / "mine" / "base.yaml").write_text("extends: parent.yaml\noptimizer: {lr: 3e-4}\n")
    small = {key: value for key, value in SMALL.items() if key != "model.image_size"} | FIXED
    value = {**PLAN, "base": "base.yaml", "overrides": small, "seeds": [3, 1]}
    (tmp_path / "mine" / "plan.yaml").write_text(yaml.safe_dump(value))
    opened = open_ablation(tmp_path / "mine" / "plan.yaml", tmp_path / "out")
    monkeypatch.setattr(library, "run_cells", lambda *_: {})
    ablate(opened, Cluster(), command="ganlab ablate plan.yaml")
    ablate(opened, Cluster(), command="ganlab ablate plan.yaml --only seed=1")
    (tmp_path / "mine").rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "out" / "cells")
    again = open_ablation(tmp_path / "out" / "plan.yaml", tmp_path / "out")
    assert [cell.name for cell in again.cells] == [cell.name for cell in opened.cells]
    assert again.cells[0].config.optimizer.lr == 3e-4
    assert again.plan.measure_key == opened.plan.measure_key
    lines = (tmp_path / "out" / "commands.jsonl").read_text().splitlines()
    commands = [json.loads(line)["command"] for line in lines]
    assert commands == ["ganlab ablate plan.yaml", "ganlab ablate plan.yaml --only seed=1"]
