"""Processes that end with the one that started them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganlab.util import children
from ganlab.util.children import Child, stop

SLEEPER = "import os, time\nprint(os.getpid(), os.environ['OMP_NUM_THREADS'], flush=True)\ntime.sleep(100)\n"


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder on the path with two modules: one that sleeps, one that fails."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "failing.py").write_text("import sys\nprint('first')\nsys.exit(f'no {sys.argv[1]}')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return tmp_path


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def gone(pid):
    """Whether it has ended; it may still wait for a parent that never asks (state Z)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_what_it_said_and_how_it_ended(modules):
    child = Child("failing", ["wings"], modules / "logs" / "out", threads=1)
    wait_for(lambda: child.status() is not None)
    child.close()
    assert child.status() == 1
    assert child.last_lines(1) == ["no wings"]
    assert child.last_lines(9) == ["first", "no wings"]


def test_stopped_children_are_gone(modules):
    child = Child("sleeper", [], modules / "out", threads=3)
    wait_for(lambda: child.last_lines(1))
    stop([child])
    assert child.status() == 143
    assert child.last_lines(1)[0].split()[1] == "3"


def test_one_that_does_not_listen_is_killed(modules, monkeypatch):
    monkeypatch.setattr(children, "GRACE_SECONDS", 0.1)
    (modules / "deaf.py").write_text(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
    )
    child = Child("deaf", [], modules / "out", threads=1)
    wait_for(lambda: child.last_lines(1))
    stop([child])
    assert child.status() == -9


@pytest.mark.parametrize("platform", ["linux", "another"])
def test_a_killed_parent_takes_its_children_along(modules, platform):
    """By the kernel's signal, and where there is none by the pipe."""
    (modules / "sitecustomize.py").write_text(f"import sys\nsys.platform = {platform!r}\n")
    code = (
        "import time; from pathlib import Path; from ganlab.util.children import Child\n"
        f"child = Child('sleeper', [], Path({str(modules / 'out')!r}), 1)\ntime.sleep(100)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: (modules / "out").exists() and (modules / "out").read_text().endswith("1\n"))
    pid = int((modules / "out").read_text().split()[0])
    assert not gone(pid)
    parent.kill()
    parent.wait()
    wait_for(lambda: gone(pid))
