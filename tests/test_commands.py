"""Every command in the README, the docs and the configs' headers runs; scaled down by options, never skipped.

Shell blocks marked ``sh`` are run line by line, in order, in an empty folder that has ``configs/``, some
photos and small stand-ins for the data files: verbs in this process, because importing torch anew costs more
than most of them, anything else by a shell. Only what installs or tests the package itself is not run from
inside the tests: ``.ci/run`` takes that line from the README and runs it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from shared import ROOT, Done
from small_commands import furnish, scaled
from stylegan_weights import stylegan2, written

import ganlab

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
RUN_BY_CI = {"pip install -e .", 'pip install -e ".[test]"', "pytest"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def with_blocks(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


def commands(page: Path) -> list[str]:
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


@pytest.fixture
def workplace(tmp_path):
    """A folder as the pages assume it: configs/, photos/, data/."""
    furnish(tmp_path)
    return tmp_path


@pytest.fixture
def run(ganlab, workplace, monkeypatch):
    """Run one line of a page in the workplace; it must end well."""
    monkeypatch.chdir(workplace)

    def run_line(line):
        line, _, findings = line.partition(" || ")  # `|| true`: an audit that finds something is no failure
        program, *words = shlex.split(line)
        done = ganlab(*words) if program == "ganlab" else in_a_shell(line, workplace)
        assert done.code in ((0, 1) if findings else (0,)), (
            f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        )
        return done

    return run_line


def in_a_shell(line: str, folder: Path) -> Done:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command, options = ["bash", "-c", line], {"cwd": folder, "env": environment, "check": False}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, **options)
    return Done(done.returncode, done.stdout, done.stderr)


def takes_long(page: Path) -> bool:
    """Whether a page is a tutorial: each goes the whole way, from images to pages of results."""
    return page.parent.name == "tutorials"


@pytest.mark.timeout(900)  # A dozen commands, on a machine with other work.
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] * takes_long(page), id=page.name)
        for page in with_blocks("sh")
    ],
)
def test_the_commands_of_a_page(page, run):
    for command in commands(page):
        if command not in RUN_BY_CI:
            run(scaled(command))


def test_the_command_is_installed(tmp_path):
    """The shell finds ``ganlab``, which answers in a process of its own."""
    assert in_a_shell("ganlab --version", tmp_path).stdout == f"ganlab {ganlab.__version__}\n"


def python_pages():
    """Pages with Python; those that import other libraries take their time."""
    for page in with_blocks("python"):
        slow = [pytest.mark.slow] if page.name == "foreign-models.md" else []
        yield pytest.param(page, marks=slow, id=page.name)


@pytest.mark.parametrize("page", python_pages())
def test_the_python_of_a_page(page, workplace, monkeypatch):
    """All blocks of a page in one session, as a reader would paste them, without fragments (``...``)."""
    monkeypatch.chdir(workplace)
    if page.name == "foreign-models.md":
        written(stylegan2(), workplace / "network.safetensors")
    whole = [block for block in blocks(page, "python") if not re.search(r"^\s*\.\.\.$", block, re.MULTILINE)]
    (workplace / "page.py").write_text("\n".join(whole))
    runpy.run_path("page.py", run_name="__main__")


def header_commands(config: Path) -> list[str]:
    """Commands in a configuration's opening comment; those with PLACEHOLDERS in capitals need the reader."""
    lines = [line[1:].strip() for line in config.read_text().splitlines() if line.startswith("#")]
    return [line for line in lines if line.startswith("ganlab ") and not re.search(r"\b[A-Z]{4,}\b", line)]


def trains_a_plan(config: Path) -> bool:
    """Whether a header starts an ablation, as the README and docs/ablation.md do in every run."""
    return any(
        line.startswith("ganlab ablate") and "--dry-run" not in line for line in header_commands(config)
    )


@pytest.mark.parametrize(
    "config",
    [pytest.param(path, marks=[pytest.mark.slow] * trains_a_plan(path), id=path.name) for path in CONFIGS],
)
def test_the_command_a_config_opens_with(config, run):
    for command in header_commands(config):
        run(scaled(command))


def test_ci_installs_by_the_readme():
    script, readme = (ROOT / ".ci" / "run").read_text(), (ROOT / "README.md").read_text()
    pattern = re.search(r"grep -m1 -E '(.*?)' README.md", script)[1]
    found = [line for line in readme.splitlines() if re.search(pattern.replace("\\.", "[.]"), line)]
    assert found[0] == 'pip install -e ".[test]"'
    for tool in ("ruff check", "ruff format --check", "mypy", "pytest", "pytest -m slow"):
        assert f"\n{tool}" in script


def test_links_and_pictures_of_the_pages_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} -> {target}"


def exists(name: str) -> bool:
    """Whether a dotted name of the package is a module or something inside one."""
    parts = name.split(".")
    for depth in range(len(parts), 0, -1):
        with contextlib.suppress(ImportError):
            found = importlib.import_module(".".join(parts[:depth]))
            return all((found := getattr(found, part, None)) is not None for part in parts[depth:])
    return False


def test_what_the_pages_name_exists():
    files = [
        path.as_posix() for folder in ("ganlab", "tests", "configs") for path in (ROOT / folder).rglob("*")
    ]
    for page in PAGES:
        text = page.read_text()
        names = set(re.findall(r"`(ganlab(?:\.[A-Za-z_]\w*)+)\b", text))
        assert not [name for name in names if not exists(name)], page.name
        paths = set(re.findall(r"`((?:ganlab|tests|configs)/[\w./-]*\w\.\w+)`", text))
        assert not [path for path in paths if not any(file.endswith(f"/{path}") for file in files)], page.name
