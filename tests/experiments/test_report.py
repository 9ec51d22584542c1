"""The report of an ablation: complete in itself, and saying what the numbers say."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
import yaml
from PIL import Image

from ganlab.errors import GanlabError
from ganlab.experiments import ablation as library
from ganlab.experiments.ablation import ablate, open_ablation
from ganlab.experiments.ablation_cell import run_cell
from ganlab.experiments.ablation_jobs import Cluster
from ganlab.experiments.report import write_report
from ganlab.experiments.report_words import summary

SMALL = {
    "model.image_size": 16, "model.generator.width": 8, "model.discriminator.width": 8,
    "model.generator.z_dim": 8, "data.num_images": 120, "training.batch_size": 8, "training.steps": 4,
    "training.device": "cpu", "training.threads": 1, "logging.samples_every": 4, "logging.log_every": 1,
}  # fmt: skip
NASTY = "a</script><b>"


@pytest.fixture(scope="module")
def results(tmp_path_factory, cache_folder):
    """Three variants and two seeds; one variant diverges, one has a name that is markup."""
    folder = tmp_path_factory.mktemp("report")
    plan = {
        "base": "dcgan32",
        "overrides": SMALL,
        "axes": {"remedy": {"none": {}, NASTY: {"data.flip": False}, "mad": {"optimizer.lr": 1e30}}},
        "seeds": [0, 1],
        "generate": {"num": 70},
        "measure": {"resamples": 10},
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))

    def run_cells(folders, logs, cluster, done):
        for cell in folders:
            run_cell(cell)
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLAB_CACHE", str(cache_folder))
        patch.setattr(library, "run_cells", run_cells)
        ablate(open_ablation(folder / "plan.yaml", folder / "out"), Cluster())
    return folder / "out"


@pytest.fixture(scope="module")
def page(results):
    return write_report(results).read_text()


def data_of(page):
    text = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)[1]
    return json.loads(text)


def test_it_needs_nothing_else(page):
    addresses = set(re.findall(r"""https?://[^\s"'<)]+""", page.split('<script id="data"')[0]))
    addresses |= set(re.findall(r"""https?://[^\s"'<)]+""", page.split("</script>", 1)[1]))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a namespace, never fetched
    assert not re.search(r"<link(?![^>]*href=\"data:)|<script[^>]*src|@import|url\(", page)
    assert "@DATA@" not in page
    assert "-50 to 30 dB" in page


def test_it_holds_the_tables_numbers(page, results):
    data = data_of(page)
    assert data["rows"] == json.loads((results / "table.json").read_text())
    everything = json.loads((results / "comparisons.json").read_text())
    assert data["comparisons"] == [line for line in everything if line["metric"] in data["metrics"]]
    assert data["columns"][:5] == ["remedy", "seed", "status", "step", "fakes"]
    assert {"mean_db", "swd", "swd_null"} <= set(data["metrics"])
    assert "fid" not in data["metrics"] or data["rows"][0]["fid"] is not None


def test_pictures_profiles_and_curves_of_the_first_finished_seed(page, results):
    data = data_of(page)
    finished = [row["cell"] for row in data["rows"] if row["status"] == "finished" and row["seed"] == 0]
    assert list(data["cells"]) == finished == data["first"]
    (reals,) = data["reals"].values()  # both variants have the same ones: kept once
    for about in [reals, *data["cells"].values()]:
        for name, size in (("samples", (146, 74)), ("spectrum", (16, 16))):
            content = base64.b64decode(about[name].removeprefix("data:image/png;base64,"))
            assert Image.open(io.BytesIO(content)).size == size
        assert {name: len(values) for name, values in about["profiles"].items()} == {
            "radial": 9, "horizontal": 9, "vertical": 9,
        }  # fmt: skip
    curves = data["cells"][finished[0]]["curves"]
    assert curves["step"] == [1, 2, 3, 4]
    assert np.isfinite(curves["generator/adversarial"]).all()


def test_the_map_shows_where_the_power_is():
    from ganlab.experiments.report import _map

    stripes = np.zeros((2, 16, 16, 3), np.uint8)
    stripes[:, :, ::2] = 255
    colours = _map(stripes).astype(int)
    brightest = np.unravel_index(colours.sum(-1).argmax(), (16, 16))
    assert brightest == (8, 0)  # horizontal Nyquist, zero frequency in the middle


def test_names_cannot_end_the_script(page):
    assert NASTY not in page
    assert any(row["remedy"] == NASTY for row in data_of(page)["rows"])


def test_the_summary_counts_and_judges(page):
    text = " ".join(data_of(page)["summary"])
    assert text.startswith("6 runs over remedy: 4 finished, 2 diverged.")
    assert "With 2 seeds the sign test cannot go below p = 0.5: not enough for it to reach 0.05." in text
    assert "mad against none" not in text


def line(metric, low, high, **more):
    about = {"axis": "remedy", "value": "loss", "baseline": "none", "seeds": 7}
    return {**about, "metric": metric, "low": low, "high": high, "difference": (low + high) / 2, **more}


def test_sentences_follow_from_the_intervals():
    rows = [{"status": "finished"}, {"status": "failed"}]
    found = summary(
        rows,
        [line("mean_db", -3, -1), line("mean_db", -1, 2), line("swd", 1, 3), line("swd", 2, 3)],
        ["remedy"],
    )
    assert found[0] == "2 runs over remedy: 1 finished, 1 failed."
    assert "radial profile: lower in 1 and higher in 0 of 2 settings" in found[1]
    assert "(image quality): lower in 0 and higher in 2 of 2 settings" in found[1]
    assert found[2] == "With 7 seeds the sign test cannot go below p = 0.0156."
    (_, judged, _) = summary(rows, [line("mean_db", -1, 2)], ["remedy"])
    assert "not told apart from the seeds' scatter (mean difference +0.5)" in judged
    single = {**line("swd", -1, 1, seeds=1), "low": None, "high": None}
    (_, judged, last) = summary(rows, [single], ["remedy"])
    assert "no interval from a single seed (mean difference +0)" in judged
    assert last.startswith("One seed:")


def test_folders_without_results_are_refused(tmp_path):
    with pytest.raises(GanlabError, match="expected the results folder of `ganlab ablate`"):
        write_report(tmp_path)
    for name in ("table", "comparisons", "ranks"):
        (tmp_path / f"{name}.json").write_text("[]")
    with pytest.raises(GanlabError, match="the table is empty"):
        write_report(tmp_path)


def test_another_place_for_the_page(results, tmp_path):
    assert write_report(results, tmp_path / "page.html") == tmp_path / "page.html"
    assert (tmp_path / "page.html").stat().st_size > 10_000
