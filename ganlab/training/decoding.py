"""The updates of a network that takes images: to themselves, to themselves enlarged, or to masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._functorch import config as functorch_config

from ganlab.config.architecture import encoder_downsampling, stage_names
from ganlab.config.schema import Config, OptimizerConfig
from ganlab.data import BatchReader, TrainingImages
from ganlab.data.batches import Batch
from ganlab.data.pairs import REDUCTION, reduced
from ganlab.errors import GanlabError, lookup
from ganlab.images import to_float
from ganlab.losses import ADVERSARIAL, PENALTIES, SpectralLosses, build_spectral_losses, gradient_ratios
from ganlab.models import Discriminator, build_discriminator, build_network, count_parameters
from ganlab.models.decoders import EncoderDecoder, UNet, classes_as_grey, mask_classes
from ganlab.training.distributed import Placement, World, gather_rows, synchronised
from ganlab.training.players import Kept, MovingAverage, adam, begun, faces
from ganlab.training.step import (
    DEFAULT_PENALTY_WEIGHT,
    SAMPLES,
    Losses,
    begin_update,
    frozen,
    generator_for,
    latents,
    training_images,
    update,
)

SHEET = 16
"""Photos of a preview: input, output and target of each, in rows of eight."""

Pair = tuple[Tensor, Tensor]
"""What the network is shown ``(N, 3, s, s)``, and its target: images ``(N, 3, S, S)``, or the classes of the
pixels ``(N, S, S)``."""


def itself(batch: Batch, config: Config) -> Pair:
    """An autoencoder's pair."""
    return batch.images, batch.images


def reduced_and_itself(batch: Batch, config: Config) -> Pair:
    """A super-resolution network's pair."""
    return reduced(batch.images, config.data.scale), batch.images


def itself_and_mask(batch: Batch, config: Config) -> Pair:
    """A segmentation network's pair.

    Raises:
        GanlabError: the images have no masks.
    """
    if batch.masks is None:
        raise GanlabError("task segment: these images have no masks")
    return batch.images, batch.masks


PAIRS: dict[str, Callable[[Batch, Config], Pair]] = {
    "autoencoder": itself,
    "superres": reduced_and_itself,
    "segment": itself_and_mask,
}
"""``config.task`` -> what the network is shown and what its output is held against."""

PIXEL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "l2": F.mse_loss,
    "cross_entropy": F.cross_entropy,
}
"""Means over all values, so that processes may average."""


def shown(output: Tensor, classes: int) -> Tensor:
    """Output of a network as images in [-1, 1]: as it is, or of logits each pixel's class as a grey level."""
    return classes_as_grey(output.argmax(1), classes) if classes else output.float()


