"""Spectral losses: gradients through the whole chain, independent references, state, refusals."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.config import ConfigError, load, resolve
from ganlab.config.checks.spectral import CONVENTIONS as FACTS
from ganlab.config.checks.spectral import KINDS
from ganlab.config.schema import SpectralTermConfig
from ganlab.errors import GanlabError
from ganlab.losses import (
    SPECTRAL,
    AxisProfileLoss,
    FocalFrequencyLoss,
    FrechetProfileLoss,
    LogPowerLoss,
    SlicedProfileLoss,
    SpectralLoss,
    SpectralRegularization,
    build_spectral_losses,
    gradient_ratios,
)
from ganlab.losses import spectral_functions as functions
from ganlab.losses.spectral import LOGARITHMS
from ganlab.losses.spectral_set import build_spectral_loss
from ganlab.spectra import CONVENTIONS, axis_profiles, radial_profile

SIDE = 8
WITH_GRADIENT = [name for name, rule in CONVENTIONS.items() if not rule.integer_luma]


def images(count: int, seed: int, side: int = SIDE) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return 0.5 * torch.randn(count, 3, side, side, dtype=torch.float64, generator=draw)


def variants() -> dict[str, dict]:
    """Every kind with every value of its own options that is allowed."""
    found: dict[str, dict] = {}
    for convention in WITH_GRADIENT:
        logarithmic = CONVENTIONS[convention].measure in LOGARITHMS
        for normalisation in functions.NORMALISATIONS:
            if not (normalisation == "log" and logarithmic):
                own = {"convention": convention, "normalisation": normalisation}
                found[f"radial_profile {convention} {normalisation}"] = {"kind": "radial_profile", **own}
    for distance in ("bce", "l1", "l2"):
        for compare in ("each", "mean"):
            found[f"radial_profile {distance} {compare}"] = {
                "kind": "radial_profile", "distance": distance, "compare": compare,
            }  # fmt: skip
    found["radial_profile log_l1"] = {"kind": "radial_profile", "convention": "ganlab", "distance": "log_l1"}
    for distance in ("l1", "l2"):
        found[f"log_power {distance}"] = {"kind": "log_power", "distance": distance}
        for compare in ("each", "mean"):
            found[f"axis_profiles {distance} {compare}"] = {
                "kind": "axis_profiles", "distance": distance, "compare": compare,
            }  # fmt: skip
    for average in ("amplitude", "complex"):
        # The focal weights are constants to the gradient; alpha 0 has none.
        found[f"focal_frequency {average}"] = {"kind": "focal_frequency", "average": average, "alpha": 0.0}
    found["sliced"] = {"kind": "sliced"}
    found["frechet"] = {"kind": "frechet", "convention": "ganlab", "normalisation": "log"}
    return found


VARIANTS = variants()


def make(options: dict, side: int = SIDE):
    term = SpectralTermConfig.model_validate(options)
    if term.distance is None and term.kind == "radial_profile" and term.convention != "durall2020":
        term = term.model_copy(update={"distance": "l2"})
    return build_spectral_loss(term, side, seed=3).double()


@pytest.mark.parametrize("reference", ["running", "batch"])
@pytest.mark.parametrize("name", VARIANTS)
def test_gradient_from_image_to_loss(name, reference):
    """gradcheck through image -> FFT -> profile -> loss, in float64."""
    if reference == "batch" and name in ("sliced",):
        reference = "running"  # it knows the batch only
    loss, real = make({**VARIANTS[name], "reference": reference}), images(4, 1)
    if reference == "running":
        loss(images(4, 2), real)
        if loss.reference_kind == "running":
            loss.eval()
    # More fakes than rings: the covariance is then regular, and central differences are accurate.
    fake = images(9 if name == "frechet" else 3, 5).requires_grad_()
    # Log profiles bend sharply near small coefficients, eigenvalues carry more rounding.
    eps = 1e-5 if name == "frechet" else 1e-7
    assert torch.autograd.gradcheck(lambda x: loss.eval()(x, real), (fake,), eps=eps, atol=2e-5, rtol=2e-3)


@pytest.mark.parametrize("kind", SPECTRAL)
def test_gradient_descends_to_the_reals(kind):
    """A pure descent on the pixels lowers the distance: the gradient points the right way, in float32."""
    loss = build_spectral_loss(SpectralTermConfig(kind=kind), 16)
    # Reals whose power falls towards high frequencies, as photographs' does; fakes are white.
    real = F.avg_pool2d(images(8, 1, 16), 3, 1, 1).float()
    fake = (0.5 * images(8, 2, 16)).float().requires_grad_()
    optimizer, first = torch.optim.Adam([fake], lr=1e-2), None
    for _ in range(40):
        optimizer.zero_grad()
        loss(fake, real).backward()
        assert torch.isfinite(fake.grad).all()
        first = loss.distance.item() if first is None else first
        optimizer.step()
    assert loss.distance.item() < 0.6 * first


def test_as_released_passes_no_gradient_through_the_spectrum_and_ours_does():
    """Durall et al.: the factor is a constant; only a discriminator's gradient, scaled, reaches the image."""
    real, fake = images(4, 1), images(4, 2).requires_grad_()
    released = SpectralRegularization(SIDE, weight=0.5, as_released=True).double()
    ours = SpectralRegularization(SIDE, weight=0.5, reference="batch").double()
    constant = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)  # does not depend on the image
    value = released(fake, real, constant)
    assert torch.autograd.grad(value, fake, retain_graph=True, allow_unused=True) == (None,)
    (through,) = torch.autograd.grad(ours(fake, real), fake)
    assert through.abs().sum() > 0
    adversarial = fake.square().mean()
    (plain,) = torch.autograd.grad(adversarial, fake, retain_graph=True)
    total = adversarial + released(fake, real, adversarial)
    (scaled,) = torch.autograd.grad(total, fake)
    profiles = [radial_profile(batch, "durall2020") for batch in (real, fake.detach())]
    bce = F.binary_cross_entropy(*profiles)  # (prediction, target): real, fake
    assert torch.allclose(scaled, plain * (1 + 0.5 * bce), rtol=1e-12)
    assert total.item() == pytest.approx(adversarial.item() * (1 + 0.5 * bce.item()), rel=1e-12)
    with pytest.raises(GanlabError, match="multiplies the adversarial loss"):
        released(fake, real)


