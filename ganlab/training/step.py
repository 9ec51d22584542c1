"""One update of each player. Everything random in it descends from (seed, stream, index)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganlab.config.schema import Config
from ganlab.data import BatchReader
from ganlab.errors import lookup
from ganlab.losses import ADVERSARIAL, PENALTIES, gradient_ratios
from ganlab.training.device import Placement
from ganlab.training.distributed import World, gather_rows
from ganlab.training.players import Players
from ganlab.training.preview import generator_for, labels, latents
from ganlab.training.spectral import SecondOpinion, term_distances, term_values, training_images

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
        self.second = self._second_opinion()
        self._seen: tuple[int, Tensor] | None = None

    def discriminator_step(self, index: int) -> Losses:
        """Update the discriminator on real batch ``index``."""
        players, batch = self.players, self.reader.batch(index)
        real = batch.images.to(memory_format=self.placement.memory_format)
        z, wanted = self._inputs("discriminator", index, self.config.training.batch_size)
        with self.placement.autocast():
            with torch.no_grad():
                fake = players.generator(z, wanted)
            real_logits, fake_logits = self._logits(real, fake, batch.labels, wanted)
            losses = self._discriminator_losses(real, fake, real_logits, fake_logits)
        if self.config.loss.penalty != "none":
            losses["discriminator/penalty"] = self._penalty(real, fake.float(), batch.labels, index)
            if self.second is not None:
                losses["discriminator/spectral_penalty"] = self._spectral_penalty(real, fake.float(), index)
        if players.spectral_losses is not None:
            self._seen = (index, batch.images)
        self._update(players.discriminator_optimizer, losses)
        losses["discriminator/logit_real"] = real_logits.detach().mean()
        losses["discriminator/logit_fake"] = fake_logits.detach().mean()
        return losses

    def generator_step(self, index: int) -> Losses:
        """Update the generator; the discriminator's weights take no gradient meanwhile."""
        players, training = self.players, self.config.training
        count = training.generator_batch_size or training.batch_size
        z, wanted = self._inputs("generator", index, count)
        with frozen(players.discriminator, players.spectral_discriminator):
            with self.placement.autocast():
                fake = players.generator_call(z, wanted)
                logits = players.discriminator(fake, wanted).float()
                losses = self._generator_losses(logits, fake, index)
            ratios = self._gradient_ratios(losses, fake, index)
            self._update(players.generator_optimizer, losses)
        distances = {} if players.spectral_losses is None else term_distances(players.spectral_losses)
        return losses | ratios | distances

    def _second_opinion(self) -> SecondOpinion | None:
        """The spectral discriminator's part, if there is one."""
        options, players = self.config.model.spectral_discriminator, self.players
        if options is None or players.spectral_discriminator is None or players.spectral_call is None:
            return None
        return SecondOpinion(options, players.spectral_discriminator, players.spectral_call, self.adversarial)

    def _discriminator_losses(self, real: Tensor, fake: Tensor, on_real: Tensor, on_fake: Tensor) -> Losses:
        """The adversarial loss of the main discriminator, and of the spectral one."""
        if self.second is None:
            return {"discriminator/adversarial": self.adversarial.discriminator(on_real, on_fake)}
        own_real, own_fake = self.second.logits(real, fake)
        judged = self.second.judged(on_real, own_real), self.second.judged(on_fake, own_fake)
        return {
            "discriminator/adversarial": self.adversarial.discriminator(*judged),
            "discriminator/spectral": self.adversarial.discriminator(own_real, own_fake),
        }

    def _generator_losses(self, logits: Tensor, fake: Tensor, index: int) -> Losses:
        """All terms of the generator's loss; their sum is minimised."""
        terms = self.players.spectral_losses
        losses = {}
        if self.second is None:
            losses["generator/adversarial"] = self.adversarial.generator(logits)
        else:
            losses |= self.second.generator_losses(logits, fake)
        if terms is not None:
            terms.fit(lambda: training_images(self.reader))
            adversarial = torch.stack([value.float() for value in losses.values()]).sum()
            losses |= term_values(terms, fake, self._real_of_step(index), adversarial)
        return losses

    def _real_of_step(self, step: int) -> Tensor:
        """The reals of the step's last discriminator update."""
        index = (step + 1) * self.config.training.n_dis - 1
        if self._seen is not None and self._seen[0] == index:
            return self._seen[1]
        return self.reader.batch(index).images

    def measures(self, step: int) -> bool:
        """Whether gradients are compared in this step (counted from 0)."""
        second = self.second is not None and self.second.options.combine == "errors"
        anything = second or self.players.spectral_losses is not None
        return anything and (step + 1) % self.config.logging.gradients_every == 0

    def _gradient_ratios(self, losses: Losses, fake: Tensor, index: int) -> Losses:
        """How strongly each further loss pulls at the pixels, relative to the discriminator; now and then."""
        further = {name: value for name, value in losses.items() if name != "generator/adversarial"}
        if not further or not self.measures(index):
            return {}
        gather = gather_rows if self.world.size > 1 else None
        ratios = gradient_ratios(further, losses["generator/adversarial"], fake, gather)
        return {f"{name}/gradient_ratio": value for name, value in ratios.items()}

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
        """Both logits, float32, in one call where no batch norm couples the images, otherwise in two."""
        call = self.players.discriminator_call
        if not self.players.concatenate:
            return call(real, real_labels).float(), call(fake, fake_labels).float()
        both = None if real_labels is None or fake_labels is None else torch.cat([real_labels, fake_labels])
        logits = call(torch.cat([real, fake]), both).float()
        return logits[: len(real)], logits[len(real) :]

    def _penalty(self, real: Tensor, fake: Tensor, real_labels: Tensor | None, index: int) -> Tensor:
        value = self.penalty.penalty(
            lambda images: self.players.discriminator(images, real_labels), real, fake, self._uniform(index),
            self._spread(real),
        )  # fmt: skip
        return self.penalty_weight * value

    def _spectral_penalty(self, real: Tensor, fake: Tensor, index: int) -> Tensor:
        """The same penalty on the spectral discriminator, with numbers of its own."""
        assert self.second is not None
        draws = self._uniform(index, "penalty/spectral")
        spread = self._spread(real)
        return self.penalty_weight * self.penalty.penalty(self.second.network, real, fake, draws, spread)

    def _spread(self, real: Tensor) -> Tensor | None:
        """Standard deviation of the global batch's reals, for a penalty whose noise has its size."""
        if self.world.size == 1 or not self.penalty.needs_spread:
            return None
        return gather_rows(real).std()

    def _uniform(self, index: int, stream: str = "penalty") -> Callable[[tuple[int, ...]], Tensor]:
        """Uniform numbers for the global batch of this update, sliced to this process."""
        draw = generator_for(self.config.seed, stream, index)

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
def frozen(*networks: nn.Module | None) -> Iterator[None]:
    """No gradients for the networks' weights inside: a third of their backward pass is saved."""
    parameters = [
        parameter for network in networks if network is not None for parameter in network.parameters()
    ]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
