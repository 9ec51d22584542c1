"""The report of an ablation: complete in itself, true to the tables, and saying what the numbers say."""

from __future__ import annotations

import base64
import csv
import html.parser
import io
import json
import math
import re
import shutil

import numpy as np
import pytest
from ablation_results import COMMAND, NASTY, make_results
from PIL import Image

from ganlab.errors import GanlabError
from ganlab.experiments.ablation import figures as pictures
from ganlab.experiments.ablation.measure import (
    mean_power,
    null_pair,
    real_images,
)
from ganlab.experiments.ablation.page import CURVE_POINTS, read_curves
from ganlab.experiments.ablation.page import page as ablation_page
from ganlab.experiments.ablation.tables import null_sentences, summary
from ganlab.experiments.spectra.figures import pooled
from ganlab.experiments.spectra.profiles import enlarged_profiles
from ganlab.images import to_float
from ganlab.results.page import render, write_page
from ganlab.spectra import axis_profiles, power_spectrum, radial_profile


@pytest.fixture(scope="module")
def results(tmp_path_factory, cache_folder):
    return make_results(tmp_path_factory.mktemp("report"), cache_folder)


@pytest.fixture(scope="module")
def page(results):
    """The page that ``ganlab ablate`` left."""
    return (results / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def content(results):
    return ablation_page(results)


@pytest.fixture(scope="module")
def data(page):
    """What the page itself holds for its script."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    return json.loads(text)


@pytest.fixture
def copied(results, tmp_path):
    """The results once more, to be damaged."""
    return shutil.copytree(results, tmp_path / "out")


def cell_of(data, remedy, seed=0):
    (name,) = [row["cell"] for row in data["rows"] if (row["remedy"], row["seed"]) == (remedy, seed)]
    return data["cells"][name]


class Outline(html.parser.HTMLParser):
    """Ids, addresses, scripts and the nesting of a page."""

    VOID = frozenset({"meta", "link", "input", "br", "img"})

    def __init__(self, text):
        super().__init__()
        self.ids, self.addresses, self.scripts, self.styles, self.open = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [found[key] for key in ("src", "href", "action", "data", "srcset") if key in found]
        if tag not in self.VOID:
            self.open.append((tag, found))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop()[0] == tag

    def handle_data(self, text):
        if self.open and self.open[-1][0] == "script":
            self.scripts.append((self.open[-1][1], text))
        elif self.open and self.open[-1][0] == "style":
            self.styles.append(text)


def code_of(outline):
    return "".join(text for about, text in outline.scripts if "type" not in about)


def test_the_page_is_whole_and_needs_nothing_else(page):
    outline = Outline(page)
    assert not outline.open
    assert all(address.startswith(("data:", "#")) for address in outline.addresses)
    assert len(outline.ids) == len(set(outline.ids))
    code = code_of(outline)
    addresses = set(re.findall(r"""https?://[^\s"'<)]+""", code + "".join(outline.styles)))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a namespace, never fetched
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttp|import\(|WebSocket", code + page[:9000])


def test_every_id_that_the_script_uses_exists(page):
    outline = Outline(page)
    code = code_of(outline)
    used = set(re.findall(r'\bat\("([^"]+)"\)', code))
    assert len(re.findall(r"\bat\(", code)) == len(re.findall(r'\bat\("', code))  # never by a variable
    assert "getElementById(id)" in code
    assert code.count("getElementById") == 1
    assert {"runs", "filter", "profiles", "maps", "samples", "curves", "with-theory", "level-bar"} <= used
    assert used <= set(outline.ids)


def test_it_holds_every_cell_and_the_numbers_of_the_table(data, results):
    with open(results / "table.csv", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["cell"] for line in lines] == [row["cell"] for row in data["rows"]] == list(data["cells"])
    assert len(lines) == 8
    for line, row in zip(lines, data["rows"], strict=True):
        for name in data["columns"]:
            value = row[name]
            if isinstance(value, float):
                assert float(line[name]) == pytest.approx(value, rel=1e-8)
            else:
                assert line[name] == ("" if value is None else str(value))
    assert data["columns"][:5] == ["remedy", "seed", "status", "step", "fakes"]
    assert {"mean_db", "swd"} <= set(data["metrics"])
    assert "high_excess_db" in data["signed"]
    assert "mean_db" not in data["signed"]


def size_of(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))).size


