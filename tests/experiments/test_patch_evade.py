"""``ganlab evade``: the frozen detector is fooled, a fresh one looks again, and nothing is done twice."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from patch_sets import ALLOW, keep_detector, natural, png_folder, striped
from PIL import Image

from ganlab.config import load
from ganlab.data.imageset import array_image_set
from ganlab.errors import GanlabError
from ganlab.experiments.evasion import measure as evasion_measure
from ganlab.experiments.evasion import run as patch_evade
from ganlab.experiments.evasion import tuning as patch_tuning
from ganlab.experiments.evasion.measure import (
    AFTER,
    BEFORE,
    DRAWS,
    FROZEN,
    TESTS,
    Trio,
    compare_spectra,
    fresh_systems,
    joined,
    wasserstein_draws,
)
from ganlab.experiments.evasion.options import EvadeOptions
from ganlab.experiments.evasion.run import evade
from ganlab.forensics import NULL, load_detector
from ganlab.forensics.nets.adversarial import Finetuning
from ganlab.generation import generate_images
from ganlab.models import build_generator, load_generator
from ganlab.models.store import save_generator
from ganlab.util.hashing import derive_seed

OPTIONS = EvadeOptions(
    num=48, steps=24, batch=8, rate=3e-3, closeness=0.1, seeds=2, epochs=2, systems=("radial+logistic",),
    resamples=50, allow=ALLOW,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A generator that nobody trained, with batch statistics of its own and visible contrast."""
    sizes = ["model.image_size=16", "model.generator.width=8", "model.generator.z_dim=8"]
    config = load("dcgan32", [*sizes, "model.upsampling=transposed"])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        generator = build_generator(config).train()
        for _ in range(40):
            images = generator(torch.randn(32, generator.z_dim))
        last = [one for one in generator.modules() if isinstance(one, torch.nn.ConvTranspose2d)][-1]
        last.weight.mul_(0.35 / images.std())
    folder = tmp_path_factory.mktemp("runs") / "toy"
    weights = generator.state_dict()
    save_generator(folder / "generator.safetensors", weights, weights, config, 0)
    return folder


@pytest.fixture(scope="module")
def real():
    return array_image_set(natural(90, 16, seed=31), "photos")


@pytest.fixture(scope="module")
def model(run, real, tmp_path_factory):
    """A detector of this generator's images, those of ``ganlab generate``."""
    fake = array_image_set(generate_images(load_generator(run), 0, 0, 90), "fakes")
    return keep_detector(tmp_path_factory.mktemp("detect"), real, fake, depth=1, epochs=8, batch=6, rate=3e-3)


@pytest.fixture(scope="module")
def report(run, model, real, tmp_path_factory):
    return evade(run, model, real, tmp_path_factory.mktemp("evade") / "out", OPTIONS, "ganlab evade ...")


@pytest.fixture(scope="module")
def results(report):
    return json.loads((report.out / "results.json").read_text())


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def accuracy(results, trained_on, tested_on, kind="fresh"):
    return [
        one["metrics"]["balanced_accuracy"]
        for one in results["records"]
        if (one["kind"], one["trained_on"], one["tested_on"]) == (kind, trained_on, tested_on)
    ]


def test_the_frozen_detector_is_fooled(results):
    (before,), (after,) = (accuracy(results, FROZEN, name, kind="frozen") for name in (BEFORE, AFTER))
    assert before[0] > 0.9
    assert after[0] < 0.6
    assert results["called_fake"]["after"] < 0.2 < 0.9 < results["called_fake"]["before"]
    assert results["p_fake"]["after"] < results["p_fake"]["before"] - 0.5
    assert results["verdicts"]["frozen"].startswith("falls")
    assert "16 images" not in results["reals_of_the_frozen_detector"]
    assert "18 images, none of which the detector was trained on" in results["reals_of_the_frozen_detector"]


