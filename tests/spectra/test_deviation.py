import json
import math

import numpy as np
import pytest
import torch

from ganlab.errors import GanlabError
from ganlab.spectra import (
    DEVIATIONS,
    SET_DEVIATIONS,
    SpectrumAccumulator,
    enlargement_signs,
    profile_set,
    spectral_deviation,
)
from ganlab.spectra.guards import codec_warnings
from ganlab.spectra.statistics import Moments, SpectrumStatistics

ALL = {**DEVIATIONS, **SET_DEVIATIONS}
EVERYTHING = ("jung2021", "durall2020", "decay")


def blurred(images, strength):
    """Circular [a, 1 - 2a, a] along both axes: power falls by ((1 - 2a) + 2a cos)^4 in all."""
    for axis in (2, 3):
        images = (1 - 2 * strength) * images + strength * (images.roll(1, axis) + images.roll(-1, axis))
    return images


def combed(images, height):
    """A pattern of period four along the rows: a line at N/4."""
    wave = torch.cos(torch.pi / 2 * torch.arange(images.shape[-1]))
    return images + height * wave.to(images)


@pytest.mark.parametrize("name", ALL)
def test_every_deviation_of_a_set_from_itself_is_none(name, coloured):
    images = coloured(30, 3, 32, 32).float()
    report = spectral_deviation(images, images, metrics=[name], resamples=60, cloaking_epochs=3)
    found = report[name]
    assert found.summary
    if name.startswith("cloaking"):
        assert found.value == 1.0 or name == "cloaking_published"
        assert found.value > 0.5
    else:
        assert found.value == pytest.approx(0, abs=1e-5)
        assert found.p_value in (None, 1.0)
    assert math.isfinite(found.null_mean)


@pytest.mark.parametrize("name", ALL)
def test_every_deviation_sees_a_blur(name, coloured):
    images = coloured(80, 3, 32, 32).float()
    fake = blurred(coloured(80, 3, 32, 32).float(), 0.2)
    report = spectral_deviation(images, fake, metrics=[name], resamples=100, cloaking_epochs=300)
    found = report[name]
    # This blur hardly reaches the low band, and it leaves no line anywhere.
    if not found.paired and not name.startswith("peak") and name != "low_db":
        assert found.beyond_null, name
    assert found.paired == (name in ("focal_frequency", "log_frequency"))
    if found.low is not None:
        assert found.low <= found.high


def test_every_interval_holds_its_estimate_and_says_how_it_was_made(coloured):
    """Also where nothing differs: there distances are estimated to be small, and zero is inside."""
    real = coloured(60, 1, 16, 16)
    for fake in (coloured(60, 1, 16, 16), blurred(coloured(60, 1, 16, 16), 0.1), real):
        report = spectral_deviation(real, fake, resamples=200, cloaking_epochs=3)
        for name, found in report.items():
            if name == "cloaking_published":
                assert (found.low, found.high, found.method) == (None, None, "")
                continue
            assert found.low <= found.value <= found.high, name
            assert found.null_low <= found.null_mean <= found.null_high, name
            inverted = name == "frechet" or (name in DEVIATIONS and not DEVIATIONS[name].signed)
            assert (found.method == "test inversion") == inverted
            if inverted:
                assert found.low >= 0
                assert found.value <= found.observed + 1e-9 or found.value == pytest.approx(
                    found.observed, rel=0.1
                )
            else:
                assert found.value == found.observed
    assert {found.method for found in report.values()} == {
        "test inversion",
        "bootstrap-t",
        "Clopper-Pearson",
        "",
    }


def test_intervals_hold_the_truth_as_often_as_they_say(rng):
    """A made-up population of profiles, nothing and a known filter: the truth is that of the population."""
    shape = np.exp(-np.arange(17) / 6)

    def profiles(count):
        common, own = rng.normal(0, 0.5, (count, 1)), rng.normal(0, 0.3, (count, 17))
        return shape * np.exp(common + own)

    gain = np.where(np.arange(17) > 8, 10**0.05, 1.0)  # half a decibel above a quarter
    for factor, truths in ((1.0, (0, 0)), (gain, (0.25, 0.5))):
        hits = np.zeros(2)
        for trial in range(100):
            sets = [profile_statistics(profiles(100)), profile_statistics(factor * profiles(100))]
            report = spectral_deviation(
                *sets, metrics=["mean_db", "high_excess_db"], resamples=200, seed=trial
            )
            ends = [(report[name].low, report[name].high) for name in ("mean_db", "high_excess_db")]
            hits += [low <= truth <= high for (low, high), truth in zip(ends, truths, strict=True)]
        assert (hits >= 87).all()  # binomial limits at 1e-3 of 95 of 100


