"""Every test of the command line works in an empty folder; what only a process shows gets one of its own."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ganlab_process(tmp_path):
    """``ganlab_process("show", "dcgan32") -> CompletedProcess``, for imports, exit codes and tracebacks."""

    def run(*args, code="from ganlab.cli import main; main()", **environment):
        return subprocess.run(
            [sys.executable, "-c", code, *args],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=120,
            check=False,
            env={**os.environ, "COLUMNS": "200", **environment},
        )

    return run