@pytest.mark.parametrize("kind", SPECTRAL)
def test_equal_spectra_have_distance_zero(kind):
    real = images(6, 1)
    term = SpectralTermConfig(kind=kind, reference="batch")
    loss = build_spectral_loss(term, SIDE).double()
    loss(real.clone().requires_grad_(), real)
    assert loss.distance.item() == pytest.approx(0.0, abs=1e-9)
    loss(images(6, 2) * 0.3, real)
    assert loss.distance.item() > 1e-4


def test_cross_entropy_is_reported_without_its_floor():
    real, fake = images(4, 1), images(4, 2)
    loss = SpectralRegularization(SIDE, reference="batch").double()
    value = loss(fake, real).item()
    p, q = (radial_profile(batch, "durall2020").numpy() for batch in (real, fake))
    margin = functions.BCE_MARGIN

    def entropy(target, values):
        values = np.clip(values, margin, 1 - margin)
        return -(target * np.log(values) + (1 - target) * np.log(1 - values)).mean()

    assert value == pytest.approx(entropy(p, q), rel=1e-10)
    assert loss.distance.item() == pytest.approx(entropy(p, q) - entropy(p, p), rel=1e-9)
    assert value > loss.distance.item() > 0


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 99))
def test_excess_cross_entropy_is_never_negative(rows, rings, seed):
    draw = torch.Generator().manual_seed(seed)
    values, target = torch.rand(2, rows, rings, generator=draw, dtype=torch.float64)
    assert functions.excess_cross_entropy(values, target).item() >= -1e-12
    assert functions.excess_cross_entropy(target, target).item() == 0.0


def test_axis_profiles_see_what_the_ring_mean_hides():
    """Images turned by 90 degrees have equal ring means; their axis profiles differ."""
    real = F.avg_pool2d(images(8, 1, 16), (1, 5), 1, (0, 2))
    fake = real.transpose(2, 3)
    radial = SpectralRegularization(16, convention="ganlab", normalisation="log", reference="batch").double()
    axis, plane = (
        AxisProfileLoss(16, reference="batch").double(),
        LogPowerLoss(16, reference="batch").double(),
    )
    for loss in (radial, axis, plane):
        loss(fake, real)
    assert radial.distance.item() == pytest.approx(0.0, abs=1e-9)
    assert axis.distance.item() > 0.3
    assert plane.distance.item() > 0.3