def test_every_fresh_detector_is_tested_on_everything(results):
    fresh = [one for one in results["records"] if one["kind"] == "fresh"]
    assert len(fresh) == 2 * 2 * 3 * 3
    for trained_on in TESTS:
        for tested_on in TESTS:
            assert len(accuracy(results, trained_on, tested_on)) == 4
    own, spectral = results["fresh"]
    assert own.startswith("pixels+patch(")
    assert "epochs=2" in own
    assert spectral == "radial+logistic"
    # an untrained generator is far from photographs: a linear look at the spectrum finds both
    found = [one for one in fresh if one["system"] == spectral and one["trained_on"] == one["tested_on"]]
    for one in found:
        value, low, high = one["metrics"]["balanced_accuracy"]
        assert value > 0.8 if one["tested_on"] != NULL else low <= 0.75 <= 1 and high >= 0.25


def test_everything_is_written_and_legible(report):
    files = {p.relative_to(report.out).as_posix() for p in report.out.rglob("*") if p.is_file()}
    assert {
        "plan.json", "results.json", "report.md", "records.csv", "frozen_scores.csv", "tuning.csv",
        "quality.csv", "deviations.csv", "profiles.csv", "evasion.png", "evasion.svg", "detectors.png",
        "detectors.svg", "pairs.png", "pairs.svg", "fakes/before.npy", "fakes/after.npy",
        "tuned/generator.safetensors", "tuned/finetune.json",
    } <= files  # fmt: skip
    assert not [name for name in files if name.startswith("tuning/") or name.endswith(".tmp")]
    for name in ("evasion.png", "detectors.png", "pairs.png"):
        assert np.asarray(Image.open(report.out / name)).std() > 5
        assert f"]({name})" in report.text
    curve = rows(report.out / "tuning.csv")
    assert len(curve) == OPTIONS.steps
    assert float(curve[-1]["p_fake"]) < float(curve[0]["p_fake"]) - 0.5
    assert float(curve[0]["change"]) == 0
    quality = rows(report.out / "quality.csv")
    assert len(quality) == 3 * DRAWS
    assert len(rows(report.out / "frozen_scores.csv")) == 18 + 2 * 48


def test_words_follow_from_the_numbers(report, results):
    (_, _, text) = report.text.partition("# A generator against a frozen detector")
    (before,), (after,) = (accuracy(results, FROZEN, name, kind="frozen") for name in (BEFORE, AFTER))
    for value, low, high in (before, after):
        assert f"{value:.3f} [{low:.3f}, {high:.3f}]" in text
    assert f"calls {100 * results['called_fake']['before']:.1f} % of the fakes fake before" in text
    assert f"changed the images by {results['tuning']['change_grey_levels']:.1f} grey levels" in text
    for phrase in results["verdicts"].values():
        assert phrase in text
    swd = [np.mean([draw["swd"] for draw in results["sliced_wasserstein"][name]]) for name in (BEFORE, AFTER)]
    assert f"sliced Wasserstein distance {swd[0]:.1f} [" in text
    assert f"{swd[1]:.1f} [" in text


def test_the_tuned_generator_is_a_run(report, run, tmp_path, ganlab):
    tuned, old = load_generator(report.out / "tuned"), load_generator(run)
    assert tuned.config == old.config
    images = np.load(report.out / "fakes" / "after.npy")
    seed = derive_seed(OPTIONS.seed, "evade/fakes")
    np.testing.assert_array_equal(generate_images(tuned, seed, 0, 48), images)
    before = np.load(report.out / "fakes" / "before.npy")
    np.testing.assert_array_equal(generate_images(old, seed, 0, 48), before)
    change = np.sqrt(((images.astype(float) - before) ** 2).mean((1, 2, 3))).mean()
    stored = json.loads((report.out / "results.json").read_text())["tuning"]["change_grey_levels"]
    assert change == pytest.approx(stored)
    done = ganlab("generate", report.out / "tuned", "--num", 3, "--out", tmp_path / "set")
    assert done.code == 0, done.output
    assert len(list((tmp_path / "set" / "tuned").glob("*.png"))) == 3


