"""Spectral losses and the spectral discriminator in the loop: resume, effect, log, combination modes."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from ganlab.config import load
from ganlab.data import load_training_images
from ganlab.losses import ADVERSARIAL, PENALTIES
from ganlab.models import SPECTRAL_INPUTS
from ganlab.training import train
from ganlab.training.checkpoint import checkpoint_path, load_checkpoint
from ganlab.training.distributed import World, place
from ganlab.training.loop import make_reader
from ganlab.training.players import make_players
from ganlab.training.step import Trainer

SNGAN = [
    "model.architecture=sngan", "model.image_size=32", "training.n_dis=2", "loss.adversarial=hinge",
    "optimizer.betas=[0.0,0.9]", "training.steps=6",
]  # fmt: skip
ALL_KINDS = (
    "loss.spectral=[{kind: radial_profile, warmup: 5}, {kind: radial_profile, name: released, weight: 1e-5, "
    "as_released: true}, {kind: axis_profiles, reference: dataset}, {kind: log_power, distance: l2}, "
    "{kind: focal_frequency, reference: batch}, {kind: sliced, projections: 8}, {kind: frechet, weight: 0.1}]"
)
VARIANTS = {
    "every loss": [ALL_KINDS],
    "every loss, sngan": [ALL_KINDS, *SNGAN],
    "spectral discriminator": ["model.spectral_discriminator={head: nonlinear}"],
    "spectral discriminator, sngan, logits": [
        "model.spectral_discriminator={input: axis, combine: logits, spectral_norm: true}", *SNGAN,
    ],
    "mixed, detached, and a loss": [
        "model.spectral_discriminator={combine: mixed, detach: true, convention: ssdgan2021}",
        "loss.spectral=[{kind: sliced}]",
    ],
    "wgan-gp on both": [
        "model.spectral_discriminator={input: plane}", "loss.adversarial=wasserstein", "loss.penalty=wgan_gp",
    ],
}  # fmt: skip


def trainer_of(config):
    placement, world = place(config.training), World()
    data = load_training_images(config.data, config.model.image_size)
    players = make_players(config, placement, world)
    return Trainer(config, players, make_reader(config, data, placement, world), placement, world)


def state(folder, step):
    return load_checkpoint(checkpoint_path(folder / "checkpoints", step), torch.device("cpu"))


def assert_equal(a, b):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, list):
        for left, right in zip(a, b, strict=True):
            assert_equal(left, right)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interrupted_run_equals_an_uninterrupted_one(tiny, tmp_path, variant):
    """References, warm-up, directions and the second discriminator are in the checkpoint."""
    config = tiny(*VARIANTS[variant], "logging.gradients_every=3")
    train(config, tmp_path / "whole")
    for stop_at in (1, 4, None):
        result = train(config, tmp_path / "parts", stop_at)
    assert result.finished
    whole, parts = (state(tmp_path / name, result.step) for name in ("whole", "parts"))
    assert_equal(whole, parts)
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "parts")]
    assert texts[0] == texts[1]


def test_every_term_has_its_lines_in_the_log(tiny, tmp_path):
    config = tiny(ALL_KINDS, "logging.log_every=4", "logging.gradients_every=3")
    train(config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    # Steps at which gradients are compared are written down as well.
    assert [line["step"] for line in lines] == [3, 4, 6, 8]
    names = [term.name or term.kind for term in config.loss.spectral]
    for line in lines:
        for name in names:
            assert f"generator/spectral/{name}" in line
            assert line[f"spectral/{name}/distance"] >= -1e-6 or name == "released"
            assert (f"generator/spectral/{name}/gradient_ratio" in line) == (line["step"] % 3 == 0)
    ratios = {name: lines[0][f"generator/spectral/{name}/gradient_ratio"] for name in names}
    assert ratios["radial_profile"] > 0
    # As released: a constant times the adversarial gradient, the constant being the loss over that one.
    constant = lines[0]["generator/spectral/released"] / lines[0]["generator/adversarial"]
    assert ratios["released"] == pytest.approx(constant, rel=1e-4)
    assert ratios["released"] < 1e-4


def generator_gradients(config):
    trainer = trainer_of(config)
    trainer.discriminator_step(0)
    losses = trainer.generator_step(0)
    return [p.grad.clone() for p in trainer.players.generator.parameters()], losses


def test_the_losses_reach_the_generator_and_the_released_one_only_scales(tiny):
    plain, _ = generator_gradients(tiny())
    ours, _ = generator_gradients(tiny("loss.spectral=[{kind: radial_profile}]"))
    released, losses = generator_gradients(
        tiny("loss.spectral=[{kind: radial_profile, as_released: true, weight: 0.5}]")
    )
    factor = 1 + (losses["generator/spectral/radial_profile"] / losses["generator/adversarial"]).item()
    cosines = []
    for found, expected in zip(released, plain, strict=True):
        assert torch.allclose(found, factor * expected, rtol=1e-4, atol=1e-6 * expected.abs().max().item())
    for found, expected in zip(ours, plain, strict=True):
        cosines.append(torch.cosine_similarity(found.flatten(), expected.flatten(), 0).item())
    assert min(cosines) < 0.99


def test_a_term_of_weight_zero_changes_nothing(tiny):
    plain, _ = generator_gradients(tiny())
    idle, losses = generator_gradients(tiny("loss.spectral=[{kind: axis_profiles, weight: 0}]"))
    assert all(torch.equal(a, b) for a, b in zip(plain, idle, strict=True))
    assert losses["spectral/axis_profiles/distance"] > 0


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("adversarial", ADVERSARIAL)
def test_the_second_discriminator_works_with_every_loss_and_penalty(tiny, adversarial, penalty):
    if adversarial == "wasserstein" and penalty in ("dragan", "r1", "r1_r2"):
        penalty = "wgan_gp"  # the others do not bound the critic
    config = tiny(
        f"loss.adversarial={adversarial}", f"loss.penalty={penalty}",
        "model.spectral_discriminator={head: nonlinear, spectral_norm: true}",
        "model.discriminator.spectral_norm=true",
    )  # fmt: skip
    trainer = trainer_of(config)
    second = trainer.players.spectral_discriminator
    before = [p.clone() for p in second.parameters()]
    losses = trainer.discriminator_step(0)
    assert ("discriminator/spectral_penalty" in losses) == (penalty != "none")
    assert all(torch.isfinite(value) for value in losses.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, second.parameters(), strict=True))
    learned = [p.clone() for p in second.parameters()]
    assert torch.isfinite(trainer.generator_step(0)["generator/adversarial_spectral"])
    assert all(torch.equal(a, b) for a, b in zip(learned, second.parameters(), strict=True))


@pytest.mark.parametrize("name", SPECTRAL_INPUTS)
@pytest.mark.parametrize("architecture", ["dcgan", "sndcgan", "sngan"])
def test_every_input_with_every_architecture(tiny, architecture, name):
    trainer = trainer_of(
        tiny(
            f"model.architecture={architecture}", "model.image_size=32", "optimizer.betas=[0.0, 0.9]",
            f"model.spectral_discriminator.input={name}",
        )
    )  # fmt: skip
    losses = trainer.discriminator_step(0) | trainer.generator_step(0)
    assert {"discriminator/spectral", "generator/adversarial_spectral"} <= losses.keys()
    assert all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize("combine", ["errors", "logits", "mixed", "mixed, detached"])
def test_how_the_discriminators_are_combined(tiny, combine):
    mode, _, detached = combine.partition(", ")
    ratio = 3.0
    options = f"{{combine: {mode}, ratio: {ratio}, detach: {str(bool(detached)).lower()}}}"
    trainer = trainer_of(tiny(f"model.spectral_discriminator={options}"))
    players, loss = trainer.players, trainer.adversarial
    seen = []
    players.generator.register_forward_hook(lambda *call: seen.append(call[2]))
    first = trainer.discriminator_step(0)
    assert {"discriminator/adversarial", "discriminator/spectral"} <= first.keys()
    losses = trainer.generator_step(0)
    fake = seen[-1].detach().requires_grad_()
    main, own = players.discriminator(fake), players.spectral_discriminator(fake)
    if mode == "errors":
        expected = (loss.generator(main) + ratio * loss.generator(own)) / (1 + ratio)
    else:
        expected = loss.generator((main + ratio * own) / (1 + ratio))
    total = sum(value for name, value in losses.items() if name.startswith("generator/adversarial"))
    assert total.item() == pytest.approx(expected.item(), rel=1e-4)
    spectral = trainer.second.generator_losses(main.detach(), fake)
    through = torch.stack([*spectral.values()]).sum()
    (gradient,) = torch.autograd.grad(through, fake, allow_unused=True) if through.requires_grad else (None,)
    assert (gradient is None or not gradient.abs().sum()) == bool(detached)


def test_ssdgans_head_judges_for_the_main_discriminator_too(tiny):
    """mixed: the main discriminator's loss is that of the mean logit; errors and logits leave it alone."""
    values = {}
    for mode in ("errors", "logits", "mixed"):
        trainer = trainer_of(tiny(f"model.spectral_discriminator={{combine: {mode}}}"))
        values[mode] = trainer.discriminator_step(0)["discriminator/adversarial"].item()
    assert values["errors"] == values["logits"] != values["mixed"]