def test_comparisons_and_ranks_are_the_tables_of_the_page_metrics(content, data, results):
    for section, name in zip(content.sections, ("comparisons", "ranks"), strict=True):
        lines = json.loads((results / f"{name}.json").read_text())
        lines = [line for line in lines if line["metric"] in data["metrics"]]
        (table,) = section.tables
        assert len(table.rows) == len(lines) > 0
        for cells, line in zip(table.rows, lines, strict=True):
            for cell, (key, value) in zip(cells, line.items(), strict=True):
                if isinstance(value, float):
                    assert cell.sort == value
                    assert float(cell.text.replace("\u2212", "-")) == pytest.approx(value, rel=6e-3)
                elif key != "metric":
                    assert cell == value
    ranked = {cells[1] for cells in content.sections[1].tables[0].rows}
    assert ranked == {"none", NASTY, "learned", "mad"}


def test_pictures_and_profiles_of_every_finished_seed(data, results):
    finished = [row for row in data["rows"] if row["status"] == "finished"]
    assert len(finished) == 6
    assert data["first"] == [row["cell"] for row in finished if row["seed"] == 0]
    (reals,) = data["reals"].values()  # all have the same ones: kept once
    assert (reals["count"], reals["fakes"]) == (70, 70)
    for row in finished:
        about = data["cells"][row["cell"]]
        assert (size_of(about["samples"]), size_of(about["map"]), size_of(about["difference"])) == (
            (146, 74), (17, 17), (17, 17),
        )  # fmt: skip
        result = json.loads(next((results / "cells" / row["cell"]).glob("result-*.json")).read_text())
        for kind in ("radial", "horizontal", "vertical"):
            expected = 10 * np.log10(result["profiles"]["fake"][kind])
            assert about["profiles"][kind] == pytest.approx(expected, abs=6e-4)
        assert about["missing"] == []
        assert about["map_count"] == 70
    assert len({about["samples"] for about in data["cells"].values() if "samples" in about}) == 6


def test_training_curves_of_every_run_even_of_a_diverged_one(data):
    for row in data["rows"]:
        curves = data["cells"][row["cell"]]["curves"]
        if row["status"] == "finished":
            assert curves["generator/adversarial"]["x"] == [1, 2, 3, 4]
            assert np.isfinite(curves["generator/adversarial"]["y"]).all()
        spectral = {name for name in curves if "spectral" in name}
        assert bool(spectral) == (row["remedy"] == NASTY)
        if spectral:
            (ratios,) = [one for name, one in curves.items() if name.endswith("/gradient_ratio")]
            assert ratios["x"] == [2, 4]
            assert any(name.endswith("/distance") for name in curves)
    diverged = cell_of(data, "mad")
    assert diverged["missing"][0].startswith("diverged: ")
    assert "samples" not in diverged
    assert diverged["reals"] is None


def test_long_curves_are_thinned_and_keep_rare_series(tmp_path):
    lines = [{"step": step, "a/loss": 1 / step, "d/logit_real": 0.1} for step in range(1, 2001)]
    for line in lines[99::100]:
        line["a/gradient_ratio"] = float("nan") if line["step"] == 100 else 0.123456
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 2001, "a/lo')
    found = read_curves(tmp_path / "m.jsonl")
    assert set(found) == {"a/loss", "a/gradient_ratio"}
    assert len(found["a/loss"]["x"]) <= CURVE_POINTS + 1
    assert (found["a/loss"]["x"][0], found["a/loss"]["x"][-1]) == (1, 2000)
    assert found["a/gradient_ratio"]["x"] == [*range(100, 2001, 100)]
    assert found["a/gradient_ratio"]["y"] == [None, *[0.1235] * 19]
    assert read_curves(tmp_path / "none.jsonl") == {}


def measured_reals(results):
    from ganlab.config import from_mapping

    spec = json.loads((next((results / "cells").glob("none-s0-*")) / "cell.json").read_text())
    return from_mapping(spec["config"]), real_images(from_mapping(spec["config"]), 70, 0)[0]


