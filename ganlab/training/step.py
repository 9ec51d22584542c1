"""One update of each player. Everything random in it descends from (seed, stream, index)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch._functorch import config as functorch_config

from ganlab.config.schema import Config, SpectralDiscriminatorConfig
from ganlab.data import BatchReader, TrainingImages
from ganlab.device import to_device
from ganlab.errors import lookup
from ganlab.images import to_float
from ganlab.losses import (
    ADVERSARIAL,
    PENALTIES,
    AdversarialLoss,
    SpectralLosses,
    augment,
    gradient_ratios,
    numbers_needed,
)
from ganlab.models import SpectralDiscriminator
from ganlab.training.distributed import Placement, World, gather_rows
from ganlab.training.players import Players
from ganlab.util.hashing import derive_seed

Losses = dict[str, Tensor]
"""Scalars by their names in the log."""

DEFAULT_PENALTY_WEIGHT = 10.0
"""Lambda of Gulrajani et al. 2017 (WGAN-GP) and of Kodali et al. 2017 (DRAGAN)."""
FIT_BATCH = 256
SAMPLES = 64
"""Images of a preview, and of the spectrum beside it."""


def generator_for(seed: int, stream: str, index: int = 0) -> torch.Generator:
    """A CPU generator for one draw; the CPU's numbers are the same whatever device the run is on."""
    return torch.Generator().manual_seed(derive_seed(seed, stream, index))


def latents(seed: int, stream: str, index: int, count: int, z_dim: int) -> Tensor:
    """Standard normal ``(count, z_dim)``, float32, on the CPU."""
    return torch.randn(count, z_dim, generator=generator_for(seed, stream, index))


def labels(seed: int, stream: str, index: int, count: int, num_classes: int) -> Tensor | None:
    """Uniform class labels ``(count,)``, int64, on the CPU; None without classes."""
    if not num_classes:
        return None
    return torch.randint(num_classes, (count,), generator=generator_for(seed, f"{stream}/labels", index))


