"""The loop: exact resume, kills, locks, refusals, non-finite losses, full disks, damaged files."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from run_digest import digest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganlab.config import dump, load
from ganlab.data import load_training_images
from ganlab.errors import GanlabError
from ganlab.losses import ADVERSARIAL
from ganlab.training import train
from ganlab.training.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint, saved_steps
from ganlab.training.distributed import World, place
from ganlab.training.loop import StopRequest, make_reader
from ganlab.training.monitor import Monitor
from ganlab.training.players import MovingAverage, make_players, set_learning_rates
from ganlab.training.step import Trainer
from ganlab.upsampling import UPSAMPLERS
from ganlab.util.progress import duration


def board(folder):
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if not tag.startswith("time/")
    }


VARIANTS = {
    "dcgan": [],
    "dequantised, linear decay": ["data.dequantize=true", "optimizer.schedule=linear"],
    "sngan, n_dis 2": [
        "model.architecture=sngan", "model.image_size=32", "training.n_dis=2", "loss.adversarial=hinge",
        "optimizer.betas=[0.0,0.9]", "training.steps=6",
    ],
    "wgan-gp": ["loss.adversarial=wasserstein", "loss.penalty=wgan_gp", "model.upsampling=pixel_shuffle"],
    "dragan, least squares": ["loss.adversarial=least_squares", "loss.penalty=dragan"],
    "r1": ["loss.penalty=r1", "model.upsampling=kaiser"],
    "relativistic, augmented": [
        "loss.adversarial=relativistic", "loss.penalty=r1_r2", "training.augment=[color, translation]",
    ],
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interrupted_run_equals_an_uninterrupted_one(tiny, tmp_path, variant):
    config = tiny(*VARIANTS[variant])
    train(config, tmp_path / "whole")
    for stop_at in (1, 4, None):
        result = train(config, tmp_path / "parts", stop_at)
    assert result.finished
    assert digest(tmp_path / "whole") == digest(tmp_path / "parts")
    assert board(tmp_path / "whole") == board(tmp_path / "parts")
    steps = [step for step, _ in board(tmp_path / "parts")["generator/adversarial"]]
    assert steps == list(range(1, config.training.steps + 1))


def start(folder, config, *overrides):
    path = folder.with_suffix(".yaml")
    path.write_text(dump(config))
    command = [sys.executable, "-m", "ganlab", "train", str(path), f"out={folder}", *overrides]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(process, folder, step):
    while process.poll() is None:
        if (folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").read_text().count("\n") >= step:
            return
        time.sleep(0.002)
    raise AssertionError(process.communicate())


def test_kill_9_loses_nothing(tiny, tmp_path):
    """Killed between two checkpoints: the steps since the last one are run again, logged once."""
    config = tiny("training.steps=60", "logging.checkpoint_every=7")
    train(config, tmp_path / "whole")
    process = start(tmp_path / "killed", config)
    wait_for_step(process, tmp_path / "killed", 16)
    process.kill()
    process.communicate()
    assert max(saved_steps(tmp_path / "killed" / "checkpoints")) < 60
    train(config, tmp_path / "killed")
    assert digest(tmp_path / "whole") == digest(tmp_path / "killed")
    assert board(tmp_path / "whole") == board(tmp_path / "killed")


@pytest.mark.parametrize("ahead", [0, 3600], ids=["same second", "clock set back an hour"])
def test_events_of_a_resumed_run_are_read_last(tiny, tmp_path, ahead):
    """TensorBoard reads event files by name; the name has the second, then the process, then a counter."""
    train(tiny(), tmp_path / "run", 2)
    first = next((tmp_path / "run" / "tensorboard").iterdir())
    words = first.name.split(".")
    # As a process with a greater number would have called it, in this very second or by another clock.
    later = ".".join([*words[:3], f"{int(time.time()) + ahead:010d}", *words[4:-2], "999999999", "0"])
    first = first.rename(first.with_name(later))
    before = first.read_bytes()
    train(tiny(), tmp_path / "run")
    files = sorted((tmp_path / "run" / "tensorboard").iterdir())
    assert len(files) == 2
    assert files[0].read_bytes() == before
    assert [step for step, _ in board(tmp_path / "run")["generator/adversarial"]] == list(range(1, 9))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_save_and_leave(tiny, ganlab, tmp_path, monkeypatch, number):
    path, honest = tmp_path / "config.yaml", Monitor.scalars
    path.write_text(dump(tiny("training.steps=20", "logging.checkpoint_every=20")))

    def signalled(self, step, values):
        honest(self, step, values)
        if step == 3:
            signal.raise_signal(number)

    monkeypatch.setattr(Monitor, "scalars", signalled)
    before = signal.getsignal(number)
    code, out, err = ganlab("train", path, f"out={tmp_path / 'run'}")
    assert code == 128 + number
    assert "3 of 20 steps, stopped; the same command resumes" in out
    assert "Traceback" not in err
    assert signal.getsignal(number) is before
    assert saved_steps(tmp_path / "run" / "checkpoints") == [3]


def test_a_second_interrupt_does_not_ask():
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_finished_run_says_so(tiny, tmp_path, capsys):
    train(tiny(), tmp_path / "run")
    before = digest(tmp_path / "run")
    capsys.readouterr()
    assert train(tiny(), tmp_path / "run").finished
    assert "finished, 8 steps" in capsys.readouterr().out
    assert digest(tmp_path / "run") == before


def test_the_banner_says_where_on_what_and_why(tiny, tmp_path, capsys):
    train(tiny(), tmp_path / "run")
    out = capsys.readouterr().out
    for text in (
        "cpu",
        "fp32",
        "threads 1",
        "dead_leaves",
        "58 training and 6 held-out",
        "parameters",
        "seed 0",
    ):
        assert text in out
    assert "parameters" in (tmp_path / "run" / "log.txt").read_text()
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["torch"] == torch.__version__
    assert load(tmp_path / "run") == tiny()


def test_the_first_steps_say_how_long_the_others_take(tiny, tmp_path, capsys, monkeypatch):
    train(tiny(), tmp_path / "run", stop_at=4)
    assert "steps a second" not in capsys.readouterr().out  # over before it could be measured
    monkeypatch.setattr("ganlab.training.monitor.FORECAST_SECONDS", 0.0)
    train(tiny(), tmp_path / "run")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("time ")]
    assert len(said) == 1
    assert re.fullmatch(r"time +\S+ steps a second: about \d+ s for the 2 steps left \(.*\)", said[0])


def test_a_length_of_time_in_words():
    seconds = (0.2, 40, 360, 5400, 19800, 7200, 40 * 3600, 76.8 * 3600)
    words = ["1 s", "40 s", "6 min", "1 h 30 min", "5 h 30 min", "2 h", "40 h", "3.2 days"]
    assert [duration(value) for value in seconds] == words


def test_another_config_is_refused_with_the_difference(tiny, tmp_path):
    train(tiny(), tmp_path / "run")
    with pytest.raises(GanlabError, match=r"optimizer.lr: 0.0002 there, 0.001 asked for"):
        train(tiny("optimizer.lr=1e-3"), tmp_path / "run")
    with pytest.raises(GanlabError, match=r"training.steps: 8 there, 4 asked for"):
        train(tiny("training.steps=4"), tmp_path / "run")


def test_more_steps_extend_a_run_exactly(tiny, tmp_path, capsys):
    train(tiny("training.steps=12"), tmp_path / "whole")
    train(tiny(), tmp_path / "run")
    train(tiny("training.steps=12"), tmp_path / "run")
    assert "extended from 8 to 12 steps" in capsys.readouterr().out
    a, b = (json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-2:])
    assert (a["step"], b["step"]) == (11, 12)
    assert (tmp_path / "run/metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()
    linear = ["optimizer.schedule=linear"]
    train(tiny(*linear), tmp_path / "linear")
    with pytest.raises(GanlabError, match=r"training.steps"):
        train(tiny("training.steps=12", *linear), tmp_path / "linear")


def test_what_does_not_change_the_numbers_may_change(tiny, tmp_path):
    train(tiny(), tmp_path / "run", stop_at=4)
    assert train(tiny("logging.log_every=2", "logging.keep_checkpoints=1"), tmp_path / "run").finished


def test_so_many_minutes_of_a_call_and_the_same_command_goes_on(tiny, ganlab, tmp_path):
    """A slice however short does a step; all slices together are the whole run, and need not be equal."""
    train(tiny(), tmp_path / "whole")
    path = tmp_path / "config.yaml"
    path.write_text(dump(tiny("training.max_minutes=1e-6")))
    for step in (1, 2):
        code, out, _ = ganlab("train", path, f"out={tmp_path / 'run'}")
        assert code == 0
        assert f"{step} of 8 steps, stopped after 1e-06 minutes (training.max_minutes); the same" in out
    code, out, _ = ganlab("train", path, f"out={tmp_path / 'run'}", "training.max_minutes=60")
    assert (code, saved_steps(tmp_path / "run" / "checkpoints")[-1]) == (0, 8)
    assert "8 of 8 steps, finished" in out
    # The file of the generator says with which limit it was asked for; its weights are the same.
    for name, value in digest(tmp_path / "whole").items():
        assert name == "generator.safetensors" or digest(tmp_path / "run")[name] == value


def test_a_folder_in_use_is_refused(tiny, tmp_path):
    (tmp_path / "run").mkdir()
    with open(tmp_path / "run" / ".lock", "w") as stream:
        stream.write("4242")
        stream.flush()
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(GanlabError, match=r"in use by another process \(pid 4242\)"):
            train(tiny(), tmp_path / "run")
    assert train(tiny(), tmp_path / "run").finished


def test_somebody_elses_folder_is_refused(tiny, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "photo.png").write_bytes(b"x")
    with pytest.raises(GanlabError, match=r"not empty \(photo.png\)"):
        train(tiny(), tmp_path / "data")


@pytest.mark.parametrize("when", ["discriminator", "generator"])
def test_a_non_finite_loss_stops_with_its_name_and_the_last_good_checkpoint(
    tiny, tmp_path, monkeypatch, when
):
    loss, calls = ADVERSARIAL["non_saturating"], []
    honest = getattr(loss, when)

    def failing(*logits):
        calls.append(1)
        value = honest(*logits)
        return value * float("nan") if len(calls) == 5 else value

    monkeypatch.setattr(loss, when, staticmethod(failing))
    with pytest.raises(GanlabError, match=rf"{when}/adversarial.* not finite at step 5; .*step 4"):
        train(tiny(), tmp_path / "run")
    assert saved_steps(tmp_path / "run" / "checkpoints") == [2, 4]
    state = load_checkpoint(checkpoint_path(tmp_path / "run" / "checkpoints", 4), torch.device("cpu"))
    assert all(torch.isfinite(value).all() for value in state["generator"].values())


def test_a_truncated_checkpoint_is_named(tiny, tmp_path):
    train(tiny(), tmp_path / "run", stop_at=4)
    newest = checkpoint_path(tmp_path / "run" / "checkpoints", 4)
    newest.write_bytes(newest.read_bytes()[:1000])
    assert train(tiny(), tmp_path / "run").finished
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "step-000000004.pt: the checkpoint is damaged or no checkpoint" in log
    assert "going on from step 2" in log


def test_a_malicious_checkpoint_runs_nothing(tiny, tmp_path):
    train(tiny(), tmp_path / "run", stop_at=4)

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save(
        {"format": "ganlab-checkpoint-2", "state": Bomb()}, checkpoint_path(tmp_path / "run/checkpoints", 4)
    )
    checkpoint_path(tmp_path / "run/checkpoints", 2).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(GanlabError, match="damaged or no checkpoint"):
        train(tiny(), tmp_path / "run")
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_keeps_the_older_checkpoint(tiny, tmp_path, monkeypatch):
    train(tiny(), tmp_path / "run", stop_at=2)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(GanlabError, match="No space left on device"):
            train(tiny(), tmp_path / "run")
    assert saved_steps(tmp_path / "run" / "checkpoints") == [2]
    assert not list((tmp_path / "run").rglob("*.tmp"))
    assert train(tiny(), tmp_path / "run").finished


def test_torchs_own_full_disk_error_is_translated(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(GanlabError, match=r"cannot write .*step-000000003.pt.*file write failed"):
        save_checkpoint(tmp_path, 3, {}, "")
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_are_pruned_but_milestones_stay(tiny, tmp_path):
    train(tiny("logging.checkpoint_every=1", "logging.milestone_every=3"), tmp_path / "run")
    assert saved_steps(tmp_path / "run" / "checkpoints") == [3, 6, 7, 8]


def test_seeds_differ_and_repeat(tiny, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tiny(f"seed={seed}"), tmp_path / name)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


@pytest.mark.parametrize("upsampling", UPSAMPLERS)
def test_every_upsampler_trains(tiny, tmp_path, upsampling):
    config = tiny(f"model.upsampling={upsampling}", "training.steps=2", "model.generator.width=4")
    assert train(config, tmp_path / "run").finished


def test_conditional_training(tiny, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "pack.npz", images=images, labels=np.arange(40) % 4, split=np.zeros(40, np.int64))
    pack = [
        "data.source=pack",
        f"data.path={tmp_path / 'pack.npz'}",
        "data.num_images=null",
        "model.num_classes=4",
    ]
    config = tiny(
        *pack, "model.architecture=sngan", "model.image_size=32", "training.n_dis=2", "training.steps=3"
    )
    assert train(config, tmp_path / "run").finished


def test_moving_average_follows_the_formula():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    average = MovingAverage(network, decay=0.9, start=1)
    expected = network[0].weight.detach().double().clone()
    for step in range(30):
        with torch.no_grad():
            network[0].weight += torch.randn(2, 3)
        network(torch.randn(4, 3))
        average.update(network, step)
        decay = min(0.9, step / (9 + step)) if step >= 1 else 0.0
        expected = decay * expected + (1 - decay) * network[0].weight.detach().double()
    assert torch.allclose(average.network[0].weight.double(), expected, atol=1e-5)
    assert average.network[1].num_batches_tracked == 30
    assert not average.network.training


def test_bf16_autocast_trains_and_keeps_fp32_weights(tiny):
    """The mixed-precision path, on the CPU's bf16: CUDA takes the same one."""
    config = tiny("loss.penalty=r1", "model.upsampling=bilinear")
    placement = replace(place(config.training), bf16=True)
    data = load_training_images(config.data, config.model.image_size)
    players = make_players(config, placement, World())
    trainer = Trainer(config, players, make_reader(config, data, placement, World()), placement, World())
    losses = trainer.discriminator_step(0) | trainer.generator_step(0)
    assert all(torch.isfinite(value) for value in losses.values())
    assert {parameter.dtype for parameter in players.generator.parameters()} == {torch.float32}


