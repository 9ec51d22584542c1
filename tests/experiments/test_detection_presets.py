"""Every published preset from one command: it finds what is there, and nothing where nothing is."""

import csv
import json

import numpy as np
import pytest
from forensics_images import natural, striped
from PIL import Image

from ganlab.experiments.detection.options import chosen_options
from ganlab.forensics import ALIASES, PRESETS, evaluate, find_preset, load_detector

SIDE, REALS, FAKES = 16, 180, 90
SMALL = {
    "durall2019": {"side": 32, "options": "--size 16 --size 80"},
    "frank2020": {"options": "--epochs 25 --set cnn.rate=0.01 --set cnn.batch=12"},
    "guarnera2020": {
        "side": 24,
        "stripes": 100,
        "options": "--set random_forest.trees=40",
        "perturbations": ["mirror"],
    },
    "chai2020": {"scale": 2 / 3, "options": "--epochs 5 --set patch.batch=8"},
    "yu2019": {
        "options": "--epochs 8 --set attribution.divisor=8 --set attribution.batch=16"
        " --set fingerprint.width=8 --set fingerprint.batch=16",
        "perturbations": ["yu_combined"],
    },
    "pixels2020": {
        "side": 8,
        "scale": 2 / 3,
        "options": "--set resnet.epochs=6 --set resnet.rate=0.001 --set resnet.batch=16"
        " --set npr_resnet.epochs=10 --set npr_resnet.rate=0.001 --set npr_resnet.batch=8",
    },
    "projections": {
        "options": "--epochs 25 --set cnn.rate=0.01 --set cnn.batch=12"
        " --set random_forest.trees=40 --set gradient_boosting.trees=40",
    },
}
"""What makes a preset small; whatever is not named here runs as published."""


