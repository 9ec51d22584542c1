"""Kills at the awkward moments, two processes at once, names that are no names."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from safetensors.torch import load_file

from ganlab.errors import GanlabError
from ganlab.generation import Request, generate, generate_images, verify_set
from ganlab.generation.sources import FakeSource
from ganlab.generation.write import Journal
from ganlab.models import load_generator
from ganlab.util.lock import FileLock

module = sys.modules["ganlab.generation.generate"]


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


def kill(*arguments, **options):
    raise Killed


@pytest.mark.parametrize("format", ["folder", "zip", "npy"])
@pytest.mark.parametrize("moment", ["half way", "published", "sealed"])
def test_a_kill_at_an_awkward_moment_loses_nothing(tiny_runs, tmp_path, monkeypatch, format, moment):
    """Within a part; after one was moved but not noted; after the manifest but before the staging is gone."""
    request = Request(tiny_runs, 150, format)
    expected = generate(request, tmp_path / "whole")
    write_json, add = module.write_json, Journal.add

    def write_until_the_kill(path, value):
        if path.name == "done.json" and value:
            raise Killed
        write_json(path, value)

    def add_until_the_kill(journal, block, files):
        if block == 1:
            raise Killed
        add(journal, block, files)

    with monkeypatch.context() as patch:
        if moment == "half way":
            patch.setattr(Journal, "add", add_until_the_kill)
        elif moment == "published":
            patch.setattr(module, "write_json", write_until_the_kill)
        else:
            patch.setattr(module.shutil, "rmtree", kill)
        with pytest.raises(Killed):
            generate(request, tmp_path / "set", batch_size=1)
    again = generate(request, tmp_path / "set")
    assert again == expected
    assert verify_set(str(tmp_path / "set")) == expected


def test_a_set_belongs_to_one_process(tiny_runs, tmp_path):
    request = Request(tiny_runs[:1], 4)
    with (
        FileLock(tmp_path / "set" / ".unfinished" / ".lock"),
        pytest.raises(GanlabError, match=f"another process .pid {os.getpid()}"),
    ):
        generate(request, tmp_path / "set")
    generate(request, tmp_path / "set")
    assert len(verify_set(tmp_path / "set")["files"]) == 4


def test_a_damaged_plan_is_named(tiny_runs, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module.PartWriter, "run", kill)
        with pytest.raises(Killed):
            generate(Request(tiny_runs[:1], 4), tmp_path / "set")
    (tmp_path / "set" / ".unfinished" / "done.json").unlink()
    with pytest.raises(GanlabError, match=r"is damaged .*remove"):
        generate(Request(tiny_runs[:1], 4), tmp_path / "set")


@pytest.mark.parametrize(("inside", "given"), [("", "."), ("samples", ".."), ("samples", "../../nearest/")])
def test_a_run_given_as_dots_has_its_folders_name(tiny_runs, tmp_path, monkeypatch, inside, given):
    monkeypatch.chdir(tiny_runs[0] / inside)
    manifest = generate(Request((module.Path(given),), 3), tmp_path / "set")
    assert sorted(manifest["files"]) == [f"nearest/img0000000{i}.png" for i in range(3)]


def test_weights_that_change_underneath_are_refused(tiny_runs, tmp_path):
    file = tmp_path / "mine.safetensors"
    file.write_bytes((tiny_runs[0] / "generator.safetensors").read_bytes())
    source = FakeSource(file, "mine", 0, "ema", module.torch.device("cpu"))
    file.write_bytes((tiny_runs[1] / "generator.safetensors").read_bytes())
    with pytest.raises(GanlabError, match="changed while the set was being made"):
        source.block(0)
    assert load_file(file)


def test_a_split_that_leaves_no_test_images_is_refused(tiny_runs, tmp_path):
    with pytest.raises(GanlabError, match="leaves nothing to test on"):
        generate(Request(tiny_runs[:1], 10, test_fraction=0.01), tmp_path / "set")


def test_the_rows_of_an_array_are_in_place_for_every_part(tiny_runs, tmp_path):
    generate(Request(tiny_runs[:1], 150, "npy", test_fraction=0.5), tmp_path / "split")
    generate(Request(tiny_runs[:1], 150, "npy"), tmp_path / "whole")
    parts = [np.load(tmp_path / "split" / part / "nearest.npy") for part in ("train", "test")]
    np.testing.assert_array_equal(np.concatenate(parts), np.load(tmp_path / "whole" / "nearest.npy"))


def test_numbers_and_modes_that_make_no_images_are_refused(tiny_runs):
    generator = load_generator(tiny_runs[0])
    for first, count in ((0, 0), (-1, 3)):
        with pytest.raises(GanlabError, match="numbered from 0"):
            generate_images(generator, 0, first, count)
    with pytest.raises(GanlabError, match="training mode"):
        generate_images(generator.train(), 0, 0, 2)
