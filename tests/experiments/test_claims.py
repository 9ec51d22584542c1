"""Claims: notches and lattices of known place, effects of constructed numbers, marks of known kind."""

import importlib
import math

import numpy as np
import pytest
import torch

from ganlab.errors import GanlabError
from ganlab.experiments.claims import (
    claim_discriminator,
    claim_last_stage,
    claim_notch,
    claim_remedies,
    claim_seeds,
)
from ganlab.experiments.claims.lattice import (
    equal_energy,
    lattice,
    mean_power,
    mirrored,
    notched,
    periods,
    prominence,
)
from ganlab.experiments.claims.outcome import VERDICTS, Verdict, shown
from ganlab.experiments.claims.page import as_markdown
from ganlab.experiments.claims.recipes import SCALES
from ganlab.experiments.claims.registry import EXPERIMENTS
from ganlab.experiments.claims.seeds import (
    ASKED,
    asked,
    common,
    counted,
    seeded,
    student_mean,
    variance_shares,
)
from ganlab.experiments.claims.setting import Setting
from ganlab.forensics import Interval, parse_system

SIZE = 32


def noise(count, seed, colour=1.0):
    """Float images with a spectrum that falls off smoothly, about 0.3 in size."""
    source = torch.Generator().manual_seed(seed)
    white = torch.randn(count, 3, SIZE, SIZE, generator=source, dtype=torch.float64)
    radius = torch.hypot(torch.fft.fftfreq(SIZE)[:, None], torch.fft.fftfreq(SIZE)[None]).double()
    shaped = torch.fft.ifft2(torch.fft.fft2(white) / (0.1 + radius) ** colour).real
    return 0.3 * shaped / shaped.std()


def pattern(period, amplitude):
    """A grid of mean 0 whose places in the plane are the multiples of 1/period: one bright pixel a cell."""
    plane = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    plane[::period, ::period] = amplitude
    return plane - plane.mean()


# ---------------------------------------------------------------------------------------- lattices, notches


def test_places_by_period():
    where = periods(SIZE, SIZE)
    assert {int(period): int((where == period).sum()) for period in (1, 2, 4, 8)} == {
        1: 1,
        2: 3,
        4: 12,
        8: 48,
    }
    assert where[16, 16] == where[0, 16] == 2
    assert where[8, 0] == where[24, 16] == 4
    assert where[4, 8] == 8
    assert where[1, 0] == 0
    with pytest.raises(GanlabError, match="sides of 32, 40, 48"):
        periods(16, 16)


@pytest.mark.parametrize(("period", "found"), [(2, (2,)), (4, (2, 4)), (8, (2, 4, 8))])
def test_a_planted_lattice_is_found_at_its_periods_alone(period, found):
    real, fake = noise(64, 0), noise(64, 1)
    seen = prominence(real, fake + pattern(period, 0.4 * period))
    for own in (2, 4, 8):
        assert (seen[own] > 8) == (own in found), seen
        assert own in found or abs(seen[own]) < 1.5


def test_a_smooth_difference_is_no_lattice():
    seen = prominence(noise(96, 0), noise(96, 1, colour=1.6))
    assert all(abs(db) < 1.5 for db in seen.values())


def test_a_notch_removes_the_planted_lattice_and_nothing_else():
    images, mask = noise(8, 0), lattice(SIZE, SIZE)
    assert torch.allclose(notched(images + pattern(8, 0.5), mask), notched(images, mask), atol=1e-12)
    before, after = (torch.fft.fft2(one) for one in (images, notched(images, mask)))
    kept = torch.from_numpy(~mask)
    assert torch.allclose(after[..., kept], before[..., kept], atol=1e-10)
    assert after[..., ~kept].abs().max() < 1e-10
    # brightness is no place of the lattice
    assert torch.allclose(after[..., 0, 0], before[..., 0, 0])
    lopsided = np.zeros((SIZE, SIZE), bool)
    lopsided[1, 2] = True
    with pytest.raises(GanlabError, match="opposite frequencies"):
        notched(images, lopsided)


def test_the_match_of_a_notch_has_its_energy_and_none_of_its_places():
    power = mean_power(noise(64, 0))
    mask = lattice(SIZE, SIZE)
    match = equal_energy(power, mask)
    assert not (match & mask).any()
    assert np.array_equal(match, mirrored(match))
    assert power[match].sum() / power[mask].sum() == pytest.approx(1, abs=0.1)
    # 30 pairs, and a pair for each of three places that are their own opposites
    assert (mask.sum(), match.sum()) == (63, 66)


