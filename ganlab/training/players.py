"""The networks with their optimizers and the generator's average: everything a checkpoint holds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from ganlab.config.architecture import stage_names
from ganlab.config.schema import Config, OptimizerConfig, TrainingConfig
from ganlab.errors import GanlabError
from ganlab.losses import SpectralLosses, build_spectral_losses
from ganlab.models import (
    Discriminator,
    Generator,
    SpectralDiscriminator,
    build_discriminator,
    build_generator,
    build_spectral_discriminator,
    count_parameters,
)
from ganlab.models.layers import has_batch_norm
from ganlab.training.distributed import Placement, World, gather_rows, parallel, synchronised
from ganlab.util.hashing import derive_seed

Network = TypeVar("Network", bound=nn.Module)

RAMP = 10
"""TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``: decay at most (1 + n) / (10 + n)."""


class MovingAverage(Generic[Network]):
    """A copy of a network that follows it.

    The decay at update n is ``min(decay, (1 + n) / (10 + n))``: without the ramp the random start would still
    weigh 0.999^500 = 61 % after 500 steps. Batch-norm statistics are averaged like weights, because they
    belong to them; integer buffers are copied.
    """

    def __init__(self, network: Network, decay: float, start: int = 0) -> None:
        self.network: Network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.start = decay, start

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards ``network`` after its update number ``step`` (from 0)."""
        ours, theirs = ([*part.parameters(), *part.buffers()] for part in (self.network, network))
        after = step - self.start
        decay = min(self.decay, (1 + after) / (RAMP + after)) if after >= 0 else 0.0
        floats = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1.0 - decay)
        for mine, other in zip(ours, theirs, strict=True):
            if not mine.is_floating_point():
                mine.copy_(other)


