"""A whole detection experiment on small sets: finds stripes, is at chance on nothing, resumes, scores."""

import json

import numpy as np
import pytest
from forensics_images import natural, striped
from PIL import Image

from ganlab.data.imageset import array_image_set
from ganlab.errors import GanlabError
from ganlab.experiments.detection import run as detection_run
from ganlab.experiments.detection.measure import SPACES, Fitted, bands_of, choices, fit, measure, optimised
from ganlab.experiments.detection.options import DetectionOptions, preset_options
from ganlab.experiments.detection.run import detect
from ganlab.experiments.detection.sources import fit_sources, measure_sources
from ganlab.experiments.detection.tables import matrix, select
from ganlab.forensics import DETECTORS, NULL, PRESETS, System, check, load_detector, make_bench, make_detector
from ganlab.util.lock import FileLock

ALLOW = ("jpeg_grid", "resampling")


def named(name, images):
    return array_image_set(images, name)


@pytest.fixture(scope="module")
def sets():
    """Reals; two fakes with the same stripes, one of another kind that is no different from the reals."""
    images = natural(560, 8)
    return (
        named("real", images[:200]),
        [
            named("stripes", striped(images[200:320])),
            named("too", striped(images[320:440], 22)),
            named("plain", images[440:]),
        ],
    )


OPTIONS = DetectionOptions(
    systems=("both+logistic", "pixels+ridge"), seeds=2, perturbations=("gaussian_blur", "mirror"),
    sizes=(20, 60), bands=4, resamples=200, attribution=True, allow=ALLOW,
)  # fmt: skip


@pytest.fixture(scope="module")
def report(sets, tmp_path_factory):
    out = tmp_path_factory.mktemp("detect") / "out"
    real, fakes = sets
    return detect(real, fakes, out, OPTIONS, [named("unseen", natural(50, 8, seed=9))], "ganlab detect ...")


def own(report, system, source):
    return [
        r
        for r in select(report.records, kind="transfer", system=system, tested_on=source)
        if r.trained_on == source
    ]


def test_finds_what_is_there_and_nothing_else(report):
    for record in own(report, "both+logistic", "stripes"):
        assert record.metrics["balanced_accuracy"].low > 0.9
    for source in ("plain", NULL):
        records = own(report, "both+logistic", source)
        assert len(records) == 2
        assert any(r.metrics["roc_auc"].contains(0.5) for r in records)
        assert np.mean([r.metrics["balanced_accuracy"].value for r in records]) < 0.65


def test_transfer_matrix_is_whole_and_transfers_where_it_should(report):
    rows, columns, values = matrix(
        select(report.records, kind="transfer", system="both+logistic"), "balanced_accuracy"
    )
    assert rows == [
        "stripes",
        "too",
        "plain",
        NULL,
        "pooled",
        "all but stripes",
        "all but too",
        "all but plain",
    ]
    assert columns == ["stripes", "too", "plain", NULL]
    assert np.isfinite(values).all()
    assert values[0, 1] > 0.9
    assert values[0, 2] < 0.65
    assert values[rows.index("all but too"), 1] > 0.85


def test_robustness_sizes_and_bands_tell_what_is_used(report):
    found = {
        r.setting: r.metrics
        for r in select(
            report.records, kind="robustness", system="both+logistic", trained_on="stripes", seed=0
        )
    }
    assert {"none", "mirror", *(f"gaussian_blur {k}" for k in range(1, 6))} == set(found)
    assert found["mirror"]["balanced_accuracy"].value > 0.9
    assert found["gaussian_blur 5"]["balanced_accuracy"].value < 0.7
    sizes = select(report.records, kind="size", system="both+logistic", trained_on="stripes", seed=0)
    assert [r.images for r in sizes] == [20, 60, 144]
    bands = {
        r.setting: r.metrics["roc_auc"].value
        for r in select(report.records, kind="band", system="both+logistic", trained_on="stripes", seed=0)
    }
    assert bands["only 0.375-0.500"] > 0.95
    # the horizontal projection sums over all vertical frequencies, so its zero bin sees the stripes too
    assert bands["only 0.125-0.250"] < 0.75
    assert bands["without 0.375-0.500"] < bands["all"]
    assert not select(report.records, kind="band", system="pixels+ridge")