def test_the_same_question_reads_and_others_are_refused(report, run, model, real, monkeypatch):
    monkeypatch.setattr(patch_evade, "tune", None)  # nothing may be computed
    again = evade(run, model, real, report.out, OPTIONS)
    assert again.was_complete
    assert again.text == report.text
    assert evade(run, model, real, report.out, replace(OPTIONS, allow=())).was_complete
    with pytest.raises(GanlabError, match=r"options.steps 24 there, 25 asked for"):
        evade(run, model, real, report.out, replace(OPTIONS, steps=25))
    with pytest.raises(GanlabError, match=r"holds other results.*generator '"):
        evade(report.out / "tuned", model, real, report.out, OPTIONS)


def test_an_interrupted_experiment_goes_on(report, run, model, real, tmp_path, monkeypatch):
    """Killed in the tuning and between the fresh detectors: the results are those of the whole."""
    monkeypatch.setattr(patch_tuning, "CHECKPOINT_EVERY", 10)
    step, taken = Finetuning.step, []

    def counted(self, index):
        taken.append(index)
        if len(taken) == 14:
            raise KeyboardInterrupt
        return step(self, index)

    monkeypatch.setattr(Finetuning, "step", counted)
    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        evade(run, model, real, out, OPTIONS)
    fit, fitted = evasion_measure.fit, []

    def few(*arguments):
        fitted.append(arguments[2])
        if len(fitted) == 5:
            raise KeyboardInterrupt
        return fit(*arguments)

    monkeypatch.setattr(evasion_measure, "fit", few)
    with pytest.raises(KeyboardInterrupt):
        evade(run, model, real, out, OPTIONS)
    assert taken == [*range(14), *range(10, 24)]
    assert not (out / "results.json").exists()
    resumed = evade(run, model, real, out, OPTIONS, "ganlab evade ...")
    assert len(taken) == 28
    assert len(fitted) == 12 + 1  # the interrupted one was begun twice
    assert resumed.text == report.text
    whole, cut = (json.loads((one / "results.json").read_text()) for one in (report.out, out))
    assert whole == cut


# --------------------------------------------------------------------------------------------------- pieces


def test_before_and_after_are_split_alike(report, real):
    before, after = (
        array_image_set(np.load(report.out / "fakes" / f"{name}.npy"), name) for name in (BEFORE, AFTER)
    )
    trio = Trio(real, before, after, ALLOW)
    one, other = trio.bench(0), trio.bench(1)
    for part in ("train", "val", "test"):
        np.testing.assert_array_equal(one.splits[BEFORE].part(part), one.splits[AFTER].part(part))
    assert not np.array_equal(one.splits[BEFORE].train, other.splits[BEFORE].train)
    assert one.splits[BEFORE].fingerprint != one.splits[AFTER].fingerprint
    with pytest.raises(GanlabError, match="duplicates"):
        Trio(real, before, real.subset(np.arange(40), "after"), ALLOW)
    flat = array_image_set(np.full((40, 16, 16, 3), 90, np.uint8), AFTER)
    with pytest.raises(GanlabError, match=r"makes 1 different images out of 40.*lower --rate"):
        Trio(real, before, flat, ALLOW)


