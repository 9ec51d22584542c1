"""The first lines of a run: where, how, on what, how large, and why."""

from __future__ import annotations

from ganlab.config.architecture import stage_names
from ganlab.config.schema import Config
from ganlab.data import TrainingImages
from ganlab.models import count_parameters
from ganlab.training.device import Placement
from ganlab.training.distributed import World
from ganlab.training.players import Players


def banner(
    config: Config, placement: Placement, world: World, data: TrainingImages, players: Players, start: int
) -> list[str]:
    """Lines for people, in the order in which they ask."""
    lines = {
        "device": f"{placement.device} ({placement.reason})",
        "computing": _computing(placement, world),
        "data": _data(config, data),
        "generator": f"{config.model.architecture}, {count_parameters(players.generator):,} parameters, "
        f"upsampling {', '.join(stage_names(config.model))}",
        "against": _against(config, players),
        "steps": _steps(config, start),
    }
    notes = [f"{'note':<10} {text}" for text in data.description.get("notes", ())]
    return [*(f"{name:<10} {text}" for name, text in lines.items()), *notes]


def _computing(placement: Placement, world: World) -> str:
    precision = "bf16 autocast" if placement.bf16 else "fp32"
    layout = "channels-last" if placement.channels_last else "channels-first"
    return f"{precision}, {layout}, CPU threads {placement.threads}, processes {world.size}"


def _data(config: Config, data: TrainingImages) -> str:
    about, side = data.description, config.model.image_size
    counts = f"{about['num_train']} training and {about['num_val']} held-out images"
    skipped = f", {about['skipped']} files skipped" if about.get("skipped") else ""
    return f"{about['source']}, {counts} of {side}x{side}{skipped}"


def _against(config: Config, players: Players) -> str:
    calls = (
        "one discriminator call for reals and fakes" if players.concatenate else "a call each (batch norm)"
    )
    loss = f"{config.loss.adversarial} loss, penalty {config.loss.penalty}"
    return f"{count_parameters(players.discriminator):,} parameters, {loss}, {calls}"


def _steps(config: Config, start: int) -> str:
    training = config.training
    updates = f"{training.n_dis} discriminator update{'s' if training.n_dis > 1 else ''} each"
    return f"{start} to {training.steps}, {updates}, batch {training.batch_size}, seed {config.seed}"