def test_everything_is_written_and_legible(report):
    folder = report.out
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {
        "plan.json", "results.json", "report.md", "records.csv", "splits_0.json", "splits_1.json",
        "transfer_0.png", "transfer_1.svg", "bands_0.png", "robustness.png", "sizes.png",
        "detectors/0.safetensors", "scores/0_0.csv",
    } <= files  # fmt: skip
    assert "bands_1.png" not in files
    content = json.loads((folder / "results.json").read_text())
    assert len(content["records"]) == len(report.records)
    assert len(content["unseen"]) == 2 * 2 * 8
    assert len(content["attribution"]) == 4
    lines = (folder / "records.csv").read_text().splitlines()
    assert len(lines) == len(report.records) + 1
    scores = (folder / "scores" / "0_0.csv").read_text().splitlines()
    assert len(scores) == 1 + 40 + 24
    for title in (
        "Each generator",
        "Transfer: both+logistic",
        "Robustness",
        "Naming the source",
        "never seen",
    ):
        assert title in report.text
    for figure in folder.glob("*.png"):
        assert np.asarray(Image.open(figure)).std() > 5


def test_the_same_call_reads_and_another_is_refused(report, sets):
    real, fakes = sets
    unseen = [named("unseen", natural(50, 8, seed=9))]
    again = detect(real, fakes, report.out, OPTIONS, unseen, "ganlab detect ...")
    assert again.was_complete
    assert again.records == report.records
    with pytest.raises(GanlabError, match="holds other results of 'ganlab detect'"):
        detect(real, fakes[:1], report.out, OPTIONS, unseen)
    foreign = report.out.parent / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    with pytest.raises(GanlabError, match="no result of"):
        detect(real, fakes, foreign, OPTIONS)


def test_of_two_at_once_one_wins_and_the_other_is_told(report, sets, tmp_path):
    """The second takes no lock; what the first has written stays."""
    real, fakes = sets
    for folder in (report.out, tmp_path / "new"):
        before = sorted(folder.iterdir()) if folder.exists() else []
        with (
            FileLock(folder / ".lock"),
            pytest.raises(GanlabError, match=r"in use by another process \(pid \d+\)"),
        ):
            detect(real, fakes, folder, OPTIONS, [named("unseen", natural(50, 8, seed=9))])
        assert [path.name for path in sorted(folder.iterdir()) if path not in before] in ([], [".lock"])


