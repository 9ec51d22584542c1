import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import GanlabError
from ganlab.spectra import SpectrumAccumulator, axis_profiles, dct2, power_spectrum, radial_profile
from ganlab.spectra.sums import POWER_FLOOR, Settings, empty_state, merge_states, update_state

QUANTITIES = ("power", "horizontal", "vertical", "diagonal", "dct")


def moments_of(statistics):
    found = {name: getattr(statistics, name) for name in QUANTITIES if getattr(statistics, name) is not None}
    return found | {f"radial {name}": value for name, value in statistics.radial.items()}


def assert_same(first, second, rtol=1e-12):
    assert first.count == second.count
    for name, value in moments_of(first).items():
        other = moments_of(second)[name]
        for part in ("mean", "std", "mean_log", "std_log"):
            a, b = getattr(value, part), getattr(other, part)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-13, err_msg=f"{name} {part}")


def accumulate(*batches, **options):
    accumulator = SpectrumAccumulator(**options)
    for batch in batches:
        accumulator.update(batch)
    return accumulator


@pytest.mark.parametrize("size", [(16, 16), (15, 20)])
@pytest.mark.parametrize("window", [None, "hann"])
def test_moments_are_those_of_all_images_at_once(size, window, coloured):
    images = coloured(21, 3, *size)
    statistics = accumulate(
        images[:4], images[4:5], images[5:], window=window, conventions=("jung2021",), dct=True
    ).result()
    grey = (images * torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)[:, None, None]).sum(1, True)
    horizontal, vertical = axis_profiles(images, window)
    expected = {
        "power": power_spectrum(grey, window)[:, 0],
        "horizontal": horizontal,
        "vertical": vertical,
        "dct": dct2(grey)[:, 0],
        "radial ganlab": radial_profile(images, window=window),
        "radial jung2021": radial_profile(images, "jung2021", window),
    }
    assert statistics.count == 21
    for name, values in expected.items():
        got = moments_of(statistics)[name]
        np.testing.assert_allclose(got.mean, values.mean(0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(got.std, values.std(0), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(got.standard_error, values.std(0) / 21**0.5, rtol=1e-6, atol=1e-9)
        if got.mean_log is not None:
            logs = values.clamp_min(POWER_FLOOR).log()
            np.testing.assert_allclose(got.mean_log, logs.mean(0), rtol=1e-9, atol=1e-12)
        if got.std_log is not None:
            np.testing.assert_allclose(got.std_log, logs.std(0), rtol=1e-6, atol=1e-9)


def test_decibels(coloured):
    statistics = accumulate(coloured(8, 1, 16, 16), dct=True).result()
    radial = statistics.radial["ganlab"]
    np.testing.assert_allclose(radial.db, 10 * np.log10(radial.mean))
    assert (radial.mean_db <= radial.db).all()  # Jensen: the mean of logs lies below the log of the mean
    with pytest.raises(GanlabError, match="no decibels"):
        _ = statistics.dct.mean_db


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 13), min_size=1, max_size=5), st.integers(0, 2**31), st.booleans())
def test_parts_merge_to_the_whole(cuts, seed, single):
    images = torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (14, 3, 12, 10)))
    images = images.float() if single else images
    options = {"conventions": ("corvi2023",), "dct": True}
    whole = accumulate(images, **options)
    bounds = [0, *sorted(cuts), 14]
    parts = [accumulate(images[a:b], **options) for a, b in itertools.pairwise(bounds)]
    order = np.random.default_rng(seed).permutation(len(parts))
    merged = SpectrumAccumulator(**options)
    for i in order:
        merged.merge(parts[i])
    assert_same(merged.result(), whole.result())


@pytest.mark.parametrize("size", [(16, 16), (32, 32), (21, 30)])
def test_order_of_images_does_not_matter(size, coloured):
    """Of float32 images too: an image must have the same spectrum, to the bit, whatever stands beside it."""
    images = coloured(33, 3, *size).float()
    backwards = accumulate(*reversed(images.split(5)), reservoir=7, dct=True)
    forwards = accumulate(*images.split(8), reservoir=7, dct=True)
    assert_same(forwards.result(), backwards.result())
    for name, band in forwards.result().bands.items():
        np.testing.assert_allclose(band, backwards.result().bands[name], rtol=1e-6)


