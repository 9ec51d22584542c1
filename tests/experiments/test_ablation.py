"""Ablations: plans and what is wrong with them, cells, kills, failures, the tables."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import yaml
from shared import SMALL_CODER

from ganlab.errors import GanlabError
from ganlab.experiments.ablation import jobs as ablation_jobs
from ganlab.experiments.ablation import measure
from ganlab.experiments.ablation import run as library
from ganlab.experiments.ablation.jobs import Cluster, check_cluster
from ganlab.experiments.ablation.measure import run_cell
from ganlab.experiments.ablation.plan import chosen
from ganlab.experiments.ablation.run import ablate, estimates, open_ablation
from ganlab.experiments.ablation.tables import difference, paired, ranks
from ganlab.spectra import DEVIATIONS
from ganlab.util.atomic import write_json

SMALL = {
    "model.image_size": 16, "model.generator.width": 8, "model.discriminator.width": 8,
    "model.generator.z_dim": 8, "data.num_images": 120, "training.batch_size": 8, "training.steps": 6,
    "training.device": "cpu", "training.threads": 1, "logging.samples_every": 6, "logging.log_every": 1,
    "logging.checkpoint_every": 2,
}  # fmt: skip
PLAN = {
    "base": "dcgan32",
    "overrides": SMALL,
    "axes": {
        "model.upsampling.name": ["nearest", "transposed"],
        "remedy": {"none": {}, "loss": {"loss.spectral": [{"kind": "axis_profiles"}]}},
    },
    "seeds": [0, 1],
    "generate": {"num": 70},
    "measure": {"resamples": 10},
}


@pytest.fixture
def plan(tmp_path):
    """A function that writes the plan with some keys replaced (None: removed)."""

    def write(**changes):
        value = {key: item for key, item in {**PLAN, **changes}.items() if item is not None}
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(value, sort_keys=False))
        return tmp_path / "plan.yaml"

    return write


@pytest.fixture
def serial(monkeypatch):
    """Cells one after the other in this process; the queue has a test of its own."""
    ran = []

    def run_cells(folders, logs, cluster, done):
        failures = {}
        for folder in folders:
            ran.append(folder.name)
            if run_cell(folder) == "failed":
                failures[folder] = json.loads((folder / "failure.json").read_text())["reason"]
        return failures

    monkeypatch.setattr(library, "run_cells", run_cells)
    return ran


def same(found, expected):
    """Equal tables but for times; numbers up to the rounding in which an FFT may differ between processes."""
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for key in ours.keys() - {"seconds_training"}:
            if isinstance(theirs[key], float):
                assert ours[key] == pytest.approx(theirs[key], rel=1e-4, abs=1e-6), key
            else:
                assert ours[key] == theirs[key], key


def test_a_plan_expands_to_every_combination_and_seed(plan):
    opened = open_ablation(plan(), "out")
    assert len(opened.cells) == 2 * 2 * 2
    assert [cell.title for cell in opened.cells][:3] == [
        "model.upsampling.name=nearest, remedy=none, seed 0",
        "model.upsampling.name=nearest, remedy=none, seed 1",
        "model.upsampling.name=nearest, remedy=loss, seed 0",
    ]
    assert len({cell.key for cell in opened.cells}) == 8
    first, last = opened.cells[0].config, opened.cells[-1].config
    assert (first.model.upsampling.name, first.seed, first.loss.spectral) == ("nearest", 0, ())
    assert (last.model.upsampling.name, last.seed, len(last.loss.spectral)) == ("transposed", 1, 1)
    assert opened.cells[0].name.startswith("nearest-none-s0-")


def test_what_does_not_change_the_numbers_does_not_change_the_cell(plan):
    keys = [cell.key for cell in open_ablation(plan(), "out").cells]
    quiet = {**SMALL, "logging.log_every": 3, "training.threads": 2}
    assert [cell.key for cell in open_ablation(plan(overrides=quiet), "out").cells] == keys
    longer = {**SMALL, "training.steps": 7}
    assert not set(keys) & {cell.key for cell in open_ablation(plan(overrides=longer), "out").cells}


WRONG = {
    "unknown axis": (
        {"axes": {"model.upsampling.nam": ["nearest"]}},
        "no configuration has such a key; did you mean 'name'",
    ),
    "empty axis": ({"axes": {"remedy": {}}}, "axis 'remedy' is empty"),
    "empty list": ({"axes": {"optimizer.lr": []}}, "axis 'optimizer.lr' is empty"),
    "no axes": ({"axes": {}}, "at least one axis and one seed"),
    "no seeds": ({"seeds": []}, "at least one axis and one seed"),
    "two axes with the same key": (
        {"axes": {"optimizer.lr": [1e-4], "speed": {"slow": {"optimizer.lr": 1e-5}}}},
        "'optimizer.lr' and 'speed' both set optimizer.lr",
    ),
    "one axis inside another": (
        {"axes": {"up": {"a": {"model.upsampling": "nearest"}}, "t": {"b": {"model.upsampling.tail": {}}}}},
        "'up' and 't' both set model.upsampling",
    ),
    "seed as an axis": ({"axes": {"seed": [1, 2]}}, "cannot be called 'seed'"),
    "an axis that overrides decide": (
        {"axes": {"remedy": {"short": {"training.steps": 3}}}},
        "'remedy' and 'overrides' both set training.steps",
    ),
    "seed inside": ({"axes": {"a": {"b": {"seed": 3}}}}, "'a' and 'seeds' both set seed"),
    "twice a value": ({"axes": {"optimizer.lr": [1e-4, 0.0001]}}, "has a value twice"),
    "twice a seed": ({"seeds": [1, 1]}, "a seed stands twice"),
    "variant": ({"axes": {"remedy": {"none": 3}}}, "variant 'none': expected a mapping from key paths"),
    "nameless": ({"axes": {"optimizer.betas": [[0.5, 0.9]]}}, "give lists and sections names"),
    "baseline": (
        {"baseline": {"remedy": "nothing"}},
        "nothing is not in the plan; expected one of none, loss",
    ),
    "unknown key": ({"axis": {}}, "axis: Extra inputs are not permitted; did you mean 'axes'"),
    "no base": ({"base": None}, "base: Field required"),
    "bad base": ({"base": "dcgan33"}, "dcgan33"),
    "bad value": (
        {"axes": {"model.upsampling.name": ["nearest", "nearets"]}},
        "cell model.upsampling.name=nearets: .*did you mean 'nearest'",
    ),
    "weights": ({"generate": {"weights": "best"}}, "generate.weights"),
    "a limit of each cell": (
        {"overrides": {**SMALL, "training.max_minutes": 9.0}},
        "training.max_minutes is 9.* ganlab ablate --minutes",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_plan_is_said(plan, case):
    changes, text = WRONG[case]
    with pytest.raises(GanlabError, match=text):
        open_ablation(plan(**changes), "out")


def test_a_key_that_stands_twice_in_the_file(plan, tmp_path):
    text = plan().read_text().replace("seeds:", "axes:\n  optimizer.lr: [1e-4]\nseeds:")
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(GanlabError, match="duplicate key"):
        open_ablation(tmp_path / "plan.yaml", "out")
    with pytest.raises(GanlabError, match=r"other\.yaml is missing"):
        open_ablation(tmp_path / "other.yaml", "out")


def test_ten_thousand_cells_ask_for_confirmation(plan):
    with pytest.raises(GanlabError, match=r"10,000 cells; add --yes"):
        open_ablation(plan(seeds=list(range(2500))), "out")
    many = plan(seeds=list(range(130)))
    with pytest.raises(GanlabError, match="520 cells"):
        open_ablation(many, "out")
    assert len(open_ablation(many, "out", confirmed=True).cells) == 520


def test_overrides_hold_for_all_cells(plan):
    opened = open_ablation(plan(), "out", overrides=["training.steps=3", "optimizer.betas=[0.1, 0.9]"])
    assert {cell.config.training.steps for cell in opened.cells} == {3}
    assert {cell.config.optimizer.betas for cell in opened.cells} == {(0.1, 0.9)}
    with pytest.raises(GanlabError, match=r"expected key\.path=value"):
        open_ablation(plan(), "out", overrides=["training.steps"])


def test_filters(plan):
    cells = open_ablation(plan(), "out").cells
    assert len(chosen(cells, [])) == 8
    assert len(chosen(cells, ["remedy=loss", "seed=1"])) == 2
    assert len(chosen(cells, ["seed=0", "seed=1", "model.upsampling.name=nearest"])) == 4
    with pytest.raises(GanlabError, match=r"no cell has remedy=los.*did you mean 'loss'"):
        chosen(cells, ["remedy=los"])
    with pytest.raises(GanlabError, match=r"no cell has remdy=loss: .*did you mean 'remedy'"):
        chosen(cells, ["remdy=loss"])


def test_an_ablation_from_plan_to_tables(plan, serial, tmp_path, capsys):
    opened = open_ablation(plan(), tmp_path / "out")
    rows = ablate(opened, Cluster(), only=["seed=0"])
    assert [row["status"] for row in rows] == ["finished", "not run"] * 4
    rows = ablate(opened, Cluster())
    assert len(serial) == 8
    assert [row["status"] for row in rows] == ["finished"] * 8
    with (tmp_path / "out" / "table.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [row["cell"] for row in table] == [cell.name for cell in opened.cells]
    for row in table:
        assert (row["reals"], row["reals_held_out"], row["fakes"], row["step"]) == ("70", "12", "70", "6")
        for name in DEVIATIONS:
            if row[name]:
                assert {f"{name}_low", f"{name}_high", f"{name}_null_high"} <= row.keys()
        assert float(row["mean_db"]) > 0
        assert float(row["swd"]) > float(row["swd_null"]) / 2 > 0
        assert row["fid"] or row["inception_not_computed"]
    assert json.loads((tmp_path / "out" / "table.json").read_text()) == rows
    before = (tmp_path / "out" / "table.csv").read_bytes()
    ablate(opened, Cluster())
    assert len(serial) == 8  # nothing was computed again
    assert (tmp_path / "out" / "table.csv").read_bytes() == before
    ablate(opened, Cluster(), redo=["remedy=loss", "seed=1"])
    assert len(serial) == 10
    same(json.loads((tmp_path / "out" / "table.json").read_text()), rows)
    comparisons = json.loads((tmp_path / "out" / "comparisons.json").read_text())
    assert {line["axis"] for line in comparisons} == {"model.upsampling.name", "remedy"}
    assert all(line["seeds"] <= 2 for line in comparisons)
    assert "8 done" in capsys.readouterr().out


def test_a_plan_asks_what_detectors_find(plan, serial, tmp_path):
    axes = {"model.upsampling.name": ["nearest", "transposed"]}
    plain = open_ablation(plan(axes=axes, seeds=[0]), tmp_path / "out")
    measured = {"resamples": 10, "detect": ["radial+logistic"]}
    asked = open_ablation(plan(axes=axes, seeds=[0], measure=measured), tmp_path / "out")
    # results of plans without detectors keep their name, and so go on to hold
    assert plain.plan.measure_key != asked.plan.measure_key
    assert "detect" not in plain.plan.file.measure.plain()
    rows = ablate(asked, Cluster())
    for row in rows:
        assert row["status"] == "finished"
        assert row["detect_radial+logistic"] > 0.8  # six steps of training are seen by anything
        low, high = (row[f"detect_radial+logistic_{end}"] for end in ("low", "high"))
        assert low < row["detect_radial+logistic"] <= high
        assert 0 <= row["detect_radial+logistic_null"] <= row["detect_radial+logistic_null_high"]
    comparisons = json.loads((tmp_path / "out" / "comparisons.json").read_text())
    assert "detect_radial+logistic" in {line["metric"] for line in comparisons}
    page = (tmp_path / "out" / "index.html").read_text()
    assert "found by radial+logistic" in page
    assert "what radial+logistic finds: no interval from a single seed" in page
    with pytest.raises(GanlabError, match=r"measure\.detect: unknown detector 'logistics'.*did you mean"):
        open_ablation(plan(measure={"detect": ["radial+logistics"]}), tmp_path / "other")


def test_diverged_and_failed_cells_are_rows_and_the_others_go_on(plan, serial, tmp_path):
    axes = {
        "speed": {"sane": {}, "mad": {"optimizer.lr": 1e30}},
        "remedy": {"none": {}, "edited": {"data.flip": False}},
    }
    opened = open_ablation(plan(axes=axes, seeds=[0]), tmp_path / "out")
    edited = next(cell for cell in opened.cells if cell.title.startswith("speed=sane, remedy=edited"))
    # A run folder edited by hand: another configuration than the cell's.
    ablate(opened, Cluster(), only=["remedy=edited", "speed=sane"])
    (opened.folder(edited) / f"result-{opened.plan.measure_key}.json").unlink()
    config = opened.folder(edited) / "run" / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.0002", "lr: 0.0005"))
    said = []
    rows = ablate(opened, Cluster(), say=said.append)
    status = {(row["speed"], row["remedy"]): row["status"] for row in rows}
    assert status == {
        ("sane", "none"): "finished", ("sane", "edited"): "failed",
        ("mad", "none"): "diverged", ("mad", "edited"): "diverged",
    }  # fmt: skip
    failed = next(row for row in rows if row["status"] == "failed")
    assert "optimizer.lr: 0.0005 there, 0.0002 asked for" in failed["reason"]
    diverged = next(row for row in rows if row["status"] == "diverged")
    assert diverged["step"] >= 1
    assert diverged["mean_db"] is None
    assert any(line.startswith("diverged: mad-none-s0") for line in said)
    # Once more: diverged cells are final, the failed one is tried again and, mended, finishes.
    config.write_text(config.read_text().replace("lr: 0.0005", "lr: 0.0002"))
    count = len(serial)
    assert {row["status"] for row in ablate(opened, Cluster())} == {"finished", "diverged"}
    assert len(serial) == count + 1
    worst = [line for line in ranks(opened.plan, rows) if line["metric"] == "mean_db"]
    assert [line["mean_rank"] for line in worst] == [1.0, 3.0, 3.0, 3.0]


def test_a_full_disk_while_the_table_is_written_loses_nothing(plan, serial, tmp_path, monkeypatch):
    opened = open_ablation(plan(seeds=[0], axes={"optimizer.lr": [1e-4]}), tmp_path / "out")
    honest = os.replace

    def full(source, target):
        if Path(target).name == "table.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        honest(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(GanlabError, match=r"table.json: No space left"):
            ablate(opened, Cluster())
    assert ablate(opened, Cluster())[0]["status"] == "finished"
    assert len(serial) == 1


def test_somebody_elses_folder_is_refused(plan, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("x")
    with pytest.raises(GanlabError, match=r"is no result of .ganlab ablate."):
        ablate(open_ablation(plan(), tmp_path / "out"), Cluster())


def test_clusters_that_are_not_there(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GanlabError, match="looked for sbatch and srun on PATH and found none"):
        check_cluster(Cluster("slurm"))
    with pytest.raises(GanlabError, match="expected local or slurm"):
        check_cluster(Cluster("cloud"))
    with pytest.raises(GanlabError, match=r"--option timeout_min: .* add --cluster slurm"):
        check_cluster(Cluster("local", 1, {"timeout_min": 7}))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(GanlabError, match="pip install submitit"):
        check_cluster(Cluster("slurm"))
    check_cluster(Cluster("local"))  # one machine needs no extra


def test_a_dry_run_times_nothing_unless_asked_and_writes_nothing(plan, tmp_path, capsys, monkeypatch):
    from ganlab.cli.ablate import ablate as command

    path = plan(seeds=[0, 1])
    with monkeypatch.context() as patch:
        patch.setattr(library, "seconds_per_step", lambda config: pytest.fail("timed"))
        command(path, None, tmp_path / "out", dry_run=True)
    said = capsys.readouterr().out
    assert "8 of 8 cells to run\n--estimate times three steps" in said
    assert "to run  model.upsampling.name=nearest, remedy=none, seed 0, 6 steps" in said
    asked = []
    monkeypatch.setattr(library, "seconds_per_step", lambda config: asked.append(config) or 60.0)
    command(path, None, tmp_path / "out", estimate=True)
    said = capsys.readouterr().out
    assert "   6.0 min  model.upsampling.name=nearest, remedy=none, seed 1, 6 steps" in said
    assert "about 0.8 hours of training" in said
    assert len(asked) == 4  # once a variant
    assert not (tmp_path / "out").exists()


def test_three_steps_are_timed_on_noise(plan):
    config = open_ablation(plan(), "out").cells[0].config
    assert 0 < measure.seconds_per_step(config) < 60


def test_a_finished_seed_tells_what_the_others_cost(plan, serial, tmp_path):
    opened = open_ablation(plan(axes={"optimizer.lr": [1e-4, 2e-4]}), tmp_path / "out")
    ablate(opened, Cluster(), only=["seed=0", "optimizer.lr=0.0001"])
    done, known, unknown, _ = estimates(opened)
    assert done.done
    assert known.seconds == done.seconds > 0
    assert not known.done
    assert unknown.seconds is None


def start(path, out):
    command = [sys.executable, "-m", "ganlab", "ablate", str(path), "--out", str(out), "--at-once", "2"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition, process=None, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end or (process is not None and process.poll() is not None):
            raise AssertionError(process.communicate()[0] if process is not None else "it never came true")
        time.sleep(0.02)


def alive(pid):
    """Whether it runs; one that has ended may wait for a parent that never asks (state Z)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killed_runs_and_killed_controllers(plan, serial, tmp_path):
    """kill -9 on a training: it resumes. SIGTERM and kill -9 on ablate: nothing runs on, nothing is lost."""
    slow = {**SMALL, "training.steps": 400, "logging.samples_every": 400}
    path, out = plan(seeds=[0], overrides=slow, axes={"optimizer.lr": [1e-4]}), tmp_path / "out"
    rows = ablate(open_ablation(path, tmp_path / "whole"), Cluster())
    (cell,) = open_ablation(path, out).cells
    run = out / "cells" / cell.name / "run"
    seen = [0]

    def new_worker():
        """The process that holds the run folder, once it is another one and has trained a little."""
        lock, log = run / ".lock", run / "metrics.jsonl"
        pid = int(lock.read_text().strip() or 0) if lock.exists() else 0
        if pid in seen or not log.exists() or len(log.read_text().splitlines()) < 4 * len(seen):
            return False
        seen.append(pid)
        return True

    process = start(path, out)
    wait_for(new_worker, process)
    os.kill(seen[-1], signal.SIGKILL)
    wait_for(new_worker, process)
    process.terminate()
    printed, _ = process.communicate(timeout=100)
    assert process.returncode == 143, printed
    assert "stopped; the same command goes on" in printed
    assert not alive(seen[-1])
    (row,) = json.loads((out / "table.json").read_text())
    assert row["status"] == "not run"
    process = start(path, out)
    wait_for(new_worker, process)
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(seen[-1]))
    same(ablate(open_ablation(path, out), Cluster()), rows)
    whole = tmp_path / "whole" / run.relative_to(out) / "generator.safetensors"
    assert (run / "generator.safetensors").read_bytes() == whole.read_bytes()


