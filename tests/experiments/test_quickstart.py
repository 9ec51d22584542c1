"""The quickstart end to end on a very small scale, its verdict, and trainings side by side."""

from __future__ import annotations

import csv
import json
import time

import numpy as np
import pytest
from PIL import Image

from ganlab.data import array_image_set
from ganlab.errors import GanlabError
from ganlab.experiments.quickstart import run as quickstart
from ganlab.experiments.quickstart.measure import detector_verdict, enlarged_photo, strongest_lines
from ganlab.experiments.quickstart.run import (
    UPSAMPLERS,
    Job,
    last_step,
    plan,
    run_quickstart,
    train_side_by_side,
    verdict,
)
from ganlab.training import train


@pytest.fixture
def few_images(monkeypatch):
    """A quickstart of 40 images that trains in this process."""
    monkeypatch.setitem(quickstart.NUM_FAKES, "tiny", 40)
    few = ["data.num_images=200", "training.batch_size=8", "logging.samples_every=1"]
    monkeypatch.setitem(quickstart.OVERRIDES, "tiny", [*quickstart.OVERRIDES["tiny"], *few])
    monkeypatch.setattr(
        quickstart,
        "train_side_by_side",
        lambda jobs, at_once, meanwhile: [train(*vars(job).values()) for job in jobs],
    )


def test_from_nothing_to_the_picture_and_again(few_images, tmp_path, ganlab):
    lab = tmp_path / "lab"
    command = ("quickstart", "--out", lab, "--steps", 3, "--size", "tiny")
    code, out, _ = ganlab(*command)
    assert code == 0
    for name in UPSAMPLERS:
        assert (lab / "runs" / name / "generator.safetensors").exists()
        assert len(list((lab / "fakes" / name).iterdir())) == 40
        assert f"{name} (" in out
    assert len(list((lab / "fakes" / "real").iterdir())) == 40
    assert Image.open(lab / "summary.png").size[0] > 1000
    assert (lab / "summary.svg").exists()
    # Three rows of runs, three columns of looks at them.
    assert Image.open(lab / "growing.png").size == (3 * (4 * 34 + 6),) * 2
    for kind in ("radial", "horizontal", "vertical"):
        with (lab / f"summary-{kind}.csv").open() as stream:
            assert list(csv.reader(stream))
    assert str(lab / "summary.png") in out
    assert out.splitlines()[-1] == f"{lab / 'index.html'}: all of it on one page"
    words = (lab / "index.html").read_text(encoding="utf-8")
    for name, (value, _, _) in json.loads((lab / "results.json").read_text())["at_nyquist_db"].items():
        assert f"{name} ({value:+.1f} dB)" in out
        assert f"{value:+.1f}" in words
    stored = json.loads((lab / "results.json").read_text())
    for name, line in stored["strongest_line"].items():
        assert f"  {name}: {line}" in out
        assert line in words
    assert all(line in out for line in stored["detector_words"])
    before = json.loads((lab / "fakes" / "manifest.json").read_text())
    report = run_quickstart(lab, 3, "tiny")
    assert [row.role for row in report.rows] == ["fake", "fake", "fake", "null"]
    assert json.loads((lab / "fakes" / "manifest.json").read_text()) == before
    assert ganlab("report", lab).code == 0
    with pytest.raises(GanlabError, match=r"steps 3 there, 4 asked for.*--force"):
        run_quickstart(lab, 4, "tiny")


def test_the_plan_differs_in_the_upsampler_alone():
    configs = plan(None, "normal")
    bare = {config.model_copy(update={"model": None}).model_dump_json() for config in configs.values()}
    assert len(bare) == 1
    assert [config.model.upsampling.name for config in configs.values()] == list(UPSAMPLERS)


def test_the_verdict_follows_the_numbers():
    def last(bilinear, nearest, transposed):
        levels = {"bilinear": bilinear, "nearest": nearest, "transposed": transposed}
        return verdict({name: (value, value - 0.5, value + 0.5) for name, value in levels.items()})[2:]

    assert last(-6, -4, 2) == ["The three generators show that order."]
    (line,) = last(0.3, -4.1, 2.4)
    assert line.startswith("Here bilinear lies above nearest:")
    assert last(-4.5, -4, -6) == [
        "Here bilinear lies above transposed and nearest lies above transposed: learned convolutions "
        "can undo what an operator does.",
        "This run cannot order bilinear and nearest: their intervals touch.",
    ]


def test_unknown_size_is_named():
    with pytest.raises(GanlabError, match="unknown size 'huge'"):
        plan(None, "huge")


def test_a_failing_training_is_reported_with_its_last_lines(tiny, tmp_path):
    good, bad = tiny("training.steps=4000"), tiny("data.source=pack", f"data.path={tmp_path / 'nothing.npz'}")
    started = time.monotonic()
    with pytest.raises(GanlabError, match=r"(?s)training .*bad failed:.*nothing.npz"):
        train_side_by_side([Job(good, tmp_path / "good"), Job(bad, tmp_path / "bad")], at_once=2)
    assert time.monotonic() - started < 120
    assert last_step(tmp_path / "good" / "metrics.jsonl") < 4000


def test_last_step_ignores_a_torn_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert last_step(path) == 0
    path.write_text('{"step": 10, "a": 1}\n{"step": 20, "a": 1}\n{"step": 3')
    assert last_step(path) == 20


def test_runs_whose_names_differ_after_a_dot_have_their_own_plans(tiny, tmp_path):
    folders = [tmp_path / "lr-0.1", tmp_path / "lr-0.2"]
    train_side_by_side([Job(tiny("training.steps=1"), folder) for folder in folders], at_once=2)
    assert sorted(path.name for path in tmp_path.glob("*.yaml")) == ["lr-0.1.yaml", "lr-0.2.yaml"]


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(GanlabError, match=r"is no result of .ganlab quickstart."):
        run_quickstart(tmp_path, steps=1, size="tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_enlarged_photo_lies_on_theorys_curve():
    enlarged = enlarged_photo()
    assert {one.name for one in enlarged} >= {"nearest", "bilinear", "bicubic", "bed_of_nails", "kaiser"}
    for one in enlarged:
        assert one.pixels.shape == (192, 192, 3)
        assert np.abs(one.measured - one.predicted).max() < 0.01


def test_a_set_without_lines_says_so_and_a_checkerboard_is_named(tmp_path):
    draw = np.random.default_rng(0)
    noise = lambda: draw.integers(60, 190, (80, 16, 16, 3), dtype=np.uint8)  # noqa: E731
    board = noise() + ((np.indices((16, 16)).sum(0) % 2) * 60).astype(np.uint8)[None, :, :, None]
    real, same, other = (
        array_image_set(pixels, name)
        for pixels, name in ((noise(), "real"), (noise(), "same"), (board, "board"))
    )
    words = strongest_lines(real, [same, other])
    assert words["same"] == "no line stands out"
    assert "checkerboard" in words["board"]
    shares, said = detector_verdict(real, [other])
    assert shares["board"] > 0.9
    assert len(said.splitlines()) == 2