def test_a_float32_state_is_float64_and_of_fixed_size(coloured):
    accumulator = accumulate(coloured(4, 1, 8, 8).float(), reservoir=3)
    before = {name: value.shape for name, value in accumulator.state.items()}
    accumulator.update(coloured(40, 1, 8, 8).float())
    assert {name: value.shape for name, value in accumulator.state.items()} == before
    assert {value.dtype for value in accumulator.state.values()} == {torch.float64}


def test_large_offsets_do_not_spoil_the_deviation():
    torch.manual_seed(0)
    images = 0.99 + 1e-3 * torch.randn(200, 1, 8, 8)
    statistics = accumulate(*images.split(13), dct=True).result()
    np.testing.assert_allclose(statistics.dct.std, dct2(images.double())[:, 0].std(0).numpy(), rtol=2e-3)


def test_power_at_zero_counts_as_the_floor():
    statistics = accumulate(torch.zeros(3, 1, 8, 8)).result()
    np.testing.assert_allclose(statistics.power.mean_log, np.log(POWER_FLOOR))
    np.testing.assert_allclose(statistics.power.mean_db, -120)
    np.testing.assert_allclose(statistics.radial["ganlab"].db, -120)


def test_pure_functions_leave_their_arguments_alone(coloured):
    options = Settings(dct=False)
    state = empty_state(8, 8, options)
    new, profiles = update_state(state, coloured(3, 1, 8, 8), options)
    assert float(state["count"]) == 0
    assert float(new["count"]) == 3
    assert profiles["radial"].shape == (3, 5)
    assert float(merge_states(new, new)["count"]) == 6


def test_torchmetrics_ways_work_too(coloured):
    images = coloured(10, 3, 12, 12)
    first, second = accumulate(images[:4]), accumulate(images[4:])
    first.merge_state(second)
    assert_same(first.result(), accumulate(images).result())
    assert_same(pickle.loads(pickle.dumps(first)).result(), first.result())
    restored = SpectrumAccumulator(size=(12, 12))
    restored.load_state_dict(first.state_dict())
    assert_same(restored.result(), first.result())
    copied = copy.deepcopy(first)
    first.reset()
    assert copied.result().count == 10
    with pytest.raises(GanlabError, match="no image"):
        first.result()
    first.update(images)
    assert_same(first.result(), copied.result())


def test_kept_profiles(coloured):
    images = coloured(9, 3, 16, 16)
    options = {"keep_profiles": True, "conventions": ("jung2021",), "dct": False}
    accumulator = accumulate(images[:2], **options).merge(accumulate(images[2:], **options))
    kept = accumulator.profiles()
    assert {v.dtype for v in kept.values()} == {torch.float32}
    torch.testing.assert_close(kept["radial"], radial_profile(images).float())
    torch.testing.assert_close(kept["jung2021"], radial_profile(images, "jung2021").float())
    with pytest.raises(GanlabError, match="keep_profiles"):
        accumulate(images).profiles()


def test_reservoir_is_a_fair_sample():
    torch.manual_seed(3)
    images = torch.randn(2000, 1, 8, 8) * torch.linspace(0.1, 1, 2000)[:, None, None, None]
    statistics = accumulate(*images.split(100), reservoir=400).result()
    radial = np.percentile(radial_profile(images).numpy(), (5, 25, 50, 75, 95), axis=0)
    assert statistics.band_count == 400
    np.testing.assert_allclose(statistics.bands["radial"][1:4], radial[1:4], rtol=0.35)
    small = accumulate(images[:5], reservoir=400).result()
    assert small.band_count == 5