def test_so_many_minutes_then_the_same_command_goes_on(plan, tmp_path, ganlab, monkeypatch):
    """Jobs that take too long are told to save and leave; their cells are not run, not failed."""
    told = []

    class Jobs:
        def __init__(self, logs, cluster):
            self.first = True

        def start(self, folder):
            if self.first:
                (folder / "run").mkdir(parents=True)
                write_json(folder / "failure.json", {"status": "failed", "reason": "no such data"})
            ended, self.first = self.first, False
            return ended, folder

        def ended(self, job, done):
            return job[0]

        def stop(self, jobs):
            told.extend(folder.name for _, folder in jobs)

    monkeypatch.setattr(ablation_jobs, "_LocalJobs", Jobs)
    monkeypatch.setattr(ablation_jobs, "POLL_SECONDS", 0.001)
    asked = ["ablate", plan(seeds=[0]), "--out", tmp_path / "out", "--at-once", 3]
    code, out, _ = ganlab(*asked, "--minutes", 0.002)
    assert code == 1, "a cell has failed"
    assert "stopped after 0.002 minutes: 0 of 4 cells done; the same command goes on" in out
    assert len(told) == 3
    rows = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [row["status"] for row in rows] == ["failed", *["not run"] * 3]
    code, _, err = ganlab(*asked, "--minutes", 0)
    assert (code, "--minutes 0: expected more than 0" in err) == (2, True)


