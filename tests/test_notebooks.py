"""The tutorials' notebooks: made from the pages, without outputs, and they run."""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
from pathlib import Path

import pytest
from shared import ROOT
from small_commands import furnish, scaled

SCRIPT = runpy.run_path(str(ROOT / "docs" / "notebooks.py"))
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_is_its_page(page):
    stored = page.with_suffix(".ipynb").read_text()
    assert stored == SCRIPT["notebook"](page), "run: python docs/notebooks.py"
    first, *others = json.loads(stored)["cells"]
    assert "%pip install" in "".join(first["source"])
    assert {cell["cell_type"] for cell in others} == {"code", "markdown"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_runs(page, tmp_path, monkeypatch):
    """Cell by cell in a kernel of its own, its commands on a small scale."""
    nbformat = pytest.importorskip("nbformat", reason="needs the extra notebook, which .ci/run installs")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra notebook, which .ci/run installs")
    whole = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(whole)
    furnish(tmp_path)
    for cell in whole.cells:
        if cell.cell_type == "code":
            cell.source = "\n".join(smaller(line) for line in cell.source.splitlines())
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    nbclient.NotebookClient(whole, timeout=800, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cell in whole.cells:
        # A failing `!command` raises nothing: what it printed tells.
        said = "".join(output.get("text", "") for output in cell.get("outputs", ()))
        assert not re.search(r"^(error: |Traceback )", said, re.MULTILINE), said


def smaller(line: str) -> str:
    """The same line on a small scale."""
    return f"!{scaled(line[1:])}" if line.startswith("!ganlab") else line
