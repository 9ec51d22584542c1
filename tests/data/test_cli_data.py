"""``ganlab data pack`` from the outside."""

from __future__ import annotations

import pytest

from ganlab.data import read_pack


@pytest.fixture
def pack(ganlab):
    return lambda *arguments: ganlab("data", "pack", *arguments)


def test_pack_and_say_what_next(class_folder, tmp_path, pack):
    result = pack(class_folder, tmp_path / "o.gpack", "--size", 8)
    assert result.code == 0, result.output
    assert "8 images of 8x8" in result.output
    assert f"data.source=pack data.path={tmp_path / 'o.gpack'} model.image_size=8" in result.output
    assert len(read_pack(tmp_path / "o.gpack").images) == 8


def test_existing_output_needs_force(class_folder, tmp_path, pack):
    pack(class_folder, tmp_path / "o.gpack", "--size", 8)
    again = pack(class_folder, tmp_path / "o.gpack", "--size", 16)
    assert again.code == 2
    assert "--force" in again.output
    assert pack(class_folder, tmp_path / "o.gpack", "--size", 16, "--force").code == 0
    assert read_pack(tmp_path / "o.gpack").images.shape == (8, 16, 16, 3)


def test_skipped_files_are_named(class_folder, tmp_path, pack):
    (class_folder / "cat" / "bad.png").write_text("no image")
    assert pack(class_folder, tmp_path / "o.gpack", "--size", 8).code == 2
    result = pack(class_folder, tmp_path / "o.gpack", "--size", 8, "--on-error", "skip")
    assert result.code == 0
    assert "skipped: cat/bad.png" in result.output
    assert "8 images of 8x8, 1 skipped" in result.output


def test_split_option(class_folder, tmp_path, pack):
    assert pack(class_folder, tmp_path / "o.gpack", "--size", 8, "--val-fraction", 0.25).code == 0
    assert read_pack(tmp_path / "o.gpack").split.sum() == 2


@pytest.mark.parametrize("args", [("--size", 0), (), ("--size", 8, "--on-error", "perhaps")])
def test_wrong_options_are_usage_errors(class_folder, tmp_path, pack, args):
    assert pack(class_folder, tmp_path / "o.gpack", *args).code == 2
    assert not (tmp_path / "o.gpack").exists()