def test_a_job_that_never_answers_is_given_up(tmp_path, monkeypatch):
    """Three attempts, then a reason; a job that ends without a word is not waited for for ever."""
    started = []

    class Jobs:
        def __init__(self, logs, cluster):
            pass

        def start(self, folder):
            started.append(folder)

        def ended(self, job, done):
            return True

        def last_line(self, job):
            return "slurmstepd: error: out of memory"

        def stop(self, jobs):
            assert not jobs

    monkeypatch.setattr(ablation_jobs, "_LocalJobs", Jobs)
    monkeypatch.setattr(ablation_jobs, "POLL_SECONDS", 0.001)
    (tmp_path / "cell").mkdir()
    failures = ablation_jobs.run_cells([tmp_path / "cell"], tmp_path / "logs", Cluster(), lambda _: False)
    assert len(started) == 3
    assert "ended 3 times without a result (slurmstepd: error: out of memory)" in failures[tmp_path / "cell"]


def test_differences_against_scipy():
    values = np.array([-1.0, -2.0, 0.5, -1.5])
    found = difference(values)
    interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    assert found["sign_test_p"] == pytest.approx(scipy.stats.binomtest(3, 4).pvalue)
    assert (found["seeds"], found["lower_in"]) == (4, 3)
    assert difference(np.array([1.0]))["low"] is None
    assert difference(np.zeros(3))["sign_test_p"] == 1.0