def profile_statistics(radial):
    """Statistics of 32-pixel images of which the radial profiles are known."""
    values = torch.from_numpy(radial)
    moments = {"radial": Moments(len(values), values.mean(0).numpy())}
    return SpectrumStatistics(len(values), 32, 32, "none", moments, -1.0, 1.0, 1, {"radial": values})


def test_the_null_control_stands_at_the_counts_of_the_sets(coloured):
    """Of few fakes its range is as wide as for few, however many reals there are."""
    real, fake = coloured(400, 1, 16, 16), coloured(400, 1, 16, 16)
    wide, narrow = (
        spectral_deviation(real, images, metrics=["high_excess_db"], resamples=600)["high_excess_db"]
        for images in (fake[:20], fake)
    )
    ratio = (wide.null_high - wide.null_low) / (narrow.null_high - narrow.null_low)
    assert ratio == pytest.approx(((1 / 400 + 1 / 20) / (2 / 400)) ** 0.5, rel=0.15)
    assert "into 380 and 20 images" in wide.null
    assert "times 0.71: as for 400 and 400" in narrow.null


def test_distances_grow_with_the_filter(coloured):
    real, other = coloured(60, 1, 32, 32), coloured(60, 1, 32, 32)
    names = [
        "mean_db",
        "high_db",
        "nyquist_db",
        "log_spectral_distance",
        "minmax_l1",
        "bce_excess",
        "frechet",
    ]
    rows = []
    for strength in (0.02, 0.06, 0.12, 0.2):
        report = spectral_deviation(real, blurred(other, strength), metrics=names, resamples=0)
        rows.append([report[name].value for name in names])
    assert (np.diff(rows, axis=0) > 0).all()


def test_a_gain_is_its_decibels_in_every_band(coloured):
    images = coloured(20, 3, 32, 32)
    report = spectral_deviation(images, 0.5 * images, resamples=0)
    level = 20 * math.log10(2)
    for name in ("mean_db", "low_db", "mid_db", "high_db", "nyquist_db", "log_spectral_distance"):
        assert report[name].value == pytest.approx(level)
    for name in ("high_excess_db", "nyquist_excess_db", "axis_nyquist_excess_db", "decay_last_db"):
        assert report[name].value == pytest.approx(-level, rel=1e-5)
    for name in ("bce_excess", "decay_exponent", "peak_horizontal_4", "peak_diagonal_2"):
        assert report[name].value == pytest.approx(0, abs=1e-5)
    assert not report.skipped


def test_a_line_shows_at_its_frequency_and_axis(coloured):
    real, other = coloured(100, 1, 32, 32), coloured(100, 1, 32, 32)
    report = spectral_deviation(real, combed(other, 0.05), resamples=200)
    marked = report["peak_horizontal_4"]
    assert marked.value > 1
    assert marked.beyond_null
    assert marked.p_value < 0.02
    assert marked.fake - marked.real == pytest.approx(marked.value)
    for name in ("peak_vertical_4", "peak_horizontal_8", "peak_vertical_2", "peak_diagonal_4"):
        assert abs(report[name].value) < marked.value / 2


def test_signed_distances_change_sign_with_the_sets(coloured):
    real, fake = coloured(20, 1, 32, 32), blurred(coloured(20, 1, 32, 32), 0.1)
    forth = spectral_deviation(real, fake, resamples=0)
    back = spectral_deviation(fake, real, resamples=0)
    for name, metric in DEVIATIONS.items():
        if metric.signed:
            assert forth[name].value == pytest.approx(-back[name].value, abs=1e-9)