def test_linear_decay_reaches_zero_at_the_last_step(tiny):
    config = tiny("optimizer.schedule=linear", "optimizer.decay_start=4", "optimizer.lr_discriminator=4e-4")
    players = make_players(config, place(config.training), World())
    seen = []
    for step in range(9):
        set_learning_rates(players, config, step)
        optimizers = (players.generator_optimizer, players.discriminator_optimizer)
        seen.append([optimizer.param_groups[0]["lr"] for optimizer in optimizers])
    assert seen[0] == seen[4] == [2e-4, 4e-4]
    assert seen[6] == pytest.approx([1e-4, 2e-4])
    assert seen[8] == [0.0, 0.0]


def test_same_start(tiny):
    """Where shapes agree, so do the first weights; without the option they do not."""

    def first(name, same):
        config = tiny(f"model.upsampling={name}", f"training.same_start={same}")
        players = make_players(config, place(config.training), World())
        return players.generator.state_dict(), players.discriminator.state_dict()

    nearest = first("nearest", "true")
    for name in ("transposed", "bilinear", "pixel_shuffle"):
        generator, discriminator = first(name, "true")
        shapes = {key: value.shape for key, value in nearest[0].items()}
        agreed = [key for key, value in generator.items() if shapes.get(key) == value.shape]
        assert len(agreed) > 5
        assert all(torch.equal(generator[key], nearest[0][key]) for key in agreed)
        assert all(torch.equal(value, nearest[1][key]) for key, value in discriminator.items())
    plain = first("transposed", "false")[1]
    assert not all(torch.equal(value, nearest[1][key]) for key, value in plain.items())