def test_the_dataset_reference_is_the_mean_of_the_training_images(tiny, tmp_path):
    config = tiny("loss.spectral=[{kind: log_power, reference: dataset}]", "training.steps=2")
    train(config, tmp_path / "run")
    data = load_training_images(config.data, config.model.image_size)
    real = torch.from_numpy(data.images[data.train]).permute(0, 3, 1, 2).double() / 127.5 - 1
    grey = (real * torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)[:, None, None]).sum(1)
    power = (torch.fft.rfft2(grey, norm="ortho").abs() ** 2).mean(0)
    found = state(tmp_path / "run", 2)["spectral_losses"]["log_power.reference"]
    assert torch.allclose(found.double(), power, rtol=1e-4)


def test_runs_without_these_options_hold_nothing_of_them(tiny, tmp_path):
    train(tiny("training.steps=2"), tmp_path / "run")
    assert list(state(tmp_path / "run", 2)) == [
        "generator", "discriminator", "average", "generator_optimizer", "discriminator_optimizer",
    ]  # fmt: skip
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "spectral" not in text


def test_a_loss_lowers_its_own_distance(tmp_path):
    """In a short run on dead leaves the regularised generator ends nearer to the reals' axis profiles."""
    ends = {}
    for weight in (0, 5):
        config = load(
            "dcgan32",
            [
                "model.image_size=16", "model.generator.width=8", "model.discriminator.width=8",
                "data.num_images=256", "training.batch_size=16", "training.steps=40", "training.threads=1",
                "training.device=cpu", "model.upsampling=bed_of_nails", "logging.log_every=40",
                f"loss.spectral=[{{kind: axis_profiles, weight: {weight}}}]",
            ],
        )  # fmt: skip
        train(config, tmp_path / str(weight))
        line = json.loads((tmp_path / str(weight) / "metrics.jsonl").read_text().splitlines()[-1])
        ends[weight] = line["spectral/axis_profiles/distance"]
    assert ends[5] < 0.8 * ends[0]


def test_under_bf16_autocast_spectra_are_computed_in_float32(tiny):
    """The discriminators run in half precision; profiles, whose values span many decades, do not."""
    config = tiny(ALL_KINDS, "model.spectral_discriminator={head: nonlinear}", "loss.penalty=wgan_gp")
    values = {}
    for bf16 in (False, True):
        placement = dataclasses.replace(place(config.training), bf16=bf16)
        data = load_training_images(config.data, config.model.image_size)
        players = make_players(config, placement, World())
        reader = make_reader(config, data, placement, World())
        trainer = Trainer(config, players, reader, placement, World())
        dtypes = []
        players.spectral_discriminator.head.register_forward_hook(
            lambda *call, into=dtypes: into.append(call[2].dtype)
        )
        losses = trainer.discriminator_step(0) | trainer.generator_step(0)
        assert all(torch.isfinite(value) for value in losses.values())
        assert set(dtypes) == {torch.float32}
        values[bf16] = losses
    for name in ("spectral/axis_profiles/distance", "spectral/log_power/distance"):
        assert values[True][name].item() == pytest.approx(values[False][name].item(), rel=0.05)