def image_files(folder, side, scale, stripes):
    """Reals; and as fakes others of the same process with rows of two brightnesses and a fixed pattern."""
    reals, fakes = round(REALS * scale), round(FAKES * scale)
    images, rng = natural(reals + fakes, side, seed=5), np.random.default_rng(1)
    fine, coarse = (25 * rng.standard_normal((size, size, 1)) for size in (side, side // 4))
    pattern = fine + coarse.repeat(4, 0).repeat(4, 1)
    marked = np.clip(striped(images[reals:], stripes) + pattern, 0, 255).astype(np.uint8)
    np.save(folder / "real.npy", images[:reals])
    np.save(folder / "marked.npy", marked)
    return folder / "real.npy", folder / "marked.npy"


def deviations(out, place, source):
    """ROC-AUC of a system on a source's test images, in standard deviations from chance.

    The deviation is Mann and Whitney's, exact for scores that know nothing of the labels.
    """
    with open(out / "scores" / f"{place}_{source}.csv") as stream:
        rows = list(csv.DictReader(stream))
    labels, scores = [int(row["label"]) for row in rows], [float(row["p_fake"]) for row in rows]
    reals, fakes = np.bincount(labels)
    area = evaluate(labels, scores, resamples=20)["roc_auc"].value
    return (area - 0.5) / np.sqrt((reals + fakes + 1) / (12 * reals * fakes))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_finds_what_is_there_and_nothing_else(name, tmp_path, ganlab):
    small = SMALL.get(name, {})
    sets = image_files(tmp_path, small.get("side", SIDE), small.get("scale", 1), small.get("stripes", 30))
    out = tmp_path / "out"
    options = ["--seeds", "1", *small.get("options", "").split()]  # of two values the last counts
    perturbations = [f"--perturbation={one}" for one in small.get("perturbations", ["none"])]
    line = ["detect", *sets, "--out", out, "--preset", name, "--bands", "0", "--resamples", "100"]
    result = ganlab(*line, *options, *perturbations)
    assert result.code == 0, result.output
    content = json.loads((out / "results.json").read_text())
    systems = [one["system"] for one in content["chosen"]][: len(PRESETS[name].systems)]
    assert len(systems) == len(PRESETS[name].systems)
    for place, system in enumerate(systems):
        assert deviations(out, place, 0) > 3, system
        assert abs(deviations(out, place, "null")) < 4, system
        load_detector(out / "detectors" / f"{place}.safetensors")
    assert "**marked**: found by" in result.output
    assert f"Published method {name} ({PRESETS[name].source}). Trap: {PRESETS[name].trap}." in result.output
    for part in CHECKS.get(name, ()):
        part(out, content)


def durall_settings(out, content):
    options = json.loads((out / "plan.json").read_text())["identity"]["options"]
    assert options["fractions"] == [0.8, 0.0, 0.2]
    assert {one["images"] for one in content["records"] if one["kind"] == "size"} == {16, 80, 144}


def sources_named(out, content):
    assert all(one["balanced_accuracy"][1] > 0.5 for one in content["attribution"])
    assert load_detector(out / "attribution" / "0.safetensors").class_names == ("real", "marked")


def tsne_drawn(out, content):
    with open(out / "tsne.csv") as stream:
        rows = list(csv.DictReader(stream))
    for size in (3, 5, 7):
        own = [row for row in rows if row["feature"] == f"traces(kernel_size={size})"]
        points = {name: xy(own, name) for name in ("real", "marked")}
        assert len(points["real"]) == len(points["marked"]) == 18
        assert np.isfinite(np.concatenate(list(points.values()))).all()
    drawn = np.asarray(Image.open(out / "tsne.png").convert("RGB")).reshape(-1, 3)
    assert len(np.unique(drawn, axis=0)) > 100
    # kernels of 3x3 lie in two heaps: most images have their nearest neighbour in their own set
    three = [row for row in rows if row["feature"] == "traces(kernel_size=3)"]
    place, label = np.concatenate([xy(three, n) for n in ("real", "marked")]), np.repeat([0, 1], 18)
    distance = np.linalg.norm(place[:, None] - place[None], axis=2) + np.diag([np.inf] * 36)
    assert (label[distance.argmin(1)] == label).mean() > 0.8


def xy(rows, name):
    return np.array([[float(row["x"]), float(row["y"])] for row in rows if row["set"] == name])


def fingerprints_drawn(out, content):
    with open(out / "responses_1.csv") as stream:
        rows = {(row["images_of"], row["fingerprint_of"]): row for row in csv.DictReader(stream)}
    for name, other in (("real", "marked"), ("marked", "real")):
        own, cross = rows[name, name], rows[name, other]
        assert float(own["mean_response"]) > float(cross["mean_response"])
        assert float(own["mean_correlation"]) > float(cross["mean_correlation"])
    assert not (out / "responses_0.csv").exists()
    assert np.asarray(Image.open(out / "responses_1.png")).std() > 5


def immunised(out, content):
    found = {(one["system"].split("(")[0], one["setting"]): one for one in content["perturbed_sources"]}
    assert len(found) == 5
    for network in ("pixels+attribution", "pixels+fingerprint"):
        one = found[network, "yu_combined"]
        assert one["after"][0] >= one["before"][0] - 0.15
        assert one["clean_after"][0] > 0.6
    assert found["pixels+knn", "yu_combined"]["after"] is None
    assert "Immunising pixels+attribution" in (out / "report.md").read_text()


CHECKS = {
    "durall2019": (durall_settings,),
    "frank2020": (sources_named,),
    "guarnera2020": (sources_named, tsne_drawn),
    "yu2019": (sources_named, fingerprints_drawn, immunised),
}


@pytest.mark.parametrize("alias", ALIASES)
def test_other_names_mean_the_same_preset(alias):
    assert find_preset(alias) is PRESETS[ALIASES[alias]]
    assert chosen_options(alias, {}).chosen_systems() == PRESETS[ALIASES[alias]].systems


@pytest.mark.parametrize("name", PRESETS)
def test_settings_of_a_preset_are_options_and_can_be_overridden(name):
    options = chosen_options(name, {})
    preset = PRESETS[name]
    assert (options.sizes, options.tsne) == (preset.training_sizes, preset.tsne_images)
    assert (options.immunise, options.attribution) == (preset.immunise, preset.attribution)
    assert (options.seeds, options.fractions) == (preset.seeds or 3, preset.fractions or (0.6, 0.2, 0.2))
    changed = chosen_options(name, {"seeds": 1, "fractions": "60/20/20", "sizes": [0], "tsne": 0})
    assert (changed.seeds, changed.fractions, changed.sizes, changed.tsne) == (1, (0.6, 0.2, 0.2), (), 0)


def test_durall_s_polynomial_machine_has_the_published_gamma():
    """1 / features; "scale" divides by the variance too, which is tiny for profiles that begin at 1."""
    (system,) = [one for one in PRESETS["durall2019"].systems if one.detector == "poly_svm"]
    machine = system.make_detector(0)
    assert "gamma='auto'" in repr(machine)
    assert dict(system.detector_options) == {"standardise": False, "gamma": "auto"}
