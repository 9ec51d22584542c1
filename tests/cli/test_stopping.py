"""Ctrl-C and SIGTERM at any verb: a word, an exit status, nothing half written; the same command goes on."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ablation_results import FIXED, SMALL
from patch_sets import keep_detector, png_folder, stripes

from ganlab.cli import main
from ganlab.cli.verbs import VERBS, Verb
from ganlab.experiments.ablation import measure
from ganlab.experiments.ablation import run as ablation
from ganlab.experiments.ablation.measure import run_cell
from ganlab.experiments.quickstart import run as quickstart
from ganlab.training import train
from ganlab.util import atomic
from ganlab.util.atomic import LEFTOVER
from ganlab.util.signals import Terminated, terminable

ALLOWED = ["--allow", "jpeg_grid", "--allow", "resampling"]
FEW = ["--resamples", "10", *ALLOWED]
LINES = {
    "data pack": ["photos", "out", "--size", "16"],
    "generate": ["run", "--num", "60", "--out", "out", "--with-real", "--format", "zip"],
    "spectra": ["photos", "fakes", "--out", "out", "--bootstrap", "10", "--metrics", "basic"],
    "theory": ["--out", "out", "--size", "32"],
    "report": ["run", "--out", "out"],
    "train": ["run", "training.steps=10"],
    "ablate": ["plan.yaml", "--out", "out"],
    "detect": ["photos", "fakes", "--out", "out", "--system", "radial+logistic", "--seeds", "1",
               "--bands", "0", "--perturbation", "none", *FEW],
    "patches": ["detector.safetensors", "photos", "fakes", "--out", "out", "--shown", "1", "--gallery", "1",
                "--pairs", "1", "--steps", "1", *FEW],
    "evade": ["run", "--model", "detector.safetensors", "--real", "photos", "--out", "out", "--num", "40",
              "--steps", "2", "--batch", "4", "--seeds", "1", "--epochs", "1", *FEW],
    "quickstart": ["--out", "out", "--size", "tiny", "--steps", "2"],
}  # fmt: skip
"""Verb -> its words, for every verb that writes."""
LONG = {"quickstart"}
"""Terminated half way only."""
TRAIN = {"train", "ablate", "quickstart"}
SLOW = {"ablate", "evade", "patches", "quickstart", "spectra", "theory"}


def commands():
    """Every command with its words: ``["data", "pack"]`` for one of a group."""
    for name, verb in VERBS.items():
        command = verb.load(name)
        yield from ([name, below] for below in command.commands) if hasattr(command, "commands") else [[name]]


def run(monkeypatch, words):
    """What ``ganlab WORDS`` exits with, by way of the console script's own function."""
    monkeypatch.setattr(sys, "argv", ["ganlab", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code or 0


@pytest.mark.parametrize(("number", "word"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")])
@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_a_signal_ends_every_verb_with_a_word(monkeypatch, capsys, words, number, word):
    honest, cleared = Verb.load, []

    def work():
        try:
            signal.raise_signal(number)
            time.sleep(60)
        finally:
            signal.raise_signal(signal.SIGTERM) if number == signal.SIGTERM else None  # asked twice
            cleared.append(words)

    def load(verb, name):
        group = command = honest(verb, name)
        for below in words[1:]:
            command = group.commands[below]
        command.params, command.callback = [], work
        return group

    monkeypatch.setattr(Verb, "load", load)
    before = signal.getsignal(number)
    assert run(monkeypatch, words) == 128 + number
    assert cleared == [words]
    assert capsys.readouterr().err == (f"{word}: nothing is left half written; the same command goes on\n")
    assert signal.getsignal(number) is before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_meets_a_destructor_is_not_lost():
    class Dropping:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    def work():
        Dropping()
        time.sleep(60)

    with pytest.raises(Terminated), terminable():
        work()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, tiny_runs):
    """A folder with what the lines above name: photos, fakes, a run, a detector, a plan."""
    folder = tmp_path_factory.mktemp("inputs")
    real, fake = stripes(48, 16, seed=3)
    for name, images in (("photos", real), ("fakes", fake)):
        png_folder(folder / name, images.read(range(len(images))))
    shutil.copytree(tiny_runs[0], folder / "run")
    file = keep_detector(folder / "trained", real, fake, depth=1, epochs=1, batch=8)
    shutil.copy(file, folder / "detector.safetensors")
    plan = {
        "base": "dcgan32", "overrides": {**SMALL, **FIXED}, "generate": {"num": 40},
        "axes": {"loss": {"none": {}, "axis": {"loss.spectral": [{"kind": "axis_profiles"}]}}},
        "measure": {"resamples": 10, "inception": False},
    }  # fmt: skip
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    return folder


RECORDS, PAGES = ("log.txt", "commands.jsonl"), ("index.html", "provenance.json")
"""What tells of calls, and what shows or vouches for it."""


def results(folder):
    """Path -> bytes of what a command made, without records of when and how often it was called."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not {"tensorboard", "cache", ".lock", *RECORDS} & set(path.parts)
        and not any((path.parent / name).exists() for name in RECORDS if path.name in PAGES)
    }


def one_after_the_other(jobs, *_):
    """Quickstart's trainings, in this process; told to stop they end it."""
    for job in jobs:
        if not train(job.config, job.folder).finished:
            raise Terminated


def cell_after_cell(folders, logs, cluster, done):
    """An ablation's cells, in this process; told to stop they end it."""
    for folder in folders:
        if run_cell(folder) == "stopped":
            raise Terminated
    return {}


@pytest.mark.parametrize(
    "verb", [pytest.param(verb, marks=[pytest.mark.slow] * (verb in SLOW)) for verb in LINES]
)
def test_a_verb_goes_on_after_sigterm(monkeypatch, capsys, tmp_path, inputs, verb):
    """Terminated at its first write, at its second, and so on, each time in its own folder."""
    monkeypatch.setattr(ablation, "run_cells", cell_after_cell)
    monkeypatch.setattr(measure, "time", SimpleNamespace(monotonic=lambda: 0.0))  # results hold durations
    monkeypatch.setattr(quickstart, "train_side_by_side", one_after_the_other)
    words, honest, written = [*verb.split(), *LINES[verb]], atomic._flush_to_disk, []
    stop_at = 0

    def flush(path):
        written.append(path)
        if len(written) == stop_at:
            signal.raise_signal(signal.SIGTERM)
        honest(path)

    monkeypatch.setattr(atomic, "_flush_to_disk", flush)

    def work_in(name):
        shutil.copytree(inputs, tmp_path / name)
        monkeypatch.chdir(tmp_path / name)
        return tmp_path / name

    whole = work_in("whole")
    assert run(monkeypatch, words) == 0, capsys.readouterr()
    expected, count = results(whole), len(written)
    assert count
    for stop_at in sorted(
        {count // 2} if verb in LONG else {1, 2, count // 2, count} & {*range(1, count + 1)}
    ):
        folder = work_in(str(stop_at))
        written.clear()
        capsys.readouterr()
        status, told = run(monkeypatch, words), capsys.readouterr()
        # A training saves first, and says so itself; at its last step there is nothing left to stop.
        saved = verb in TRAIN and status == (143 if "the same command resumes" in told.out else 0)
        assert saved or (status, "terminated: " in told.err) == (143, True)
        assert not [path for path in folder.rglob("*") if LEFTOVER.fullmatch(path.name)]
        written[:] = [Path()] * count  # not again
        assert run(monkeypatch, words) == 0, capsys.readouterr()
        found = results(folder)
        assert [name for name in {**expected, **found} if found.get(name) != expected.get(name)] == []
        os.chdir(tmp_path)
        shutil.rmtree(folder)
