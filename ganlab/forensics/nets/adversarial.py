"""A generator fine-tuned against a frozen detector (the idea of Chai et al., ECCV 2020; the code is ours)."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ganlab.errors import GanlabError
from ganlab.forensics.nets.detector import NetDetector
from ganlab.util.seeding import derive_seed


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

    Minimises ``-log P(real) + closeness * mean squared change of the images`` over standard-normal latents.
    The detector and the given generator are left as they are. Afterwards train a fresh detector on its
    images: what that one finds, the fine-tuning did not remove.

    Args:
        generator: with ``z_dim``; called as ``generator(z)``; both stay in eval mode.
        detector: fitted on pixels, two classes, 0 real.
        steps: of Adam.
        batch: latents in a step.
        rate: of Adam.
        closeness: weight of the change.
        seed: of the latents.

    Raises:
        GanlabError: not two classes, or not positive steps, batch and rate.
    """
    if len(detector.classes_) != 2 or min(steps, batch) < 1 or rate <= 0 or closeness < 0:
        raise GanlabError("fine-tuning needs a detector of two classes and positive steps, batch and rate")
    z_dim = getattr(generator, "z_dim", None)
    if not isinstance(z_dim, int):
        raise GanlabError(f"a {type(generator).__name__} has no z_dim; fine-tuning takes a generator")
    tuned = copy.deepcopy(generator).eval().requires_grad_(True)
    judge = copy.deepcopy(detector.module_).eval().requires_grad_(False)
    mean, scale = torch.from_numpy(detector.mean_), torch.from_numpy(detector.scale_)
    optimizer = torch.optim.Adam(tuned.parameters(), lr=rate, betas=(0.0, 0.99))
    draws = torch.Generator().manual_seed(derive_seed(seed, "adversarial_latents"))
    for _ in range(steps):
        latents = torch.randn(batch, z_dim, generator=draws)
        with torch.no_grad():
            before = generator(latents)
        images = tuned(latents)
        real = judge.probabilities((images - mean) / scale)[:, 0]
        loss = -real.clamp_min(1e-12).log().mean() + closeness * F.mse_loss(images, before)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return tuned.requires_grad_(False)
