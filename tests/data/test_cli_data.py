"""``ganlab data pack`` from the outside."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ganlab.cli import app
from ganlab.data import read_pack


def run(*args):
    return CliRunner().invoke(app, ["data", "pack", *map(str, args)])


def test_pack_and_say_what_next(class_folder, tmp_path):
    result = run(class_folder, tmp_path / "o.gpack", "--size", 8)
    assert result.exit_code == 0, result.output
    assert "8 images of 8x8" in result.output
    assert f"data.source=pack data.path={tmp_path / 'o.gpack'} model.image_size=8" in result.output
    assert len(read_pack(tmp_path / "o.gpack").images) == 8


def test_existing_output_needs_force(class_folder, tmp_path):
    run(class_folder, tmp_path / "o.gpack", "--size", 8)
    again = run(class_folder, tmp_path / "o.gpack", "--size", 16)
    assert again.exit_code == 2
    assert "--force" in again.output
    assert run(class_folder, tmp_path / "o.gpack", "--size", 16, "--force").exit_code == 0
    assert read_pack(tmp_path / "o.gpack").images.shape == (8, 16, 16, 3)


def test_skipped_files_are_named(class_folder, tmp_path):
    (class_folder / "cat" / "bad.png").write_text("no image")
    assert run(class_folder, tmp_path / "o.gpack", "--size", 8).exit_code == 2
    result = run(class_folder, tmp_path / "o.gpack", "--size", 8, "--on-error", "skip")
    assert result.exit_code == 0
    assert "skipped: cat/bad.png" in result.output
    assert "8 images of 8x8, 1 skipped" in result.output


def test_split_option(class_folder, tmp_path):
    assert run(class_folder, tmp_path / "o.gpack", "--size", 8, "--val-fraction", 0.25).exit_code == 0
    assert read_pack(tmp_path / "o.gpack").split.sum() == 2


@pytest.mark.parametrize("args", [("--size", 0), (), ("--size", 8, "--on-error", "perhaps")])
def test_wrong_options_are_usage_errors(class_folder, tmp_path, args):
    assert run(class_folder, tmp_path / "o.gpack", *args).exit_code == 2
    assert not (tmp_path / "o.gpack").exists()


def test_help_needs_no_torch():
    code = (
        "import sys; from ganlab.cli import main; sys.argv = ['ganlab', 'data', 'pack', '--help']\n"
        "try: main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "--on-error" in ended.stdout
