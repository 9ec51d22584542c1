"""What tests share: one thread, one cache, ``ganlab`` in this process, two tiny runs, a folder of photos."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from shared import TINY, Done

# Before anything loads torch, and for every process that a test starts: networks this small only lose time to
# a second thread, and sums over several threads may round in another order.
os.environ["OMP_NUM_THREADS"] = "1"
# A shell without job control starts what it puts in the background with interrupts ignored; every process
# that a test starts and interrupts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def one_thread():
    """One thread again after a test that took another number (``training.threads=2``)."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """One cache of packs for the whole session; never the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLAB_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def ganlab():
    """Run a verb in this process: ``code, stdout, stderr = ganlab("train", path, "--dry-run")``.

    Arguments may be anything with a text; keywords are environment variables for the command. It runs in the
    current folder (``monkeypatch.chdir``). What a verb does to the process is undone: signal handlers,
    folder, environment, threads. An exception that a user would meet as a traceback is raised here.
    """
    from typer.testing import CliRunner

    from ganlab.cli import app

    def run(*arguments, **environment):
        words = [str(argument) for argument in arguments]
        folder = Path.cwd()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", ["ganlab", *words])
                for name, value in {"COLUMNS": "200", **environment}.items():
                    patch.setenv(name, str(value))
                done = CliRunner().invoke(app, words, prog_name="ganlab", catch_exceptions=False)
        finally:
            os.chdir(folder)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            if "torch" in sys.modules:
                sys.modules["torch"].set_num_threads(1)
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def tiny():
    """A function from overrides to a configuration."""
    from ganlab.config import load

    return lambda *overrides: load("dcgan32", [*TINY, *overrides])


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory, cache_folder):
    """Two finished runs that differ in their upsampling, nearest and transposed; read them only."""
    from ganlab.config import load
    from ganlab.training import train

    folder = tmp_path_factory.mktemp("runs")
    for name in ("nearest", "transposed"):
        train(load("dcgan32", [*TINY, f"model.upsampling={name}"]), folder / name)
    return folder / "nearest", folder / "transposed"


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of 48 PNG files of 32x32 with a photograph's spectrum, ``000.png`` and so on; read it only."""
    from forensics_images import natural
    from PIL import Image

    folder = tmp_path_factory.mktemp("sets") / "photos"
    folder.mkdir()
    for number, image in enumerate(natural(48, 32, seed=7)):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    return folder