class Trainer:
    """The two updates of a GAN, for the players, the data and the losses of one run.

    Args:
        config: the run's configuration.
        players: what is updated, in place.
        reader: real batches by number.
        placement: device, precision and layout.
        world: this process among all.

    Raises:
        GanlabError: an unknown loss or penalty.
    """

    def __init__(
        self, config: Config, players: Players, reader: BatchReader, placement: Placement, world: World
    ) -> None:
        self.config, self.players, self.reader = config, players, reader
        self.placement, self.world = placement, world
        self.adversarial = lookup(ADVERSARIAL, config.loss.adversarial, "adversarial loss")
        self.penalty = lookup(PENALTIES, config.loss.penalty, "penalty")
        self.penalty_weight = config.loss.penalty_weight or DEFAULT_PENALTY_WEIGHT
        self.second: SecondOpinion | None = None
        options = config.model.spectral_discriminator
        if options and players.spectral_discriminator is not None and players.spectral_call is not None:
            self.second = SecondOpinion(
                options, players.spectral_discriminator, players.spectral_call, self.adversarial
            )
        self._last_real: tuple[int, Tensor] | None = None
        self.augmentations = config.training.augment
        self._numbers = numbers_needed(self.augmentations)
        if config.training.compile and (self.second is not None or players.spectral_losses is not None):
            # Gradients are compared by going backward twice; compiled code else reuses what the first needed.
            functorch_config.donated_buffer = False
        self.pairs: BatchReader | None = None
        if self.adversarial.paired:
            # Reals that the discriminator has not just been updated on, one for each fake (R3GAN's code).
            count = config.training.generator_batch_size or config.training.batch_size
            self.pairs = reader.sibling("generator", count)

    def step(self, step: int) -> Losses:
        """All updates of step number ``step`` (from 0), and their losses."""
        n_dis = self.config.training.n_dis
        losses: Losses = {}
        for number in range(n_dis):
            losses |= self.discriminator_step(step * n_dis + number)
        return losses | self.generator_step(step)

    def discriminator_step(self, index: int) -> Losses:
        """Update the discriminator, and the spectral one, on real batch ``index``.

        Returns:
            The losses, whose sum was minimised, then the mean logits of reals and fakes.
        """
        begin_update(self.config, self.placement)
        players, second = self.players, self.second
        batch = self.reader.batch(index)
        real = batch.images.to(memory_format=self.placement.memory_format)
        z, classes = self._inputs("discriminator", index, self.config.training.batch_size)
        if self.adversarial.paired:
            classes = batch.labels
        with self.placement.autocast():
            # The fakes are data here: no gradient, hence not through DDP, which would wait for one.
            with torch.no_grad():
                fake = players.generator_face(z, classes)
            shown = self._augmented(real, "real", index), self._augmented(fake, "fake", index)
            on_real, on_fake = self._logits(*shown, batch.labels, classes)
            if second is None:
                losses = {"discriminator/adversarial": self.adversarial.discriminator(on_real, on_fake)}
            else:
                own_real, own_fake = second.logits(real, fake)
                judged = second.judged(on_real, own_real), second.judged(on_fake, own_fake)
                losses = {
                    "discriminator/adversarial": self.adversarial.discriminator(*judged),
                    "discriminator/spectral": self.adversarial.discriminator(own_real, own_fake),
                }
        if self.config.loss.penalty != "none":
            # Outside autocast: half precision would blur the gradient's norm.
            losses |= self._penalties(real, fake.float(), batch.labels, index)
        if players.spectral_losses is not None:
            self._last_real = (index, batch.images)
        update(players.discriminator_optimizer, losses)
        losses["discriminator/logit_real"] = on_real.detach().mean()
        losses["discriminator/logit_fake"] = on_fake.detach().mean()
        return losses

    def generator_step(self, index: int) -> Losses:
        """Update the generator; the discriminators' weights take no gradient meanwhile.

        Returns:
            The losses, whose sum was minimised, then gradient ratios where they are due, and the unweighted
            distances of the spectral losses.
        """
        begin_update(self.config, self.placement)
        players, training = self.players, self.config.training
        count = training.generator_batch_size or training.batch_size
        z, classes = self._inputs("generator", index, count)
        pairs = self.pairs.batch(index) if self.pairs is not None else None
        if pairs is not None:
            classes = pairs.labels
        with frozen(players.discriminator, players.spectral_discriminator):
            with self.placement.autocast():
                fake = players.generator_call(z, classes)
                # Not through DDP either: the discriminator's weights are frozen, there is nothing to average.
                shown = self._augmented(fake, "generator", index)
                on_fake = players.discriminator_face(shown, classes).float()
                on_real = None
                if pairs is not None:
                    real = self._augmented(pairs.images, "generator/real", index)
                    on_real = players.discriminator_face(real, classes).float()
                if self.second is None:
                    losses = {"generator/adversarial": self.adversarial.generator(on_fake, on_real)}
                else:
                    reals = None if pairs is None else pairs.images
                    losses = self.second.generator_losses(on_fake, fake, on_real, reals)
                if players.spectral_losses is not None:
                    losses |= self._spectral_losses(players.spectral_losses, fake, losses, index)
            ratios: Losses = {}
            if self.compares_gradients(index):
                # How strongly each further loss pulls at the pixels, relative to the discriminator.
                adversarial = losses["generator/adversarial"]
                further = {name: loss for name, loss in losses.items() if name != "generator/adversarial"}
                gather = gather_rows if self.world.size > 1 else None
                for name, ratio in gradient_ratios(further, adversarial, fake, gather).items():
                    ratios[f"{name}/gradient_ratio"] = ratio
            update(players.generator_optimizer, losses)
        terms = {} if players.spectral_losses is None else players.spectral_losses.distances()
        return losses | ratios | {f"spectral/{name}/distance": value for name, value in terms.items()}

    def compares_gradients(self, step: int) -> bool:
        """Whether the generator's gradients are compared in this step (counted from 0)."""
        second = self.second is not None and self.second.options.combine == "errors"
        several = second or self.players.spectral_losses is not None
        return several and (step + 1) % self.config.logging.gradients_every == 0

    @torch.no_grad()
    def previewed(self, generator: nn.Module, data: TrainingImages) -> tuple[Tensor, Tensor | None]:
        """``(64, 3, S, S)`` in [-1, 1] from the run's fixed noise, to be shown and to be measured.

        The generator's mode is restored.
        """
        seed, device, model = self.config.seed, self.placement.device, self.config.model
        z = latents(seed, "preview", 0, SAMPLES, model.generator.z_dim).to(device)
        classes = labels(seed, "preview", 0, SAMPLES, model.num_classes)
        training = generator.training
        images: Tensor = generator.eval()(z, None if classes is None else classes.to(device))
        generator.train(training)
        return images.float().cpu(), images.float().cpu()

    def _inputs(self, stream: str, index: int, count: int) -> tuple[Tensor, Tensor | None]:
        """This process's rows of the global batch of latents and classes to be made."""
        seed, rows, model = self.config.seed, self.world.rows(count), self.config.model
        z = latents(seed, stream, index, count, model.generator.z_dim)[rows]
        classes = labels(seed, stream, index, count, model.num_classes)
        device = self.placement.device
        return to_device(z, device), None if classes is None else to_device(classes[rows], device)

    def _augmented(self, images: Tensor, stream: str, index: int) -> Tensor:
        """The images as the discriminator sees them, by this process's rows of the global batch's numbers."""
        if not self.augmentations:
            return images
        draw = generator_for(self.config.seed, f"augment/{stream}", index)
        numbers = torch.rand((len(images) * self.world.size, self._numbers), generator=draw)
        rows = self.world.rows(len(numbers))
        return augment(images, self.augmentations, to_device(numbers[rows], images.device))

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

    def _penalties(self, real: Tensor, fake: Tensor, real_labels: Tensor | None, index: int) -> Losses:
        """The weighted penalty on each discriminator; each has random numbers of its own."""
        spread = None
        if self.world.size > 1 and self.penalty.needs_spread:
            # DRAGAN's noise has the size of the whole batch's deviation, not of this process's part of it.
            spread = gather_rows(real).std()

        def main(images: Tensor) -> Tensor:
            # The gradient is taken at the image before its augmentation, as R3GAN does; and by the network
            # itself, because torch.compile has no derivative of a gradient.
            shown = self._augmented(images, "penalty", index)
            logits: Tensor = self.players.discriminator(shown, real_labels)
            return logits

        def penalty(critic: Callable[[Tensor], Tensor], stream: str) -> Tensor:
            draw = generator_for(self.config.seed, stream, index)

            def uniform(shape: tuple[int, ...]) -> Tensor:
                whole = torch.rand((shape[0] * self.world.size, *shape[1:]), generator=draw)
                return to_device(whole[self.world.rows(len(whole))], self.placement.device)

            return self.penalty_weight * self.penalty.penalty(critic, real, fake, uniform, spread)

        losses = {"discriminator/penalty": penalty(main, "penalty")}
        if self.second is not None:
            losses["discriminator/spectral_penalty"] = penalty(self.second.network, "penalty/spectral")
        return losses

    def _spectral_losses(self, terms: SpectralLosses, fake: Tensor, adversarial: Losses, step: int) -> Losses:
        """The weighted spectral losses of the fakes, against the reals that the discriminator saw last."""
        terms.fit(lambda: training_images(self.reader))
        index = (step + 1) * self.config.training.n_dis - 1
        if self._last_real is not None and self._last_real[0] == index:
            real = self._last_real[1]
        else:
            real = self.reader.batch(index).images
        total = torch.stack([value.float() for value in adversarial.values()]).sum()
        # Half precision cannot hold a spectrum, whose values span many decades.
        with torch.autocast(fake.device.type, enabled=False):
            values = terms(fake.float(), real.float(), total.float())
        return {f"generator/spectral/{name}": value for name, value in values.items()}


