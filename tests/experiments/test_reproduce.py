"""``ganlab reproduce``: every experiment at a tiny size, the list, bad names and inputs, kill and resume."""

import json

import numpy as np
import pytest
import torch

from ganlab.errors import GanlabError
from ganlab.experiments.claims.outcome import VERDICTS
from ganlab.experiments.claims.recipes import RECIPES, Scale
from ganlab.experiments.claims.registry import EXPERIMENTS
from ganlab.experiments.claims.run import reproduce

TINY = Scale(
    "tiny", images=48, steps=6, zoo=False, repeats=1, epochs=1, resamples=20, work=0.002, processes=1
)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_ends_with_a_verdict_and_a_page(name, tmp_path, ganlab):
    results = reproduce(name, tmp_path / "out", scale=TINY)
    assert results["verdict"] in VERDICTS
    assert results["here"]
    assert results["published"]
    drawings = [drawing for part in results["parts"] for drawing in part["drawings"]]
    assert drawings
    for drawing in drawings:
        for ending in ("svg", "png", "csv"):
            assert (tmp_path / "out" / f"{drawing['stem']}.{ending}").stat().st_size > 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Published, here, verdict" in page
    assert results["verdict"] in page
    # the same again is read, not made, and the page can be written anew
    before = (tmp_path / "out" / "provenance.json").stat().st_mtime_ns
    assert reproduce(name, tmp_path / "out", scale=TINY) == results
    assert (tmp_path / "out" / "provenance.json").stat().st_mtime_ns == before
    assert ganlab("report", tmp_path / "out").code == 0


def test_no_number_is_from_memory():
    for experiment in EXPERIMENTS.values():
        assert all(entry.source and "mem" not in entry.source for entry in experiment.published)
        assert set(experiment.generators) <= set(RECIPES)


def test_all_are_listed_with_minutes_and_needs(ganlab):
    done = ganlab("reproduce")
    assert done.code == 0
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["NAME", "minutes"]
    assert [line.split()[0] for line in lines[1:]] == list(EXPERIMENTS)
    for line, experiment in zip(lines[1:], EXPERIMENTS.values(), strict=True):
        assert experiment.title in line
        assert experiment.source in line
        assert experiment.needs in line


def test_an_unknown_name_is_named_with_the_nearest(ganlab, tmp_path):
    done = ganlab("reproduce", "frank2021", "--out", tmp_path / "out")
    assert done.code == 2
    assert done.stderr.count("\n") == 1
    assert "unknown experiment 'frank2021'" in done.stderr
    assert "did you mean 'frank2020'?" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["frank2020", "--scale", "huge"], "unknown scale 'huge': expected one of tiny, small, paper"),
        (["frank2020", "--fake", "fakes"], "--fake with images needs --real"),
        (["frank2020", "--real", "nowhere"], "nowhere: no such file or folder"),
        (["frank2020", "--allow", "everything"], "unknown guard 'everything'"),
        (["--real", "photos"], "ganlab reproduce needs NAME"),
    ],
)
def test_bad_input_is_one_error(ganlab, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    done = ganlab("reproduce", *words)
    assert done.code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_zoo_gives_the_generators_at_small_scale(tmp_path):
    from ganlab.experiments.claims.recipes import SCALES
    from ganlab.experiments.claims.setting import Setting

    setting = Setting(tmp_path, SCALES["small"], names=("dcgan-nearest",))
    assert setting.sources == {"dcgan-nearest": "zoo:dcgan-nearest-s0"}
    assert setting.in_zoo(["dcgan-nearest"], seed=77) is None
    assert not list(tmp_path.iterdir())


ALLOWED = ("duplicates", "near_duplicates", "enlarged", "brightness", "count")
"""What guards find of a few small photos and their mirrored selves."""


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_own_images_in_the_place_of_the_zoos_or_one_clear_error(name, tmp_path, photos):
    from PIL import Image

    experiment = EXPERIMENTS[name]
    pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(photos.iterdir())])
    np.save(tmp_path / "smooth.npy", pixels[:, ::-1, ::2].repeat(2, axis=2))
    np.save(tmp_path / "coarse.npy", pixels[:, ::2, ::-1].repeat(2, axis=1))
    fakes = [str(tmp_path / f"{kind}.npy") for kind in ("smooth", "coarse")]
    out, real = tmp_path / "out", str(photos)
    if not experiment.takes_fakes:
        with pytest.raises(GanlabError, match=f"{name} makes its own fakes: leave --fake out"):
            reproduce(name, out, real, fakes, TINY)
        fakes = []
    if not experiment.takes_reals:
        with pytest.raises(GanlabError, match=f"{name} makes its own images: leave --real out"):
            reproduce(name, out, real, fakes, TINY)
        assert not out.exists()
        return
    results = reproduce(name, out, real, fakes, TINY, allow=ALLOWED)
    assert results["verdict"] in VERDICTS
    assert not fakes or "smooth" in json.dumps(results["here"])
    with pytest.raises(GanlabError, match="holds other results of 'ganlab reproduce'"):
        reproduce(name, out, real, fakes, TINY, seed=1)


