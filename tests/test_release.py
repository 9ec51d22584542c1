"""What is published: one version everywhere, and a wheel, made from the sdist, that holds all it needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml
from shared import ROOT

import ganlab

UNPUBLISHED = shutil.ignore_patterns(
    ".*", "*.egg-info", "__pycache__", "results", "tests", "docs", "build", "dist", "site"
)


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert project["version"] == ganlab.__version__ == cited["version"] == newest[1]


@pytest.mark.slow
def test_the_wheel_of_the_sdist_is_whole(tmp_path):
    """Built, installed beside nothing of the repository, and asked for what lies in its data files."""
    pytest.importorskip("build", reason="needs the extra test")
    source, built, installed = tmp_path / "source", tmp_path / "dist", tmp_path / "installed"
    shutil.copytree(
        ROOT, source, ignore=lambda folder, names: UNPUBLISHED(folder, names) if folder == str(ROOT) else []
    )

    def python(*words, **environment):
        command = [sys.executable, *map(str, words)]
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            command, cwd=tmp_path, env=inherited | environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    python("-m", "build", "--no-isolation", "--outdir", built, source)
    (wheel,), (_,) = built.glob("*.whl"), built.glob("*.tar.gz")
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = [
        path for path in (ROOT / "ganlab").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert [path.name for path in ours if path.relative_to(ROOT).as_posix() not in names] == []
    configs = {path.name for path in (ROOT / "configs").glob("*.yaml")}
    assert configs <= {name.rpartition("/")[2] for name in names}

    python("-m", "pip", "install", "--quiet", "--no-deps", "--target", installed, wheel)
    here = {"PYTHONPATH": str(installed), "GANLAB_CACHE": str(tmp_path / "cache")}
    assert python("-m", "ganlab", "--version", **here) == f"ganlab {ganlab.__version__}\n"
    assert "pixel_shuffle" in python("-m", "ganlab", "list", **here)
    assert "dcgan-transposed-s0" in python("-m", "ganlab", "zoo", **here)
    assert "sngan" in python("-m", "ganlab", "show", "own-photos-32-sngan", **here)
    python(
        "-m", "ganlab", "generate", "zoo:dcgan-transposed-s0", "--num", 2, "--out", tmp_path / "fakes", **here
    )
    assert len(list((tmp_path / "fakes").rglob("*.png"))) == 2
