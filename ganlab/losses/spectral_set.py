"""Several spectral losses at once, built from configuration, and how strong each one's gradient is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from ganlab.config.schema import SpectralTermConfig
from ganlab.errors import GanlabError, lookup
from ganlab.losses.registry import SPECTRAL
from ganlab.losses.spectral import SpectralLoss


class SpectralLosses(nn.ModuleDict):
    """Named spectral losses; calling it gives each one's weighted value.

    >>> losses = SpectralLosses({"radial": SpectralRegularization(32, weight=0.1)})   # doctest: +SKIP
    >>> total = adversarial + sum(losses(fake, real, adversarial).values())           # doctest: +SKIP
    """

    def forward(
        self, fake: Tensor, real: Tensor | None = None, adversarial: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Name -> weighted scalar; arguments as for `SpectralLoss`."""
        return {name: term(fake, real, adversarial) for name, term in self.terms()}

    def terms(self) -> Iterator[tuple[str, SpectralLoss]]:
        """Name and loss, in order."""
        for name, term in self.items():
            assert isinstance(term, SpectralLoss)
            yield name, term

    def distances(self) -> dict[str, Tensor]:
        """Name -> the last step's unweighted distance, detached."""
        return {name: term.distance for name, term in self.terms()}

    def set_gather(self, gather: Callable[[Tensor], Tensor]) -> None:
        """Let every loss see the rows of all processes."""
        for _, term in self.terms():
            term.gather = gather

    def fit(self, batches: Callable[[], Iterable[Tensor]]) -> None:
        """Fit the data-set references that are still missing, one pass over the images each."""
        for _, term in self.terms():
            if term.needs_fit:
                term.fit(batches())


def build_spectral_losses(
    terms: Sequence[SpectralTermConfig], image_size: int, seed: int = 0
) -> SpectralLosses:
    """The losses of ``loss.spectral``, in order, under their names.

    Raises:
        GanlabError: an unknown kind, a name twice, or options that the kind refuses.
    """
    losses = SpectralLosses()
    for term in terms:
        name = term.name or term.kind
        if name in losses:
            raise GanlabError(f"two spectral losses are called {name!r}; give each a name of its own")
        losses[name] = build_spectral_loss(term, image_size, seed)
    return losses


def build_spectral_loss(term: SpectralTermConfig, image_size: int, seed: int = 0) -> SpectralLoss:
    """One loss from its section of the configuration; options that its kind lacks are left out.

    Raises:
        GanlabError: an unknown kind, or options that the kind refuses.
    """
    kind = lookup(SPECTRAL, term.kind, "spectral loss")
    options = {name: getattr(term, name) for name in kind.options}
    if kind.takes_seed:
        options["seed"] = seed
    return kind(image_size, weight=term.weight, warmup=term.warmup, **options)


def gradient_ratios(
    losses: Mapping[str, Tensor],
    adversarial: Tensor,
    at: Tensor,
    gather: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """Norm of each loss's gradient at the images, relative to the adversarial loss's.

    Args:
        losses: weighted losses by name.
        adversarial: the generator's adversarial loss.
        at: the fakes ``(N, C, H, W)`` that all of them were computed from.
        gather: rows of this process -> rows of all, where the batch is shared by several.

    Returns:
        Name -> ratio: 1 means that this loss moves the pixels as strongly as the discriminator does, 0 that
        it does not depend on them. The graph is kept.
    """
    norms = []
    for value in (adversarial, *losses.values()):
        gradient = None
        if value.requires_grad:
            (gradient,) = torch.autograd.grad(value, at, retain_graph=True, allow_unused=True)
        norms.append(at.new_zeros(()) if gradient is None else gradient.float().square().sum())
    squares = torch.stack(norms)
    if gather is not None:
        # Squares add up over the images of all processes; norms would not.
        squares = gather(squares[None]).sum(0)
    ratios = (squares[1:] / squares[0].clamp_min(torch.finfo(squares.dtype).tiny)).sqrt()
    return dict(zip(losses, ratios.unbind(0), strict=True))