# ------------------------------------------------------------------------------------- numbers over seeds


def test_mean_over_seeds_is_students():
    found = student_mean([1.0, 2.0, 3.0])
    assert (found.value, found.low, found.high) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert shown(found) == "2.00 [-0.48, 4.48]"
    alone = student_mean([0.5])
    assert math.isinf(alone.low)
    assert math.isinf(alone.high)
    assert shown(alone) == "0.50 (one seed)"
    with pytest.raises(GanlabError, match="a mean needs at least one value"):
        student_mean([])


def test_shares_of_variance_of_constructed_numbers():
    def cells(first, second, both, seeds):
        return {
            (a, b): [first * x + second * y + both * x * y + s for s in (-seeds, 0.0, seeds)]
            for a, x in (("p", -1), ("q", 1)) for b, y in (("r", -1), ("s", 1))
        }  # fmt: skip

    for name, numbers in {
        "first": (2, 0, 0, 0), "second": (0, 3, 0, 0), "both": (0, 0, 1, 0), "seeds": (0, 0, 0, 1),
    }.items():  # fmt: skip
        shares = variance_shares(cells(*numbers))
        assert shares == pytest.approx({n: float(n == name) for n in ("first", "second", "both", "seeds")})
    # sums of squares: 12 * 4, 12 * 1, 12 * 0, 8 * 1.5
    mixed = variance_shares(cells(2, 1, 0, math.sqrt(1.5)))
    assert mixed == pytest.approx({"first": 48 / 72, "second": 12 / 72, "both": 0, "seeds": 12 / 72})
    assert set(variance_shares(cells(0, 0, 0, 0)).values()) == {0.0}
    with pytest.raises(GanlabError, match="every combination"):
        variance_shares({("p", "r"): [1.0], ("q", "s"): [1.0]})


def test_seeds_that_there_are_are_counted():
    own = {"a": {0: "x", 1: "y"}, "b": {1: "z"}}
    assert common(own) == (1,)
    assert counted(own) == "3 generators of 2 kinds, 2 seeds of each; b has 1"


def test_generators_come_from_the_zoo_and_are_part_of_the_question(tmp_path, monkeypatch):
    setting = Setting(tmp_path, SCALES["small"], names=("dcgan-nearest",))
    monkeypatch.setattr("ganlab.zoo.names", lambda: ("dcgan-nearest-s0", "dcgan-bilinear-s0"))
    assert seeded(setting, ["dcgan-nearest", "dcgan-bilinear"]) == {
        "dcgan-nearest": {0: "zoo:dcgan-nearest-s0"}, "dcgan-bilinear": {0: "zoo:dcgan-bilinear-s0"},
    }  # fmt: skip
    assert seeded(setting, ["dcgan-nearest", "dcgan-kaiser"]) == {
        "dcgan-nearest": {0: "zoo:dcgan-nearest-s0"}
    }
    assert set(setting.identity(3)["generators"]) == {"dcgan-nearest", "dcgan-nearest-s0"}
    assert set(setting.identity()["generators"]) == {"dcgan-nearest"}


# ------------------------------------------------------------------------------------------- the four claims


def test_use_of_peaks_is_told_from_other_knowledge():
    """One generator differs from the reals at the lattice alone, the other everywhere but there."""
    real, fake = noise(160, 0), noise(160, 1)
    system = [parse_system("dft+logistic")]
    mask = lattice(SIZE, SIZE)
    masks = {"lattice": mask, "elsewhere": equal_energy(mean_power(fake), mask)}
    peaks = claim_notch.without(real, fake + pattern(4, 1.0), masks, system)["dft+logistic"]
    assert peaks["untouched"] > 0.95
    assert claim_notch.use(peaks) > 0.3
    assert claim_notch.use(peaks, "refitted ") > 0.3
    other = noise(160, 1, colour=1.3)
    found = claim_notch.without(real, notched(other, mask) + fake - notched(fake, mask), masks, system)
    assert found["dft+logistic"]["untouched"] > 0.95
    assert abs(claim_notch.use(found["dft+logistic"])) < 0.05
    assert abs(found[claim_notch.PEAKS]["refitted lattice"] - 0.5) < 0.01  # nothing is left to see