def test_comparisons_pair_seeds_and_say_how_many_are_left(plan):
    opened = open_ablation(plan(seeds=[0, 1, 2], axes={"remedy": PLAN["axes"]["remedy"]}), "out")
    names = [*DEVIATIONS, "swd", "fid", "kid"]
    rows = [
        {
            "remedy": remedy, "seed": seed, "status": "finished",
            **dict.fromkeys(names), "mean_db": 5.0 + seed - (1.0 if remedy == "loss" else 0.0),
            "nyquist_excess_db": -3.0 if remedy == "loss" else 2.0,
        }
        for remedy in ("none", "loss") for seed in (0, 1, 2)
    ]  # fmt: skip
    rows[4]["status"] = "diverged"
    found = {line["metric"]: line for line in paired(opened.plan, rows)}
    assert found["mean_db"]["difference"] == pytest.approx(-1.0)
    assert (found["mean_db"]["seeds"], found["mean_db"]["planned"]) == (2, 3)
    assert found["nyquist_excess_db"]["difference"] == pytest.approx(1.0)  # magnitudes: 3 against 2
    assert "swd" not in found
    best = [line for line in ranks(opened.plan, rows) if line["metric"] == "mean_db"]
    assert [(line["remedy"], line["mean_rank"]) for line in best] == [("loss", 1.0), ("none", 2.0)]


