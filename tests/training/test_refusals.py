"""Runs whose pieces do not belong together, and what a kill or a bad gradient must not leave behind."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from shared import TINY
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from ganlab.config import identity, load
from ganlab.errors import GanlabError
from ganlab.training import DivergedError, train
from ganlab.training import distributed as process_norm
from ganlab.training.checkpoint import checkpoint_path, owner_of, save_checkpoint, saved_steps
from ganlab.training.distributed import World, join_world
from ganlab.training.monitor import Monitor


def npz(path, labels=None, seed=0):
    draw = np.random.default_rng(seed)
    arrays = {"images": draw.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)}
    np.savez(
        path, split=np.repeat([0, 1], [30, 10]), **arrays, **({} if labels is None else {"labels": labels})
    )
    return ["data.source=pack", f"data.path={path}", "data.num_images=null"]


def forge(path, change):
    """Change a checkpoint's state and put the checksum right again: only what is in it can give it away."""
    content = torch.load(path, weights_only=True)
    owner = content["owner"]
    change(content["state"])
    save_checkpoint(path.parent, int(path.stem.split("-")[1]), content["state"], owner)


def first_weight(state, value):
    """Replace the generator's first weight by a function of it."""
    name = next(iter(state["generator"]))
    state["generator"][name] = value(state["generator"][name])


def unsigned(path):
    """Weights changed in place, as anybody can who has the file."""
    content = torch.load(path, weights_only=True)
    first_weight(content["state"], lambda weight: weight * 2)
    torch.save(content, path)


def moments(state, change):
    """Replace the first moments of the generator's optimizer."""
    entry = state["generator_optimizer"]["state"][0]
    entry["exp_avg"] = change(entry["exp_avg"])