def training_images(reader: BatchReader) -> Iterator[Tensor]:
    """All training images once, ``(n, C, H, W)`` in [-1, 1]: neither mirrored nor with noise added."""
    indices = np.sort(reader.indices)
    for start in range(0, len(indices), FIT_BATCH):
        yield to_float(reader.images[indices[start : start + FIT_BATCH]], reader.device)


def begin_update(config: Config, placement: Placement) -> None:
    """What CUDA graphs have put out belongs to the last update: its memory may be used again."""
    if config.training.compile and placement.device.type == "cuda":
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]


def update(optimizer: torch.optim.Optimizer, losses: Losses) -> None:
    """One step of the optimizer down the sum of the losses."""
    optimizer.zero_grad(set_to_none=True)
    total = torch.stack([value.float() for value in losses.values()]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


class SecondOpinion:
    """What the spectral discriminator adds to both updates; its weights share the main one's optimizer.

    Jung and Keuper 2021 (arXiv 2012.03110) add the losses of both ("errors") or their logits ("logits");
    SSD-GAN (Chen et al. 2021) has the main discriminator play with the mean logit too ("mixed"). It sees
    images as they are: an augmentation's zero fill would be a spectrum of its own.

    Args:
        options: how both discriminators are combined.
        network: the spectral discriminator.
        call: the same as DDP sees it.
        adversarial: the run's adversarial loss, which both play.
    """

    def __init__(
        self,
        options: SpectralDiscriminatorConfig,
        network: SpectralDiscriminator,
        call: nn.Module,
        adversarial: type[AdversarialLoss],
    ) -> None:
        self.options, self.network, self.call, self.adversarial = options, network, call, adversarial

    def logits(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Its logits of both, in one call."""
        both: Tensor = self.call(torch.cat([real, fake.to(real.dtype)]))
        return both[: len(real)], both[len(real) :]

    def mean(self, main: Tensor, own: Tensor) -> Tensor:
        """Weighted mean of both logits."""
        ratio = self.options.ratio
        return (main.float() + ratio * (own.detach() if self.options.detach else own)) / (1.0 + ratio)

    def judged(self, main: Tensor, own: Tensor) -> Tensor:
        """The logits that the main discriminator's loss sees: its own, or in a mixed head the mean."""
        return self.mean(main, own) if self.options.combine == "mixed" else main

    def generator_losses(
        self, main: Tensor, fake: Tensor, main_real: Tensor | None = None, real: Tensor | None = None
    ) -> Losses:
        """The generator's adversarial loss against both; the entries add up to it.

        Args:
            main: the main discriminator's logits of the fakes.
            fake: the fakes.
            main_real: its logits of the reals that the fakes are paired with, for a paired loss.
            real: those reals.
        """
        own, ratio = self.network(fake), self.options.ratio
        own_real = None if real is None else self.network(real)
        if self.options.combine != "errors":
            judged = None
            if main_real is not None and own_real is not None:
                judged = self.mean(main_real, own_real)
            return {"generator/adversarial": self.adversarial.generator(self.mean(main, own), judged)}
        return {
            "generator/adversarial": self.adversarial.generator(main, main_real) / (1.0 + ratio),
            "generator/adversarial_spectral": self.adversarial.generator(own, own_real)
            * ratio
            / (1.0 + ratio),
        }


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
