"""Anybody's generator measured stage by stage: what leaves each resizing, and what noise into it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.adapters import Generator
from ganlab.adapters.trace import Watch, resizing, spatial
from ganlab.adapters.wrap import drawing_from
from ganlab.errors import GanlabError
from ganlab.experiments.spectra.stages import Channels, StageProbe, StageSpectrum, panel_of
from ganlab.spectra import power_spectrum
from ganlab.util.hashing import derive_seed

PIXELS = 256 * 64 * 64
"""Pixels of all images of a measurement; a large generator draws fewer."""
FEWEST = 16


class _Tap(Watch):
    """Shows what enters and leaves every stage; ``swap`` may put something else into one."""

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        see: Callable[[str, Tensor, Tensor], None],
        swap: Callable[[str, Tensor], Tensor | None] = lambda stage, entering: None,
    ) -> None:
        super().__init__(modules)
        self._see, self._swap = see, swap

    def seen(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the call, and once more where its input is exchanged."""
        result = func(*args, **kwargs)
        if resizing(name, args, kwargs, result) is None:
            return result
        stage = self.stage_name(name)
        written = name == "__setitem__"
        entering, leaving = (args[2], args[0]) if written else (args[0], result)
        other = None if written or not spatial(entering) else self._swap(stage, entering)
        if other is not None:
            result = leaving = func(other, *args[1:], **kwargs)
        if spatial(entering) and spatial(leaving) and leaving.ndim == 4:
            self._see(stage, entering, leaving)
        return result


@torch.no_grad()
def probe_any_stages(generator: Generator, count: int | None = None, seed: int = 0) -> StageProbe:
    """Measure a generator that is not ganlab's own: features after every resizing, and images from noise.

    Args:
        generator: from `ganlab.wrap` or `ganlab.load_generator`.
        count: number of latents; by default 256 of 64 pixels, fewer of larger images.
        seed: everything random follows from it.

    Raises:
        GanlabError: nothing of it resizes that can be seen.
    """
    names = [stage.name for stage in generator.stages]
    _, height, width = generator.shape
    count = count or max(FEWEST, min(256, PIXELS // (height * width)))
    sums: dict[str, Tensor] = {}
    channels: dict[str, Channels] = {name: Channels() for name in names}

    def see(stage: str, entering: Tensor, leaving: Tensor) -> None:
        if stage in channels:
            channels[stage].add(entering.float())
            _add(sums, stage, leaving)

    for image in _calls(generator, count, seed, lambda: _Tap(generator.modules, see)):
        _add(sums, "", image)
    seen = [name for name in names if name in sums]
    # A saved program may be known to enlarge as a whole, and still let nobody look inside.
    if not seen:
        raise GanlabError(f"{generator.name}: no stage can be seen, so that none can be measured")
    panels = [panel_of("features", place, name, sums[name]) for place, name in enumerate(seen, 1)]
    panels.append(panel_of("features", len(seen) + 1, "", sums[""]))
    for place, name in enumerate(seen, 1):
        panels.append(_from_noise(generator, name, place, channels[name], count, seed))
    known = generator.identity()
    digest = known.get("sha256") or known["weights_sha256"] or ""
    return StageProbe(generator.name, str(digest), 0, count, seed, tuple(seen), tuple(panels), ())


def _from_noise(
    generator: Generator, stage: str, place: int, channels: Channels, count: int, seed: int
) -> StageSpectrum:
    """The images when white noise of the usual means and deviations enters a stage."""
    source = torch.Generator().manual_seed(derive_seed(seed, f"stage-noise/{stage}"))
    sums: dict[str, Tensor] = {}

    def swap(name: str, entering: Tensor) -> Tensor | None:
        if name != stage or len(entering.shape) != 4:
            return None
        return channels.noise(len(entering), source).to(entering)

    for image in _calls(generator, count, seed, lambda: _Tap(generator.modules, lambda *seen: None, swap)):
        _add(sums, "", image)
    return panel_of("noise", place, stage, sums[""])


def _calls(generator: Generator, count: int, seed: int, tap: Callable[[], Watch]) -> Iterator[Tensor]:
    """The images of all latents, block by block, under a watch."""
    step = generator.fixed_batch or generator.block
    for first in range(0, count, step):
        with generator.quiet(), drawing_from(derive_seed(seed, "noise", first // step)), tap():
            arguments, keywords = generator.arguments(seed, first, step)
            result = generator.called(arguments, keywords)
        yield generator.picked(result, step)


def _add(sums: dict[str, Tensor], name: str, x: Tensor) -> None:
    # Half planes are of even sizes; a transposed convolution may leave a row and a column more.
    even = x.float()[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2].cpu()
    power = power_spectrum(even).sum((0, 1), dtype=torch.float64)
    sums[name] = sums[name] + power if name in sums else power