def test_linked_places_share_one_identity():
    left = np.array([5, 5, 3, 4, 9, 8], np.uint64)
    right = np.array([1, 2, 2, 6, 6, 7], np.uint64)
    assert joined(left, right).tolist() == [5, 5, 5, 4, 4, 8]
    chain = np.arange(10, dtype=np.uint64)
    assert len(set(joined(chain // 2, (chain + 1) // 2).tolist())) == 1
    assert joined(chain, chain).tolist() == chain.tolist()


def test_duplicates_among_the_tuned_images_do_not_leak(report, real):
    """Two images that only the tuning made equal lie in one part, before and after."""
    images = [np.load(report.out / "fakes" / f"{name}.npy") for name in (BEFORE, AFTER)]
    images[1][1::2] = images[1][::2]
    trio = Trio(real, array_image_set(images[0], BEFORE), array_image_set(images[1], AFTER), ALLOW)
    for seed in range(3):
        split = trio.bench(seed).splits[BEFORE]
        for part in ("train", "val", "test"):
            assert set(split.part(part) // 2 * 2) <= set(split.part(part))


def test_quality_and_spectra_of_known_changes():
    images = natural(80, 32, seed=41)
    real, other = images[:40], images[40:]
    found = wasserstein_draws(real, other, striped(other, 60), 0)
    mean = {name: np.mean([draw["swd"] for draw in draws]) for name, draws in found.items()}
    assert mean[AFTER] > 1.5 * mean[BEFORE]
    assert mean[NULL] == pytest.approx(mean[BEFORE], rel=0.3)
    noisy = np.clip(other + np.random.default_rng(0).normal(0, 30, other.shape), 0, 255).astype(np.uint8)
    spectra = compare_spectra(real, other, noisy, 30, 0)
    distance = {name: one["log_spectral_distance"] for name, one in spectra.deviations.items()}
    assert distance[AFTER].value > 1.5 > distance[BEFORE].value
    assert distance[AFTER].low > distance[BEFORE].high
    assert spectra.frequencies[-1] == 0.5
    assert np.all(spectra.difference[AFTER][-4:] > 1.5)
    assert set(spectra.difference) == {BEFORE, AFTER, NULL}


def test_fresh_detectors_are_of_the_frozen_ones_kind(model):
    own, further = fresh_systems(load_detector(model).detector, OPTIONS)
    assert own.name == "pixels+patch(backbone=xception,depth=1,ensemble=mean_probability,epochs=2)"
    assert further.name == "radial+logistic"
    detector = own.make_detector(7)
    assert dict(detector.options) == dict(load_detector(model).detector.options)
    assert (detector.plan.epochs, detector.seed) == (2, 7)


@pytest.mark.parametrize(
    "changes",
    [{"num": 1}, {"steps": 0}, {"rate": 0.0}, {"closeness": -1.0}, {"seeds": 0}, {"systems": ("patch",)},
     {"allow": ("sizes",)}],
)  # fmt: skip
def test_bad_options_are_explained(changes):
    with pytest.raises(GanlabError):
        EvadeOptions(**changes)


# --------------------------------------------------------------------------------------------- command line


def test_the_verb_works_and_explains_what_is_wrong(run, model, real, tmp_path, ganlab):
    photos = png_folder(tmp_path / "photos", real.read(np.arange(30)))
    large = png_folder(tmp_path / "large", natural(12, 32))
    short = ["--num", 24, "--steps", 2, "--batch", 4, "--seeds", 1, "--epochs", 1, "--resamples", 10]
    allow = ["--allow", "jpeg_grid", "--allow", "resampling"]
    line = [run, "--model", model, "--real", photos, "--out", tmp_path / "out", *short, *allow]
    done = ganlab("evade", *line)
    assert done.code == 0, done.output
    assert "trained afresh on the tuned generator's images" in done.output
    assert f"the page is {tmp_path / 'out' / 'index.html'}" in done.output
    assert "already in" in ganlab("evade", *line).output
    classical = keep_detector(tmp_path / "classical", real, array_image_set(natural(60, 16, 8), "f"), "ridge")
    wrong = {
        "holds a classical detector on 'pixels'": (run, classical, photos),
        "none.safetensors cannot be read": (run, tmp_path / "none.safetensors", photos),
        "no generator at": (tmp_path, model, photos),
        "large has images of 32x32x3; the detector was fitted on 16x16x3": (run, model, large),
        "no such file or folder": (run, model, tmp_path / "nothing"),
    }
    for message, (generator, detector, reals) in wrong.items():
        done = ganlab(
            "evade", generator, "--model", detector, "--real", reals, "--out", tmp_path / "no", *short
        )
        assert done.code == 2, message
        assert done.stderr.startswith("error: ")
        assert message in done.stderr
    done = ganlab("evade", *line[:-4], "--weights", "best", "--out", tmp_path / "no")
    assert done.code == 2
    assert "unknown weights 'best'" in done.stderr
    assert not (tmp_path / "no").exists()