class Kept:
    """What a checkpoint holds: parts by name, saved and restored together.

    ``generator`` is the network that makes images and ``average`` follows it; ``rates`` are the optimizers
    with their learning rates at the start.
    """

    generator: nn.Module
    average: MovingAverage[Any]

    def parts(self) -> dict[str, Any]:
        """Networks, optimizers and losses with a state, by name."""
        raise GanlabError(f"{type(self).__name__} does not define parts")

    def rates(self, options: OptimizerConfig) -> list[tuple[torch.optim.Adam, float]]:
        """Every optimizer with its learning rate before any decay."""
        raise GanlabError(f"{type(self).__name__} does not define rates")

    def described(self, config: Config) -> dict[str, str]:
        """Lines of the banner: the networks and their sizes."""
        raise GanlabError(f"{type(self).__name__} does not define described")

    def updates(self, config: Config) -> str:
        """What a step has beside the generator's update, for the banner."""
        return ""

    def state(self) -> dict[str, Any]:
        """State dicts by name, for ``torch.save``."""
        return {name: part.state_dict() for name, part in self.parts().items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned.

        Raises:
            GanlabError: it is not one of these networks: other names, shapes or types.
        """
        try:
            for name, part in self.parts().items():
                _check_fit(name, part, state[name])
                part.load_state_dict(state[name])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise GanlabError(f"the state is not one of these networks ({reason})") from error


@dataclass
class Players(Kept):
    """Who plays, each network with two faces: as it is or compiled, and the same in DDP.

    DDP waits for gradients of the weights after every call: it is only for calls that bring them.
    """

    generator: Generator
    discriminator: Discriminator
    generator_face: nn.Module
    """For calls without gradients of its weights."""
    discriminator_face: nn.Module
    """The same."""
    generator_call: nn.Module
    discriminator_call: nn.Module
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    average: MovingAverage[Generator]
    concatenate: bool
    """Whether reals and fakes go through the discriminator in one call (no batch norm couples them)."""
    spectral_discriminator: SpectralDiscriminator | None = None
    """Its weights are the last ones in the discriminator's optimizer."""
    spectral_call: nn.Module | None = None
    spectral_losses: SpectralLosses | None = None
    """They hold the reals' reference spectra."""

    def parts(self) -> dict[str, Any]:
        """The networks of both sides, their optimizers, the average and what the spectral losses keep."""
        parts = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average.network,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
            "spectral_discriminator": self.spectral_discriminator,
            "spectral_losses": self.spectral_losses,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def rates(self, options: OptimizerConfig) -> list[tuple[torch.optim.Adam, float]]:
        """The generator's and the discriminator's."""
        against = options.lr_discriminator or options.lr
        return [(self.generator_optimizer, options.lr), (self.discriminator_optimizer, against)]

    def updates(self, config: Config) -> str:
        """The discriminator's."""
        return (
            f"{config.training.n_dis} discriminator update{'s' if config.training.n_dis > 1 else ''} each, "
        )

    def described(self, config: Config) -> dict[str, str]:
        """Both players."""
        calls = (
            "one discriminator call for reals and fakes" if self.concatenate else "a call each (batch norm)"
        )
        return {
            "generator": f"{config.model.architecture}, {count_parameters(self.generator):,} parameters, "
            f"upsampling {', '.join(stage_names(config.model))}",
            "against": f"{count_parameters(self.discriminator):,} parameters, "
            f"{config.loss.adversarial} loss, penalty {config.loss.penalty}, {calls}",
        }


def _check_fit(name: str, part: Any, state: dict[str, Any]) -> None:
    """Hold a state against a part of the same kind: torch itself copies eight-bit weights without a word.

    Raises:
        ValueError: another shape or type of numbers.
    """
    saved: dict[Any, Any]
    expected: dict[Any, Any]
    if isinstance(part, torch.optim.Optimizer):
        weights = [weight for group in part.param_groups for weight in group["params"]]
        saved = {
            (place, key): value
            for place, moments in state["state"].items()
            for key, value in moments.items()
            if key != "step"
        }
        expected = {key: weights[key[0]] for key in saved}
    else:
        saved, expected = state, dict(part.state_dict())
    for key, ours in expected.items():
        theirs = saved[key]
        if isinstance(ours, Tensor) and (theirs.shape != ours.shape or theirs.dtype != ours.dtype):
            numbers = [f"{value.dtype} {tuple(value.shape)}" for value in (theirs, ours)]
            raise ValueError(f"{name}: {key} is {numbers[0]}, expected {numbers[1]}")


def make_players(config: Config, placement: Placement, world: World) -> Players:
    """Build the networks from the run's seed, put them in place, and give them their optimizers.

    Raises:
        GanlabError: no such architecture, input, convention or spectral loss.
    """
    with torch.random.fork_rng(devices=[]):
        generator, discriminator = begun(config, build_generator, build_discriminator)
        # A stream of its own: with or without a spectral discriminator the others start the same.
        torch.manual_seed(derive_seed(config.seed, "init/spectral"))
        second = build_spectral_discriminator(config)
    average = MovingAverage(generator, config.training.ema_decay, config.training.ema_start)
    concatenate = not has_batch_norm(discriminator)
    generator, discriminator = synchronised(generator, world), synchronised(discriminator, world)
    for network in (generator, discriminator, average.network):
        network.to(placement.device).to(memory_format=placement.memory_format)
    terms = build_spectral_losses(config.loss.spectral, config.model.image_size, config.seed)
    if world.size > 1:
        terms.set_gather(gather_rows)
    judges: nn.Module = discriminator
    if second is not None:
        judges = nn.ModuleList([discriminator, second.to(placement.device)])
    options = config.optimizer
    (generator_face, generator_call), (discriminator_face, discriminator_call) = (
        faces(network, config.training, placement, world) for network in (generator, discriminator)
    )
    return Players(
        generator=generator,
        discriminator=discriminator,
        generator_face=generator_face,
        discriminator_face=discriminator_face,
        generator_call=generator_call,
        discriminator_call=discriminator_call,
        generator_optimizer=adam(generator, options.lr, options, placement),
        discriminator_optimizer=adam(judges, options.lr_discriminator or options.lr, options, placement),
        average=average,
        concatenate=concatenate,
        spectral_discriminator=second,
        spectral_call=None if second is None else parallel(second, world, placement.device),
        spectral_losses=terms.to(placement.device) if len(terms) else None,
    )


def begun(config: Config, *builders: Callable[[Config], Any]) -> list[Any]:
    """Networks with the weights that the run's seed gives them, or under ``same_start`` those of nearest."""
    torch.manual_seed(derive_seed(config.seed, "init"))
    networks = [build(config) for build in builders]
    if config.training.same_start:
        torch.manual_seed(derive_seed(config.seed, "init"))
        nearest = config.model.upsampling.model_copy(update={"name": "nearest", "last": None})
        model = config.model.model_copy(update={"upsampling": nearest})
        reference = config.model_copy(update={"model": model})
        for network, build in zip(networks, builders, strict=True):
            adopt(network, build(reference))
    return networks


def adopt(network: nn.Module, reference: nn.Module) -> None:
    """Give ``network`` the weights and buffers of ``reference`` wherever name and shape agree."""
    ours, theirs = network.state_dict(), reference.state_dict()
    agreed = {
        name: value for name, value in theirs.items() if name in ours and ours[name].shape == value.shape
    }
    network.load_state_dict(ours | agreed)


def adam(network: nn.Module, lr: float, options: OptimizerConfig, placement: Placement) -> torch.optim.Adam:
    """Adam in one fused kernel where the device has one."""
    fused = placement.device.type in ("cpu", "cuda")
    return torch.optim.Adam(network.parameters(), lr=lr, betas=options.betas, fused=fused)


def set_learning_rates(players: Kept, config: Config, step: int) -> None:
    """Linear decay to zero at the last step, from ``decay_start``; nothing under a constant schedule."""
    options = config.optimizer
    if options.schedule == "constant":
        return
    factor = min(1.0, (config.training.steps - step) / (config.training.steps - options.decay_start))
    for optimizer, lr in players.rates(options):
        for group in optimizer.param_groups:
            group["lr"] = lr * factor


def faces(
    network: nn.Module, training: TrainingConfig, placement: Placement, world: World
) -> tuple[nn.Module, nn.Module]:
    """The network as an update calls it without and with gradients of its weights, compiled where asked for.

    Its weights and its state dict stay the network's own.
    """

    def compiled(module: nn.Module) -> nn.Module:
        if not training.compile:
            return module
        # A run has two sizes of batches at most: kernels for each are faster than kernels for any.
        return torch.compile(module, mode=training.compile_mode, dynamic=False)  # type: ignore[return-value]

    alone = compiled(network)
    return alone, alone if world.size == 1 else compiled(parallel(network, world, placement.device))