@pytest.mark.parametrize("size", [(16, 16), (15, 15), (32, 20), (9, 8)])
def test_odd_sizes_have_what_they_can_have(size, coloured):
    report = spectral_deviation(coloured(12, 1, *size), coloured(14, 1, *size), resamples=20)
    assert set(report) | set(report.skipped) == set(ALL)
    assert "mean_db" in report
    assert all(math.isfinite(found.value) for found in report.values())
    assert "14" in report.skipped["focal_frequency"]
    if size == (15, 15):
        assert "15x15" in report.skipped["peak_horizontal_2"]


def accumulated(images, **options):
    accumulator = SpectrumAccumulator(conventions=EVERYTHING, dct=False, **options)
    for batch in images.split(17):
        accumulator.update(batch)
    return accumulator


def test_accumulators_and_batches_give_the_numbers_of_tensors(coloured):
    real, fake = coloured(60, 3, 32, 32).float(), blurred(coloured(50, 3, 32, 32).float(), 0.1)
    names = [*DEVIATIONS, "frechet", "cloaking_published"]
    whole = spectral_deviation(real, fake, metrics=names, resamples=50, window="hann", cloaking_epochs=5)
    options = {"window": "hann", "keep_profiles": True}
    kept = spectral_deviation(
        accumulated(real, **options),
        accumulated(fake, **options),
        metrics=names,
        resamples=50,
        cloaking_epochs=5,
    )
    batches = spectral_deviation(
        iter(real.split(9)),
        profile_set(fake, "hann"),
        metrics=names,
        resamples=50,
        window="hann",
        cloaking_epochs=5,
    )
    for other in (kept, batches):
        assert set(other) == set(whole)
        for name, found in whole.items():
            assert other[name].value == pytest.approx(found.value, rel=1e-4, abs=1e-5)
            assert other[name].observed == pytest.approx(found.observed, rel=1e-4, abs=1e-5)
            assert other[name].null_mean == pytest.approx(found.null_mean, rel=1e-3, abs=1e-4)
            if found.low is not None:
                assert other[name].low == pytest.approx(found.low, rel=1e-3, abs=1e-4)


def test_a_reservoir_gives_values_of_all_and_intervals_of_a_sample(coloured):
    real, fake = coloured(400, 1, 16, 16).float(), blurred(coloured(400, 1, 16, 16).float(), 0.1)
    whole = spectral_deviation(real, fake, metrics=["mean_db"], resamples=300)["mean_db"]
    sampled = spectral_deviation(
        accumulated(real, reservoir=150), accumulated(fake, reservoir=150), metrics=["mean_db"], resamples=300
    )["mean_db"]
    assert sampled.observed == pytest.approx(whole.observed, rel=1e-5)
    assert sampled.value == pytest.approx(whole.value, abs=(whole.high - whole.low) / 10)
    assert sampled.high - sampled.low == pytest.approx(whole.high - whole.low, rel=0.35)
    assert sampled.low < sampled.value < sampled.high


def test_sums_alone_give_values_and_say_what_is_missing(coloured):
    real, fake = coloured(30, 1, 16, 16), coloured(30, 1, 16, 16)
    report = spectral_deviation(accumulated(real), accumulated(fake))
    assert report["mean_db"].low is None
    assert report.resamples == 0
    assert "no_profiles" in {warning.code for warning in report.warnings}
    assert "frechet" in report.skipped
    bare = SpectrumAccumulator(dct=False)
    bare.update(real)
    assert "jung2021" in spectral_deviation(bare, fake, resamples=0).skipped["minmax_l1"]


def test_report_is_plain_data_and_repeats(coloured):
    real, fake = coloured(20, 1, 16, 16), coloured(20, 1, 16, 16)
    first, second = (
        spectral_deviation(real, fake, resamples=30, seed=4, cloaking_epochs=2) for _ in range(2)
    )
    assert json.loads(json.dumps(first.as_dict())) == json.loads(json.dumps(second.as_dict()))
    third = spectral_deviation(real, fake, resamples=30, seed=5, cloaking_epochs=2)
    assert third["mean_db"].high != first["mean_db"].high
    assert third["mean_db"].observed == first["mean_db"].observed
    assert third["high_excess_db"].low != first["high_excess_db"].low
    assert third["high_excess_db"].value == first["high_excess_db"].value


