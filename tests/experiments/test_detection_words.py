"""What a report says in words, and the page made of it."""

import json
import shutil

import numpy as np
import pytest
from forensics_images import natural, striped

from ganlab.data.imageset import array_image_set
from ganlab.errors import GanlabError
from ganlab.experiments.detection.measure import Record
from ganlab.experiments.detection.options import DetectionOptions
from ganlab.experiments.detection.page import page
from ganlab.experiments.detection.run import detect
from ganlab.experiments.detection.tables import (
    AT_CHANCE,
    kind_rows,
    over_pairs,
    setting_table,
    summary,
    transfer_table,
)
from ganlab.forensics import METRICS, NULL, Interval

NOTHING = {"attribution": [], "perturbed_sources": [], "unseen": []}


def record(system, trained, tested, low, high, seed=0, kind="transfer", setting=""):
    interval = Interval((low + high) / 2, low, high)
    return Record(kind, system, trained, tested, seed, 100, setting, dict.fromkeys(METRICS, interval), 80)


def words(records, **extra):
    return summary(records, {**NOTHING, **extra})


def test_chance_is_called_chance():
    found = words([record("a+b", "x", "x", 0.44, 0.6), record("c+d", "x", "x", 0.3, 0.55)])
    assert found == f"- **x**: {AT_CHANCE} with any of 2 systems (80 test images a seed).\n"


def test_what_is_found_is_named_with_its_interval_and_the_rest_as_doubtful():
    found = words(
        [
            record("a+b", "x", "x", 0.8, 0.9),
            record("c+d", "x", "x", 0.9, 1.0),
            record("e+f", "x", "x", 0.4, 0.6),
        ]
    )
    first, second = found.splitlines()
    assert "found by 2 of 3 systems; the highest mean ROC-AUC is that of c+d, 0.950 [0.900, 1.000]" in first
    assert second == f"- **x**, {AT_CHANCE} (ROC-AUC): e+f (0.500 [0.400, 0.600])."
    assert "worse than chance" in words([record("a+b", "x", "x", 0.1, 0.3)])


def test_one_doubtful_seed_is_enough_to_doubt():
    seeds = [record("a+b", "x", "x", 0.7, 0.9, 0), record("a+b", "x", "x", 0.48, 0.8, 1)]
    assert AT_CHANCE in words(seeds)


def control(system, seed, shift, count=40):
    """Scores of real against real in one split; those of two systems of a split are nearly the same."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=2 * count) + shift * np.arange(2 * count) // count
    scores += 0.1 * np.random.default_rng(len(system) + ord(system[0])).normal(size=2 * count)
    labels = np.repeat([0, 1], count).tolist()
    return {"system": system, "seed": seed, "labels": labels, "scores": scores.tolist()}


@pytest.mark.parametrize(("shift", "leak"), [(0.0, False), (1.5, True), (-1.5, False)])
def test_null_controls_are_judged_by_their_highest(shift, leak):
    """Reals that rank above reals are a leak; below chance they are none."""
    controls = [control(system, seed, 0.0) for seed in range(4) for system in ("a+b", "c+d")]
    controls += [control(system, 9, shift) for system in ("a+b", "c+d")]
    found = words([], null_scores=controls)
    assert "of 10 controls" in found
    assert ("look for a leak" in found) == leak
    if leak:
        assert "rows: a+b with seed 9 (0." in found
        assert "c+d with seed 9 (0." in found


def test_kinds_of_generators_have_their_seeds_as_the_unit():
    records = [
        record("a+b", name, name, value - 0.02, value + 0.02)
        for name, value in (("dcgan-s0", 0.7), ("dcgan-s1", 0.8), ("dcgan-s2", 0.9), ("other", 0.9))
    ]
    ((system, kind, count, *cells),) = kind_rows(records)
    assert (system, kind, count) == ("a+b", "dcgan", "3")
    # Student's t of 0.7, 0.8, 0.9: 0.8 -+ 4.303 * 0.1 / sqrt(3)
    assert cells[0] == "0.800 [0.552, 1.000]"
    perfect = [record("a+b", f"g_seed{k}", f"g_seed{k}", 0.9, 1.1) for k in range(4)]
    assert kind_rows(perfect)[0][3] == "1.000 [0.950, 1.000]"  # no scatter: as wide as the images make it


def test_transfer_counts_pairs_of_different_generators():
    ends = {("x", "x"): (0.9, 1.0), ("y", "y"): (0.9, 1.0), ("x", "y"): (0.4, 0.6), ("y", "x"): (0.7, 0.9)}
    records = [record("a+b", one, two, *span) for (one, two), span in ends.items()]
    records += [record("a+b", "pooled", one, 0.8, 0.9) for one in ("x", "y")]
    found = words(records).splitlines()[-1]
    both = "0.650 [0.550, 0.750]"
    assert f"mean ROC-AUC {both} (fakes rank above reals) and mean balanced accuracy {both}" in found
    assert "over 2 pairs of different generators, 1 of them" in found
    assert "trained on all together 0.850 [0.800, 0.900] and 0.850" in found
    assert "two generators say nothing of others" in found


def test_pairs_that_share_a_generator_are_no_independent_pairs():
    """The mean of pairs of five generators holds the mean of all there are in about 95 % of draws."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        trained, tested = rng.normal(0, 0.05, (2, 5))
        pairs = {
            (f"g{i}", f"g{j}"): 0.7 + trained[i] + tested[j] + rng.normal(0, 0.02)
            for i in range(5)
            for j in range(5)
            if i != j
        }
        found = over_pairs({names: Interval(value, value, value) for names, value in pairs.items()})
        assert found.low <= found.value <= found.high
        held += found.contains(0.7)
    assert 180 <= held <= 199