def test_other_tasks_than_gan_are_axes_like_any(ganlab, tmp_path, monkeypatch):
    """Tasks and skips in one plan: pairs are measured, and where more is better more ranks first."""
    overrides = dict(text.split("=") for text in SMALL_CODER) | {"training.steps": "2"}
    lines = "".join(f"  {key}: {value}\n" for key, value in overrides.items())
    (tmp_path / "plan.yaml").write_text(
        f"base: superres32\noverrides:\n{lines}"
        "axes:\n  task: [autoencoder, segment]\n  model.skips: [true, false]\n"
        "generate: {num: 24}\nmeasure: {resamples: 10, inception: false}\n"
    )

    def here(folders, *_):
        assert [run_cell(folder) for folder in folders] == ["finished"] * 4
        return {}

    monkeypatch.setattr(library, "run_cells", here)
    done = ganlab("ablate", tmp_path / "plan.yaml", "--out", tmp_path / "out")
    assert done.code == 0, done.output
    rows = list(csv.DictReader((tmp_path / "out" / "table.csv").open()))
    assert all((row["psnr"] != "") == (row["task"] == "autoencoder") for row in rows)
    assert all((row["iou"] != "") == (row["task"] == "segment") for row in rows)
    ranks_file = (tmp_path / "out" / "ranks.csv").open()
    ranked = [line for line in csv.DictReader(ranks_file) if line["metric"] == "psnr"]
    best = max((row for row in rows if row["psnr"]), key=lambda row: float(row["psnr"]))
    assert ranked[0]["model.skips"] == best["model.skips"]
    assert float(ranked[0]["mean_rank"]) == 1.0
    assert "PSNR (dB)" in (tmp_path / "out" / "index.html").read_text()