@pytest.mark.slow
def test_a_stopped_experiment_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    from ganlab.experiments.claims import detecting

    whole = reproduce("frank2020", tmp_path / "whole", scale=TINY)
    measured, measure = [], detecting.measure

    def stopping(*arguments, **keywords):
        measured.append(1)
        if len(measured) == 9:
            raise KeyboardInterrupt
        return measure(*arguments, **keywords)

    monkeypatch.setattr(detecting, "measure", stopping)
    with pytest.raises(KeyboardInterrupt):
        reproduce("frank2020", tmp_path / "cut", scale=TINY)
    kept = len(list((tmp_path / "cut" / "kept").iterdir()))
    assert kept == 2  # of the third detector the measurements were not yet all there
    monkeypatch.setattr(detecting, "measure", measure)
    assert reproduce("frank2020", tmp_path / "cut", scale=TINY) == whole


def test_what_is_trained_here_is_what_the_zoo_trained(tmp_path):
    """So that a generator that the zoo lacks differs from its others in nothing but what its name says."""
    from ganlab import zoo
    from ganlab.experiments.claims.recipes import SCALES
    from ganlab.experiments.claims.setting import Setting
    from ganlab.models.store import generator_file, read_generator

    setting = Setting(tmp_path, SCALES["small"])
    compared = 0
    for name in RECIPES:
        if f"{name}-s0" in zoo.names():
            theirs = read_generator(generator_file(f"zoo:{name}-s0"), "ema")[0]
            ours = setting.config(name, [f"training.steps={theirs.training.steps}"])
            assert ours.model_copy(update={"out": None}) == theirs.model_copy(update={"out": None}), name
            compared += 1
    assert compared >= 3


def test_a_collapsed_generator_is_left_out_and_named(tmp_path, monkeypatch):
    from ganlab.data import array_image_set
    from ganlab.experiments.claims.recipes import SCALES
    from ganlab.experiments.claims.setting import Setting

    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)

    def fake(self, source, name, seed=0):
        return array_image_set(noise if "nearest" in name else noise[:1].repeat(40, 0), name)

    monkeypatch.setattr(Setting, "fake", fake)
    setting = Setting(tmp_path, SCALES["small"], names=("dcgan-nearest", "dcgan-bilinear"))
    assert [images.name for images in setting.fakes] == ["dcgan-nearest"]
    assert setting.left_out == ["dcgan-bilinear collapsed to 1 different images: left out"]
    with pytest.raises(GanlabError, match="no generator is left"):
        _ = Setting(tmp_path, SCALES["small"], names=("dcgan-bilinear",)).fakes


def test_bands_and_patches_of_images():
    """Yu 2019: halving keeps what is smooth, the rest has no mean; patches are cut image by image."""
    from ganlab.experiments.claims.yu2019 import halved, named_from, patches_of, without_coarse

    flat = torch.full((2, 3, 16, 16), 0.5)
    assert torch.allclose(halved(flat, 2), torch.full((2, 3, 4, 4), 0.5))
    assert without_coarse(flat, 1).abs().max() < 1e-6
    checks = torch.ones(16, 16)
    checks[::2, ::2] = checks[1::2, 1::2] = -1
    assert halved(checks.expand(1, 3, 16, 16), 1).abs().max() < 1e-6
    assert torch.allclose(without_coarse(checks.expand(1, 3, 16, 16), 1)[0, 0], checks, atol=1e-6)
    numbers = torch.arange(2 * 64.0).reshape(2, 1, 8, 8)
    assert torch.equal(patches_of(numbers, 4)[1], numbers[0, :, :4, 4:])
    assert torch.equal(patches_of(numbers, 4)[4], numbers[1, :, :4, :4])
    noise = 0.1 * torch.randn(3, 24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    marked = noise[1] + checks[:8, :8]
    for side in (None, 4):
        assert named_from([noise[0], marked], side).value == 1
        assert named_from([noise[0], noise[2]], side).contains(0.5)


def test_the_zoo_may_have_others_in_the_place_of_what_it_lacks(tmp_path):
    from ganlab.experiments.claims.recipes import SCALES
    from ganlab.experiments.claims.setting import Setting

    there, not_there = ("dcgan-nearest",), ("sngan-kaiser",)
    assert Setting(tmp_path, SCALES["small"], names=not_there, instead=there).names == there
    assert Setting(tmp_path, SCALES["small"], names=there, instead=not_there).names == there
    assert Setting(tmp_path, SCALES["paper"], names=not_there, instead=there).names == not_there