def test_theory_is_that_of_the_last_stage_and_of_fixed_ones_only(data, results):
    (reals,) = data["reals"].values()
    assert list(reals["theory"]) == ["nearest"]
    _, images = measured_reals(results)
    grey = (to_float(images).double() * weights()).sum(1, keepdim=True)
    expected = enlarged_profiles(power_spectrum(grey).mean(0)[0].numpy(), "nearest")
    for kind, level in reals["theory"]["nearest"].items():
        wanted = 10 * np.log10(np.maximum(expected[kind], 1e-12))
        assert level == pytest.approx(wanted, abs=2e-3)
    assert reals["theory"]["nearest"]["horizontal"][-1] < -100  # the null of |cos|^2 at Nyquist
    assert cell_of(data, "none")["predicted"]
    assert cell_of(data, "learned")["operator"] == "transposed"
    assert not cell_of(data, "learned")["predicted"]


def weights():
    import torch

    from ganlab.images import LUMA_BT601

    return torch.tensor(LUMA_BT601, dtype=torch.float64)[:, None, None]


def test_the_null_control_is_a_row_and_a_curve(data, results):
    (reals,) = data["reals"].values()
    result = json.loads(next((results / "cells").glob("none-s0-*/result-*.json")).read_text())
    for name in ("mean_db", "high_excess_db"):
        found = result["deviations"][name]
        assert reals["deviations"][name] == {key: found[f"null_{key}"] for key in ("mean", "low", "high")}
    assert reals["deviations"]["swd"]["mean"] == result["quality"]["swd_null"]
    assert reals["null"]["counts"] == [35, 35]  # 120 images: too few for 70 further ones
    _, images = measured_reals(results)
    expected = 10 * np.log10(radial_profile(to_float(images[35:70]).double()).mean(0))
    assert reals["null"]["profiles"]["radial"] == pytest.approx(expected.tolist(), abs=2e-3)
    assert size_of(reals["null"]["difference"]) == (17, 17)


def test_the_null_control_takes_further_reals_where_there_are_enough(results):
    config, images = measured_reals(results)
    null, against = null_pair(images[:50], 60, config, 0)
    assert len(null) == 60
    assert against is not null
    assert np.array_equal(against, images[:50])
    known = {one.tobytes() for one in against}
    assert not any(one.tobytes() in known for one in null)


def test_mean_power_and_its_profiles_against_the_profiles_of_the_images(results):
    _, images = measured_reals(results)
    found, floats = mean_power(images), to_float(images).double()
    across, down = axis_profiles(floats)
    for name, rows in (("radial", radial_profile(floats)), ("horizontal", across), ("vertical", down)):
        assert found.mean(name) == pytest.approx(rows.mean(0).numpy(), rel=1e-5)


def test_everything_that_is_missing_is_named(copied):
    (folder,) = copied.glob("cells/none-s0-*")
    (folder / "samples.npz").write_bytes(b"PK\x03\x04 half")
    (folder / "spectra.npz").unlink()
    (folder / "run" / "metrics.jsonl").unlink()
    (folder / "run" / "environment.json").unlink()
    (copied / "commands.jsonl").write_text("{")
    found = ablation_page(copied)
    text = "\n".join(cell_of(found.extra.data, "none")["missing"])
    assert "training curves: no readable run/metrics.jsonl" in text
    for name in ("samples: samples.npz", "2-D spectra: spectra.npz"):
        assert f"{name} cannot be read" in text
    assert "--redo makes them again" in text
    assert cell_of(found.extra.data, NASTY)["missing"] == []
    assert found.sources["Environment of 1 of 8 runs"] == "environment.json is missing or damaged"
    assert "damaged" in found.sources["Commands"]
    np.savez(folder / "spectra.npz", real=np.ones((16, 9)))
    (folder / "cell.json").write_text("{")
    (result,) = folder.glob("result-*.json")
    whole = result.read_text()
    text = "\n".join(cell_of(ablation_page(copied).extra.data, "none")["missing"])
    assert "2-D spectra: spectra.npz cannot be read (it lacks 'num_real')" in text
    assert "configuration: cell.json cannot be read" in text
    result.write_text(whole[:500])
    text = "\n".join(cell_of(ablation_page(copied).extra.data, "none")["missing"])
    assert "profiles: its result file is missing or damaged" in text
    assert write_page(copied, ablation_page(copied)).stat().st_size > 10_000


