"""The training read path: batch number -> tensors, with no state in between.

Everything about batch ``step`` follows from ``(seed, step)``: which images, which of them are mirrored, which
noise is added. So a resumed run reads on where it stopped, and any number of processes together read the
same global batches: each draws the global batch's numbers and takes its slice.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.data.arrays import UInt8Array
from ganlab.data.split import bit_stream, permutation
from ganlab.device import to_device
from ganlab.errors import GanlabError
from ganlab.images import to_float
from ganlab.util.hashing import derive_seed

Floats = npt.NDArray[np.float32]

GREY_LEVEL = 1.0 / 127.5
"""Distance of neighbouring pixel values in [-1, 1]."""
RESIDENT_BYTES = 4 * 2**30
"""Images up to this size live on the accelerator: 50,000 of 32 px take 0.15 GB."""
_NONE = np.empty(0, dtype=np.int64)


class Batch(NamedTuple):
    """One process's part of a batch."""

    images: Tensor
    """float32 (n, 3, H, W) in [-1, 1] (half a grey level beyond where dequantised)."""
    labels: Tensor | None
    """int64 (n,), or None without classes."""
    masks: Tensor | None = None
    """int64 (n, H, W), the class of each pixel, mirrored with the images; None without masks."""


@functools.cache
def _float_table() -> Floats:
    """What ``to_float`` makes of each of the 256 pixel values."""
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    table: Floats = to_float(values).flatten().numpy()
    return table


def floats_here(pixels: UInt8Array, mirrored: npt.NDArray[np.int64], noise: Floats | None) -> Tensor:
    """Bytes (n, H, W, C) -> floats (n, C, H, W) on the CPU, some mirrored left-right, noise added.

    All in this thread, with ``to_float``'s values from a table: torch would share so small a task among its
    threads, which on a busy machine wait for each other far longer than the task takes.
    """
    floats: Floats = np.take(_float_table(), pixels.transpose(0, 3, 1, 2))
    floats[mirrored] = floats[mirrored, ..., ::-1]
    if noise is not None:
        floats += noise
    return torch.from_numpy(floats)


def floats_there(pixels: Tensor, mirrored: npt.NDArray[np.int64], noise: Tensor | None) -> Tensor:
    """The same on the device on which the pixels and the noise are."""
    floats = to_float(pixels, pixels.device)
    if len(mirrored):
        places = to_device(torch.from_numpy(mirrored), pixels.device)
        floats[places] = floats[places].flip(3)
    return floats if noise is None else floats.add_(noise)


