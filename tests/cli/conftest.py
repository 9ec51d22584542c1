"""Run ``ganlab`` in a process of its own, as a user does."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def ganlab(tmp_path):
    """``ganlab("show", "dcgan32") -> CompletedProcess`` in an empty folder."""

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