def test_rows_that_nobody_asked_for_are_counted_not_listed(results, tmp_path):
    """`--only` leaves cells that are not run: they would bury the others."""
    rows = json.loads((results / "table.json").read_text())
    for row in rows:
        if row["remedy"] != "none":
            row |= dict.fromkeys([key for key in row if key not in ("remedy", "seed", "cell")])
            row["status"] = "not run"
    place = tmp_path / "Ablation"
    shutil.copytree(results, place)
    (place / "table.json").write_text(json.dumps(rows))
    found = ablation_page(place)
    assert found.title == "Ablation"  # and not "Ablation Ablation"
    assert [row["remedy"] for row in found.extra.data["rows"]] == ["none", "none"]
    assert found.summary[:2] == [
        "2 runs over remedy: 2 finished.",
        "6 further cells of the plan have not been run.",
    ]
    assert {cells[1] for cells in found.sections[1].tables[0].rows} == {"none"}
    for row in rows:
        row["status"] = "not run"
    (place / "table.json").write_text(json.dumps(rows))
    assert ablation_page(place).extra is None
    assert "8 further cells" in render(ablation_page(place))


def test_126_runs_stay_small():
    count = pictures.samples_shown(126, 32 * 32 * 3)
    assert count == 16
    assert pictures.samples_shown(18, 32 * 32 * 3) == 32
    assert pictures.samples_shown(10_000, 64 * 64 * 3) == 1
    noise = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
    level = 10 * np.random.default_rng(1).normal(size=(33, 33))
    per_run = len(pictures.sheet(noise, count)) + 2 * len(pictures.map_picture(level, (-30, 10)))
    assert 126 * per_run < 12e6


def colours_of(uri):
    picture = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))
    return np.asarray(picture.convert("RGB")).astype(int)


def test_the_map_shows_where_the_power_is():
    stripes = np.zeros((2, 16, 16, 3), np.uint8)
    stripes[:, :, ::2] = 255
    level = pictures.plane_db(mean_power(stripes))
    assert np.argwhere(level > 0).tolist() == [[8, 0], [8, 16]]  # horizontal Nyquist, at both ends
    bright = colours_of(pictures.map_picture(level, (-30, 20))).sum(-1)
    assert np.argwhere(bright == bright.max()).tolist() == [[8, 0], [8, 16]]


def test_rising_vertical_frequency_points_up():
    y, x = np.mgrid[:16, :16]
    wave = np.cos(2 * math.pi * (2 * y + 5 * x) / 16)
    images = np.round(127.5 + 100 * wave)[None, ..., None].repeat(3, -1).astype(np.uint8)
    bright = colours_of(pictures.map_picture(pictures.plane_db(mean_power(images)), (-30, 20))).sum(-1)
    bright[8, 8] = 0
    rows, columns = np.nonzero(bright > 0.9 * bright.max())
    assert {(8 - row, column - 8) for row, column in zip(rows, columns, strict=True)} == {(2, 5), (-2, -5)}


def test_scales_hold_what_they_must():
    levels = [np.linspace(-23, 8, 1000).reshape(10, 100), np.linspace(-20, 12.1, 1000).reshape(10, 100)]
    assert pictures.level_range(levels) == (-25.0, 15.0)
    assert pictures.level_range([np.zeros((4, 4))]) == (0.0, 5.0)
    assert pictures.difference_bound([np.full((9, 9), value) for value in (0.5, 1.7)]) == 2.0
    assert pictures.difference_bound([]) == 1.0
    whites = colours_of(pictures.map_picture(np.zeros((3, 3)), (-5, 5), diverging=True))
    assert (whites > 240).all()


