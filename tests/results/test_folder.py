"""The one protocol of results folders: refused before anything is written, locked, resumed, verified."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ganlab.errors import GanlabError
from ganlab.results.folder import (
    LOCK,
    PLAN,
    PROVENANCE,
    STAGING,
    ResultsFolder,
    differences,
    read_folder,
)
from ganlab.util.lock import FileLock, InUseError

IDENTITY = {"options": {"seed": 0, "window": "hann"}, "sets": [["real", 8]]}


def folder(path, identity=IDENTITY, verb="measure", **options):
    return ResultsFolder(path / "out", verb, identity, **options)


def work(results, text="1\n", force=False):
    """What a job does; whether it had anything to do."""
    with results.open("ganlab measure A B", force) as place:
        if results.is_complete:
            return False
        (place / "figures").mkdir(exist_ok=True)
        (place / "figures" / "one.csv").write_text(text)
        results.finish({"value": 1}, ["a warning"])
        return True


def killed(results, name=None, force=False):
    """A job that fails, perhaps after its first file."""
    with results.open("first", force) as place:
        if name:
            (place / name).write_text("1")
        raise ZeroDivisionError


def snapshot(path):
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.fixture(params=[False, True], ids=["progressive", "staged"])
def staged(request):
    return request.param


def test_a_job_runs_once(tmp_path, staged):
    assert work(folder(tmp_path, staged=staged, inputs=[{"name": "real", "sha256": "ab"}]))
    before = snapshot(tmp_path / "out")
    assert {*before} == {LOCK, PLAN, PROVENANCE, "results.json", "figures/one.csv"}
    assert not work(folder(tmp_path, staged=staged), "2\n")
    assert snapshot(tmp_path / "out") == before
    stored = read_folder(tmp_path / "out")
    assert (stored.verb, stored.command, stored.damaged()) == ("measure", "ganlab measure A B", [])
    assert stored.provenance["warnings"] == ["a warning"]
    assert stored.provenance["inputs"] == [{"name": "real", "sha256": "ab"}]
    assert {"ganlab", "python", "torch", "numpy", "scikit-learn", "matplotlib"} == {
        *stored.provenance["versions"]
    }
    assert {*stored.provenance["files"]} == {PLAN, "results.json", "figures/one.csv"}


def test_another_question_is_refused_and_nothing_changes(tmp_path, staged):
    work(folder(tmp_path, staged=staged))
    before = snapshot(tmp_path)
    other = {"options": {"seed": 1, "window": "hann"}, "sets": [["real", 8]]}
    with pytest.raises(GanlabError, match=r"options\.seed 0 there, 1 asked for.*--out.*--force"):
        work(folder(tmp_path, other, staged=staged))
    with pytest.raises(GanlabError, match="holds results of 'ganlab measure'"):
        work(folder(tmp_path, verb="draw", staged=staged), force=True)
    assert snapshot(tmp_path) == before


def test_force_puts_the_new_in_the_place_of_the_old(tmp_path, staged):
    work(folder(tmp_path, staged=staged))
    (tmp_path / "out" / "figures" / "old.csv").write_text("old")
    other = {"options": {"seed": 1}}
    assert work(folder(tmp_path, other, staged=staged), "3\n", force=True)
    assert (tmp_path / "out" / "figures" / "one.csv").read_text() == "3\n"
    assert not (tmp_path / "out" / "figures" / "old.csv").exists()
    assert read_folder(tmp_path / "out").identity == other
    assert not work(folder(tmp_path, other, staged=staged))


def test_older_results_stay_when_a_forced_staged_job_fails(tmp_path):
    work(folder(tmp_path, staged=True))
    before = snapshot(tmp_path)
    with pytest.raises(ZeroDivisionError):
        killed(folder(tmp_path, {"seed": 9}, staged=True), "half.csv", force=True)
    assert {**snapshot(tmp_path), f"out/{LOCK}": b""} == {**before, f"out/{LOCK}": b""}
    assert not work(folder(tmp_path, staged=True))


@pytest.mark.parametrize("there", [{"photo.jpg": "x"}, {PLAN: "{"}, {PLAN: "[1]"}, {PLAN: "[" * 100_000}])
def test_a_foreign_folder_stays_as_it_is(tmp_path, there):
    (tmp_path / "out").mkdir()
    for name, text in there.items():
        (tmp_path / "out" / name).write_text(text)
    before = snapshot(tmp_path)
    for force in (False, True):
        with pytest.raises(GanlabError, match="is no result of 'ganlab measure': choose another --out"):
            work(folder(tmp_path), force=force)
    assert snapshot(tmp_path) == before


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(GanlabError, match="is no result of 'ganlab measure'"):
        work(folder(tmp_path))
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("existed", [False, True])
def test_a_job_that_wrote_nothing_leaves_nothing(tmp_path, staged, existed):
    if existed:
        (tmp_path / "out").mkdir()
    with pytest.raises(ZeroDivisionError):
        killed(folder(tmp_path, staged=staged))
    assert (tmp_path / "out").exists() == existed
    assert snapshot(tmp_path) == {}


def test_a_progressive_job_goes_on_where_it_stopped(tmp_path):
    with pytest.raises(ZeroDivisionError):
        killed(folder(tmp_path), "part.json")
    results = folder(tmp_path)
    with results.open("second") as place:
        assert not results.is_complete
        assert (place / "part.json").read_text() == "1"
    assert read_folder(tmp_path / "out").command == "first"
    assert read_folder(tmp_path / "out").provenance is None


def test_a_changed_file_is_named(tmp_path, staged):
    work(folder(tmp_path, staged=staged))
    (tmp_path / "out" / "figures" / "one.csv").write_text("9\n")
    with pytest.raises(GanlabError, match=r"figures/one\.csv changed or vanished.*--force"):
        work(folder(tmp_path, staged=staged))
    assert work(folder(tmp_path, staged=staged), force=True)
    assert not work(folder(tmp_path, staged=staged))


def test_the_page_may_be_written_anew(tmp_path):
    work(folder(tmp_path))
    (tmp_path / "out" / "index.html").write_text("<p>")
    assert not work(folder(tmp_path))


def test_one_process_at_a_time(tmp_path, staged):
    with folder(tmp_path, staged=staged).open("x") as place:
        (place / "part").write_text("1")
        with pytest.raises(InUseError, match=rf"in use by another process \(pid {os.getpid()}\)"):
            work(folder(tmp_path, staged=staged))
        assert (place / "part").exists()


def test_the_lock_of_a_removed_file_guards_nothing(tmp_path):
    first = FileLock(tmp_path / LOCK)
    first.take()
    (tmp_path / LOCK).unlink()
    with FileLock(tmp_path / LOCK):
        first.release()
        with pytest.raises(InUseError):
            FileLock(tmp_path / LOCK).take()


def test_debris_of_dead_processes_goes_and_of_living_ones_stays(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive = ended.pid, os.getppid()
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / f".out.{dead}.tmp").mkdir()
    (tmp_path / f".other.{dead}.tmp").mkdir()
    for pid in (dead, os.getpid(), alive):
        (out / f".figure.png.{pid}.tmp").write_text("half")
    (out / STAGING).mkdir()
    (out / STAGING / "half.csv").write_text("1")
    assert work(folder(tmp_path))
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*tmp")}
    assert left == {f".other.{dead}.tmp", f"out/.figure.png.{alive}.tmp"}
    assert not (out / STAGING).exists()


def test_a_full_disk_is_one_sentence(tmp_path, staged):
    with (
        pytest.raises(GanlabError, match=r"cannot write .*out: No space left on device"),
        folder(tmp_path, staged=staged).open("x"),
    ):
        raise OSError(28, "No space left on device")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(GanlabError, match="cannot write"):
        work(folder(tmp_path))


def test_differences_name_the_leaves():
    old, new = {"a": {"b": [1, 2]}, "c": 1}, {"a": {"b": [1, 3]}, "d": None, "c": 1}
    assert differences(old, new) == [("a.b[1]", 2, 3)]
    assert differences([1], [1, 2], "x") == [("x", [1], [1, 2])]
    assert differences(json.loads(json.dumps(IDENTITY)), IDENTITY) == []


class Killed(BaseException):
    """Stands for kill -9: nothing catches it, and nothing is tidied up."""


@pytest.mark.parametrize("force", [False, True])
def test_a_kill_while_results_are_put_in_their_place_loses_nothing(tmp_path, monkeypatch, staged, force):
    """At every removal and renaming in turn; the same command then finishes. Forced, over older results."""
    for moment in range(1, 40):
        place = tmp_path / str(moment)
        if force:
            work(folder(place, {"options": 1}, staged=staged), text="older\n")
        left = [moment]

        def counted(call, left=left):
            def one(*arguments, **options):
                left[0] -= 1
                if not left[0]:
                    raise Killed
                return call(*arguments, **options)

            return one

        with monkeypatch.context() as patch:
            patch.setattr(ResultsFolder, "_tidy", lambda *_: None)
            patch.setattr(os, "replace", counted(os.replace))
            patch.setattr(Path, "unlink", counted(Path.unlink))
            patch.setattr(shutil, "rmtree", counted(shutil.rmtree))
            with contextlib.suppress(Killed):
                work(folder(place, staged=staged), force=force)
        work(folder(place, staged=staged), force=force)
        assert not work(folder(place, staged=staged))
        assert sorted(snapshot(place / "out")) == [
            LOCK, "figures/one.csv", PLAN, PROVENANCE, "results.json",
        ]  # fmt: skip
        assert (place / "out" / "figures" / "one.csv").read_text() == "1\n"
        if left[0] > 0:
            return
    raise AssertionError("more moments than were tried")
