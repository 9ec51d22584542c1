"""The theory overlay against the operator itself, and whose manifest names which operator."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from spectra_sets import along, coloured, column, read_csv, rings

from ganlab.data.imageset import array_image_set, open_image_set
from ganlab.experiments.spectra.measure import measure
from ganlab.experiments.spectra.profiles import enlarged_profiles, last_operator, predictions
from ganlab.experiments.spectra.run import SpectraOptions, compare_spectra
from ganlab.generation import Request, generate
from ganlab.upsampling import KERNELS, interpolate2x

QUICK = SpectraOptions(bootstrap=0, metrics="basic")


def band_limited(count, size):
    """Noise without the frequencies +-1/4 along either axis, where ideal halving would have to choose."""
    spectrum = np.fft.fft2(np.random.default_rng(0).standard_normal((count, size, size)))
    k = np.abs(np.fft.fftfreq(size) * size)
    spectrum[:, k == size // 4] = 0
    spectrum[:, :, k == size // 4] = 0
    return np.fft.ifft2(spectrum).real


def halved(images):
    """Ideal low-pass and decimation: the centre of the spectrum."""
    size = images.shape[-1]
    spectrum = np.fft.fftshift(np.fft.fft2(images), axes=(1, 2))
    middle = spectrum[:, size // 4 : 3 * size // 4, size // 4 : 3 * size // 4]
    return np.fft.ifft2(np.fft.ifftshift(middle, axes=(1, 2))).real / 4


@pytest.mark.parametrize("operator", KERNELS)
@pytest.mark.parametrize("size", [16, 24])
def test_prediction_is_what_the_operator_does_to_halved_images(operator, size):
    images = band_limited(30, size)
    small = torch.from_numpy(halved(images))[:, None]
    large = interpolate2x(small, operator, border="circular")[:, 0].numpy()
    after = np.abs(np.fft.fft2(large)) ** 2 / size**2
    before = (np.abs(np.fft.fft2(images)) ** 2 / size**2).mean(0)[:, : size // 2 + 1]
    found = enlarged_profiles(before, operator)
    assert found["radial"] == pytest.approx(rings(after).mean(0), rel=1e-9, abs=1e-12)
    assert found["horizontal"] == pytest.approx(along(after, -1).mean(0), rel=1e-9, abs=1e-12)
    assert found["vertical"] == pytest.approx(along(after, -2).mean(0), rel=1e-9, abs=1e-12)


@pytest.fixture(scope="module")
def fakes(tiny_runs, tmp_path_factory):
    """Two generated sets in one folder and the same as zips; 16 pixels."""
    out = tmp_path_factory.mktemp("fakes")
    for form in ("folder", "zip"):
        generate(Request(tiny_runs, 20, format=form), out / form)
    return out


def test_the_manifest_names_the_operator(fakes, tiny_runs, tmp_path):
    assert last_operator(fakes / "folder" / "nearest") == "nearest"
    assert last_operator(fakes / "zip" / "nearest.zip") == "nearest"
    assert last_operator(fakes / "folder" / "transposed") == "transposed"
    assert last_operator(fakes / "folder") is None
    assert last_operator(tmp_path) is None
    generate(Request(tiny_runs[:1], 8, test_fraction=0.5), tmp_path / "split")
    assert last_operator(tmp_path / "split" / "train" / "nearest") == "nearest"
    assert last_operator(tmp_path / "split") == "nearest"


def test_a_foreign_manifest_is_no_error(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    sources = ["{}", '{"kind": "fake"}', '{"kind": "fake", "config": {"model": 1}}']
    parts = [f'{{"plan": {{"parts": [{{"path": "set", "source": {source}}}]}}}}' for source in sources]
    for text in ("{", "[]", '{"plan": 3}', *parts):
        (tmp_path / "manifest.json").write_text(text)
        assert last_operator(folder) is None


def test_the_overlay_is_in_figures_and_numbers(fakes, tmp_path):
    real = array_image_set(coloured(40), "photos")
    sets = [open_image_set(fakes / "folder" / name) for name in ("nearest", "transposed")]
    report = compare_spectra(real, sets, tmp_path / "out", QUICK)
    rows = read_csv(report.out / "radial.csv")
    assert {row["set"] for row in rows if row["role"] == "theory"} == {"nearest alone (theory)"}
    expected = enlarged_profiles(measure(real, "real", QUICK).whole.mean("power"), "nearest")
    found = column(rows, "level", role="theory")
    assert found == pytest.approx(10 * np.log10(expected["radial"]), abs=1e-4)
    level = column(rows, "level", set="photos")
    assert column(rows, "difference_to_real", role="theory") == pytest.approx(found - level, abs=1e-4)
    names = [row["set"] for row in json.loads((report.out / "table.json").read_text())["rows"]]
    assert names == ["nearest", "transposed", "real vs real"]
    assert "'nearest alone (theory)' in the figures" in report.summary


def test_no_overlay_where_it_is_not_defined(fakes):
    real = array_image_set(coloured(10), "photos")
    fake = open_image_set(fakes / "folder" / "nearest")

    def found(one, options):
        return predictions([measure(one, "real", options), measure(fake, "fake", options)])

    assert [one.operator for one in found(real, QUICK)] == ["nearest"]
    assert not found(real, SpectraOptions(window="hann", metrics="basic"))
    odd = array_image_set(np.zeros((10, 18, 18, 3), np.uint8), "odd")
    assert not found(odd, QUICK)
