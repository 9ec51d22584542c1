"""``ganlab train`` and ``ganlab generate`` as a user meets them."""

from __future__ import annotations

import pytest

TINY = [
    "model.image_size=16", "model.generator.width=4", "model.discriminator.width=4", "data.num_images=40",
    "training.batch_size=4", "training.steps=3", "training.threads=1",
]  # fmt: skip


def test_train_resume_and_finish(tmp_path, ganlab):
    first = ganlab("train", "dcgan32", *TINY, "--stop-at", "2")
    assert first.code == 0, first.stderr
    assert "runs/dcgan32: 2 of 3 steps, stopped; the same command resumes" in first.stdout
    second = ganlab("train", "dcgan32", *TINY)
    assert "2 to 3" in second.stdout
    assert "3 of 3 steps, finished" in second.stdout
    third = ganlab("train", "dcgan32", *TINY)
    assert third.code == 0
    assert "finished, 3 steps" in third.stdout


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path, ganlab):
    done = ganlab("train", "dcgan32", *TINY, "--dry-run")
    assert done.code == 0
    assert "upsampling:" in done.stdout
    assert "would train in runs/dcgan32" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["train", "dcgan33"], "dcgan32"),
        (["train", "dcgan32", "model.upsampling=bilinaer"], "did you mean 'bilinear'"),
        (["train", "dcgan32", "training.stpes=3"], "did you mean 'steps'"),
        (["train", "dcgan32", "training.precision=bf16", "training.device=cpu"], "bf16"),
        (["generate", "runs/none", "--num", "3", "--out", "set"], "no generator at runs/none"),
        (["generate", "--verify", "set"], "no manifest.json"),
    ],
)
def test_errors_are_one_line_without_traceback(tmp_path, ganlab, arguments, text):
    done = ganlab(*arguments)
    assert done.code == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