def test_an_interrupted_experiment_goes_on(sets, tmp_path, monkeypatch):
    real, fakes = sets
    options = DetectionOptions(
        systems=("both+logistic", "radial+logistic"), seeds=1, bands=0, resamples=50, allow=ALLOW
    )
    whole = detect(real, fakes[:1], tmp_path / "whole", options)
    calls = []
    original = detection_run.fit

    def counted(bench, system, *rest):
        calls.append(system.name)
        if len(calls) == 3:  # two rows of the first system are done, then the second system begins
            raise KeyboardInterrupt
        return original(bench, system, *rest)

    monkeypatch.setattr(detection_run, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        detect(real, fakes[:1], tmp_path / "cut", options)
    assert not (tmp_path / "cut" / "results.json").exists()
    resumed = detect(real, fakes[:1], tmp_path / "cut", options)
    assert calls[3:] == ["radial+logistic"] * 2
    assert resumed.records == whole.records


def test_the_saved_pooled_detector_scores_new_images(report):
    saved = load_detector(report.out / "detectors" / "0.safetensors")
    assert saved.class_names == ("real", "fake")
    assert saved.record["trained_on"] == ["stripes", "too", "plain"]
    fresh = natural(60, 8, seed=77)
    from ganlab.forensics import score_images

    plain = score_images(saved, named("fresh", fresh)).fake.mean()
    assert score_images(saved, named("fresh", striped(fresh))).fake.mean() > plain + 0.2


# --------------------------------------------------------------------------------------------------- pieces


@pytest.fixture(scope="module")
def bench(sets):
    real, fakes = sets
    return make_bench(check(real, fakes, ALLOW))


@pytest.mark.parametrize("detector", ["logistic", "ridge", "linear_svm", "cnn"])
def test_images_beyond_certainty_are_still_ranked(detector):
    """A shift after which every probability is exactly 1: the ranking is that of the scores before."""
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 2
    features = (rng.standard_normal((160, 6)) + 0.6 * labels[:, None]).astype(np.float32)
    options = {"epochs": 2} if detector == "cnn" else {}
    fitted = Fitted(
        make_detector(detector, **options).fit(features, labels), System("both", detector), "x", 160, 0
    )
    weight = 1.0 if detector != "cnn" else 1e3
    far = features * np.float32(weight) + np.float32(2000 * weight)
    clean, shifted = (measure(fitted, (own, labels), "robustness", "x", 0) for own in (features, far))
    assert (fitted.scores(far) == 1).all()
    assert clean.metrics["roc_auc"].low > 0.5
    assert shifted.metrics["roc_auc"].low > 0.5
    assert shifted.metrics["balanced_accuracy"].value == 0.5


def test_rows_of_the_matrix():
    assert choices(["a"]) == {"a": ("a",), NULL: (NULL,)}
    assert choices(["a", "b"])["all but a"] == ("b",)


def test_bands_partition_the_entries():
    frequencies = np.array([0, 0.1, 0.25, 0.49, 0.5, 0.7])
    bands = bands_of(frequencies, 4)
    assert np.stack(list(bands.values())).sum(0).tolist() == [1] * 6
    assert bands["0.375-0.500"].tolist() == [False, False, False, True, True, True]
    assert len(bands_of(np.array([0.0, 0.01]), 8)) == 1


def test_optimising_uses_validation_images_only(bench, monkeypatch):
    def forbidden(*_):
        raise AssertionError("looked at the test part")

    original = type(bench).testing
    monkeypatch.setattr(
        type(bench),
        "testing",
        lambda self, system, source, part="test": (
            forbidden() if part == "test" else original(self, system, source, part)
        ),
    )
    system, tried = optimised(bench, System("both", "logistic"), 4, 0)
    assert len(tried) == 4
    best = max(tried, key=lambda one: one["roc_auc"])
    assert dict(system.detector_options) == best["options"]
    same, none = optimised(bench, System("both", "kmeans"), 4, 0)
    assert (same, none) == (System("both", "kmeans"), [])


@pytest.mark.parametrize("name", SPACES)
def test_search_spaces_hold_options_of_their_detectors(name):
    assert name in DETECTORS
    for option, values in SPACES[name].items():
        for value in values:
            make_detector(name, **{option: value})


def test_attribution_counts_every_test_image(bench):
    named = measure_sources(fit_sources(bench, System("both", "logistic"), 0), bench)
    confusion = np.array(named["confusion"])
    assert confusion.sum(1).tolist() == [40, 24, 24, 24]
    value, low, high = named["balanced_accuracy"]
    assert value == pytest.approx((confusion.diagonal() / confusion.sum(1)).mean())
    assert low < value < high
    assert low > named["chance"] == 0.25


def test_same_seed_same_scores(bench):
    system = System("both", "random_forest", {}, {"trees": 10})
    features, _ = bench.testing(system, "stripes")
    first, second = (fit(bench, system, "stripes", ["stripes"], 0, None).scores(features) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_become_options(name):
    options = preset_options(name, seeds=1)
    assert options.systems == (name,)
    assert options.attribution == PRESETS[name].attribution
    assert set(options.severities()) == set(PRESETS[name].perturbations)


def test_bad_options_are_explained(sets):
    for changes, word in (
        ({"systems": ("bothlogistic",)}, "unknown preset"),
        ({"systems": ()}, "at least one system"),
        ({"seeds": 0}, "one system, seed and epoch"),
        ({"perturbations": ("jpg",)}, "did you mean 'jpeg'"),
        ({"allow": ("sizes",)}, "did you mean 'size'"),
    ):
        with pytest.raises(GanlabError, match=word):
            DetectionOptions(**changes)


# --------------------------------------------------------------------------------------------- command line


def png_folder(folder, images):
    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:03d}.png")
    return str(folder)


def test_the_verb_detects_and_scores(tmp_path, ganlab):
    images = natural(160, 8)
    real, fake = (
        png_folder(tmp_path / "real", images[:80]),
        png_folder(tmp_path / "fake", striped(images[80:])),
    )
    out = tmp_path / "out"
    line = ["detect", real, fake, "--out", str(out), "--system", "both+logistic", "--seeds", "1"]
    line += ["--resamples", "50", "--bands", "0", "--allow", "jpeg_grid", "--allow", "resampling"]
    result = ganlab(*line)
    assert result.code == 0, result.output
    assert "Each generator" in result.output
    assert result.stdout.splitlines()[-1] == f"written to {out}; the page is {out / 'index.html'}"
    assert (out / "index.html").is_file()
    table = tmp_path / "scores.csv"
    model = str(out / "detectors" / "0.safetensors")
    scored = ganlab("detect", "--model", model, fake, "--out", table)
    assert scored.code == 0, scored.output
    assert "80 images" in scored.output
    rows = table.read_text().splitlines()
    assert len(rows) == 81
    assert sum(",fake," in row for row in rows) > 70
    one = f"{fake}/{rows[1].split(',')[0]}"
    judged = ganlab("detect", "--model", model, one)
    assert judged.code == 0, judged.output
    assert judged.output.startswith(f"{one}: {rows[1].split(',')[1]}; probability of fake 0.")
    again = ganlab(*line)
    assert "already in" in again.output


def test_the_verb_explains_what_is_wrong(tmp_path, ganlab):
    images = natural(40, 8)
    folder = png_folder(tmp_path / "one", images)
    result = ganlab("detect", folder)
    assert result.code == 2
    other = png_folder(tmp_path / "two", images[:, :6])
    result = ganlab("detect", folder, other, "--out", tmp_path / "out")
    assert result.code == 2
    assert not (tmp_path / "out").exists()