def test_log_power_and_axis_values():
    real, fake = images(5, 1), images(5, 2)
    power = [np.abs(np.fft.fft2(_luma(batch))) ** 2 / SIDE**2 for batch in (real, fake)]
    means = [np.log(p.mean(0) + functions.LOG_FLOOR) for p in power]
    loss = LogPowerLoss(SIDE, reference="batch").double()
    assert loss(fake, real).item() == pytest.approx(np.abs(means[0] - means[1]).mean(), rel=1e-9)
    squared = LogPowerLoss(SIDE, reference="batch", distance="l2").double()
    assert squared(fake, real).item() == pytest.approx(((means[0] - means[1]) ** 2).mean(), rel=1e-9)
    logs = [
        torch.cat(axis_profiles(batch), 1).add(functions.LOG_FLOOR).log().numpy() for batch in (real, fake)
    ]
    axis = AxisProfileLoss(SIDE, reference="batch", compare="mean").double()
    assert axis(fake, real).item() == pytest.approx(
        np.abs(logs[0].mean(0) - logs[1].mean(0)).mean(), rel=1e-9
    )


def _luma(batch):
    return np.einsum("nchw,c->nhw", batch.numpy(), [0.299, 0.587, 0.114])


@pytest.mark.parametrize(("alpha", "log_weight"), [(1.0, False), (0.0, False), (2.0, False), (1.0, True)])
def test_focal_frequency_against_the_published_formula_on_the_full_plane(alpha, log_weight):
    real, fake = images(5, 1), images(5, 2)
    spectra = [np.fft.fft2(batch.numpy(), norm="ortho").mean(0) for batch in (real, fake)]
    apart = np.abs(spectra[1] - spectra[0])
    weight = apart**alpha
    weight = np.log(1 + weight) if log_weight else weight
    weight = weight / weight.max((1, 2), keepdims=True)
    loss = FocalFrequencyLoss(
        SIDE, reference="batch", alpha=alpha, log_weight=log_weight, average="complex"
    ).double()
    assert loss(fake, real).item() == pytest.approx((weight * apart**2).mean(), rel=1e-9)


def test_the_complex_average_is_the_mean_images_spectrum():
    """What the documentation says of ave_spectrum: batches with one mean image are equal to it."""
    noise = images(4, 3)
    real, fake = images(4, 1), torch.cat([images(4, 1)])
    fake = fake + noise - noise.mean(0, keepdim=True)
    values = {
        average: FocalFrequencyLoss(SIDE, reference="batch", average=average).double()(fake, real).item()
        for average in ("complex", "amplitude")
    }
    assert values["complex"] == pytest.approx(0.0, abs=1e-20)
    assert values["amplitude"] > 1e-3


def test_sliced_distance_in_one_dimension_is_the_wasserstein_distance():
    a, b = torch.randn(2, 9, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = ((np.sort(a.numpy(), 0) - np.sort(b.numpy(), 0)) ** 2).mean()
    direction = torch.ones(1, 1, dtype=torch.float64)
    assert functions.sliced_distance(a, b, direction).item() == pytest.approx(expected)
    twice = b.repeat_interleave(2, 0)
    assert functions.sliced_distance(a, twice, direction).item() == pytest.approx(expected)


def test_sliced_directions_change_with_the_step_and_the_seed():
    real, fake = images(4, 1), images(4, 2)
    first, again, other = (SlicedProfileLoss(SIDE, seed=seed).double() for seed in (0, 0, 1))
    values = [first(fake, real).item(), first(fake, real).item()]
    assert values == [again(fake, real).item(), again(fake, real).item()]
    assert values[0] != values[1]
    assert other(fake, real).item() != values[0]


@pytest.mark.parametrize("count", [4, 60])
def test_frechet_distance_against_scipy(count):
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(count, 6)), draw.normal(size=(50, 6)) @ draw.normal(size=(6, 6)) + 1
    found = functions.frechet_distance(
        functions.moments(torch.from_numpy(a)), functions.moments(torch.from_numpy(b)), ridge=1e-10
    ).item()
    ca, cb = np.cov(a.T, bias=True), np.cov(b.T, bias=True)
    root = np.real(scipy.linalg.sqrtm(scipy.linalg.sqrtm(cb) @ ca @ scipy.linalg.sqrtm(cb)))
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * root)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("decay", [0.5, 1.0])
def test_running_reference_is_the_weighted_mean_of_the_batches(decay):
    loss = SpectralRegularization(SIDE, decay=decay).double()
    batches = [images(3, seed) for seed in range(4)]
    for batch in batches:
        loss(images(2, 9), batch)
    means = np.stack([radial_profile(batch, "durall2020").mean(0).numpy() for batch in batches])
    weights = decay ** np.arange(3, -1, -1.0)
    assert np.allclose(loss.reference.numpy(), weights @ means / weights.sum(), atol=1e-12)
    before = loss.reference.clone()
    loss.eval()(images(2, 9))
    assert torch.equal(loss.reference, before)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if "reference" in kind.options])
