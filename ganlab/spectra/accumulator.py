"""Streaming spectra: a torchmetrics Metric over the pure functions of ``sums``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from ganlab.errors import GanlabError, names_of
from ganlab.spectra.statistics import SpectrumStatistics
from ganlab.spectra.sums import (
    Settings,
    State,
    empty_state,
    merge_states,
    reduce_reservoirs,
    summarise,
    update_state,
)
from ganlab.spectra.transforms import check_images

_REDUCTIONS: dict[str, Any] = {"minimum": "min", "maximum": "max", "reservoir": reduce_reservoirs}


class SpectrumAccumulator(Metric):
    """Mean spectra of any number of images in constant memory: ``update``, ``merge``, ``result``.

    Adds up in float64, so that the result does not depend on the order or the batching of the images beyond
    rounding (1e-12 relative). Under ``torch.distributed`` the states of all processes are reduced when the
    result is computed, as with every torchmetrics metric; give ``size`` there, so that a process without
    images takes part.

    Args:
        window: None or "none", "hann", "kaiser"; for the power and the profiles, not for the DCT.
        conventions: names of radial profiles, or one, to add up beside "ganlab".
        dct: add up the DCT of the luma as well (it costs several FFTs).
        reservoir: keep the profiles of this many images, drawn uniformly, for percentile bands.
        keep_profiles: keep every image's profiles (float32), for bootstrap intervals; memory then grows with
            the number of images, by about ``4 * 2 * (H + W)`` bytes an image.
        size: (H, W) of the images; by default that of the first batch.
        **options: of ``torchmetrics.Metric``.

    Raises:
        GanlabError: unknown window or convention.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False

    def __init__(
        self,
        window: str | None = None,
        conventions: str | Iterable[str] = (),
        dct: bool = False,
        reservoir: int = 0,
        keep_profiles: bool = False,
        size: tuple[int, int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.settings = Settings(None if window == "none" else window, names_of(conventions), dct, reservoir)
        self.keep_profiles = keep_profiles
        self.size: tuple[int, int] | None = None
        self._names: tuple[str, ...] = ()
        if size is not None:
            self._begin(*size)

    def _begin(self, height: int, width: int) -> None:
        """Declare the states, once the image size is known."""
        state = empty_state(height, width, self.settings, self.device)
        self.size, self._names = (height, width), tuple(state)
        for name, value in state.items():
            self.add_state(self._attribute(name), value, _REDUCTIONS.get(name, "sum"), persistent=True)
        if self.keep_profiles:
            for name in self.settings.kept:
                self.add_state(f"kept_{name}", [], "cat")

    @staticmethod
    def _attribute(name: str) -> str:
        return "sum_" + name.replace(".", "_")

    @property
    def state(self) -> State:
        """The sums so far, by name; see ``ganlab.spectra.sums``.

        Raises:
            GanlabError: the image size is not known yet.
        """
        if self.size is None:
            raise GanlabError("no image was added: there are no statistics")
        return {name: getattr(self, self._attribute(name)) for name in self._names}

    def _set(self, state: State) -> None:
        # States are plain attributes; setattr would ask whether each is a parameter, a module or a buffer.
        vars(self).update({self._attribute(name): value for name, value in state.items()})

    def update(self, images: Tensor) -> None:
        """Add images, float ``(N, 1 or 3, H, W)`` in [-1, 1].

        Raises:
            GanlabError: wrong type, shape or channel count, or another size than before.
        """
        height, width = check_images(images).shape[-2:]
        self._check_size(height, width)
        state, profiles = update_state(self.state, images, self.settings, in_place=True)
        self._set(state)
        if self.keep_profiles:
            for name, values in profiles.items():
                getattr(self, f"kept_{name}").append(values.float().to(self.device))

    def _check_size(self, height: int, width: int) -> None:
        if self.size is None:
            self._begin(height, width)
        elif self.size != (height, width):
            raise GanlabError(
                f"images of {height}x{width} cannot be added to spectra of {self.size[0]}x{self.size[1]}: "
                "spectra are compared at one size; crop, or keep two accumulators (never resize: it changes "
                "the spectrum)"
            )

    def merge(self, other: SpectrumAccumulator) -> SpectrumAccumulator:
        """Add everything another accumulator has seen; returns this one.

        Raises:
            GanlabError: different image sizes or settings.
        """
        if self.settings != other.settings or self.keep_profiles != other.keep_profiles:
            raise GanlabError("accumulators with different settings cannot be merged")
        if other.size is None:
            return self
        self._check_size(*other.size)
        self._set(merge_states(self.state, {k: v.to(self.device) for k, v in other.state.items()}))
        for name in self.kept_names if self.keep_profiles else ():
            getattr(self, f"kept_{name}").extend(t.to(self.device) for t in getattr(other, f"kept_{name}"))
        self._update_count += other._update_count
        self._computed = None
        return self

    @property
    def kept_names(self) -> tuple[str, ...]:
        """Names of the profiles kept per image; empty unless ``keep_profiles``."""
        names = self.settings.kept
        return names if self.keep_profiles and self.size else ()

    def sampled_profiles(self) -> dict[str, Tensor]:
        """Profiles of the images in the reservoir, name -> float64 ``(R, K)``.

        Raises:
            GanlabError: made without ``reservoir``, or without images.
        """
        if not self.settings.reservoir or self.size is None:
            raise GanlabError("a sample of profiles is there with reservoir=... and after update()")
        rows = self.state["reservoir"]
        rows = rows[torch.isfinite(rows[:, 0]), 1:]
        lengths = [self.state[f"{name}.sum"].shape[0] for name in self.settings.kept]
        return dict(zip(self.settings.kept, torch.split(rows, lengths, 1), strict=True))

    def profiles(self) -> dict[str, Tensor]:
        """Kept profiles of every image, name -> float32 ``(N, K)``; "radial" is in the "ganlab" convention.

        Raises:
            GanlabError: made without ``keep_profiles``, or without images.
        """
        if not self.keep_profiles or self.size is None:
            raise GanlabError(
                "profiles of single images are there with keep_profiles=True and after update()"
            )
        kept = {name: getattr(self, f"kept_{name}") for name in self.kept_names}
        return {name: v if isinstance(v, Tensor) else torch.cat(v) for name, v in kept.items()}

    def compute(self) -> State:
        """The sums over all processes, by name: what torchmetrics reduces and hands around.

        Raises:
            GanlabError: no image was added.
        """
        return {name: value.clone() for name, value in self.state.items()}

    def result(self) -> SpectrumStatistics:
        """Statistics of all images so far, over all processes, with the profiles that were kept.

        Raises:
            GanlabError: no image was added, or one with NaN or infinite values.
        """
        if self.size is None:
            raise GanlabError("no image was added: there are no statistics")
        if self._update_count == 0 and float(self.state["count"]) > 0:
            self._update_count = 1  # sums that were loaded count as updates; torchmetrics would warn
        statistics = summarise(self.compute(), *self.size, self.settings)
        if self.keep_profiles:
            profiles = self.profiles()
        else:
            profiles = self.sampled_profiles() if self.settings.reservoir else {}
        return replace(statistics, profiles={name: rows.cpu() for name, rows in profiles.items()})
