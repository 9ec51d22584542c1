"""compare_spectra: every file, every number against plain numpy, the folder's rules, bad input."""

from __future__ import annotations

import json
import xml.etree.ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from spectra_sets import along, coloured, column, doubled, power, read_csv, rings

from ganlab.data.imageset import array_image_set, open_image_set
from ganlab.errors import GanlabError
from ganlab.experiments.spectra import measure as spectra_measure
from ganlab.experiments.spectra import run as spectra
from ganlab.experiments.spectra.figures import closed, columns_of, draw_maps, draw_profiles, pooled
from ganlab.experiments.spectra.floors import floor_db
from ganlab.experiments.spectra.lines import marks
from ganlab.experiments.spectra.measure import Map, Maps, check_sets
from ganlab.experiments.spectra.profiles import profiles_of
from ganlab.experiments.spectra.run import SpectraOptions, compare_spectra
from ganlab.spectra import CONVENTIONS, DEVIATIONS, SET_DEVIATIONS, WINDOWS, Line
from ganlab.spectra.transforms import full_plane

QUICK = SpectraOptions(bootstrap=40, metrics="basic")
COUNT = 60


@pytest.fixture(scope="module")
def arrays():
    photos = coloured(COUNT, seed=1)
    return {
        "photos": photos,
        "steep": coloured(40, seed=2, slope=1.6),
        "double": doubled(coloured(50, seed=3)),
    }


@pytest.fixture(scope="module")
def sets(arrays):
    return [array_image_set(images, name) for name, images in arrays.items()]


@pytest.fixture(scope="module")
def full(sets, tmp_path_factory):
    """One comparison with everything, made once; read it only."""
    out = tmp_path_factory.mktemp("spectra") / "out"
    return compare_spectra(sets[0], sets[1:], out, SpectraOptions(bootstrap=40))


def empty_figures(_, stem):
    """Empty files in place of a figure's."""
    for kind in ("svg", "png"):
        stem.with_name(f"{stem.name}.{kind}").write_text("<svg/>")


def db(values):
    return 10 * np.log10(np.maximum(values, 1e-12))


# What is written


def test_every_figure_is_there_thrice_and_parses(full):
    for stem in (
        "heatmaps",
        "difference-maps",
        "radial",
        "horizontal",
        "vertical",
        "table",
        "peaks",
        "p-values",
    ):
        with Image.open(full.out / f"{stem}.png") as picture:
            assert picture.width in (700, 1400)
            assert len(picture.convert("L").getcolors(256 * 256)) > 20
        root = xml.etree.ElementTree.parse(full.out / f"{stem}.svg").getroot()
        assert root.tag.endswith("svg")
        assert len(read_csv(full.out / f"{stem}.csv")) > 4
    assert {*full.files, "plan.json", "index.html", ".lock"} == {path.name for path in full.out.iterdir()}


def test_the_report_is_what_the_files_say(full):
    table = json.loads((full.out / "table.json").read_text())
    assert [row["set"] for row in table["rows"]] == ["steep", "double", "real vs real"]
    assert table["rows"][0]["values"]["mean_db"]["value"] == full.row("steep")["mean_db"].value
    csv_value = column(read_csv(full.out / "table.csv"), "value", set="double", deviation="nyquist_db")
    assert csv_value == pytest.approx(full.row("double")["nyquist_db"].value, rel=1e-8)
    assert full.summary == (full.out / "summary.txt").read_text()
    for name in (*full.files, "steep", "photos" if full.warnings else "double"):
        assert name in full.summary
    assert full.null.role == "null"
    assert not full.was_complete


def test_every_deviation_of_the_library_has_a_row(full):
    row = full.row("steep").values
    single = {name for name, metric in SET_DEVIATIONS.items() if not metric.paired}
    # Of 16 pixels some replica frequencies have too few neighbours for a peak.
    assert {*DEVIATIONS, *single} - set(row) <= {name for name in DEVIATIONS if name.startswith("peak_")}
    assert "peak_horizontal_2" in row
    intervals = [d for name, d in row.items() if not name.startswith("cloaking")]
    assert all(d.low is not None and d.low <= d.high and d.null_low is not None for d in intervals)
    assert "`frechet`" in (full.out / "table.md").read_text()