def test_dataset_reference_is_the_mean_over_all_images_whatever_the_batches(kind):
    everything = images(10, 1)
    losses = [
        build_spectral_loss(SpectralTermConfig(kind=kind, reference="dataset"), SIDE).double() for _ in "ab"
    ]
    for loss, size in zip(losses, (10, 4), strict=True):
        assert loss.needs_fit
        with pytest.raises(GanlabError, match="no reference yet"):
            loss(images(2, 3))
        loss.fit(everything.split(size))
        assert not loss.needs_fit
    assert torch.allclose(losses[0].reference, losses[1].reference, atol=1e-12)
    assert torch.equal(losses[0](images(2, 3)), losses[0](images(2, 3), images(2, 4)))


@pytest.mark.parametrize("kind", SPECTRAL)
def test_state_restores_reference_step_and_directions(kind):
    loss, restored = (build_spectral_loss(SpectralTermConfig(kind=kind, warmup=9), SIDE) for _ in "ab")
    fake, real = images(3, 1).float(), images(3, 2).float()
    for _ in range(3):
        loss(fake, real)
    restored.load_state_dict(loss.state_dict())
    assert torch.equal(loss(fake, real), restored(fake, real))
    assert restored.step == 4


def test_warm_up_is_linear_and_zero_weight_measures_only():
    fake, real = images(3, 1).requires_grad_(), images(3, 2)
    loss = AxisProfileLoss(SIDE, weight=2.0, warmup=4, reference="batch").double()
    values = [loss(fake, real).item() for _ in range(6)]
    assert values == pytest.approx([values[-1] * part for part in (0.25, 0.5, 0.75, 1, 1, 1)])
    off = AxisProfileLoss(SIDE, weight=0.0, reference="batch").double()
    assert off(fake, real).item() == 0.0
    assert not off(fake, real).requires_grad
    assert off.distance.item() == pytest.approx(values[-1] / 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([(8, 8), (9, 9), (8, 12), (11, 7)]))
def test_any_batch_sizes_and_rectangles(fakes, reals, size):
    draw = torch.Generator().manual_seed(0)
    fake = torch.randn(fakes, 3, *size, generator=draw, dtype=torch.float64)
    real = torch.randn(reals, 3, *size, generator=draw, dtype=torch.float64)
    for kind in SPECTRAL.values():
        value = kind(size).double()(fake, real)
        assert value.shape == ()
        assert torch.isfinite(value)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 3]))
def test_partners_do_not_depend_on_the_number_of_processes(rows, count, processes):
    everything = torch.arange(rows * processes)
    whole = functions.partners(everything, count * processes)
    parts = [functions.partners(part, count) for part in everything.chunk(processes)]
    assert torch.equal(whole, torch.cat(parts))


@pytest.mark.parametrize("kind", SPECTRAL)
def test_black_images_and_equal_batches_give_finite_gradients(kind):
    """The first steps of a generator can be constant images."""
    loss, real = SPECTRAL[kind](SIDE), images(4, 1).float()
    fake = torch.zeros(4, 3, SIDE, SIDE, requires_grad=True)
    loss(fake, real).backward()
    assert torch.isfinite(fake.grad).all()


@pytest.mark.parametrize("kind", SPECTRAL)
def test_another_image_size_is_refused(kind):
    loss = SPECTRAL[kind](SIDE)
    with pytest.raises(GanlabError, match=r"reference are for images of 8x8 .*got \(2, 3, 16, 16\)"):
        loss(images(2, 1, 16), images(2, 2))
    if kind != "focal_frequency":
        with pytest.raises(GanlabError, match="for images of 8x8"):
            loss(images(2, 1), images(2, 2, 16))
    with pytest.raises(GanlabError, match="for images of 8x8"):
        loss.fit([images(2, 2, 16)])


def test_images_smaller_than_the_profile_are_refused():
    with pytest.raises(GanlabError, match="too small for this profile"):
        SpectralRegularization(2, convention="durall2020")
    with pytest.raises(GanlabError, match="images of 4x4 are smaller than the profile durall2020: 1 ring"):
        SpectralRegularization(4, convention="durall2020")


