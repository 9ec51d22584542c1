"""The configuration page and the files under configs/ hold what they say."""

import doctest
import re
from pathlib import Path

import pytest

import ganlab.config
from ganlab.config import loads, preset_names, resolve
from ganlab.config.tree import markdown_reference
from ganlab.config.yaml12 import load_yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text()
FILES = sorted((ROOT / "configs").glob("*.yaml"))
RUNS = [path for path in FILES if {"model", "extends"} & set(load_yaml(path.read_text(), path.name))]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_table_of_keys_is_the_schemas():
    """Stale? `ganlab schema --markdown` prints the table."""
    assert PAGE.endswith("## Every key\n\n" + markdown_reference())


@pytest.mark.parametrize("text", blocks("yaml"))
def test_the_pages_files_load(text):
    assert loads(text)


def test_the_pages_program_runs():
    (program,) = blocks("python")
    exec(program, {})


def test_the_page_names_every_preset_with_its_upsampling():
    for name in preset_names():
        assert f"| `{name}` | {resolve(name).config.model.upsampling.name} |" in PAGE


def test_the_packages_example():
    assert doctest.testmod(ganlab.config).failed == 0
    assert doctest.testmod(ganlab.config).attempted > 0


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_configs_load_without_warnings(path):
    assert resolve(path).warnings == ()


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_configs_are_found_from_any_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for source in (f"configs/{path.name}", path.name, path.stem):
        assert resolve(source).config == resolve(path).config
    (tmp_path / path.name).write_text("extends: dcgan32\nseed: 5\n")
    assert resolve(path.name).config.seed == 5, "the user's own file comes first"


def test_the_readmes_own_photos_block_gives_no_warning():
    (line,) = re.findall(r"\nganlab train (.*data\.source=pack.*)", (ROOT / "README.md").read_text())
    config, *overrides = line.split()
    assert resolve(config, overrides).warnings == ()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_configs_open_with_command_time_and_expectation(path):
    header = "\n".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    assert path.read_text().startswith("# ")
    assert f"configs/{path.name}" in header
    assert "Time:" in header
    assert "Shows:" in header