@dataclass
class Coder(Kept):
    """The network, its average, and the discriminator where there is an adversarial term."""

    generator: EncoderDecoder | UNet
    generator_face: nn.Module
    generator_call: nn.Module
    generator_optimizer: torch.optim.Adam
    average: MovingAverage[Any]
    discriminator: Discriminator | None = None
    discriminator_face: nn.Module | None = None
    discriminator_call: nn.Module | None = None
    discriminator_optimizer: torch.optim.Adam | None = None
    spectral_losses: SpectralLosses | None = None

    def parts(self) -> dict[str, Any]:
        """The networks, their optimizers, the average and what the spectral losses keep."""
        parts = {
            "generator": self.generator,
            "average": self.average.network,
            "generator_optimizer": self.generator_optimizer,
            "discriminator": self.discriminator,
            "discriminator_optimizer": self.discriminator_optimizer,
            "spectral_losses": self.spectral_losses,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def rates(self, options: OptimizerConfig) -> list[tuple[torch.optim.Adam, float]]:
        """The network's, and the discriminator's where there is one."""
        own, other = (self.generator_optimizer, options.lr), self.discriminator_optimizer
        return [own] if other is None else [own, (other, options.lr_discriminator or options.lr)]

    def described(self, config: Config) -> dict[str, str]:
        """The network in its halves, and what its output is held against."""
        network, model, loss = self.generator, config.model, config.loss
        whole, halves = count_parameters(network), count_parameters(network.encoder)
        skips = f", {'with' if model.skips else 'no'} skips" if isinstance(network, UNet) else ""
        against: str = "cross-entropy" if config.task == "segment" else loss.pixel
        if loss.kl_weight:
            against += f", divergence x {loss.kl_weight:g}"
        if self.discriminator is not None:
            size = count_parameters(self.discriminator)
            against += f", {loss.adversarial} x {loss.adversarial_weight:g} ({size:,} parameters)"
        lines = {
            "task": config.task + (f" x{config.data.scale}" if config.task == "superres" else ""),
            "network": f"{model.architecture}{skips}, {whole:,} parameters ({halves:,} in the encoder, which "
            f"halves by {encoder_downsampling(model)}), upsampling {', '.join(stage_names(model))}",
            "against": against,
        }
        return lines | ({"reduced by": REDUCTION} if config.task == "superres" else {})


def make_decoder(config: Config, placement: Placement, world: World) -> Coder:
    """Build the network from the run's seed, put it in place, and give it its optimizer.

    Raises:
        GanlabError: no such architecture or spectral loss, or none of this size.
    """
    builders: list[Callable[[Config], Any]] = [build_network]
    if config.loss.adversarial_weight > 0:
        builders.append(build_discriminator)
    with torch.random.fork_rng(devices=[]):
        networks = begun(config, *builders)
    average = MovingAverage(networks[0], config.training.ema_decay, config.training.ema_start)
    networks = [synchronised(network, world) for network in networks]
    for network in (*networks, average.network):
        network.to(placement.device).to(memory_format=placement.memory_format)
    terms = build_spectral_losses(config.loss.spectral, config.model.image_size, config.seed)
    if world.size > 1:
        terms.set_gather(gather_rows)
    options = config.optimizer
    rates = (options.lr, options.lr_discriminator or options.lr)
    pairs = [faces(network, config.training, placement, world) for network in networks]
    optimizers = [adam(network, lr, options, placement) for network, lr in zip(networks, rates, strict=False)]
    return Coder(
        generator=networks[0],
        generator_face=pairs[0][0],
        generator_call=pairs[0][1],
        generator_optimizer=optimizers[0],
        average=average,
        discriminator=networks[1] if len(networks) > 1 else None,
        discriminator_face=pairs[1][0] if len(networks) > 1 else None,
        discriminator_call=pairs[1][1] if len(networks) > 1 else None,
        discriminator_optimizer=optimizers[1] if len(networks) > 1 else None,
        spectral_losses=terms.to(placement.device) if len(terms) else None,
    )


class DecoderTrainer:
    """The updates of a network that takes images, for the data and the losses of one run.

    Args:
        config: the run's configuration.
        players: what is updated, in place.
        reader: batches by number.
        placement: device, precision and layout.
        world: this process among all.

    Raises:
        GanlabError: an unknown loss or penalty.
    """

    def __init__(
        self, config: Config, players: Coder, reader: BatchReader, placement: Placement, world: World
    ) -> None:
        self.config, self.players, self.reader = config, players, reader
        self.placement, self.world = placement, world
        self.pair = lookup(PAIRS, config.task, "task")
        self.pixel_name = "cross_entropy" if config.task == "segment" else config.loss.pixel
        self.pixel = PIXEL[self.pixel_name]
        self.classes = mask_classes(config)
        if config.training.compile and players.spectral_losses is not None:
            # Gradients are compared by going backward twice; compiled code else reuses what the first needed.
            functorch_config.donated_buffer = False
        self.adversarial = lookup(ADVERSARIAL, config.loss.adversarial, "adversarial loss")
        self.penalty = lookup(PENALTIES, config.loss.penalty, "penalty")

    def step(self, step: int) -> Losses:
        """All updates of step number ``step`` (from 0), and their losses."""
        losses: Losses = {}
        if self.players.discriminator is not None:
            n_dis = self.config.training.n_dis
            for number in range(n_dis):
                losses |= self.discriminator_step(step * n_dis + number)
        return losses | self.generator_step(step)

    def generator_step(self, index: int) -> Losses:
        """Update the network on batch ``index``.

        Returns:
            The losses, whose sum was minimised, then gradient ratios where they are due, and the unweighted
            distances of the spectral losses.
        """
        begin_update(self.config, self.placement)
        players, options = self.players, self.config.loss
        given, target = self._pair(index)
        with frozen(players.discriminator):
            with self.placement.autocast():
                output, divergence = players.generator_call(given, self._noise("code", index))
            output = output.float()
            losses = {f"generator/{self.pixel_name}": self.pixel(output, target)}
            if options.kl_weight > 0:
                losses["generator/kl"] = options.kl_weight * divergence
            if players.discriminator_face is not None:
                with self.placement.autocast():
                    on_fake = players.discriminator_face(output).float()
                    on_real = players.discriminator_face(target).float() if self.adversarial.paired else None
                    judged = self.adversarial.generator(on_fake, on_real)
                losses["generator/adversarial"] = options.adversarial_weight * judged
            terms = players.spectral_losses
            if terms is not None:
                terms.fit(lambda: training_images(self.reader))
                total = torch.stack([*losses.values()]).sum()
                values = terms(output, target.float(), total)
                losses |= {f"generator/spectral/{name}": value for name, value in values.items()}
            ratios: Losses = {}
            if self.compares_gradients(index):
                # the divergence is of the code: it does not pull at the pixels
                first, *further = (name for name in losses if name != "generator/kl")
                gather = gather_rows if self.world.size > 1 else None
                found = gradient_ratios(
                    {name: losses[name] for name in further}, losses[first], output, gather
                )
                ratios = {f"{name}/gradient_ratio": ratio for name, ratio in found.items()}
            update(players.generator_optimizer, losses)
        distances = {} if terms is None else terms.distances()
        return losses | ratios | {f"spectral/{name}/distance": value for name, value in distances.items()}

    def discriminator_step(self, index: int) -> Losses:
        """Update the discriminator, where there is one: targets against outputs of batch ``index``.

        Returns:
            The losses, whose sum was minimised, then the mean logits of targets and outputs.
        """
        begin_update(self.config, self.placement)
        players, options = self.players, self.config.loss
        assert players.discriminator is not None
        assert players.discriminator_call is not None
        assert players.discriminator_optimizer is not None
        given, real = self._pair(index)
        with self.placement.autocast():
            with torch.no_grad():
                fake = players.generator_face(given, self._noise("code/discriminator", index))[0]
            on_real = players.discriminator_call(real).float()
            on_fake = players.discriminator_call(fake).float()
            losses = {"discriminator/adversarial": self.adversarial.discriminator(on_real, on_fake)}
        if options.penalty != "none":
            draw = generator_for(self.config.seed, "penalty", index)

            def uniform(shape: tuple[int, ...]) -> Tensor:
                whole = torch.rand((shape[0] * self.world.size, *shape[1:]), generator=draw)
                return whole[self.world.rows(len(whole))].to(self.placement.device)

            spread = gather_rows(real).std() if self.world.size > 1 and self.penalty.needs_spread else None
            weight = options.penalty_weight or DEFAULT_PENALTY_WEIGHT
            value = self.penalty.penalty(players.discriminator, real, fake.float(), uniform, spread)
            losses["discriminator/penalty"] = weight * value
        update(players.discriminator_optimizer, losses)
        losses["discriminator/logit_real"] = on_real.detach().mean()
        losses["discriminator/logit_fake"] = on_fake.detach().mean()
        return losses

    def compares_gradients(self, step: int) -> bool:
        """Whether gradients at the output are compared with the pixel loss's in this step (from 0)."""
        several = self.players.spectral_losses is not None
        return several and (step + 1) % self.config.logging.gradients_every == 0

    @torch.no_grad()
    def previewed(self, network: nn.Module, data: TrainingImages) -> tuple[Tensor, Tensor | None]:
        """Inputs, outputs and targets of the first held-out images, and outputs to be measured.

        Returns:
            ``(48, 3, S, S)`` in [-1, 1], in rows of eight; ``(64, 3, S, S)``, or None for masks. Fewer where
            there are fewer images.
        """
        held_out = data.val if len(data.val) else data.train
        chosen = np.sort(held_out[:SAMPLES])
        images = to_float(np.asarray(data.images[chosen]), self.placement.device)
        masks = None if data.masks is None else torch.from_numpy(data.masks[chosen].astype(np.int64))
        given, target = self.pair(Batch(images, None, masks), self.config)
        training = network.training
        output = shown(network.eval()(given)[0], self.classes).cpu()
        network.train(training)
        size = (self.config.model.image_size,) * 2
        wanted = classes_as_grey(target, self.classes) if self.classes else target
        rows = []
        for start in range(0, min(SHEET, len(output)), 8):
            part = slice(start, start + 8)
            for row in (F.interpolate(given.cpu(), size=size), output, wanted.cpu()):
                eight = row[part]
                # a row is always eight wide: what is missing stays grey
                rows.append(torch.cat([eight, eight.new_zeros(8 - len(eight), *eight.shape[1:])]))
        return torch.cat(rows), None if self.classes else output

    def _pair(self, index: int) -> Pair:
        given, target = self.pair(self.reader.batch(index), self.config)
        return given.to(memory_format=self.placement.memory_format), target

    def _noise(self, stream: str, index: int) -> Tensor | None:
        """This process's rows of the global batch's noise, for a VAE's code."""
        network = self.players.generator
        if not (network.variational and isinstance(network, EncoderDecoder)):
            return None
        count = self.config.training.batch_size
        noise = latents(self.config.seed, stream, index, count, network.decoder.z_dim)
        return noise[self.world.rows(count)].to(self.placement.device)