REFUSED = {
    "negative weight": ({"weight": -1.0}, "finite weight >= 0; got -1"),
    "nan": ({"weight": float("nan")}, "finite weight"),
    "infinite": ({"weight": float("inf")}, "finite weight"),
    "warmup": ({"warmup": -1}, "warmup >= 0"),
    "decay": ({"decay": 1.5}, "decay from 0 to 1"),
    "reference": ({"reference": "median"}, "unknown reference 'median'"),
    "convention": ({"convention": "durall2021"}, "did you mean 'durall2020'"),
    "no gradient": ({"convention": "durall2019"}, "no gradient passes; use durall2020"),
    "log of log": ({"normalisation": "log"}, "are logarithms already"),
    "normalisation": ({"normalisation": "minmax"}, "did you mean 'min_max'"),
    "distance": ({"distance": "kl"}, "unknown distance 'kl'"),
    "bce outside": ({"normalisation": "none", "distance": "bce"}, "not defined here: expected one of l1, l2"),
    "log of zero": ({"distance": "log_l1"}, "not defined here: expected one of bce, l1, l2"),
    "compare": ({"compare": "all"}, "expected each or mean"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    options, text = REFUSED[case]
    with pytest.raises(GanlabError, match=text):
        SpectralRegularization(SIDE, **options)


def test_refusals_of_the_other_kinds():
    for make_it in (
        lambda: AxisProfileLoss(SIDE, distance="bce"),
        lambda: LogPowerLoss(SIDE, distance="log_l1"),
        lambda: FocalFrequencyLoss(SIDE, alpha=-1.0),
        lambda: FocalFrequencyLoss(SIDE, average="phase"),
        lambda: SlicedProfileLoss(SIDE, projections=0),
        lambda: FrechetProfileLoss(SIDE, convention="durall2019"),
        lambda: FrechetProfileLoss(SIDE).fit([]),
        lambda: SpectralRegularization(SIDE)(images(2, 1)),
    ):
        with pytest.raises(GanlabError):
            make_it()


def test_several_terms_and_the_ratio_of_their_gradients():
    config = load(
        "dcgan32",
        ["loss.spectral=[{kind: radial_profile, weight: 3, reference: batch}, "
         "{kind: log_power, name: plane, reference: batch}, {kind: sliced, weight: 0}]"],
    )  # fmt: skip
    terms = build_spectral_losses(config.loss.spectral, SIDE).double()
    fake, real = images(4, 1).requires_grad_(), images(4, 2)
    adversarial = fake.square().sum()
    values = terms(fake, real, adversarial)
    assert list(values) == ["radial_profile", "plane", "sliced"]
    ratios = gradient_ratios(values, adversarial, fake)
    (own,) = torch.autograd.grad(values["radial_profile"], fake, retain_graph=True)
    assert ratios["radial_profile"].item() == pytest.approx((own.norm() / (2 * fake).norm()).item(), rel=1e-5)
    assert ratios["sliced"].item() == 0.0
    assert terms.distances()["sliced"].item() > 0
    with pytest.raises(GanlabError, match="two spectral losses are called 'log_power'"):
        build_spectral_losses([SpectralTermConfig(kind="log_power")] * 2, SIDE)


def test_the_checks_know_what_the_losses_take():
    assert set(KINDS) == set(SPECTRAL)
    for name, kind in KINDS.items():
        assert kind.options == SPECTRAL[name].options
        # What a constructor does not name itself it hands on to its base's.
        parameters = {
            option: parameter
            for cls in reversed(SPECTRAL[name].__mro__)
            for option, parameter in inspect.signature(cls.__init__).parameters.items()
            if issubclass(cls, SpectralLoss)
        }
        assert set(kind.options) <= set(parameters)
        defaults = SpectralTermConfig.model_fields
        assert all(parameters[option].default == defaults[option].default for option in kind.options)
    for name, rule in CONVENTIONS.items():
        normalise = {"minmax": "min_max"}.get(rule.normalise, rule.normalise)
        assert FACTS[name] == (normalise, rule.measure in LOGARITHMS, not rule.integer_luma)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("normalisation", [None, *functions.NORMALISATIONS])
@pytest.mark.parametrize("distance", [None, *functions.DISTANCES])
def test_the_configuration_refuses_exactly_what_the_loss_refuses(convention, normalisation, distance):
    section = {
        "kind": "radial_profile", "convention": convention, "normalisation": normalisation,
        "distance": distance,
    }  # fmt: skip
    term = SpectralTermConfig.model_validate(section)
    try:
        build_spectral_loss(term, 32)
        allowed = True
    except GanlabError:
        allowed = False
    try:
        resolve("dcgan32", {"loss.spectral": [section]})
        accepted = True
    except ConfigError:
        accepted = False
    assert accepted == allowed


@pytest.mark.parametrize("average", ["amplitude", "complex", "none"])
def test_the_focal_loss_names_another_number_of_channels(average):
    loss = FocalFrequencyLoss(16, average=average)
    with pytest.raises(GanlabError, match="give channels=1"):
        loss(torch.zeros(2, 3, 16, 16), torch.zeros(2, 1, 16, 16))