class BatchReader:
    """Batches of an array, by number.

    The images are read in the order of one infinite sequence: a random permutation of ``indices`` for
    epoch 0, another for epoch 1, and so on. Batch ``step`` is positions ``step * batch_size`` up to
    ``(step + 1) * batch_size`` of it, so that every epoch contains each image exactly once even where the
    batch size does not divide their number. Not to be shared by threads.

    Args:
        images: uint8 (N, H, W, C), an array or a memory map.
        indices: which of them to read.
        batch_size: images in a batch over all processes.
        seed: order, flips and noise descend from it.
        flip: mirror each image left-right with probability 1/2.
        dequantize: add uniform noise of one grey level, [-1/2, 1/2) / 127.5. SNGAN's official code adds
            [0, 1) of its level, whose samples are truncated to bytes; ours are rounded, so that the noise is
            centred and ``to_uint8`` gives the byte back.
        labels: int64 (N,), if there are classes.
        masks: uint8 (N, H, W), if pixels have classes.
        rank: number of this process.
        world: how many processes share each batch.
        device: where the tensors go. The images live there as bytes (up to 4 GiB of them; beyond, each batch
            travels as bytes) and become floats there. The order and the flips are the same on all devices;
            the noise of a device other than the CPU is drawn there, and is that kind of device's own.

    Raises:
        GanlabError: nothing to read, or a batch that the processes cannot share evenly.
    """

    def __init__(
        self,
        images: UInt8Array,
        indices: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        flip: bool = False,
        dequantize: bool = False,
        labels: npt.NDArray[np.int64] | None = None,
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
        masks: UInt8Array | None = None,
    ) -> None:
        if not len(indices) or batch_size < 1:
            raise GanlabError(f"cannot read batches of {batch_size} from {len(indices)} images")
        if batch_size % world or not 0 <= rank < world:
            raise GanlabError(f"a batch of {batch_size} cannot be shared by {world} processes (rank {rank})")
        self.images = images
        self.indices = np.asarray(indices, dtype=np.int64)
        self.labels, self.masks = labels, masks
        self.batch_size = batch_size
        self.seed = seed
        self.flip = flip
        self.dequantize = dequantize
        self.device = device
        self._rank, self._world = rank, world
        # on another device; in a list, because siblings share what is in it
        self._resident: list[Tensor] = []
        self._here = torch.device(device).type == "cpu"
        share = batch_size // world
        self._part = slice(rank * share, (rank + 1) * share)
        # reused: to fill fresh pages at every step costs more than the arithmetic
        self._scratch: Floats | None = None
        self._orders: OrderedDict[int, npt.NDArray[np.int64]] = OrderedDict()

    def batch(self, step: int) -> Batch:
        """This process's part of batch ``step`` (0, 1, ...)."""
        chosen = self.chosen(step)[self._part]
        mirrored = _NONE
        if self.flip:
            # One fair coin for each image of the global batch: the top bit of a raw word.
            words = bit_stream(self.seed, "flip", step).random_raw(self.batch_size)[self._part]
            mirrored = np.flatnonzero(words >> np.uint64(63))
        if self._here:
            pixels = np.asarray(self.images[chosen])
            tensor = floats_here(pixels, mirrored, self._noise(step) if self.dequantize else None)
        else:
            noise = self._noise_there(step) if self.dequantize else None
            tensor = floats_there(self._pixels_there(chosen), mirrored, noise)
        labels = None
        if self.labels is not None:
            labels = to_device(torch.from_numpy(self.labels[chosen]), self.device)
        if self.masks is None:
            return Batch(tensor, labels)
        masks = np.asarray(self.masks[chosen])
        masks[mirrored] = masks[mirrored, :, ::-1]
        return Batch(tensor, labels, to_device(torch.from_numpy(masks.astype(np.int64)), self.device))

    def sibling(self, stream: str, batch_size: int) -> BatchReader:
        """A reader of the same images in an order of its own, which descends from the seed and ``stream``.

        Raises:
            GanlabError: a batch that the processes cannot share evenly.
        """
        seed = derive_seed(self.seed, f"reader/{stream}")
        reader = BatchReader(
            self.images, self.indices, batch_size, seed, self.flip, self.dequantize, self.labels,
            self._rank, self._world, self.device, self.masks,
        )  # fmt: skip
        reader._resident, reader._here = self._resident, self._here
        return reader

    def chosen(self, step: int) -> npt.NDArray[np.int64]:
        """Indices into ``images`` of the global batch ``step``, (batch_size,)."""
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, offsets = np.divmod(positions, len(self.indices))
        parts = [self._order(int(e))[offsets[epochs == e]] for e in range(epochs[0], epochs[-1] + 1)]
        indices: npt.NDArray[np.int64] = self.indices[np.concatenate(parts)]
        return indices

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The permutation of an epoch; the last two are kept."""
        if epoch not in self._orders:
            self._orders[epoch] = permutation(self.seed, "order", epoch, len(self.indices))
            if len(self._orders) > 2:
                self._orders.popitem(last=False)
        return self._orders[epoch]

    def _pixels_there(self, chosen: npt.NDArray[np.int64]) -> Tensor:
        """Bytes ``(n, H, W, C)`` on the device."""
        if self.images.nbytes > RESIDENT_BYTES:
            return to_device(torch.from_numpy(np.asarray(self.images[chosen])), self.device)
        if not self._resident:
            # Through a copy: torch warns of memory that cannot be written, such as a map's.
            self._resident.append(torch.from_numpy(np.array(self.images)).to(self.device))
        return self._resident[0][to_device(torch.from_numpy(chosen), self.device)]

    def _noise_there(self, step: int) -> Tensor:
        """The noise, drawn on the device itself: the CPU's draw and its journey cost more than a step."""
        height, width, channels = self.images.shape[1:]
        draw = torch.Generator(self.device).manual_seed(derive_seed(self.seed, "dequantize", step))
        shape = (self.batch_size, channels, height, width)
        whole = torch.rand(shape, generator=draw, device=self.device)
        return whole[self._part].sub_(0.5).mul_(GREY_LEVEL)

    def _noise(self, step: int) -> Floats:
        """This process's slice of the global batch's noise: float32 (n, C, H, W), uniform in 65,536 steps."""
        height, width, channels = self.images.shape[1:]
        count = self.batch_size * channels * height * width
        words = bit_stream(self.seed, "dequantize", step).random_raw(-(-count // 4)).astype("<u8", copy=False)
        draws = words.view("<u2")[:count].reshape(self.batch_size, channels, height, width)[self._part]
        if self._scratch is None:
            self._scratch = np.empty(draws.shape, dtype=np.float32)
        np.subtract(draws, np.float32(32767.5), out=self._scratch)
        self._scratch *= np.float32(GREY_LEVEL / 65536)
        return self._scratch