def test_seeds_of_one_kind_are_left_out_together():
    names = [f"{kind}-s{seed}" for kind in "xyz" for seed in (0, 1)]
    level = {"x": 0.6, "y": 0.7, "z": 0.8}
    alike = {(one,): Interval(level[one[0]], level[one[0]], level[one[0]]) for one in names}
    kinds = {(one,): Interval(value, value, value) for one, value in level.items()}
    assert over_pairs(alike).low == pytest.approx(over_pairs(kinds).low)
    assert over_pairs(kinds).low == pytest.approx(0.7 - 4.303 * 0.1 / 3**0.5, abs=1e-3)


def test_ranking_and_threshold_stand_side_by_side():
    """A detector that ranks another generator's images perfectly and calls all of them real."""
    rank, parted = Interval(1.0, 1.0, 1.0), Interval(0.5, 0.5, 0.5)
    metrics = {**dict.fromkeys(METRICS, rank), "balanced_accuracy": parted}
    table = transfer_table([Record("transfer", "a+b", "x", "y", 0, 100, "", metrics, 80)], "a+b")
    assert "| x | 0.500 / 1.000 |" in table
    moved = [Record("robustness", "a+b", "x", "x", 0, 100, "blur 5", metrics, 80)]
    assert "| blur 5 | 0.500 [0.500, 0.500] / 1.000 |" in setting_table(
        moved, "robustness", "balanced_accuracy"
    )


def test_robustness_names_what_hides_every_generator():
    spans = {"none": (0.9, 1.0), "jpeg 1": (0.7, 0.9), "jpeg 5": (0.4, 0.6)}
    records = [record("a+b", "x", "x", *span, kind="robustness", setting=s) for s, span in spans.items()]
    assert words(records) == f"- a+b finds no generator any more ({AT_CHANCE}) after: jpeg 5.\n"


def test_sources_immunity_and_false_alarms():
    named = [
        {"system": "a+b", "balanced_accuracy": [0.8, 0.7, 0.9], "chance": 0.25},
        {"system": "c+d", "balanced_accuracy": [0.3, 0.2, 0.4], "chance": 0.25},
    ]
    immune = [{"system": "a+b", "before": [0.3] * 3, "after": [0.6] * 3, "clean_after": [0.7] * 3}]
    immune += [{"system": "c+d", "before": [0.3] * 3, "after": None, "clean_after": None}]
    alarms = [{"tested_on": "z", "rate": [rate] * 3} for rate in (0.05, 0.4)]
    found = words([], attribution=named, perturbed_sources=immune, unseen=alarms).splitlines()
    assert f"best a+b, balanced accuracy 0.800 [0.700, 0.900]; {AT_CHANCE}: c+d." in found[0]
    assert found[1].startswith(
        "- Immunising a+b: mean balanced accuracy under perturbation 0.300 before, 0.600"
    )
    assert "False alarms on z, which no detector saw: 0.050 to 0.400" in found[2]
    assert len(found) == 3


# ---------------------------------------------------------------------------------------------------- page


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "out"
    images = natural(80, 16)
    sets = array_image_set(images[:40], "real"), [array_image_set(striped(images[40:]), "a|<b>")]
    options = DetectionOptions(("both+logistic",), seeds=1, bands=2, resamples=20, allow=("resampling",))
    return detect(*sets, out, options).out


def test_the_page_says_what_the_report_says(results):
    made, text = page(results), (results / "report.md").read_text()
    assert (made.title, made.verb) == ("Detection", "detect")
    assert [f"- {line}" for line in made.summary] == [
        line.replace("**", "")
        for line in text.splitlines()
        if line.startswith("- **") or "Real against" in line
    ]
    assert made.warnings == [line[2:] for line in text.splitlines() if line.startswith("- resampling:")]
    titles = [section.title for section in made.sections]
    assert titles == [
        "Each generator",
        "Transfer: both+logistic",
        "Frequency bands",
        "Figures",
        "How to read this",
    ]
    generators = made.sections[0].tables[0]
    assert [row[1] for row in generators.rows] == ["a|<b>", NULL]
    assert generators.left == [0, 1]
    stored = json.loads((results / "results.json").read_text())["records"][0]["metrics"]["roc_auc"]
    assert generators.rows[0][3].sort == round(stored[0], 3)
    assert {one.image.name for one in made.sections[3].figures} == {"transfer_0.svg", "bands_0.svg"}
    assert all(one.csv.name == "records.csv" and one.alt for one in made.sections[3].figures)


def test_the_page_lies_in_the_folder_and_is_made_again_by_report(results, tmp_path, ganlab):
    text = (results / "index.html").read_text()
    assert "a|&lt;b&gt;" in text
    assert "a|<b>" not in text
    again = ganlab("report", results, "--out", tmp_path / "page.html")
    assert again.code == 0, again.output
    assert (tmp_path / "page.html").read_text() == text


def test_unfinished_results_are_explained(results, tmp_path):
    shutil.copy(results / "plan.json", tmp_path)
    with pytest.raises(GanlabError, match="not finished; run the same 'ganlab detect' again"):
        page(tmp_path)