FOREIGN = {
    "another seed's": (
        "belongs to a run of another configuration",
        lambda path, other: shutil.copy(other, path),
    ),
    "renamed": (
        "holds the state of step 4",
        lambda path, _: shutil.copy(path.with_name("step-000000004.pt"), path),
    ),
    "changed": ("its checksum differs", lambda path, _: unsigned(path)),
    "cut off": ("damaged or no checkpoint", lambda path, _: path.write_bytes(path.read_bytes()[:3000])),
    "older": (
        "not a checkpoint of this version",
        lambda path, _: torch.save({"format": "ganlab-checkpoint-1", "state": {}}, path),
    ),
    "int8": (
        "is torch.int8",
        lambda path, _: forge(path, lambda state: first_weight(state, lambda weight: weight.to(torch.int8))),
    ),
    "float8": (
        "cannot be read|is torch.float8",
        lambda path, _: forge(path, lambda state: first_weight(state, lambda w: w.to(torch.float8_e4m3fn))),
    ),
    "not finite": (
        "generator is not finite",
        lambda path, _: forge(path, lambda state: first_weight(state, lambda weight: weight * float("nan"))),
    ),
    "another shape": (
        "not one of these networks",
        lambda path, _: forge(path, lambda state: first_weight(state, lambda weight: weight[:1])),
    ),
    "moments of another shape": (
        "not one of these networks",
        lambda path, _: forge(path, lambda state: moments(state, lambda value: value[:1])),
    ),
    "no moments": (
        "not one of these networks",
        lambda path, _: forge(path, lambda state: state.pop("generator_optimizer")),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def half_done(tmp_path_factory, cache_folder):
    """A run of six of its eight steps, checkpoints of 4 and 6, and another seed's checkpoint of step 6."""
    folder = tmp_path_factory.mktemp("half")
    for name, seed in (("run", 0), ("other", 9)):
        train(
            load("dcgan32", [*TINY, f"seed={seed}", "logging.keep_checkpoints=2"]), folder / name, stop_at=6
        )
    train(load("dcgan32", [*TINY, "seed=0", "logging.keep_checkpoints=2"]), folder / "whole")
    return folder


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_checkpoint_that_does_not_belong_is_refused_and_the_one_before_taken(
    half_done, tiny, tmp_path, capsys, kind
):
    text, change = FOREIGN[kind]
    shutil.copytree(half_done / "run", tmp_path / "run")
    checkpoints = tmp_path / "run" / "checkpoints"
    change(checkpoint_path(checkpoints, 6), checkpoint_path(half_done / "other" / "checkpoints", 6))
    result = train(tiny("logging.keep_checkpoints=2"), tmp_path / "run")
    assert result.finished
    told = capsys.readouterr().out
    assert re.search(rf"refused: \S*step-000000006.pt: .*({text}).*; going on from step 4", told), told
    assert (checkpoints / "step-000000006.pt.refused").is_file()
    for name in ("generator.safetensors", "metrics.jsonl", "checkpoints/step-000000008.pt"):
        assert (tmp_path / "run" / name).read_bytes() == (half_done / "whole" / name).read_bytes()


def test_without_a_checkpoint_that_belongs_nothing_is_lost(half_done, tiny, tmp_path):
    shutil.copytree(half_done / "run", tmp_path / "run")
    checkpoints = tmp_path / "run" / "checkpoints"
    for path in checkpoints.iterdir():
        path.write_bytes(b"x")
    before = sorted((path.name, path.read_bytes()) for path in checkpoints.iterdir())
    with pytest.raises(
        GanlabError, match=r"(?s)no checkpoint can be used; remove .*step-000000006.pt: .*damaged"
    ):
        train(tiny(), tmp_path / "run")
    assert sorted((path.name, path.read_bytes()) for path in checkpoints.iterdir()) == before


def test_whose_a_checkpoint_is_does_not_hang_on_fields_of_later_versions(tiny):
    data = {"pixels_sha256": "x", "num_train": 3, "num_val": 1}
    ours = owner_of(tiny(), data)
    assert owner_of(tiny("training.steps=9", "data.cache=elsewhere", "training.threads=2"), data) == ours
    assert owner_of(tiny(), {**data, "path": "moved"}) == ours
    for other in ("seed=9", "optimizer.lr=1e-3", "model.upsampling=nearest"):
        assert owner_of(tiny(other), data) != ours
    assert owner_of(tiny(), {**data, "num_val": 2}) != ours
    assert identity(tiny(), exclude_defaults=True).keys() < identity(tiny()).keys()


def test_two_runs_write_the_same_bytes(half_done, tiny, tmp_path):
    """Also one in pieces, in another folder."""
    for stop_at in (1, 5, None):
        train(tiny("logging.keep_checkpoints=2"), tmp_path / "elsewhere", stop_at)
    for name in ("checkpoints/step-000000006.pt", "checkpoints/step-000000008.pt", "generator.safetensors"):
        assert (tmp_path / "elsewhere" / name).read_bytes() == (half_done / "whole" / name).read_bytes()


def test_other_images_in_the_place_of_the_runs_are_refused(tiny, tmp_path):
    config = tiny(*npz(tmp_path / "images.npz"))
    train(config, tmp_path / "run", stop_at=2)
    npz(tmp_path / "images.npz", seed=1)
    with pytest.raises(GanlabError, match=r"begun on other images: pixels_sha256 of .*images.npz"):
        train(config, tmp_path / "run")
    # The same images in another place are the same run.
    moved = tiny(*npz(tmp_path / "moved.npz"))
    assert train(moved, tmp_path / "run").finished
    (tmp_path / "run" / "data.json").write_text("{")
    with pytest.raises(GanlabError, match=r"data.json is damaged"):
        train(moved, tmp_path / "run")


@pytest.mark.parametrize(
    ("labels", "text"), [(None, "no labels"), (np.arange(40) % 5, "labels of 5 classes")]
)
def test_classes_are_held_against_the_labels(tiny, tmp_path, labels, text):
    with pytest.raises(GanlabError, match=f"model.num_classes is 3, but .*{text}"):
        train(tiny("model.num_classes=3", *npz(tmp_path / "images.npz", labels)), tmp_path / "run")


def test_weights_that_are_not_finite_never_become_a_checkpoint(tiny, tmp_path):
    """The generator's first update overflows; every loss up to there is finite."""
    config = tiny("optimizer.lr=1e39", "optimizer.lr_discriminator=1e-4", "logging.checkpoint_every=1")
    with pytest.raises(DivergedError, match="weights of the generator not finite at step 1; no checkpoint"):
        train(config, tmp_path / "run")
    assert saved_steps(tmp_path / "run" / "checkpoints") == []
    assert not (tmp_path / "run" / "generator.safetensors").exists()


def test_events_of_a_process_killed_before_its_first_checkpoint_are_purged(tiny, tmp_path, monkeypatch):
    config = tiny("logging.checkpoint_every=8")
    honest = Monitor.scalars

    def killed(self, step, values):
        honest(self, step, values)
        if step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Monitor, "scalars", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "run")
    assert saved_steps(tmp_path / "run" / "checkpoints") == []
    train(config, tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    assert events.Tags()["scalars"]
    for tag in events.Tags()["scalars"]:
        assert [event.step for event in events.Scalars(tag)] == list(range(1, 9))


def test_what_a_kill_left_half_written_is_removed(tiny, tmp_path):
    train(tiny(), tmp_path / "run", stop_at=2)
    half = tmp_path / "run" / "checkpoints" / ".step-000000004.pt.4242.tmp"
    half.write_bytes(b"half")
    mine = tmp_path / "run" / "notes.tmp"
    mine.write_text("kept")
    (tmp_path / "run" / "metrics.jsonl").write_bytes(b"\xff\xfe\n")
    train(tiny(), tmp_path / "run")
    assert not half.exists()
    assert mine.read_text() == "kept"
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(3, 9))


@pytest.mark.parametrize("size", ["2", "many"])
def test_half_of_torchruns_environment_is_one_sentence(monkeypatch, size):
    monkeypatch.setenv("WORLD_SIZE", size)
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(GanlabError, match=r"WORLD_SIZE=.* start with torchrun"):
        join_world(cuda=False)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join_world(cuda=False) == World()


@pytest.mark.parametrize(("dtype", "mean"), [(torch.float32, 3000.0), (torch.bfloat16, 2.0)])
def test_shared_batch_norm_is_torchs_for_large_means_and_half_precision(monkeypatch, dtype, mean):
    """One process standing for all: the sums stay as they are."""
    monkeypatch.setattr(process_norm, "sum_over_processes", lambda value: value)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    torch.manual_seed(0)
    theirs = nn.BatchNorm2d(5)
    ours = process_norm.share_batch_norm(nn.Sequential(nn.BatchNorm2d(5)))
    for _ in range(20):
        x = (mean + 0.1 * torch.randn(16, 5, 8, 8)).to(dtype)
        expected, found = theirs(x), ours(x)
        assert found.dtype == expected.dtype == dtype
    assert torch.allclose(found.float(), expected.float(), atol=0.05)
    assert torch.allclose(ours[0].running_var, theirs.running_var, rtol=0.01)
    assert torch.allclose(ours[0].running_mean, theirs.running_mean, rtol=1e-5)
    constant = torch.full((4, 5, 2, 2), mean, dtype=dtype)
    assert torch.allclose(ours(constant), theirs(constant), atol=0.05)
    assert ours.eval()(x).dtype == dtype
