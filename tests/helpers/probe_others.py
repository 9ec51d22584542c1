"""Two kinds of decoder that were written after the probe was, clean and with faults planted in them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from probe_hosts import Multiplied, icnr, noise_tile, phase
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import ganlab

CHANNELS, LENGTH = 12, 20


def seeded(module):
    """Weights of a fixed start that keep a signal through the layers, in evaluation mode."""
    torch.manual_seed(3)
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and not hasattr(part, "kept"):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.normal_(part.bias, 0, 0.1)
    return module.eval()


class Up(nn.Module):
    """An interpolation of any mode and factor."""

    def __init__(self, mode, factor=2):
        super().__init__()
        self.mode, self.factor = mode, factor

    def forward(self, x):
        align = None if self.mode in ("nearest", "nearest-exact", "area") else False
        return F.interpolate(x, scale_factor=self.factor, mode=self.mode, align_corners=align)


class SubPixel(nn.Module):
    """A convolution and a pixel shuffle, torch's own or by view and permute."""

    def __init__(self, even, own=True):
        super().__init__()
        self.own = own
        self.conv = nn.Conv2d(CHANNELS, 4 * CHANNELS, 3, padding=1)
        if even:
            icnr(self.conv).kept = True

    def forward(self, x):
        x = self.conv(x)
        if self.own:
            return F.pixel_shuffle(x, 2)
        n, c, h, w = x.shape
        x = x.view(n, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
        return x.reshape(n, c // 4, 2 * h, 2 * w)


class Zeros(nn.Module):
    """Zeros between rows, then between columns, then a low-pass if it is not forgotten."""

    def __init__(self, blur):
        super().__init__()
        self.blur = blur

    def forward(self, x):
        n, c, h, w = x.shape
        tall = x.new_zeros(n, c, 2 * h, w)
        tall[..., ::2, :] = x
        out = x.new_zeros(n, c, 2 * h, 2 * w)
        out[..., ::2] = tall
        if not self.blur:
            return out
        taps = x.new_tensor([1.0, 3.0, 3.0, 1.0]) / 4
        kernel = (taps[:, None] * taps).expand(c, 1, 4, 4)
        return F.conv2d(F.pad(out, (2, 1, 2, 1)), kernel, groups=c)


class Deep(nn.Module):
    """A vector by a linear layer to 6x6, stages with grouped kernels of 5 and weight norm; one channel."""

    def __init__(self, *ups, norm=weight_norm, classes=0):
        super().__init__()
        self.embed = nn.Embedding(classes, LENGTH) if classes else None
        self.start = nn.Linear(LENGTH, CHANNELS * 36)
        self.ups = nn.ModuleList([Up(up) if isinstance(up, str) else up for up in ups])
        convs = [nn.Conv2d(CHANNELS, CHANNELS, 5, padding=2, groups=3) for _ in ups]
        self.convs = nn.ModuleList([norm(conv) for conv in convs])
        self.last = nn.Conv2d(CHANNELS, 1, 7, padding=3, padding_mode="reflect")

    def forward(self, z, label=None):
        x = self.start(z if self.embed is None else z * self.embed(label)).view(-1, CHANNELS, 6, 6)
        for up, conv in zip(self.ups, self.convs, strict=True):
            x = F.elu(conv(up(x)))
        return torch.tanh(0.3 * self.last(x))


class Wide(nn.Module):
    """``(N, 4, 8, 12) -> (N, 3, 24, 72)`` in a dict: an interpolation by 3, channels last, one by (1, 2)."""

    def __init__(self, mode="bilinear", change=None, factor=3):
        super().__init__()
        self.first, self.norm = nn.Conv2d(4, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.up, self.change = Up(mode, factor), change or nn.Identity()
        self.mix = nn.Conv2d(16, 16, 3, padding=1, padding_mode="replicate")
        self.last = nn.Conv2d(16, 3, 1)

    def forward(self, z):
        x = F.leaky_relu(self.norm(self.first(z)), 0.2).contiguous(memory_format=torch.channels_last)
        x = F.gelu(self.mix(self.change(self.up(x))))
        x = F.interpolate(x, scale_factor=(1.0, 2.0), mode="nearest")
        return {"features": x, "image": torch.sigmoid(self.last(x))}


def deep(*ups, **options):
    module = seeded(Deep(*ups, **options))
    return ganlab.wrap(module, LENGTH, labels=options.get("classes"))


def wide(*arguments, dtype=torch.float32):
    return ganlab.wrap(seeded(Wide(*arguments)).to(dtype), (4, 8, 12), output="image", value_range=(0, 1))


def transposed(kernel, stride=2, padding=1, output_padding=0, groups=1):
    return nn.ConvTranspose2d(CHANNELS, CHANNELS, kernel, stride, padding, output_padding, groups)


def tent(layer):
    """A transposed convolution with bilinear taps for every pair of channels: equal phase sums."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    with torch.no_grad():
        layer.weight.copy_(0.3 * torch.randn(CHANNELS, CHANNELS, 1, 1) * taps[:, None] * taps)
    layer.kept = True
    return layer


def after(number, change, mode="nearest"):
    """Three interpolations; what one of them returns is changed by place."""
    ups = [Up(mode) for _ in range(3)]
    ups[number] = Multiplied(ups[number], change)
    return deep(*ups)


def rows_brighter(out):
    return out * torch.tensor([1.0, 1.03]).repeat(out.shape[2] // 2)[:, None]


def half(generator):
    generator.module.to(torch.bfloat16)
    return generator


def plain(conv):
    return conv


CLEAN = {
    "nearest": lambda: deep("nearest", "nearest", "nearest"),
    "bicubic, nearest, bilinear": lambda: deep("bicubic", "nearest", "bilinear"),
    "nearest-exact, area": lambda: deep("nearest-exact", "area", "bilinear"),
    "with classes": lambda: deep("nearest", "bilinear", "nearest", classes=4),
    "bfloat16": lambda: half(deep("nearest", "bilinear", "nearest", norm=plain)),
    "equal transposed phases": lambda: deep("nearest", tent(transposed(4)), "nearest"),
    "sub-pixels": lambda: deep(SubPixel(True), "nearest", SubPixel(True)),
    "sub-pixels by hand": lambda: deep(SubPixel(True, False), SubPixel(True, False), "nearest"),
    "zeros and low-passes": lambda: deep(Zeros(True), Zeros(True), "nearest"),
    "not square": wide,
    "not square, nearest by 4": lambda: wide("nearest", None, 4),
    "not square, float64": lambda: wide(dtype=torch.float64),
}
"""Name -> a generator without a lattice of its own."""
FAULTS = {
    "kernel 3 first": (lambda: deep(transposed(3, 2, 1, 1), "nearest", "nearest"), {("ups.0", 8, 8)}),
    "kernel 3 last": (lambda: deep("bilinear", "nearest", transposed(3, 2, 1, 1)), {("ups.2", 2, 2)}),
    "kernel 4, grouped": (lambda: deep("nearest", transposed(4, groups=4), "nearest"), {("ups.1", 4, 4)}),
    "kernel 4, classes": (lambda: deep("nearest", "nearest", transposed(4), classes=4), {("ups.2", 2, 2)}),
    "kernel 6": (lambda: deep("nearest", "nearest", transposed(6, 2, 2)), {("ups.2", 2, 2)}),
    "wrong output_padding": (lambda: deep("nearest", "nearest", transposed(4, 2, 1, 1)), {("ups.2", 2, 2)}),
    "stride 4, kernel 8": (lambda: deep(transposed(8, 4, 2), "nearest"), {("ups.0", 8, 8)}),
    "stride 4, kernel 10": (lambda: deep("nearest", transposed(10, 4, 3)), {("ups.1", 4, 4)}),
    "stride 3": (lambda: deep(transposed(6, 3, 2, 1), "nearest"), {("ups.0", 6, 6)}),
    "one axis": (lambda: deep("nearest", transposed((3, 4), (1, 2))), {("ups.1", 1, 2)}),
    "gain 1.02 first": (lambda: after(0, phase(lambda x: 1.02 * x)), {("ups.0.inner", 8, 8)}),
    "gain 1.02 last": (lambda: after(2, phase(lambda x: 1.02 * x, 1, 1)), {("ups.2.inner", 2, 2)}),
    "bias by phase": (lambda: after(1, phase(lambda x: x + 0.1), "bilinear"), {("ups.1.inner", 4, 4)}),
    "rows": (lambda: after(2, rows_brighter), {("ups.2.inner", 2, 1)}),
    "tile of noise": (lambda: after(1, noise_tile(6, 0.5)), {("ups.1.inner", 12, 12)}),
    "free sub-pixels": (
        lambda: deep(SubPixel(False), "nearest", SubPixel(False)),
        {("ups.0.pixel_shuffle", 8, 8), ("ups.2.pixel_shuffle", 2, 2)},
    ),
    "free sub-pixels by hand": (
        lambda: deep(SubPixel(False, False), SubPixel(False, False), "nearest"),
        {("ups.0.reshape", 8, 8), ("ups.1.reshape", 4, 4)},
    ),
    "zeros": (lambda: deep(Zeros(False), "nearest", "nearest"), {("ups.0", 8, 1), ("ups.0", 8, 8)}),
    "bfloat16": (
        lambda: half(deep("nearest", "nearest", transposed(3, 2, 1, 1), norm=plain)), {("ups.2", 2, 2)},
    ),
    "not square, every third": (
        lambda: wide("bilinear", phase(lambda x: 1.03 * x, 1, 1, 3)), {("up", 3, 6)},
    ),
}  # fmt: skip
"""Name -> (a generator with faults, the (stage, vertical, horizontal period) of each)."""
