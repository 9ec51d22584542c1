import numpy as np
import pytest
import scipy.stats
import torch

from ganlab.spectra.resampling import (
    Stacked,
    bootstrap,
    bootstrap_counts,
    generator,
    interval,
    null_draws,
    p_values,
    permutations,
    split_masks,
)


def difference(real, fake):
    return fake["x"].mean(1, keepdim=True) - real["x"].mean(1, keepdim=True)


def stacked(values):
    return Stacked({"x": torch.from_numpy(values)[:, None]})


def test_counts_are_draws_with_replacement():
    counts = bootstrap_counts(4000, 10, 25, generator(0, "test"))
    assert (counts.sum(1) == 25).all()
    assert float(counts.mean()) == pytest.approx(2.5)
    assert float(counts.var(0).mean()) == pytest.approx(25 * 0.1 * 0.9, rel=0.05)


def test_masks_take_the_number_asked_for():
    masks = split_masks(3000, 12, 5, generator(0, "test"))
    assert (masks.sum(1) == 5).all()
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(masks.mean(0), 5 / 12, atol=0.04)


def test_means_are_those_of_the_repeated_images(rng):
    profiles = {
        "a": torch.from_numpy(rng.uniform(1, 9, (6, 3))),
        "b": torch.from_numpy(rng.uniform(0, 1e-9, (6, 2))),
    }
    counts = bootstrap_counts(5, 6, 6, generator(1, "test"))
    means = Stacked(profiles).means(counts)
    for name, values in profiles.items():
        for row, weights in enumerate(counts):
            expected = values.repeat_interleave(weights.long(), 0).mean(0)
            torch.testing.assert_close(means[name][row], expected, rtol=1e-6, atol=0)


def test_bootstrap_has_the_standard_error(rng):
    real, fake = rng.normal(3, 1, 200), rng.normal(4, 2, 300)
    draws = bootstrap(stacked(real), stacked(fake), difference, 2000, 0)
    assert float(draws.std()) == pytest.approx(np.sqrt(real.var() / 200 + fake.var() / 300), rel=0.06)
    assert float(draws.mean()) == pytest.approx(fake.mean() - real.mean(), abs=0.02)


def test_null_has_the_spread_of_two_samples_of_one_population(rng):
    real = rng.normal(3, 1, 200)
    draws = null_draws(stacked(real), 50, difference, 2000, 0)
    assert float(draws.mean()) == pytest.approx(0, abs=0.02)
    assert float(draws.std()) == pytest.approx(real.std() * np.sqrt(1 / 200 + 1 / 50), rel=0.06)


def test_a_sample_scatters_about_the_mean_of_all(rng):
    population = rng.uniform(1, 3, 5000)
    sample = Stacked(
        {"x": torch.from_numpy(population[:500])[:, None]}, {"x": torch.tensor([[population.mean()]])}, 5000
    )
    draws = bootstrap(sample, sample, lambda real, fake: fake["x"], 1000, 0)
    assert float(draws.mean()) == pytest.approx(population.mean(), rel=1e-3)
    assert float(draws.std()) == pytest.approx(population.std() / 5000**0.5, rel=0.12)


def test_intervals_cover(rng):
    hits = 0
    for i in range(120):
        real, fake = rng.normal(0, 1, 60), rng.normal(0.5, 1, 60)
        low, high = interval(bootstrap(stacked(5 + real), stacked(5 + fake), difference, 300, i), 0.9)
        hits += float(low) <= 0.5 <= float(high)
    assert 95 <= hits <= 118  # 90 % of 120 is 108; binomial limits at 1e-4


def test_p_values_are_uniform_where_nothing_differs(rng):
    found = []
    for i in range(120):
        values = torch.from_numpy(rng.normal(5, 1, 40))[:, None]
        pooled = Stacked({"x": values})
        dealt = permutations(pooled, 15, difference, 199, i)
        observed = difference({"x": values[:15].mean(0, True)}, {"x": values[15:].mean(0, True)})[0]
        found.append(float(p_values(observed, dealt)))
    assert scipy.stats.kstest(found, "uniform").pvalue > 1e-3
    assert min(found) >= 1 / 200


def test_p_value_of_no_difference_is_one():
    assert float(p_values(torch.zeros(1), torch.zeros(99, 1))) == 1.0
    assert float(p_values(torch.tensor([5.0]), torch.zeros(99, 1))) == 0.01


def test_a_seed_repeats_and_streams_differ(rng):
    values = stacked(rng.normal(3, 1, 50))
    first = bootstrap(values, values, difference, 20, 7)
    assert torch.equal(first, bootstrap(values, values, difference, 20, 7))
    assert not torch.equal(first, bootstrap(values, values, difference, 20, 8))
    assert not torch.equal(first, null_draws(values, 50, difference, 20, 7))