def test_frequencies(coloured):
    statistics = accumulate(coloured(2, 1, 12, 20)).result()
    for name in ("horizontal", "vertical", "diagonal"):
        assert len(statistics.frequencies(name)) == len(getattr(statistics, name).mean)
        assert statistics.frequencies(name)[-1] == 0.5
    assert len(statistics.frequencies("radial")) == len(statistics.radial["ganlab"].mean)


def test_the_dct_is_added_up_when_asked_for(coloured):
    images = coloured(2, 1, 8, 8)
    assert accumulate(images).result().dct is None
    assert accumulate(images, dct=True).result().dct.mean.shape == (8, 8)


def test_powers_below_the_floor_count_as_it_beside_others(coloured):
    """The floor is applied where any image needs it, and nothing else changes."""
    images = torch.cat((coloured(11, 1, 8, 8), torch.zeros(2, 1, 8, 8)))
    logs = power_spectrum(images)[:, 0].clamp_min(POWER_FLOOR).log()
    np.testing.assert_allclose(accumulate(images).result().power.mean_log, logs.mean(0), rtol=1e-9)


def test_one_image_has_no_deviation(coloured):
    statistics = accumulate(coloured(1, 1, 8, 8)).result()
    assert np.isnan(statistics.radial["ganlab"].std).all()


def test_value_range_is_kept(coloured):
    images = coloured(6, 3, 8, 8)
    statistics = accumulate(images[:3], images[3:]).result()
    grey = (images * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    assert statistics.minimum == pytest.approx(float(grey.min()))
    assert statistics.maximum == pytest.approx(float(grey.max()))


def wrong_size():
    accumulate(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 9))


def wrong_merge():
    accumulate(torch.zeros(1, 1, 8, 8)).merge(accumulate(torch.zeros(1, 1, 9, 9)))


def other_settings():
    accumulate(torch.zeros(1, 1, 8, 8)).merge(accumulate(torch.zeros(1, 1, 8, 8), dct=True))


def other_states():
    options = Settings(dct=False)
    merge_states(empty_state(8, 8, options), empty_state(9, 8, options))


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (wrong_size, "8x9"),
        (wrong_merge, "9x9"),
        (other_settings, "different settings"),
        (other_states, "cannot be merged"),
        (lambda: SpectrumAccumulator().result(), "no image"),
        (lambda: SpectrumAccumulator(window="ham"), "window"),
        (lambda: SpectrumAccumulator(conventions=("jung",)), "did you mean 'jung2021'"),
        (lambda: SpectrumAccumulator(reservoir=-1), "reservoir"),
        (lambda: SpectrumAccumulator().update(torch.zeros(2, 8, 8, 3, dtype=torch.uint8)), "to_float"),
        (lambda: SpectrumAccumulator().update(torch.zeros(2, 4, 8, 8)), "1 or 3 channels"),
    ],
)
def test_misuse_is_explained(action, text):
    with pytest.raises(GanlabError) as error:
        action()
    assert text in str(error.value)


@pytest.mark.parametrize("counts", [(9, 0), (4, 5)])
def test_processes_are_reduced_even_if_one_had_no_images(counts, coloured):
    """torchmetrics gathers state after state from all processes; here the second process is at hand."""
    images = coloured(9, 1, 8, 8)
    options = {"size": (8, 8), "reservoir": 4, "keep_profiles": True}
    other = SpectrumAccumulator(**options)
    if counts[1]:
        other.update(images[counts[0] :])
    names = iter(other._reductions)

    def gather(value, group):
        theirs = getattr(other, next(names))
        return (
            [value, torch.cat(theirs) if isinstance(theirs, list) and theirs else value[:0]]
            if (isinstance(theirs, list))
            else [value, theirs]
        )

    first = SpectrumAccumulator(dist_sync_fn=gather, distributed_available_fn=lambda: True, **options)
    first.update(images[: counts[0]])
    expected = accumulate(images, reservoir=4)
    result = first.result()
    assert_same(result, expected.result())
    np.testing.assert_allclose(result.bands["radial"], expected.result().bands["radial"])
