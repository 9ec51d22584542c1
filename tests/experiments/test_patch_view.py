"""``ganlab patches``: its numbers, tables and figures where the difference is known; what is refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from patch_sets import ALLOW, keep_detector, natural, png_folder, stripes
from PIL import Image

from ganlab.data.imageset import array_image_set
from ganlab.errors import GanlabError
from ganlab.experiments.patches.figures import BEYOND, cut, difference_image, gain
from ganlab.experiments.patches.measure import Measured, compare_rules, held_out, measure_set
from ganlab.experiments.patches.options import PatchOptions
from ganlab.experiments.patches.run import view_patches
from ganlab.experiments.patches.tables import fields_table
from ganlab.forensics import NULL, Patch, load_detector, load_splits, odds_of, patch_maps
from ganlab.forensics.nets.patch import ENSEMBLES, PUBLISHED_SIDE, receptive_table
from ganlab.forensics.nets.patch_maps import patch_field
from ganlab.forensics.protocol.near import exact_hashes, set_hashes
from ganlab.images import to_float
from ganlab.util.lock import FileLock

OPTIONS = PatchOptions(shown=3, gallery=4, pairs=2, strength=0.08, steps=4, resamples=100, allow=ALLOW)


@pytest.fixture(scope="module")
def sets():
    return stripes(80, 32, seed=21)


@pytest.fixture(scope="module")
def model(sets, tmp_path_factory):
    return keep_detector(tmp_path_factory.mktemp("detect"), *sets, depth=1, epochs=8, batch=16)


@pytest.fixture(scope="module")
def report(sets, model, tmp_path_factory):
    return view_patches(model, *sets, tmp_path_factory.mktemp("view") / "out", OPTIONS, "ganlab patches ...")


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_everything_is_written_and_legible(report):
    files = {p.relative_to(report.out).as_posix() for p in report.out.rglob("*") if p.is_file()}
    assert {
        "plan.json", "results.json", "report.md", "image_scores.csv", "ensembles.csv", "heat_maps.csv",
        "heat_maps.png", "heat_maps.svg", "patches.csv", "patches.png", "patches.svg", "exaggeration.csv",
        "exaggeration.png", "exaggeration.svg", "receptive_fields.csv",
    } <= files  # fmt: skip
    for figure in report.out.glob("*.png"):
        assert np.asarray(Image.open(figure)).std() > 5
    for name in ("heat_maps.png", "patches.png", "exaggeration.png"):
        assert f"]({name})" in report.text
    assert not [name for name in files if name.endswith(".tmp")]


def test_only_held_out_images_are_measured(report, sets, model):
    found = json.loads((report.out / "results.json").read_text())["sets"]
    splits = load_splits(model.parent.parent / "splits_0.json")
    for label, one in zip(("real", "fake"), sets, strict=True):
        assert found[label]["held_out"]
        assert found[label]["images"] == len(splits[one.name].test) == 16
        seen = {one.paths[k] for k in splits[one.name].train}
        measured = {line["path"] for line in rows(report.out / "image_scores.csv") if line["label"] == label}
        assert len(measured) == 16
        assert not measured & seen
    assert "none of which the detector was trained on (64 of its own left out)" in report.text


def test_the_rules_find_the_stripes_and_nothing_in_reals(report):
    lines = rows(report.out / "ensembles.csv")
    assert [(line["rule"], line["tested_on"]) for line in lines] == [
        (rule, name) for rule in ENSEMBLES for name in ("stripes", NULL)
    ]
    for line in lines:
        low, high = (float(line[f"roc_auc_{end}"]) for end in ("low", "high"))
        if line["tested_on"] == NULL:
            assert low <= 0.5 <= high
            assert (line["reals"], line["fakes"]) == ("8", "8")
        else:
            assert low > 0.8


def test_the_maps_of_the_figure_are_the_detectors(report, sets, model):
    detector, field = load_detector(model).detector, patch_field(load_detector(model).detector)
    lines = [line for line in rows(report.out / "heat_maps.csv") if line["label"] == "fake"]
    kept = held_out(model, sets[1], set_hashes(sets[1])).images
    images = kept.read(kept.spaced(3))
    maps = patch_maps(detector, to_float(images).numpy())
    shown = [float(line["p_fake"]) for line in lines if line["image"] != "mean"]
    np.testing.assert_allclose(shown, maps.ravel(), atol=1e-5)
    every = patch_maps(detector, to_float(kept.read(np.arange(len(kept)))).numpy())
    mean = [float(line["p_fake"]) for line in lines if line["image"] == "mean"]
    np.testing.assert_allclose(mean, every.mean(0).ravel(), atol=1e-5)
    assert float(lines[1]["centre_column"]) == field.centre(1)


def test_the_gallery_is_in_order_and_its_patches_lie_in_their_images(report):
    lines = rows(report.out / "patches.csv")
    assert len(lines) == 4 * OPTIONS.gallery
    scores = {(line["label"], line["image"]): line for line in rows(report.out / "image_scores.csv")}
    for row in dict.fromkeys(line["row"] for line in lines):
        own = [line for line in lines if line["row"] == row]
        odds = [float(line["log_odds_fake"]) for line in own]
        fake = row.endswith("most fake")
        assert odds == sorted(odds, reverse=fake)
        assert len({line["image"] for line in own}) == len(own)
        column = "p_fake_highest_patch" if fake else "p_fake_lowest_patch"
        for line in own:
            top, bottom, left, right = (int(line[name]) for name in ("top", "bottom", "left", "right"))
            assert 0 <= top < bottom <= 32
            assert 0 <= left < right <= 32
            assert line["patch_size"] == "19"
            assert float(line["p_fake"]) == pytest.approx(
                float(scores[line["label"], line["image"]][column]), abs=1e-5
            )


def test_exaggeration_is_recorded_and_moves_the_scores(report):
    lines = rows(report.out / "exaggeration.csv")
    assert len(lines) == 2 * 2 * 3
    by = {(line["label"], line["image"], line["towards"]): line for line in lines}
    for label, image, towards in by:
        if towards != "original":
            continue
        real, original, fake = (
            float(by[label, image, one]["log_odds_fake"]) for one in ("real", "original", "fake")
        )
        assert real < original < fake
        change = by[label, image, "fake"]
        assert (float(change["strength_rms"]), change["steps"]) == (0.08, "4")
        assert 0 < float(change["rms_change_grey_levels"]) <= 127.5 * 0.08 + 0.5
        folder = report.out / "exaggerated"
        pictures = [
            np.asarray(Image.open(folder / f"{label}-{int(image):05d}-{one}.png"), np.float64)
            for one in ("original", "fake")
        ]
        rms = np.sqrt(((pictures[1] - pictures[0]) ** 2).mean())
        assert rms == pytest.approx(float(change["rms_change_grey_levels"]), abs=1e-3)


def test_the_receptive_fields_are_the_computed_ones(report):
    lines = rows(report.out / "receptive_fields.csv")
    table = receptive_table([32])
    assert [(line["backbone"], int(line["depth"])) for line in lines] == [
        (r.backbone, r.depth) for r in table
    ]
    for line, row in zip(lines, table, strict=True):
        assert int(line["patch_pixels"]) == row.field.size
        assert int(line["stride_pixels"]) == row.field.stride
        assert int(line["patches_across_at_32"]) == row.grids[0]


def test_the_same_question_reads_and_others_are_refused(report, sets, model, monkeypatch):
    stamp = (report.out / "results.json").stat().st_mtime_ns
    monkeypatch.setattr("ganlab.experiments.patches.run.measure_set", None)  # nothing may be computed
    again = view_patches(model, *sets, report.out, OPTIONS)
    assert again.was_complete
    assert again.text == report.text
    other = PatchOptions(shown=2, allow=ALLOW)
    with pytest.raises(GanlabError, match=r"options.shown 3 there, 2 asked for.*choose another --out"):
        view_patches(model, *sets, report.out, other)
    with pytest.raises(GanlabError, match=r"holds other results.*fake '"):
        view_patches(model, sets[0], array_image_set(natural(30, 32, seed=5), "x"), report.out, OPTIONS)
    assert (report.out / "results.json").stat().st_mtime_ns == stamp
    foreign = report.out.parent / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    with pytest.raises(GanlabError, match="no result of"):
        view_patches(model, *sets, foreign, OPTIONS)
    assert [path.name for path in foreign.iterdir()] == ["notes.txt"]
    with FileLock(report.out / ".lock"), pytest.raises(GanlabError, match="in use by another process"):
        view_patches(model, *sets, report.out, OPTIONS)


def test_a_question_that_fails_leaves_no_folder(sets, model, tmp_path):
    with pytest.raises(GanlabError, match="duplicates"):
        view_patches(
            model, sets[0], array_image_set(sets[0].read(np.arange(40)), "same"), tmp_path / "out", OPTIONS
        )
    assert not (tmp_path / "out").exists()


# --------------------------------------------------------------------------------------------------- pieces


def test_a_set_made_with_a_limit_is_recognised(sets, model):
    """The detector saw a part of a larger set: its training images are found by their pixels."""
    more = natural(160, 32, seed=77)
    more[::2] = sets[0].read(np.arange(80))
    larger = array_image_set(more, "larger")
    found = held_out(model, larger, exact_hashes(more))
    assert found.known
    assert len(found.images) == 160 - 64
    assert np.isin(exact_hashes(found.images.read(np.arange(96))), found.hashes).all()
    limited = held_out(model, larger, exact_hashes(more), limit=10)
    assert len(limited.images) == len(limited.hashes) == 10
    trained_on = load_splits(model.parent.parent / "splits_0.json")["real"].train
    linked = exact_hashes(more).copy()
    linked[1] = linked[2 * trained_on[0]]  # as the guards name a near-duplicate of a training image
    assert len(held_out(model, larger, linked).images) == 160 - 65
    strange = array_image_set(natural(20, 32, seed=3), "strange")
    unknown = held_out(model, strange, set_hashes(strange))
    assert not unknown.known
    assert len(unknown.images) == 20
    assert "may have been trained on them" in unknown.sentence()


def test_a_set_of_training_images_alone_is_refused(tmp_path):
    real, fake = stripes(12, 32, seed=3)
    file = keep_detector(tmp_path, real, fake, depth=1, epochs=1)
    same = np.full(12, 7, np.uint64)  # every image a near-duplicate of every other
    with pytest.raises(GanlabError, match="trained on all of these images"):
        held_out(file, real, same)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(GanlabError, match="lacks 'identity'; expected the plan of 'ganlab detect'"):
        held_out(file, real, same)


def test_a_set_is_measured_the_same_in_any_batches(sets, model, monkeypatch):
    detector = load_detector(model).detector
    whole = measure_set(detector, sets[1])
    monkeypatch.setattr("ganlab.experiments.patches.measure.BATCH", 7)
    parts = measure_set(detector, sets[1])
    for rule in ENSEMBLES:
        np.testing.assert_allclose(parts.scores[rule], whole.scores[rule], atol=1e-5)
    assert [(p.image, p.top, p.left) for p in parts.most_fake] == [
        (p.image, p.top, p.left) for p in whole.most_fake
    ]
    expected = detector.predict_proba(to_float(sets[1].read(np.arange(80))).numpy())[:, 1]
    np.testing.assert_allclose(whole.scores["mean_probability"], expected, atol=1e-5)


def test_rules_are_compared_by_their_own_scores():
    images = array_image_set(natural(8, 8), "x")

    def measured(**scores):
        odds = {rule: odds_of(np.stack([1 - p, p], 1)) for rule, p in scores.items()}
        return Measured(images, scores, odds, (), (), np.zeros((1, 1), np.float32))

    real = measured(mean_probability=np.full(8, 0.1), mean_logit=np.full(8, 0.6), vote=np.linspace(0, 1, 8))
    fake = measured(mean_probability=np.full(8, 0.9), mean_logit=np.full(8, 0.4), vote=np.linspace(0, 1, 8))
    found = {key: metrics["balanced_accuracy"].value
             for key, (_, _, metrics) in compare_rules(real, fake, 0, 0).items()}  # fmt: skip
    assert found["mean_probability", "x"] == 1
    assert found["mean_logit", "x"] == 0
    assert found["vote", "x"] == found["mean_probability", NULL] == 0.5


def test_cuts_are_grey_beyond_the_image():
    image = np.arange(32 * 32 * 3, dtype=np.uint32).reshape(32, 32, 3).astype(np.uint8)
    grey = int(BEYOND[1:3], 16)
    found = cut(image, Patch(0, -6, 20, 19, 0.5, 0.0))
    np.testing.assert_array_equal(found[6:, :12], image[:13, 20:])
    assert np.all(found[:6] == grey)
    assert np.all(found[:, 12:] == grey)
    large = cut(image, Patch(0, -21, -21, 75, 0.5, 0.0))  # its middle is pixel 16: 32 pixels around it
    np.testing.assert_array_equal(large, image)


def test_differences_stay_visible():
    assert [gain(np.array([reach, -reach])) for reach in (200.0, 60.0, 1.0)] == [1, 2, 100]
    shown = difference_image(np.full((1, 1, 3), 110, np.uint8), np.full((1, 1, 3), 100, np.uint8), 5)
    assert shown.tolist() == [[[178] * 3]]  # 127.5 + 5 * 10, half to even


@pytest.mark.parametrize(
    "changes",
    [{"shown": 0}, {"gallery": 99}, {"strength": 0.0}, {"steps": 0}, {"resamples": -1}, {"limit": 1},
     {"allow": ("sizes",)}],
)  # fmt: skip
def test_bad_options_are_explained(changes):
    with pytest.raises(GanlabError):
        PatchOptions(**changes)


# --------------------------------------------------------------------------------------------- command line


def test_the_verb_works_and_explains_what_is_wrong(sets, model, tmp_path, ganlab):
    real, fake = (
        png_folder(tmp_path / name, one.read(np.arange(30))) for name, one in zip("rf", sets, strict=True)
    )
    small = png_folder(tmp_path / "small", natural(12, 16))
    line = ["--out", tmp_path / "out", "--shown", 2, "--gallery", 2, "--pairs", 1, "--resamples", 20]
    done = ganlab("patches", model, real, fake, *line, "--allow", "jpeg_grid", "--allow", "resampling")
    assert done.code == 0, done.output
    assert "written to" in done.output
    assert "Receptive fields" in done.output
    classical = keep_detector(tmp_path / "classical", *sets, name="ridge")
    cnn = keep_detector(tmp_path / "cnn", *sets, name="cnn", epochs=1)
    wrong = {
        "no patch detector but a classical one on 'pixels'": (classical, real, fake),
        "no patch detector but a small_cnn one on 'pixels'": (cnn, real, fake),
        "none.safetensors cannot be read": (tmp_path / "none.safetensors", real, fake),
        "a folder: give the detector's file; there are detectors/0.safe": (model.parent.parent, real, fake),
        "small has images of 16x16x3; the detector was fitted on 32x32x3": (model, small, fake),
        "no such file or folder": (model, real, tmp_path / "nothing"),
    }  # fmt: skip
    for message, arguments in wrong.items():
        done = ganlab("patches", *arguments, "--out", tmp_path / "no")
        assert done.code == 2, message
        assert done.stderr.startswith("error: ")
        assert message in done.stderr
        assert "Traceback" not in done.output
    done = ganlab("patches", model, real, fake, "--out", tmp_path / "no", "--strength", 0)
    assert done.code == 2
    assert "strength is above 0" in done.stderr
    assert not (tmp_path / "no").exists()


def test_the_table_of_the_docs_is_the_computed_one():
    page = (Path(__file__).parents[2] / "docs" / "patch-forensics.md").read_text()
    assert fields_table(receptive_table([*PUBLISHED_SIDE.values(), 32]), 32) in page
