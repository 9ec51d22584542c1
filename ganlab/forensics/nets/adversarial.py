"""A generator fine-tuned against a frozen detector (the idea of Chai et al., ECCV 2020; the code is ours)."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.forensics.nets.detector import NetDetector
from ganlab.forensics.nets.patch import log_odds
from ganlab.util.hashing import derive_seed


@dataclass(frozen=True)
class TuneStep:
    """What one step saw, before its update.

    Attributes:
        loss: ``evasion + closeness weight * change``.
        evasion: mean of -log P(real) over patches (or images).
        change: mean squared difference to the old generator's images, values in [-1, 1].
        p_fake: mean probability of fake over patches (or images).
    """

    loss: float
    evasion: float
    change: float
    p_fake: float

    def as_json(self) -> dict[str, float]:
        """Plain values."""
        return asdict(self)


class Finetuning:
    """A copy of a generator that learns, step by step, to be called real by a frozen detector.

    Minimises ``mean over patches of -log P(real) + closeness * mean squared change of the images`` over
    standard-normal latents, with Adam. The second part stands in for the adversarial loss of the original
    training: it keeps the images what they were. Generator and detector are left as they are; both networks
    stay in evaluation mode, so that batch statistics do not move. Step i is a function of (seed, i) and of
    the state: it may be stored and restored at any step.

    Args:
        generator: with ``z_dim``; called as ``generator(z)``, or ``generator(z, labels)`` where it has
            ``num_classes``.
        detector: a network fitted on pixels, two classes, 0 real.
        batch: latents in a step.
        rate: of Adam.
        closeness: weight of the change.
        seed: of the latents.

    Raises:
        GanlabError: not two classes, no generator, images of another shape, or not positive batch and rate.
    """

    def __init__(
        self,
        generator: nn.Module,
        detector: NetDetector,
        batch: int = 32,
        rate: float = 1e-4,
        closeness: float = 1.0,
        seed: int = 0,
    ) -> None:
        if not isinstance(detector, NetDetector) or not hasattr(detector, "module_"):
            raise GanlabError("fine-tuning needs a fitted network detector: the others pass no gradient on")
        if len(detector.classes_) != 2 or batch < 1 or rate <= 0 or closeness < 0:
            raise GanlabError(
                "fine-tuning needs a detector of two classes and positive steps, batch and rate"
            )
        if not _number(generator, "z_dim"):
            raise GanlabError(f"a {type(generator).__name__} has no z_dim; fine-tuning takes a generator")
        self.batch, self.closeness, self.seed = batch, closeness, seed
        self.before = generator
        self.tuned = copy.deepcopy(generator).eval().requires_grad_(True)
        self._judge = copy.deepcopy(detector.module_).eval().requires_grad_(False)
        self._mean, self._scale = (torch.from_numpy(part) for part in (detector.mean_, detector.scale_))
        self._optimizer = torch.optim.Adam(self.tuned.parameters(), lr=rate, betas=(0.0, 0.99))
        shape = tuple(self._images(self.before, 0).shape[1:])
        if shape != detector.shape_:
            made, fitted = ("x".join(map(str, sides)) for sides in (shape, detector.shape_))
            raise GanlabError(f"the generator makes images of {made}; the detector was fitted on {fitted}")

    def step(self, index: int) -> TuneStep:
        """Update the copy once.

        Raises:
            GanlabError: the loss is not finite any more.
        """
        before = self._images(self.before, index)
        images = self._images(self.tuned, index)
        odds = log_odds(self._judge, (images - self._mean) / self._scale)
        evasion, change = F.softplus(odds).mean(), F.mse_loss(images, before)
        loss = evasion + self.closeness * change
        if not bool(torch.isfinite(loss)):
            raise GanlabError(f"fine-tuning: the loss is not finite at step {index}; lower the rate")
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        return TuneStep(loss.item(), evasion.item(), change.item(), odds.detach().sigmoid().mean().item())

    def _images(self, generator: nn.Module, index: int) -> Tensor:
        """Images of step ``index``; of the old generator without gradient."""
        draws = torch.Generator().manual_seed(derive_seed(self.seed, "adversarial_latents", index))
        z = torch.randn(self.batch, _number(generator, "z_dim"), generator=draws)
        classes = _number(generator, "num_classes")
        labels = [torch.randint(classes, (self.batch,), generator=draws)] if classes else []
        with torch.set_grad_enabled(generator is self.tuned):
            images: Tensor = generator(z, *labels)
        return images

    def state(self) -> dict[str, Any]:
        """Weights and optimizer, for ``torch.save``."""
        return {"generator": self.tuned.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.tuned.load_state_dict(state["generator"])
        self._optimizer.load_state_dict(state["optimizer"])


def finetune_against(
    generator: nn.Module,
    detector: NetDetector,
    steps: int = 200,
    batch: int = 32,
    rate: float = 1e-4,
    closeness: float = 1.0,
    seed: int = 0,
) -> nn.Module:
    """A copy of the generator that the detector calls real, and whose images stay near the old ones.

    Afterwards train a fresh detector on its images: what that one finds, the fine-tuning did not remove.
    ``steps`` are those of Adam; the other arguments and the errors are those of `Finetuning`, and no step is
    an error too.
    """
    if steps < 1:
        raise GanlabError(f"fine-tuning needs at least one step; got {steps}")
    tuning = Finetuning(generator, detector, batch, rate, closeness, seed)
    for index in range(steps):
        tuning.step(index)
    return tuning.tuned.requires_grad_(False)


def _number(generator: nn.Module, name: str) -> int:
    """An attribute of a generator; 0 where it has none (no latents, no classes)."""
    value = getattr(generator, name, 0)
    return value if isinstance(value, int) else 0