def test_verdict_on_peaks():
    def judged(*values):
        return claim_notch.judged({f"s{k}": Interval(*value) for k, value in enumerate(values)})[0]

    used, unused, unclear = (0.2, 0.1, 0.3), (0.0, -0.002, 0.002), (0.02, -0.1, 0.14)
    assert judged(used, used, unused) == Verdict.AT_THIS_SCALE
    assert judged(used, unused, unused) == Verdict.SHARPENED
    assert judged(unclear, unused, unused) == Verdict.REFUTED
    assert judged(unclear, unclear, unused) == Verdict.UNDECIDED


def marks(kind, seed, count=40):
    """Features of three kinds and three seeds, displaced by the kind and by the single training."""
    source = np.random.default_rng(0)
    own = {(k, s): source.normal(size=12) for k in range(3) for s in range(3)}
    shared = [source.normal(size=12) for _ in range(3)]
    return {
        f"k{k}": {
            s: (kind * shared[k] + seed * own[k, s] + source.normal(size=(count, 12))).astype(np.float32)
            for s in range(3)
        }
        for k in range(3)
    }


def test_marks_of_kinds_carry_over_and_marks_of_seeds_do_not():
    system = parse_system("dft+lda")
    kinds = claim_seeds.measured(system, marks(kind=5, seed=0))
    assert claim_seeds.by_seed(kinds, "kind, new seed").value > 0.97
    assert claim_seeds.carried(kinds).value == pytest.approx(1, abs=0.05)
    assert np.mean(list(kinds["seed of a kind"].values())) < 0.5
    assert claim_seeds.judged({"lda": kinds}, 3, 3)[0] == Verdict.AT_THIS_SCALE
    single = claim_seeds.measured(system, marks(kind=0, seed=5))
    assert claim_seeds.by_seed(single, "kind, seeds seen").value > 0.97
    assert claim_seeds.by_seed(single, "kind, new seed").value < 0.6
    assert min(single["seed of a kind"].values()) > 0.97
    both = claim_seeds.measured(system, marks(kind=1.2, seed=3))
    assert claim_seeds.judged({"lda": both}, 3, 3)[0] in (
        Verdict.SHARPENED,
        Verdict.REFUTED,
        Verdict.UNDECIDED,
    )
    with pytest.raises(GanlabError, match="the same two or more seeds"):
        claim_seeds.measured(system, {"a": {0: np.zeros((4, 2))}})


def last_stage(early=0.0, last=0.0, spread=(0.1, 0.0, -0.1)):
    """Numbers in which each stage has the effect that it is given."""
    sign = {"transposed": 0.5, "bilinear": -0.5}
    return {
        (e, o): {s: {"y": early * sign[e] + last * sign[o] + spread[s]} for s in range(3)}
        for e, o in claim_last_stage.CELLS
    }


def test_effects_of_stages_are_those_put_in():
    found = claim_last_stage.effects(last_stage(early=1.0, last=3.0), "y")
    assert [found[name].value for name in ("early", "last", "both")] == pytest.approx([1, 3, 0])
    # what seeds have in common drops out of a comparison of one seed with itself
    assert found["last"].high - found["last"].low == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("rings", "plane", "verdict"),
    [
        ((0.0, 3.0), (4.0, 0.0), Verdict.SHARPENED),
        ((0.0, 3.0), (0.0, 4.0), Verdict.AT_THIS_SCALE),
        ((3.0, 0.0), (4.0, 0.0), Verdict.REFUTED),
        ((0.0, 0.0), (0.0, 0.0), Verdict.UNDECIDED),
    ],
)
def test_verdict_on_the_last_stage(rings, plane, verdict):
    ring, place = ({"early": Interval(e, e - 0.5, e + 0.5), "last": Interval(o, o - 0.5, o + 0.5)}
                   for e, o in (rings, plane))  # fmt: skip
    assert claim_last_stage.judged(ring, place)[0] == verdict


def both_sides(up=0.0, down=0.0, noise=0.0):
    """A table of three upsamplers and three downsamplers with these effects, and trainings' scatter."""
    draw = np.random.default_rng(0)
    return {
        (u, d): {s: {"y": up * i + down * k + noise * draw.standard_normal()} for s in range(3)}
        for i, u in enumerate("abc") for k, d in enumerate("xyz")
    }  # fmt: skip