def test_the_null_control_is_small_and_the_fakes_are_beyond_it(full):
    assert abs(full.null["mean_db"].value) < full.row("steep")["mean_db"].value / 3
    beside = min((full.row(name) for name in ("steep", "double")), key=lambda row: row.count)
    for name, control in full.null.values.items():
        ends = (beside[name].null_mean, beside[name].null_low, beside[name].null_high)
        assert (control.value, control.low, control.high) == ends
        assert control.method == "range over splits"
    assert full.null.count == beside.count
    assert full.row("steep")["mean_db"].beyond_null
    assert full.row("steep")["high_excess_db"].value < 0
    assert full.row("double")["axis_nyquist_excess_db"].value < -10


def test_provenance_names_everything(full, sets):
    about = json.loads((full.out / "provenance.json").read_text())
    assert [one["sha256"] for one in about["inputs"]] == [one.fingerprint() for one in sets]
    assert about["identity"]["options"] == {
        "convention": "ganlab", "window": "none", "bootstrap": 40, "metrics": "all", "seed": 0,
        "published": [],
    }  # fmt: skip
    steep = {"name": "steep", "images": 40, "shape": [16, 16, 3], "sha256": sets[1].fingerprint()}
    assert about["identity"]["sets"][1] == steep
    assert set(about["versions"]) == {"ganlab", "python", "torch", "numpy", "scikit-learn", "matplotlib"}
    assert set(about["files"]) == {*full.files, "plan.json"} - {"provenance.json"}


# Floors


def test_the_floor_is_the_power_of_rounding():
    """Noise that is rounded to 8 bits has 1/12 of a squared grey level more; the Hann window keeps it."""
    source = np.random.default_rng(0)
    levels = source.uniform(20, 230, (400, 16, 16, 3))
    error = (np.rint(levels) - levels) / 127.5
    taper = np.hanning(17)[:16]
    taper = np.outer(taper, taper) / np.sqrt((np.outer(taper, taper) ** 2).mean())
    power_of_error = (np.abs(np.fft.fft2(error @ np.array([0.299, 0.587, 0.114]) * taper)) ** 2 / 256).mean()
    assert db(power_of_error) == pytest.approx(floor_db(3), abs=0.1)
    assert floor_db(1) == pytest.approx(-52.9, abs=0.05)


def test_below_the_floor_a_value_is_a_bound(full):
    row = full.row("double")
    value = row["axis_nyquist_excess_db"].value
    assert row.bounds["axis_nyquist_excess_db"] == "<="
    # The reals' level down to the floor, no more.
    assert -60 < value < -20
    assert f"<= {value:.2f}" in full.summary
    assert "rounding alone leaves -56.4 dB" in full.summary
    assert full.row("steep").bounds == full.null.bounds == {}
    rows = read_csv(full.out / "table.csv")
    assert [
        r["bound"] for r in rows if (r["set"], r["deviation"]) == ("double", "axis_nyquist_excess_db")
    ] == ["<="]
    assert spectra.read_report(full.out).row("double").bounds == row.bounds
    assert f"≤ {value:.2f}" in (full.out / "index.html").read_text()


def test_nothing_is_drawn_or_written_below_the_floor(full):
    for kind in ("radial", "horizontal", "vertical"):
        rows = read_csv(full.out / f"{kind}.csv")
        levels = column(rows, "level")
        assert levels.min() >= floor_db(3) - 1e-6
        assert column(rows, "floor") == pytest.approx(floor_db(3), abs=1e-4)
    rows = read_csv(full.out / "heatmaps.csv")
    assert min(float(row[f"horizontal_{k / 16:g}"]) for row in rows for k in range(9)) > floor_db(3) - 2.6


