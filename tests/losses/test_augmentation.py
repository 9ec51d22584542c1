"""Differentiable augmentation against plain loops, its gradients, and its numbers in a run."""

from __future__ import annotations

import pytest
import torch

from ganlab.data import load_training_images
from ganlab.errors import GanlabError
from ganlab.losses import AUGMENTATIONS, augment, numbers_needed
from ganlab.spectra import power_spectrum
from ganlab.training.distributed import World, place
from ganlab.training.loop import make_reader
from ganlab.training.players import make_players
from ganlab.training.step import Trainer


def images(count: int = 4, side: int = 16) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, side, side, dtype=torch.float64, generator=draw) * 2 - 1


def test_translation_equals_a_loop_of_slices():
    u = torch.tensor([[0.0, 0.0], [0.999, 0.999], [0.5, 0.5], [0.0, 0.999]], dtype=torch.float64)
    before, reach = images(), 2
    after = augment(before, ["translation"], u)
    assert torch.equal(after[2], before[2])
    for image, moved, (y, x) in zip(before, after, [(-2, -2), (2, 2), (0, 0), (-2, 2)], strict=True):
        padded = torch.nn.functional.pad(image, (reach,) * 4)
        assert torch.equal(moved, padded[:, reach + y : reach + y + 16, reach + x : reach + x + 16])


def test_every_shift_is_equally_likely():
    u = torch.rand(9000, 2, generator=torch.Generator().manual_seed(1))
    point = torch.zeros(9000, 1, 32, 32)
    point[:, 0, 16, 16] = 1.0
    rows, columns = AUGMENTATIONS["translation"].apply(point, u)[:, 0].nonzero(as_tuple=True)[1:]
    for places in (rows, columns):
        counts = torch.bincount(places - 12, minlength=9)
        assert len(counts) == 9
        assert (counts - 1000).abs().max() < 150  # five standard deviations of a binomial count


def test_a_shift_keeps_the_lattices_power():
    """What the module says of it: away from the border |F| of a checkerboard stays, its phase does not."""
    lattice = torch.ones(2, 1, 32, 32)
    lattice[..., ::2] = -1.0
    lattice *= torch.hann_window(32)[:, None] * torch.hann_window(32)
    moved = augment(lattice, ["translation"], torch.tensor([[0.5, 0.5], [0.5, 0.4]]))
    power = power_spectrum(moved)[:, 0, 0, 16]
    assert power[1] == pytest.approx(power[0].item(), rel=1e-2)
    assert moved[0, 0, 16, 16] * moved[1, 0, 16, 16] < 0


def test_colour_by_hand():
    before = images()
    u = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    after = augment(before, ["color"], u)
    for image, changed, (b, s, c) in zip(before, after, u, strict=True):
        bright = image + (b - 0.5)
        grey = bright.mean(0)
        saturated = torch.stack([(channel - grey) * 2 * s + grey for channel in bright])
        assert torch.allclose(changed, (saturated - saturated.mean()) * (c + 0.5) + saturated.mean())


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients_pass(name):
    kind = AUGMENTATIONS[name]
    u = torch.rand(2, kind.draws, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.autograd.gradcheck(lambda x: kind.apply(x, u), images(2, 8).requires_grad_())


def test_none_changes_nothing_and_unknown_names_are_named():
    before = images()
    assert augment(before, [], torch.empty(4, 0)) is before
    assert numbers_needed(["color", "translation"]) == 5
    with pytest.raises(GanlabError, match="unknown augmentation 'colour'"):
        numbers_needed(["colour"])


def test_both_players_are_shown_augmented_images(tiny, monkeypatch):
    """Reals and fakes in the discriminator's update, fakes and paired reals in the generator's."""
    config = tiny(
        "training.augment=[translation]", "loss.adversarial=relativistic", "loss.penalty=r1_r2",
        "model.discriminator.norm=none",
    )  # fmt: skip
    data = load_training_images(config.data, config.model.image_size)
    placement, world = place(config.training), World()
    players, reader = make_players(config, placement, world), make_reader(config, data, placement, world)
    trainer = Trainer(config, players, reader, placement, world)
    streams, honest = [], trainer._augmented

    def noted(given, stream, index):
        streams.append(stream)
        shown = honest(given, stream, index)
        assert torch.equal(shown, honest(given, stream, index)), "numbers descend from (seed, stream, index)"
        assert not torch.equal(shown, honest(given, stream, index + 1))
        return shown

    monkeypatch.setattr(trainer, "_augmented", noted)
    trainer.discriminator_step(3)
    assert streams == ["real", "fake", "penalty", "penalty"]
    streams.clear()
    trainer.generator_step(3)
    assert streams == ["generator", "generator/real"]


def test_a_paired_loss_gives_both_images_of_a_pair_one_class(tiny, monkeypatch):
    config = tiny(
        "data.source=glyphs", "data.flip=false", "model.num_classes=10", "loss.adversarial=relativistic",
        "loss.penalty=r1_r2",
    )  # fmt: skip
    data = load_training_images(config.data, config.model.image_size)
    placement, world = place(config.training), World()
    players, reader = make_players(config, placement, world), make_reader(config, data, placement, world)
    trainer = Trainer(config, players, reader, placement, world)
    seen, honest = [], players.discriminator.forward
    monkeypatch.setattr(
        players.discriminator, "forward", lambda x, y: seen.append((len(x), y.tolist())) or honest(x, y)
    )
    trainer.generator_step(2)
    (_, fakes), (_, reals) = seen
    assert fakes == reals == trainer.pairs.batch(2).labels.tolist()
    assert reals != reader.batch(2).labels.tolist(), "fresh reals, not those of the discriminator's update"


def test_too_few_random_numbers_are_named():
    with pytest.raises(GanlabError, match=r"shape \(2, 5\) expected; got \(2, 3\)"):
        augment(torch.zeros(2, 3, 8, 8), ["color", "translation"], torch.zeros(2, 3))