def codes(real, fake, **options):
    report = spectral_deviation(
        real, fake, metrics=["mean_db"], resamples=options.pop("resamples", 0), **options
    )
    return {warning.code for warning in report.warnings}


def test_range_guard(coloured):
    images = coloured(4, 1, 16, 16)
    assert codes(images, images) == set()
    assert codes(images, images * 0.5 + 0.5) == {"range"}
    assert codes(images * 1.5, images) == {"range"}
    with pytest.raises(GanlabError, match="to_float"):
        spectral_deviation(images * 127 + 127, images)
    images[0, 0, 0, 0] = math.nan
    with pytest.raises(GanlabError, match="NaN"):
        spectral_deviation(images, images)


def test_codec_guard():
    assert codec_warnings(None, {"png"}) == []
    assert codec_warnings({"PNG"}, {".png", "npz"}) == []
    for real, fake in (({"JPEG"}, {"PNG"}), ({"png", "jpg"}, {"png", "jpg"}), ({"webp"}, {"webp"})):
        (found,) = codec_warnings(real, fake)
        assert found.code == "codec"
        assert "lossy" in found.message


def test_codecs_reach_the_report(coloured):
    images = coloured(4, 1, 16, 16)
    assert codes(images, images, codecs=({"JPEG"}, {"PNG"})) == {"codec"}


def test_number_guard(coloured):
    images = coloured(60, 1, 16, 16)
    assert codes(images[:10], images[:10], resamples=400) == {"few_images"}
    assert codes(images, images, resamples=20) == {"few_resamples"}
    with pytest.raises(GanlabError, match="two images"):
        spectral_deviation(images[:1], images, resamples=10)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_enlargement_guard(mode, coloured):
    images = coloured(200, 1, 64, 64).float()
    small = torch.nn.functional.interpolate(images, scale_factor=0.5, mode="bicubic", antialias=True)
    large = torch.nn.functional.interpolate(small, scale_factor=2, mode=mode).clamp(-1, 1)
    for native in (images, small):
        assert enlargement_signs(native).dip > -0.02
        assert enlargement_signs(native).high_ratio > 0.04
    signs = enlargement_signs(large)
    assert signs.dip < -0.08
    assert signs.high_ratio < 0.02 or mode == "nearest"
    assert codes(large, images) == {"enlarged"}
    assert codes(images, large) == set()


GOOD = torch.zeros(3, 3, 16, 16)


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda: spectral_deviation(GOOD, GOOD[..., :15]), "16x15"),
        (lambda: spectral_deviation(GOOD, GOOD[:, :1]), "1: turn both"),
        (lambda: spectral_deviation(GOOD, GOOD, metrics=["mean"]), "did you mean 'mean_db'"),
        (lambda: spectral_deviation(GOOD, GOOD, window="hamm"), "unknown window"),
        (lambda: spectral_deviation(GOOD, GOOD[:0]), "without an image"),
        (lambda: spectral_deviation(GOOD, GOOD, resamples=-1), "0 or more"),
        (lambda: spectral_deviation(GOOD, GOOD, level=95), "between 0 and 1"),
        (lambda: spectral_deviation(profile_set(GOOD, "hann"), profile_set(GOOD)), "window 'hann'"),
        (lambda: spectral_deviation(profile_set(GOOD, "hann"), GOOD, window="kaiser"), "made with window"),
        (lambda: spectral_deviation([], GOOD), "without an image"),
        (lambda: enlargement_signs(GOOD[..., :8]), "at least 16"),
    ],
)
def test_misuse_is_explained(action, text):
    with pytest.raises(GanlabError) as error:
        action()
    assert text in str(error.value)


def test_nan_is_named_in_whichever_batch_it_comes():
    images = torch.rand(12, 1, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    spoiled = images.clone()
    spoiled[3, 0, 2, 2] = math.nan
    with pytest.raises(GanlabError, match="fake images hold NaN"):
        spectral_deviation(images, [images, spoiled], 0)
    sums = SpectrumAccumulator()
    sums.update(images)
    sums.update(spoiled)
    with pytest.raises(GanlabError, match="hold NaN"):
        sums.result()


def test_resamples_may_be_the_third_argument():
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    assert spectral_deviation(images, images, 0)["mean_db"].low is None