# Lattice lines


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """Photos with a checkerboard of 3 grey levels, and others without; read it only."""
    y, x = np.mgrid[:16, :16]
    photos = coloured(80, seed=5)
    fakes = np.clip(coloured(80, seed=6) + 3 * (-1) ** (x + y)[None, :, :, None], 0, 255).astype(np.uint8)
    sets = [array_image_set(images, name) for images, name in ((photos, "photos"), (fakes, "board"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spectra, "save_figure", empty_figures)
        return compare_spectra(sets[0], sets[1:], tmp_path_factory.mktemp("board") / "out", QUICK)


def test_the_headline_names_the_checkerboard(board):
    (line,) = board.row("board").lines
    assert (line.fy, line.fx, line.name) == (0.5, 0.5, "a 2-pixel checkerboard")
    assert board.null.lines == ()
    table = board.summary.splitlines()
    assert table[0].endswith("strongest line")
    assert table[1].endswith(f"{line.db:+.1f} dB at (1/2, 1/2), p 0.001")
    assert table[2].endswith("none")
    assert f"board: a 2-pixel checkerboard, {line.db:+.1f} dB at (1/2, 1/2), p 0.001\n" in board.summary
    assert "strongest line" in (board.out / "table.md").read_text()
    assert line.words in (board.out / "index.html").read_text()


def test_files_hold_every_line(board):
    (line,) = board.row("board").lines
    (row,) = read_csv(board.out / "lines.csv")
    assert (row["set"], row["words"], float(row["member_vertical"])) == ("board", line.words, 0.5)
    stored = json.loads((board.out / "table.json").read_text())["rows"]
    assert [len(entry["lines"]) for entry in stored] == [1, 0]
    assert stored[0]["lines"][0]["db"] == line.db
    assert spectra.read_report(board.out).rows[0].lines == (line,)
    panels = {row["set"]: 0.0 for row in read_csv(board.out / "p-values.csv")}
    assert list(panels) == ["real vs real", "board"]
    corner = column(read_csv(board.out / "p-values.csv"), "horizontal_0.5", set="board")[0]
    assert corner == pytest.approx(np.log10(0.001))


def test_few_images_have_no_lines_and_say_so(tmp_path, plain):
    first, second = (array_image_set(coloured(12, seed=seed), str(seed)) for seed in (0, 1))
    report = compare_spectra(first, [second], tmp_path / "out", QUICK)
    assert [row.lines for row in report.rows] == [None, None]
    assert "no lattice lines looked for (that takes 20 images of 16 pixels a side)" in report.summary
    assert not (report.out / "p-values.png").exists()


def test_rings_stand_on_every_side_of_the_map():
    checkerboard, row = (
        Line(0.5, 0.5, 9, 8, 10, 0.01, ((0.5, 0.5),)),
        Line(0.25, 0, 9, 8, 10, 0.01, ((0.25, 0.0),)),
    )
    assert set(marks([checkerboard])) == {(y, x) for y in (-0.5, 0.5) for x in (-0.5, 0.5)}
    assert set(marks([row])) == {(0.25, 0), (-0.25, 0)}
    assert marks(None) == ()


@pytest.mark.parametrize(("panels", "columns"), [(1, 1), (4, 4), (5, 3), (6, 3), (7, 4), (8, 4), (9, 3)])
def test_maps_leave_few_places_empty(panels, columns):
    assert columns_of(panels) == columns


# The numbers


def test_profiles_equal_numpy(full, arrays):
    ways = {"radial": rings, "horizontal": lambda p: along(p, -1), "vertical": lambda p: along(p, -2)}
    for kind, way in ways.items():
        rows = read_csv(full.out / f"{kind}.csv")
        base = db(way(power(arrays["photos"])).mean(0))
        assert column(rows, "frequency_cycles_per_pixel", set="photos") == pytest.approx(np.arange(9) / 16)
        for name, images in arrays.items():
            each = way(power(images))
            level = np.maximum(db(each.mean(0)), floor_db(3))
            assert column(rows, "level", set=name) == pytest.approx(level, abs=2e-4)
            assert column(rows, "difference_to_real", set=name) == pytest.approx(level - base, abs=3e-4)
            low, high = db(np.percentile(each, (5, 95), axis=0))
            # A null of the doubled images holds the rounding of float32, and nothing else.
            sound = level > -50
            assert column(rows, "band_low", set=name)[sound] == pytest.approx(low[sound], abs=1e-3)
            assert column(rows, "band_high", set=name)[sound] == pytest.approx(high[sound], abs=1e-3)
        assert {row["convention"] for row in rows} == {"ganlab"}
        assert {row["window"] for row in rows} == {"none"}


def test_the_null_curve_is_two_halves_of_the_reals(full, arrays):
    rows = read_csv(full.out / "radial.csv")
    second = column(rows, "level", role="null")
    first = second - column(rows, "difference_to_real", role="null")
    together = (10 ** (first / 10) + 10 ** (second / 10)) / 2
    assert db(together) == pytest.approx(db(rings(power(arrays["photos"])).mean(0)), abs=2e-4)


def test_maps_equal_numpy(full, arrays):
    levels = {name: db(power(images)).mean(0) for name, images in arrays.items() if name != "double"}
    rows = [row for row in read_csv(full.out / "heatmaps.csv") if row["set"] in levels]
    for row in rows:
        ky = round(float(row["vertical_frequency"]) * 16)
        for kx in range(9):
            value = float(row[f"horizontal_{kx / 16:g}"])
            assert value == pytest.approx(levels[row["set"]][ky, kx], abs=2e-3)
    differences = [row for row in read_csv(full.out / "difference-maps.csv") if row["set"] == "steep"]
    wanted = (levels["steep"] - levels["photos"])[
        [round(float(r["vertical_frequency"]) * 16) for r in differences]
    ]
    found = np.array([[float(row[f"horizontal_{kx / 16:g}"]) for kx in range(9)] for row in differences])
    assert found == pytest.approx(wanted[:, :9], abs=4e-3)


def test_table_equals_numpy(full, arrays):
    base = db(rings(power(arrays["photos"])).mean(0))
    difference = db(rings(power(arrays["steep"])).mean(0)) - base
    row, f = full.row("steep"), np.arange(9) / 16
    assert row["mean_db"].observed == pytest.approx(np.abs(difference[1:]).mean(), abs=3e-4)
    assert row["mean_db"].value == pytest.approx(row["mean_db"].observed, rel=0.05)
    assert row["high_excess_db"].value == pytest.approx(difference[f > 0.25].mean(), abs=3e-4)
    assert row["high_db"].observed == pytest.approx(np.abs(difference[f > 0.25]).mean(), abs=3e-4)
    assert row["nyquist_excess_db"].value == pytest.approx(difference[-1], abs=3e-4)


def test_a_sample_and_the_rest_make_the_whole(sets, arrays, monkeypatch):
    monkeypatch.setattr(spectra_measure, "SAMPLE", 16)
    measured = spectra_measure.measure(sets[0], "real", QUICK)
    whole = measured.whole
    assert (whole.count, whole.sampled, measured.sample.count) == (COUNT, 16, 16)
    assert [half.count for half, _ in measured.halves] == [COUNT // 2, COUNT // 2]
    planes = power(arrays["photos"])
    assert whole.mean("power") == pytest.approx(planes.mean(0)[:, :9], rel=1e-4, abs=1e-6)
    assert whole.mean("ganlab") == pytest.approx(rings(planes).mean(0), rel=1e-5)
    assert whole.mean("horizontal") == pytest.approx(along(planes, -1).mean(0), rel=1e-5)


def test_memory_holds_the_sample_and_sums_only(monkeypatch):
    monkeypatch.setattr(spectra_measure, "SAMPLE", 8)
    monkeypatch.setattr(spectra_measure, "BATCH_VALUES", 16 * 16 * 3 * 4)
    sizes = []
    for count in (20, 200):
        images = array_image_set(coloured(count), "many")
        read = []
        batches = images.batches
        monkeypatch.setattr(
            images, "batches", lambda size, b=batches, r=read: (r.append(len(x)) or x for x in b(size))
        )
        measured = spectra_measure.measure(images, "fake", QUICK)
        assert set(read) == {4}
        both = (measured.whole, measured.sample)
        held = [
            *(m.mean for s in both for m in s.moments.values()),
            *(p.numpy() for p in both[1].profiles.values()),
        ]
        sizes.append(sum(array.size for array in held))
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_convention_is_drawn_with_its_name(sets, convention):
    options = SpectraOptions(convention=convention, metrics="basic", bootstrap=0)
    measured = [spectra_measure.measure(one, role, options)
                for one, role in zip(sets[:2], ("real", "fake"), strict=True)]  # fmt: skip
    profiles = profiles_of(measured, "radial", convention)
    assert convention in draw_profiles(profiles).get_suptitle()
    assert len(profiles.frequencies) == CONVENTIONS[convention].length(16, 16)
    assert profiles.curves[1].difference == pytest.approx(profiles.curves[1].level - profiles.curves[0].level)


@pytest.mark.parametrize("window", sorted(set(WINDOWS) - {"none"}))
def test_windows_reach_the_numbers(sets, arrays, window, tmp_path, plain):
    options = SpectraOptions(window=window, metrics="basic", bootstrap=0)
    report = compare_spectra(sets[0], sets[1:2], tmp_path / "out", options)
    taper = np.hanning(17)[:16] if window == "hann" else np.kaiser(16, 8)
    taper = np.outer(taper, taper) / np.sqrt(np.outer(taper, taper).__pow__(2).mean())
    grey = (arrays["steep"] / 127.5 - 1) @ np.array([0.299, 0.587, 0.114]) * taper
    expected = db(rings(np.abs(np.fft.fft2(grey)) ** 2 / 256).mean(0))
    rows = read_csv(report.out / "radial.csv")
    assert column(rows, "level", set="steep") == pytest.approx(expected, abs=1e-3)
    assert {row["window"] for row in rows} == {window}
    assert f"window {window}" in report.summary
    assert report.rows[0]["mean_db"].low is None


def test_the_full_plane_is_the_fft_for_even_and_odd_sizes():
    for height, width in ((6, 8), (7, 5), (5, 8), (8, 7)):
        plane = np.abs(np.fft.fft2(np.random.default_rng(0).standard_normal((height, width))))
        assert full_plane(plane[:, : width // 2 + 1], width) == pytest.approx(np.fft.fftshift(plane))
        shown = closed(np.fft.fftshift(plane))
        assert shown == pytest.approx(shown[::-1, ::-1])


def test_large_maps_keep_single_peaks():
    level = np.full((1000, 1000), -20.0)
    level[123, 877] = 15.0
    level[700, 3] = -70.0
    assert pooled(level, difference=False).max() == 15.0
    assert pooled(level, difference=False).min() == -20.0
    assert pooled(level, difference=True).min() == -70.0
    assert max(pooled(level, difference=False).shape) <= 384


def test_non_square_and_odd_images(tmp_path):
    rng = np.random.default_rng(0)
    real, fake = (array_image_set(rng.integers(0, 256, (20, 17, 24, 1), dtype=np.uint8), n) for n in "ab")
    report = compare_spectra(real, [fake], tmp_path / "out", QUICK)
    assert len(column(read_csv(report.out / "horizontal.csv"), "level", set="a")) == 13
    assert len(column(read_csv(report.out / "vertical.csv"), "level", set="a")) == 9
    assert report.row("b")["mean_db"].value < 3


# The folder


def test_same_input_gives_the_same_bytes(sets, tmp_path):
    folders = [compare_spectra(sets[0], sets[1:2], tmp_path / name, QUICK).out for name in "ab"]
    for path in folders[0].iterdir():
        assert path.read_bytes() == (folders[1] / path.name).read_bytes(), path.name
    assert len(list(folders[0].iterdir())) == len(list(folders[1].iterdir()))


@pytest.fixture
def plain(monkeypatch):
    """No figures: drawing is most of the time, and other tests look at the real ones."""
    monkeypatch.setattr(spectra, "save_figure", empty_figures)


@pytest.fixture
def made(sets, tmp_path, plain):
    return compare_spectra(sets[0], sets[1:2], tmp_path / "out", QUICK)


def test_a_finished_comparison_is_left_alone(made, sets):
    before = {path: path.stat().st_mtime_ns for path in made.out.iterdir() if path.name != ".lock"}
    again = compare_spectra(sets[0], sets[1:2], made.out, QUICK)
    assert again.was_complete
    assert again.rows == made.rows
    assert again.summary == made.summary
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert set(made.out.iterdir()) == {*before, made.out / ".lock"}


def test_another_comparison_needs_force(made, sets):
    with pytest.raises(GanlabError, match=r"options\.window 'none' there, 'hann' asked for.*--force"):
        compare_spectra(
            sets[0], sets[1:2], made.out, SpectraOptions(bootstrap=40, metrics="basic", window="hann")
        )
    with pytest.raises(GanlabError, match=r"'steep' there, 'double' asked for"):
        compare_spectra(sets[0], sets[2:], made.out, QUICK)
    changed = array_image_set(coloured(40, seed=9), "steep")
    with pytest.raises(GanlabError, match=r"sets\[1\]\.sha256"):
        compare_spectra(sets[0], [changed], made.out, QUICK)
    forced = SpectraOptions(bootstrap=40, metrics="basic", force=True)
    replaced = compare_spectra(sets[0], [changed], made.out, forced)
    assert replaced.rows[0]["mean_db"].value != made.rows[0]["mean_db"].value
    assert [path.name for path in made.out.parent.iterdir()] == ["out"]


def test_a_damaged_result_is_noticed(made, sets):
    (made.out / "radial.csv").write_text("nothing")
    with pytest.raises(GanlabError, match=r"radial\.csv changed or vanished"):
        compare_spectra(sets[0], sets[1:2], made.out, QUICK)


def test_foreign_folders_and_files_are_never_replaced(sets, tmp_path):
    folder, file = tmp_path / "thesis", tmp_path / "file"
    folder.mkdir()
    (folder / "chapter.tex").write_text("text")
    file.write_text("text")
    for place in (folder, file):
        for force in (False, True):
            with pytest.raises(GanlabError, match="is no result of"):
                compare_spectra(sets[0], sets[1:2], place, SpectraOptions(force=force))
    assert (folder / "chapter.tex").read_text() == file.read_text() == "text"


def test_a_failure_leaves_nothing_behind(sets, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spectra, "save_figure", broken)
    with pytest.raises(GanlabError, match="No space left"):
        compare_spectra(sets[0], sets[1:2], tmp_path / "out", QUICK)
    assert not list(tmp_path.iterdir())


# Guards and bad input


def test_sets_of_another_size_are_refused_all_at_once(sets, tmp_path, plain):
    others = [array_image_set(coloured(10, size=n), f"side{n}") for n in (8, 32)]
    with pytest.raises(GanlabError, match=r"side8 of 8x8.*side32 of 32x32"):
        compare_spectra(sets[0], others, tmp_path / "out", QUICK)
    assert not (tmp_path / "out").exists()


def test_codecs_and_small_numbers_are_warned_of(tmp_path, plain):
    folders = []
    for name, seed, options in (("png", 0, {}), ("jpg", 1, {"quality": 70})):
        folder = tmp_path / name
        folder.mkdir()
        for i, image in enumerate(coloured(12, seed=seed)):
            Image.fromarray(image).save(folder / f"{i}.{name}", **options)
        folders.append(open_image_set(folder))
    report = compare_spectra(folders[0], folders[1:], tmp_path / "out", QUICK)
    text = " ".join(report.warnings)
    assert "png is PNG and jpg is JPEG" in text
    assert "only 12 images" in text
    assert "bootstrap interval is too narrow" in text
    assert all(f"warning: {one}\n" in report.summary for one in report.warnings)


def test_enlarged_reals_are_warned_of():
    native, fake = array_image_set(coloured(80, 32), "photos"), array_image_set(coloured(80, 32, 1), "fake")
    enlarged = array_image_set(coloured(80, 16, slope=1.5).repeat(2, 1).repeat(2, 2), "photos")
    assert not any("enlarged" in text for text in check_sets(native, [fake]))
    assert any("the photos images" in text and "enlarged" in text for text in check_sets(enlarged, [fake]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"convention": "ganlabb"}, "did you mean 'ganlab'"),
        ({"window": "han"}, "did you mean 'hann'"),
        ({"metrics": "basics"}, "did you mean 'basic'"),
        ({"bootstrap": -1}, "0 or more"),
        ({"seed": -1}, "0 or more"),
    ],
)
def test_wrong_options(change, message):
    with pytest.raises(GanlabError, match=message):
        SpectraOptions(**change)


def test_wrong_sets_and_names(sets, tmp_path):
    small = array_image_set(coloured(3), "three")
    tiny = array_image_set(np.zeros((10, 4, 4, 3), np.uint8), "tiny")
    for fakes, names, message in (
        ([], None, "at least one set of fakes"),
        ([small], None, "three has 3 images"),
        ([tiny], None, "tiny has 10 images of 4x4"),
        (sets[1:], ["a", "b"], "2 names for 3 sets"),
        (sets[1:], ["a", "b", "b"], "two sets would be called 'b'"),
        (sets[1:], ["a", "real vs real", "c"], "'real vs real'"),
        (sets[1:], ["a", " ", "c"], "would be called"),
    ):
        with pytest.raises(GanlabError, match=message):
            compare_spectra(sets[0], fakes, tmp_path / "out", QUICK, names)
    assert not (tmp_path / "out").exists()


def test_equal_names_get_their_folders(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "images.npy", coloured(4))
    opened = [open_image_set(tmp_path / name / "images.npy") for name in "ab"]
    assert spectra.unique_names(opened) == ["a/images", "b/images"]
    assert spectra.unique_names([opened[0], array_image_set(coloured(4), "c")]) == ["images", "c"]


def test_unreadable_results_are_named(tmp_path, made):
    (made.out / "table.json").write_text("{")
    with pytest.raises(GanlabError, match=r"table\.json is no readable JSON"):
        spectra.read_report(made.out)
    with pytest.raises(GanlabError, match="no set 'x'"):
        made.row("x")
    with pytest.raises(GanlabError, match="mean_db"):
        made.rows[0]["mean_dbb"]


# Figures


def test_a_black_image_has_finite_numbers(tmp_path, plain):
    black = array_image_set(np.zeros((20, 16, 16, 3), np.uint8), "black")
    report = compare_spectra(array_image_set(coloured(20), "r"), [black], tmp_path / "out", QUICK)
    values = [one.value for one in report.row("black").values.values()]
    assert np.isfinite(values).all()
    assert "NaN" not in (report.out / "table.json").read_text()


def test_many_sets_wrap_into_rows_and_keep_their_looks():
    panels = tuple(
        Map(f"set {i}", "fake", 9, np.random.default_rng(i).standard_normal((8, 8))) for i in range(9)
    )
    axes = np.fft.fftshift(np.fft.fftfreq(8))
    figure = draw_maps(Maps("none", axes, axes, panels), difference=True)
    drawn = [ax for ax in figure.axes if ax.images]
    assert len(drawn) == 9
    assert len({tuple(ax.images[0].get_clim()) for ax in drawn}) == 1
    low, high = drawn[0].images[0].get_clim()
    assert low == -high


def test_global_random_state_is_left_alone(sets, tmp_path, plain):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    compare_spectra(sets[0], sets[1:2], tmp_path / "out", QUICK)
    assert torch.equal(torch.rand(3), expected)
