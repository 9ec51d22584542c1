"""One update of each player. Everything random in it descends from (seed, stream, index)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganlab.config.schema import Config
from ganlab.data import BatchReader
from ganlab.errors import lookup
from ganlab.losses import ADVERSARIAL, PENALTIES
from ganlab.training.device import Placement
from ganlab.training.distributed import World
from ganlab.training.players import Players
from ganlab.training.randomness import generator_for, labels, latents

Losses = dict[str, Tensor]

DEFAULT_PENALTY_WEIGHT = 10.0


class Trainer:
    """The two updates of a GAN, for the players, the data and the losses of one run."""

    def __init__(
        self, config: Config, players: Players, reader: BatchReader, placement: Placement, world: World
    ) -> None:
        self.config, self.players, self.reader = config, players, reader
        self.placement, self.world = placement, world
        self.adversarial = lookup(ADVERSARIAL, config.loss.adversarial, "adversarial loss")
        self.penalty = lookup(PENALTIES, config.loss.penalty, "penalty")
        self.penalty_weight = config.loss.penalty_weight or DEFAULT_PENALTY_WEIGHT

    def discriminator_step(self, index: int) -> Losses:
        """Update the discriminator on real batch ``index``."""
        players, batch = self.players, self.reader.batch(index)
        real = batch.images.to(memory_format=self.placement.memory_format)
        z, wanted = self._inputs("discriminator", index, self.config.training.batch_size)
        with self.placement.autocast():
            with torch.no_grad():
                fake = players.generator(z, wanted)
            real_logits, fake_logits = self._logits(real, fake, batch.labels, wanted)
            losses = {"discriminator/adversarial": self.adversarial.discriminator(real_logits, fake_logits)}
        if self.config.loss.penalty != "none":
            losses["discriminator/penalty"] = self._penalty(real, fake.float(), batch.labels, index)
        self._update(players.discriminator_optimizer, losses)
        losses["discriminator/logit_real"] = real_logits.detach().mean()
        losses["discriminator/logit_fake"] = fake_logits.detach().mean()
        return losses

    def generator_step(self, index: int) -> Losses:
        """Update the generator; the discriminator's weights take no gradient meanwhile."""
        players, training = self.players, self.config.training
        count = training.generator_batch_size or training.batch_size
        z, wanted = self._inputs("generator", index, count)
        with frozen(players.discriminator), self.placement.autocast():
            fake = players.generator_call(z, wanted)
            logits = players.discriminator(fake, wanted)
            losses = {"generator/adversarial": self.adversarial.generator(logits)}
            self._update(players.generator_optimizer, losses)
        return losses

    def _inputs(self, stream: str, index: int, count: int) -> tuple[Tensor, Tensor | None]:
        """This process's rows of the global batch of latents and wanted classes."""
        seed, rows, model = self.config.seed, self.world.rows(count), self.config.model
        z = latents(seed, stream, index, count, model.generator.z_dim)[rows]
        wanted = labels(seed, stream, index, count, model.num_classes)
        device = self.placement.device
        return z.to(device, non_blocking=True), None if wanted is None else wanted[rows].to(device)

    def _logits(
        self, real: Tensor, fake: Tensor, real_labels: Tensor | None, fake_labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Both logits: in one call where no batch norm couples the images, otherwise real, then fake."""
        call = self.players.discriminator_call
        if not self.players.concatenate:
            return call(real, real_labels), call(fake, fake_labels)
        both = None if real_labels is None or fake_labels is None else torch.cat([real_labels, fake_labels])
        logits = call(torch.cat([real, fake]), both)
        return logits[: len(real)], logits[len(real) :]

    def _penalty(self, real: Tensor, fake: Tensor, real_labels: Tensor | None, index: int) -> Tensor:
        value = self.penalty.penalty(
            lambda images: self.players.discriminator(images, real_labels), real, fake, self._uniform(index)
        )
        return self.penalty_weight * value

    def _uniform(self, index: int) -> Callable[[tuple[int, ...]], Tensor]:
        """Uniform numbers for the global batch of this update, sliced to this process."""
        draw = generator_for(self.config.seed, "penalty", index)

        def uniform(shape: tuple[int, ...]) -> Tensor:
            whole = torch.rand((shape[0] * self.world.size, *shape[1:]), generator=draw)
            return whole[self.world.rows(len(whole))].to(self.placement.device)

        return uniform

    @staticmethod
    def _update(optimizer: torch.optim.Optimizer, losses: Losses) -> None:
        optimizer.zero_grad(set_to_none=True)
        total = torch.stack([value.float() for value in losses.values()]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """No gradients for the network's weights inside: a third of its backward pass is saved."""
    parameters = [*network.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