def test_large_maps_are_reduced_without_losing_peaks():
    level = np.zeros((257, 257))
    level[3, 200], level[100, 50] = 9.0, -12.0
    small = pooled(level, False, pictures.MAP_CELLS)
    assert max(small.shape) <= 129
    assert small.max() == 9.0
    assert pooled(level, True, pictures.MAP_CELLS).min() == -12.0
    assert size_of(pictures.map_picture(level, (-9, 9))) == (129, 129)
    assert size_of(pictures.map_picture(level[:129, :129], (-9, 9))) == (129, 129)


def test_names_cannot_end_the_script(page, data):
    assert NASTY not in page
    assert any(row["remedy"] == NASTY for row in data["rows"])


def test_commands_and_plan_are_there(content, data, page, results):
    assert content.sources["Commands"].startswith(f"{COMMAND}    # ")
    assert content.sources["plan.yaml"] == (results / "plan.yaml").read_text()
    assert "base: base.yaml" in content.sources["plan.yaml"]
    assert "Environment of 8 of 8 runs" in content.sources
    assert str(results) not in page
    first, second = cell_of(data, "learned", 1)["commands"]
    assert first == "ganlab ablate out/plan.yaml --out out --only=remedy=learned --only=seed=1"
    assert second.startswith("ganlab generate out/cells/learned-s1-")
    assert "/run --num 70 --seed 0 --weights raw --out fakes/learned-s1-" in second


def test_the_commands_work_from_the_results_alone(data, results, tmp_path, ganlab, monkeypatch):
    """The copied plan needs no other file, finds its cells done, and the second command makes the fakes."""
    shutil.copytree(results, tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    first, second = (line.split()[1:] for line in cell_of(data, "learned", 1)["commands"])
    done = ganlab(*first)
    assert done.code == 0, done.output
    assert "1 cells, 1 done" in done.output
    done = ganlab(*second, "--format", "npy")
    assert done.code == 0, done.output
    (made,) = (tmp_path / "fakes").rglob("*.npy")
    with np.load(next((tmp_path / "out").glob("cells/learned-s1-*/samples.npz"))) as kept:
        assert np.array_equal(np.load(made)[:64], kept["fake"])


def test_the_summary_counts_and_judges(content):
    text = " ".join(content.summary)
    assert text.startswith("8 runs over remedy: 6 finished, 2 diverged.")
    assert "With 2 seeds the sign test cannot go below p = 0.5: not enough for it to reach 0.05." in text
    assert "mad against none" not in text
    assert "Within the null control, reals against reals of the same counts: " in text


def test_runs_within_the_null_control_are_counted():
    rows = [{"cell": name, "mean_db": value} for name, value in (("a", 0.1), ("b", 0.3), ("c", None))]
    nulls = {"k": {"mean_db": {"high": 0.2}}}
    (text,) = null_sentences(rows, nulls, {"a": "k", "b": "k", "c": None})
    assert text.endswith("the mean deviation of the ring averages: 1 of 2 runs.")
    assert null_sentences(rows, {}, {}) == []


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
    assert "ring averages: lower in 1 and higher in 0 of 2 settings" in found[1]
    assert "(image quality): lower in 0 and higher in 2 of 2 settings" in found[1]
    assert found[2] == "With 7 seeds the sign test cannot go below p = 0.0156."
    (_, judged, _) = summary(rows, [line("mean_db", -1, 2)], ["remedy"])
    assert "not told apart from the seeds' scatter (mean difference +0.5 dB)" in judged
    single = {**line("swd", -1, 1, seeds=1), "low": None, "high": None}
    (_, judged, last) = summary(rows, [single], ["remedy"])
    assert "no interval from a single seed (mean difference +0 in units of 0.001)" in judged
    assert last.startswith("One seed:")


def test_folders_without_results_are_refused(tmp_path):
    with pytest.raises(GanlabError, match="expected the results folder of `ganlab ablate`"):
        ablation_page(tmp_path)
    for name in ("table", "comparisons", "ranks"):
        (tmp_path / f"{name}.json").write_text("[]")
    with pytest.raises(GanlabError, match="the table is empty"):
        ablation_page(tmp_path)


def test_the_report_command_writes_the_page_anew_or_elsewhere(results, page, tmp_path, ganlab):
    code, said, _ = ganlab("report", results, "--out", tmp_path / "page.html")
    assert code == 0
    assert str(tmp_path / "page.html") in said
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