def test_what_generator_and_discriminator_explain_is_what_was_put_in():
    found = claim_discriminator.balance(both_sides(up=2.0, down=1.0), "y")
    assert [found[name].value for name in found] == pytest.approx([0.8, 0.2, 0.6])
    shares, p = claim_discriminator.decomposed(both_sides(up=5.0, noise=1.0), "y")
    assert sum(shares.values()) == pytest.approx(1)
    assert p["first"] < 1e-3 < p["second"]
    # of nothing but scatter neither explains a share beyond chance
    chance = claim_discriminator.balance(both_sides(noise=1.0), "y")
    assert all(chance[name].contains(0.0) for name in chance)


def test_verdict_on_generator_or_discriminator():
    up, down, unclear = Interval(0.5, 0.2, 0.8), Interval(-0.5, -0.8, -0.2), Interval(0.1, -0.3, 0.5)

    def judged(*leads):
        return claim_discriminator.judged(dict(zip("xyz", leads, strict=True)))[0]

    assert judged(up, up, up) == Verdict.AT_THIS_SCALE
    assert judged(down, down, up) == Verdict.REFUTED
    assert judged(up, unclear, down) == judged(up, unclear, unclear) == Verdict.SHARPENED
    assert judged(unclear, unclear, unclear) == Verdict.UNDECIDED


def test_remedies_are_paired_by_seed():
    plain = {"mean_db": 2.0, "high_excess_db": -1.0}
    base = {name: plain.get(name, 1.0) for name in claim_remedies.MEASURES}
    values = {("transposed", "none"): {s: {k: v + s for k, v in base.items()} for s in range(3)}}
    values["transposed", "durall"] = {s: {k: v + s - 0.5 for k, v in base.items()} for s in (0, 2)}
    found = claim_remedies.changes(values)
    assert found["transposed", "durall", "mean_db"] == {0: -0.5, 2: -0.5}
    # of a signed measure the size counts: -1 to -1.5 is further off, 1 to 0.5 is nearer
    assert found["transposed", "durall", "high_excess_db"] == {0: 0.5, 2: -0.5}
    pooled = claim_remedies.over_upsamplers(found, "durall", "mean_db")
    assert (pooled.value, pooled.low, pooled.high) == pytest.approx((-0.5, -0.5, -0.5))


def test_verdict_on_the_spectral_loss():
    lower, higher, unclear = Interval(-1, -2, -0.5), Interval(1, 0.5, 2), Interval(0, -1, 1)
    assert claim_remedies.judged(lower, lower)[0] == Verdict.AT_THIS_SCALE
    assert claim_remedies.judged(lower, unclear)[0] == Verdict.SHARPENED
    assert claim_remedies.judged(unclear, higher)[0] == Verdict.REFUTED
    assert claim_remedies.judged(unclear, unclear)[0] == Verdict.UNDECIDED


def test_a_claim_as_markdown():
    results = {
        "experiment": "claim-notch", "title": "T", "source": "S", "scale": "small",
        "verdict": Verdict.SHARPENED.value,
        "because": "B.", "published": [{"text": "P", "source": "abstract"}], "here": ["H."],
        "parts": [{"title": "Part", "text": ["Words."], "tables": [
            {"title": "Rows", "header": ["a", "b"], "rows": [["x|y", 1.5]], "note": "Note."},
        ]}],
    }  # fmt: skip
    text = as_markdown(results)
    for line in (
        "# T", f"**Verdict: sharpened** ({VERDICTS[Verdict.SHARPENED]}). B.", "- P (abstract)", "- H.",
        "## Part", "| x\\|y | 1.5 |", "Note.",
    ):  # fmt: skip
        assert line in text.splitlines()
    assert "`ganlab reproduce claim-notch`" in text


def test_every_claim_says_what_would_refute_it():
    for name in (name for name in EXPERIMENTS if name.startswith("claim-")):
        module = importlib.import_module(f"ganlab.experiments.claims.{name.replace('-', '_')}")
        part = asked(module.ASKED, "3 generators")
        assert [text.partition(": ")[0] for text in part.text] == list(ASKED) == list(module.ASKED)
        assert all(len(text.partition(": ")[2]) > 10 and ".." not in text for text in part.text)
