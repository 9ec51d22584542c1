"""Anybody's module or function as a generator: image i depends on (seed, i) alone, stages are found."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.adapters.trace import Stage, find_stages, modules_of
from ganlab.errors import GanlabError, nearest_name
from ganlab.models import Generator as OwnGenerator
from ganlab.models.latents import BLOCK, image_labels, image_latents
from ganlab.util.hashing import derive_seed
from ganlab.util.reading import reading

Latent = int | Sequence[int] | Callable[[int, int, int], Any]
Labels = int | Callable[[int, int, int], Any] | None
Output = str | int | Callable[[Any], Any] | None

PIXELS = 64 * 64 * 64
"""Output pixels that are computed together: 64 images of 64 pixels, one of 512."""
OUTSIDE = 0.01
"""How far beyond its stated range an output may lie, as a part of the range: rounding, and no more."""
LARGEST_LATENT = 2**24
REASON = 300
"""Characters of what a program says when it fails."""
TRIED = 2
"""Images of the first call, which only asks for their size."""


class Generator:
    """What `wrap` makes: the images of a module or function, by number.

    Attributes:
        module: what was wrapped.
        name: what its images are called.
        value_range: that of its outputs.
        block: images that are always computed together, so that a convolution adds in one order whatever
            was asked for; follows from the size of the images unless the source fixes it.
        fixed_batch: the only number of images that a call takes; None for any.
        about: what is known of the source (adapter, file, hash), for manifests.
    """

    def __init__(
        self,
        module: nn.Module | Callable[..., Any],
        latent: Latent,
        labels: Labels = None,
        output: Output = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        name: str | None = None,
        block: int | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(module):
            raise GanlabError(f"a generator is a module or a function; got {type(module).__name__}")
        try:
            low, high = (float(end) for end in value_range)
        except (TypeError, ValueError):
            low = high = math.nan
        if not low < high or math.isinf(high - low):
            raise GanlabError(f"value_range is (lowest, highest), such as (0, 1); got {value_range!r:.80}")
        if not callable(latent):
            sides = tuple(latent) if isinstance(latent, Iterable) else (latent,)
            whole = all(isinstance(side, Integral) for side in sides)
            if not sides or not whole or min(sides) < 1 or math.prod(sides) > LARGEST_LATENT:
                raise GanlabError(
                    "latent is a length, the shape of one latent (at most 2^24 numbers) or a function; got "
                    f"{latent!r:.80}"
                )
        if not callable(labels) and not (labels is None or (isinstance(labels, int) and 0 <= labels < 2**31)):
            raise GanlabError(f"labels is the number of classes or a function; got {labels!r:.80}")
        if not callable(output) and not (output is None or isinstance(output, str | int)):
            raise GanlabError(f"output is a key, an attribute, a position or a function; got {output!r:.80}")
        self.module, self._latent, self._labels, self._output = module, latent, labels, output
        self.value_range = (low, high)
        self.name = name or getattr(module, "__name__", type(module).__name__).lower().strip("<>")
        self._block = block
        self.fixed_batch: int | None = None
        self.about: dict[str, Any] = dict(about or {})

    # ------------------------------------------------------------------------------------------- what it is

    @functools.cached_property
    def modules(self) -> dict[str, nn.Module]:
        """Path -> module that may be called: the module itself, or what a function closes over."""
        return modules_of(self.module)

    @property
    def parameters(self) -> list[Tensor]:
        """All weights."""
        unique = {id(p): p for module in self.modules.values() for p in module.parameters(recurse=False)}
        return list(unique.values())

    @property
    def device(self) -> torch.device:
        """Where the weights are, and the latents go."""
        return self.parameters[0].device if self.parameters else torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and of the latents: a module in half precision gets them so."""
        floating = (p.dtype for p in self.parameters if p.is_floating_point())
        return next(floating, torch.float32)

    @functools.cached_property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        image = self.raw(0, 0, self.fixed_batch or TRIED)
        return int(image.shape[1]), int(image.shape[2]), int(image.shape[3])

    @property
    def image_size(self) -> int | tuple[int, int]:
        """Side of a square image, otherwise (height, width)."""
        _, height, width = self.shape
        return height if height == width else (height, width)

    @functools.cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Every resizing on the way, in the order of the call; ``()`` where nothing of it can be seen."""
        with self.quiet():
            arguments, keywords = self.arguments(0, 0, self.fixed_batch or TRIED)
            return find_stages(self.modules, lambda: self.called(arguments, keywords))

    @property
    def block(self) -> int:
        """Images that are computed together."""
        if self._block is None:
            _, height, width = self.shape
            self._block = max(1, min(BLOCK, PIXELS // (height * width) // 4 * 4))
        return self._block

    # ---------------------------------------------------------------------------------------- what it makes

    def sample(self, seed: int, first: int, count: int) -> Tensor:
        """Images ``first ... first + count - 1``: float32 ``(count, C, H, W)`` in [-1, 1], on its device.

        Image i depends on ``seed`` and i alone, whatever is asked for together with it; modules are in
        evaluation mode meanwhile, and noise they draw from torch follows from the seed too.

        Raises:
            GanlabError: a negative number, no images, an output of another kind, or outside its range.
        """
        if first < 0 or count < 1:
            raise GanlabError(f"images are numbered from 0 and at least one is made; got {first} and {count}")
        blocks = range(first // self.block, (first + count - 1) // self.block + 1)
        images = torch.cat([self._images(seed, number) for number in blocks])
        start = first - blocks.start * self.block
        return images[start : start + count]

    def drawn_labels(self, seed: int, first: int, count: int) -> list[int] | None:
        """Classes of these images where ``labels`` is their number; None without."""
        if not isinstance(self._labels, int):
            return None
        labels = image_labels(seed, first, count, self._labels)
        return None if labels is None else [int(label) for label in labels]

    def identity(self) -> dict[str, Any]:
        """What is known of the source, and the SHA-256 of the weights that can be seen."""
        digest = hashlib.sha256()
        for path, module in self.modules.items():
            for name, value in [*module.named_parameters(path, False), *module.named_buffers(path, False)]:
                digest.update(name.encode())
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        latent = self._latent if not callable(self._latent) else "a function"
        return {
            **self.about, "latent": list(latent) if isinstance(latent, tuple | list) else latent,
            "value_range": list(self.value_range), "block": self.block, "device": self.device.type,
            "weights_sha256": digest.hexdigest() if self.modules else None,
        }  # fmt: skip

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """What was wrapped, called as it is."""
        return self.module(*arguments, **keywords)

    def _images(self, seed: int, number: int) -> Tensor:
        low, high = self.value_range
        raw = self.raw(seed, number * self.block, self.block, derive_seed(seed, "noise", number))
        if not bool(torch.isfinite(raw).all()):
            raise GanlabError(f"{self.name}: the output holds NaN or infinite values")
        smallest, largest = (float(end) for end in torch.aminmax(raw))
        spare = OUTSIDE * (high - low)
        if smallest < low - spare or largest > high + spare:
            raise GanlabError(
                f"{self.name}: the output runs from {smallest:.4g} to {largest:.4g}, outside of the stated "
                f"range {low:g} ... {high:g}: state the range it has (value_range), or clamp it (output=)"
            )
        return ((raw - low) / (high - low)).mul(2).sub(1).clamp(-1, 1)

    @torch.no_grad()
    def raw(self, seed: int, first: int, count: int, noise: int = 0) -> Tensor:
        """The output itself, float32 ``(count, C, H, W)`` in its own range, of one call.

        Raises:
            GanlabError: no such output, or no images.
        """
        with self.quiet(), drawing_from(noise):
            arguments, keywords = self.arguments(seed, first, count)
            return self.picked(self.called(arguments, keywords), count)

    def called(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """What the module returns.

        Raises:
            GanlabError: whatever somebody's program raises, too little memory apart.
        """
        try:
            return self.module(*arguments, **keywords)
        except (GanlabError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            words = " ".join(str(error).split())[:REASON]
            shapes = ", ".join(str(tuple(v.shape)) for v in arguments if isinstance(v, Tensor))
            raise GanlabError(
                f"{self.name}: calling it fails for {shapes or 'no tensor'} ({type(error).__name__}: {words})"
            ) from error

    def arguments(self, seed: int, first: int, count: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the call gets for these images: positional and keyword arguments, on its device."""
        if callable(self._latent):
            given = self._latent(seed, first, count)
        else:
            given = image_latents(
                seed, first, count, self._latent if isinstance(self._latent, int) else tuple(self._latent)
            )
        positional = (
            given if isinstance(given, tuple | list) else () if isinstance(given, Mapping) else (given,)
        )
        keywords = dict(given) if isinstance(given, Mapping) else {}
        if callable(self._labels):
            positional = (*positional, self._labels(seed, first, count))
        elif self._labels:
            positional = (*positional, image_labels(seed, first, count, self._labels))
        return tuple(self._moved(v) for v in positional), {k: self._moved(v) for k, v in keywords.items()}

    def _moved(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.to(self.device, self.dtype if value.is_floating_point() else value.dtype)

    def picked(self, result: Any, count: int) -> Tensor:
        """The images among what the call returned, float32 ``(count, C, H, W)``.

        Raises:
            GanlabError: there are none; the message lists what there is.
        """
        picked = self._pick(result)
        if not isinstance(picked, Tensor):
            # What an engine returns is an array; whatever else is not is refused with its kind.
            if not hasattr(picked, "__array__"):
                raise GanlabError(
                    f"{self.name}: the output is {type(picked).__name__}{_inside(picked)}: "
                    "say which part is the image by output="
                )
            with reading(self.name, "the output", "an array of images"):
                picked = torch.as_tensor(picked)
        if picked.ndim != 4 or len(picked) != count:
            raise GanlabError(
                f"{self.name}: images are ({count}, C, H, W); the output is {tuple(picked.shape)}"
            )
        if picked.shape[1] > 4 and picked.shape[3] in (1, 3, 4):
            raise GanlabError(
                f"{self.name}: the output {tuple(picked.shape)} has its channels last; "
                "give output=lambda x: x.permute(0, 3, 1, 2)"
            )
        return picked.float()

    def _pick(self, result: Any) -> Any:
        output = self._output
        if output is None:
            return result
        if callable(output):
            return output(result)
        if isinstance(output, str) and not isinstance(result, Mapping) and hasattr(result, output):
            return getattr(result, output)
        try:
            return result[output]
        except (KeyError, IndexError, TypeError) as error:
            names = _names(result)
            raise GanlabError(
                f"{self.name}: the output has no {output!r}{_inside(result)}"
                f"{nearest_name(str(output), names)}"
            ) from error

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Every module in evaluation mode, and afterwards as it was."""
        training = [module for module in self.modules.values() if module.training]
        for module in training:
            module.training = False
        try:
            yield
        finally:
            for module in training:
                module.training = True


@contextlib.contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Torch's own random numbers begin at a seed, and afterwards go on where they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _names(result: Any) -> list[str]:
    if isinstance(result, Mapping):
        return [str(key) for key in result]
    return [key for key, value in getattr(result, "__dict__", {}).items() if isinstance(value, Tensor)]


def _inside(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f" of {len(result)}"
    names = _names(result)
    return f" with {', '.join(names)}" if names else ""


def wrap(
    module: nn.Module | Callable[..., Any],
    latent: Latent,
    labels: Labels = None,
    output: Output = None,
    value_range: tuple[float, float] = (-1.0, 1.0),
    name: str | None = None,
) -> Generator:
    """Any module or function as a `Generator`.

    Args:
        module: called with latents, and labels if there are any. It is not changed; its weights say device
            and precision.
        latent: length or shape of one image's latent, then standard normal; or ``fn(seed, first, count)`` ->
            the call's arguments for images ``first ...``: a tensor, a tuple, or a dict of named ones.
        labels: number of classes, or ``fn(seed, first, count)`` -> labels; the call's last argument.
        output: which part of the result is the image: a key, an attribute, a position or a function.
        value_range: lowest and highest value of the images as the module makes them.
        name: what the images are called; by default as the module's class.

    Raises:
        GanlabError: something that cannot be called, a latent or a range that is none.
    """
    return Generator(module, latent, labels, output, value_range, name)


def as_generator(generator: Any) -> Generator:
    """The `Generator` behind what was given: one itself, or one of ganlab's networks.

    Raises:
        GanlabError: neither of them.
    """
    if isinstance(generator, Generator):
        return generator
    if isinstance(generator, OwnGenerator):
        classes = generator.num_classes or None
        about = {"adapter": "ganlab", "source": generator.source_name, "sha256": generator.source_sha256}
        return Generator(
            generator, generator.z_dim, classes, name=generator.source_name, block=BLOCK, about=about
        )
    raise GanlabError(
        f"expected a generator (ganlab.wrap, ganlab.load_generator); got {type(generator).__name__}"
    )
