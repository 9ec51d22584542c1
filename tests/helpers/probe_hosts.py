"""Four decoders as others write them, clean, and twenty faults to plant in them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import ganlab
from ganlab.models import build_generator


def icnr(conv, factor=2):
    """All phases of a sub-pixel convolution alike, its bias too."""
    with torch.no_grad():
        for parameter in (conv.weight, conv.bias):
            parameter.copy_(parameter[:: factor**2].repeat_interleave(factor**2, dim=0))
    return conv


class Resnet(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.silu(self.conv1(F.silu(self.norm(x)))))


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x):
        n, c, h, w = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).view(n, h * w, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        return x + self.out(mixed).transpose(1, 2).reshape(n, c, h, w)


class Upsample2D(nn.Module):
    def __init__(self, channels, mode="nearest", padding_mode="zeros"):
        super().__init__()
        self.mode = mode
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, padding_mode=padding_mode)

    def forward(self, x):
        align = {} if self.mode == "nearest" else {"align_corners": False}
        return self.conv(F.interpolate(x, scale_factor=2, mode=self.mode, **align))


class UpBlock(nn.Module):
    def __init__(self, channels, mode, padding_mode):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(channels)])
        self.upsamplers = nn.ModuleList([Upsample2D(channels, mode, padding_mode)])

    def forward(self, x):
        return self.upsamplers[0](self.resnets[0](x))


class Decoder(nn.Module):
    """As the decoder of a latent diffusion model's autoencoder: ``(N, 4, 8, 8) -> (N, 3, 32, 32)``."""

    def __init__(self, modes=("nearest", "nearest"), padding_mode="zeros", channels=16):
        super().__init__()
        self.conv_in = nn.Conv2d(4, channels, 3, padding=1)
        self.mid_block = nn.Sequential(Resnet(channels), Attention(channels), Resnet(channels))
        self.up_blocks = nn.ModuleList([UpBlock(channels, mode, padding_mode) for mode in modes])
        self.conv_norm_out = nn.GroupNorm(4, channels)
        self.conv_out = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, z):
        x = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            x = block(x)
        return torch.tanh(self.conv_out(F.silu(self.conv_norm_out(x))))


class UNet(nn.Module):
    """Noise images in, images out, with a skip at every level."""

    def __init__(self, mode="bilinear", channels=8):
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.down1 = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(2 * channels, 2 * channels, 3, stride=2, padding=1)
        self.up1 = nn.Upsample(scale_factor=2, mode=mode)
        self.mix1 = nn.Conv2d(4 * channels, channels, 3, padding=1, padding_mode="reflect")
        self.up2 = nn.Upsample(scale_factor=2, mode=mode)
        self.mix2 = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.last = nn.Conv2d(channels, 3, 1)

    def forward(self, x):
        a = F.leaky_relu(self.first(x), 0.2)
        b = F.leaky_relu(self.down1(a), 0.2)
        c = F.leaky_relu(self.down2(b), 0.2)
        c = F.relu(self.mix1(torch.cat([self.up1(c), b], 1)))
        c = F.relu(self.norm(self.mix2(torch.cat([self.up2(c), a], 1))))
        return torch.sigmoid(self.last(c))


class SuperResolver(nn.Module):
    """Sub-pixel convolutions, started by ICNR, beside an enlarged copy of the input: ``x 4``."""

    def __init__(self, channels=16):
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
        self.tail = nn.Sequential(
            icnr(nn.Conv2d(channels, 4 * channels, 3, padding=1)), nn.PixelShuffle(2),
            icnr(nn.Conv2d(channels, 4 * channels, 3, padding=1)), nn.PixelShuffle(2),
            nn.Conv2d(channels, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, x):
        h = self.head(x)
        x = F.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)
        return torch.tanh(self.tail(h + self.body(h)) + 0.2 * x)


class Patches(nn.Module):
    """Patchify and un-patchify around a layer that works on every place of a patch alike."""

    def __init__(self, patch=2, swapped=False):
        super().__init__()
        self.patch, self.swapped = patch, swapped

    def forward(self, x):
        n, c, h, w = x.shape
        p = self.patch
        x = x.view(n, c, h // p, p, w // p, p).permute(0, 1, 3, 5, 2, 4)
        x = torch.tanh(x)
        order = (0, 1, 4, 3, 5, 2) if self.swapped else (0, 1, 4, 2, 5, 3)
        return x.permute(*order).reshape(n, c, h, w)


class Nails(nn.Module):
    """Zeros between pixels, and a low-pass if it is not forgotten."""

    def __init__(self, blur):
        super().__init__()
        self.blur = blur

    def forward(self, x):
        n, c, h, w = x.shape
        out = x.new_zeros(n, c, 2 * h, 2 * w)
        out[..., ::2, ::2] = x
        if not self.blur:
            return out
        taps = x.new_tensor([1.0, 3.0, 3.0, 1.0]) / 4
        kernel = (taps[:, None] * taps).expand(c, 1, 4, 4)
        return F.conv2d(F.pad(out, (2, 1, 2, 1)), kernel, groups=c)


class Folded(nn.Module):
    """Overlapping patches added up, without the division by how many there are."""

    def forward(self, x):
        h, w = x.shape[2:]
        columns = x.flatten(2).repeat_interleave(9, 1)
        return F.fold(columns, (2 * h + 1, 2 * w + 1), 3, stride=2)[..., :-1, :-1] / 2.25


def aligned():
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)


class Multiplied(nn.Module):
    """A module, and what is added to or multiplied with its result by place."""

    def __init__(self, inner, change):
        super().__init__()
        self.inner, self.change = inner, change

    def forward(self, *inputs):
        return self.change(self.inner(*inputs))


def phase(change, y=0, x=0, step=2):
    """Change one phase of a feature map."""

    def apply(out):
        out = out.clone()
        out[..., y::step, x::step] = change(out[..., y::step, x::step])
        return out

    return apply


def settle(module):
    """Weights a little larger than torch's own, so that deep decoders keep a signal; a fixed start."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.normal_(part.bias, 0, 0.1)
    for part in module.modules():
        if isinstance(part, SuperResolver):
            icnr(part.tail[0])
            icnr(part.tail[2])
    return module.eval()


def ours(upsampling="nearest", architecture="dcgan", **more):
    torch.manual_seed(0)
    model = {"architecture": architecture, "image_size": 32, "upsampling": upsampling, **more}
    return build_generator({"generator": {"width": 8}, **model}).eval()


def vae(*arguments, **options):
    torch.manual_seed(0)
    return settle(Decoder(*arguments, **options))


def unet(*arguments):
    return settle(UNet(*arguments))


def resolver():
    return settle(SuperResolver())


def wrapped(module):
    """The generator of any of these hosts."""
    kinds = {Decoder: ((4, 8, 8), (-1, 1)), UNet: ((3, 32, 32), (0, 1)), SuperResolver: ((3, 8, 8), (-1, 1))}
    inner = module.inner if isinstance(module, Multiplied | Tiled) else module
    latent, value_range = kinds[type(inner)]
    return ganlab.wrap(module, latent, value_range=value_range)


class Tiled(nn.Module):
    """Decodes tiles of latents on their own and puts them side by side."""

    def __init__(self, inner, tile=4):
        super().__init__()
        self.inner, self.tile = inner, tile

    def forward(self, z):
        rows = [
            torch.cat([self.inner(part) for part in row.split(self.tile, 3)], 3)
            for row in z.split(self.tile, 2)
        ]
        return torch.cat(rows, 2)


def noise_tile(side, level=0.05):
    tile = level * torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(5))

    def add(out):
        times = (1, 1, -(-out.shape[2] // side), -(-out.shape[3] // side))
        return out + tile.tile(times)[..., : out.shape[2], : out.shape[3]]

    return add


def stripes(out):
    return out * torch.tensor([1, 1.03]).repeat(out.shape[3] // 2)


def overflowing(out):
    out = out.clone()
    out[..., -1, :] = (out[..., -1, :].half() * 60000 * 60000).float()
    return out


def _ours_bias(run):
    """A bias that depends on the phase, after the second doubling of one of ganlab's own."""
    run.stages[1] = Multiplied(run.stages[1], phase(lambda x: x + 0.05, 1, 1))
    run.stages[1].forward = lambda x, labels=None: run.stages[1].change(run.stages[1].inner(x, labels))
    return run


def _set(host, path, module):
    parent, _, name = path.rpartition(".")
    setattr(host.get_submodule(parent), name, module)
    return host


def _changed(host, path, change):
    """What a module of the host returns, changed by place."""
    return _set(host, path, Multiplied(host.get_submodule(path), change))


def _scaled_phase(host):
    with torch.no_grad():
        host.tail[2].weight[1::4] *= 1.02
        host.tail[2].bias[1::4] *= 1.02
    return host


def _bias_not_copied(host):
    with torch.no_grad():
        nn.init.uniform_(host.tail[0].bias, -0.1, 0.1)
    return host


def _transposed(host, path, kernel, stride=2, padding=1, output_padding=0):
    channels = {Decoder: 16, UNet: 16 if path == "up1" else 8}[type(host)]
    torch.manual_seed(3)
    return _set(host, path, nn.ConvTranspose2d(channels, channels, kernel, stride, padding, output_padding))


UP = "up_blocks.{}.upsamplers.0"

FAULTS = {
    "kernel 3, stride 2": (
        lambda: _transposed(vae(), UP.format(0), 3, output_padding=1), "up_blocks.0", 4, 4,
    ),
    "kernel 5, stride 2": (lambda: _transposed(unet(), "up1", 5, 2, 2, 1), "up1", 4, 4),
    "wrong output_padding": (
        lambda: _transposed(vae(), UP.format(1), 4, output_padding=1), "up_blocks.1", 2, 2,
    ),
    "one phase scaled by 1.02": (lambda: _scaled_phase(resolver()), "tail.3", 2, 2),
    "ICNR without its bias": (lambda: _bias_not_copied(resolver()), "tail.1", 4, 4),
    "a bias by phase": (
        lambda: _changed(vae(), UP.format(0), phase(lambda x: x + 0.05)),
        "up_blocks.0", 4, 4,
    ),
    "a bias by phase, ours": (lambda: _ours_bias(ours()), "stages.1", 4, 4),
    "a column's gain": (
        lambda: _changed(unet(), "up2", stripes), "up2", 1, 2,
    ),
    "swapped axes": (lambda: Multiplied(resolver(), Patches(2, swapped=True)), "change", 2, 2),
    "swapped axes, patches of 4": (lambda: Multiplied(vae(), Patches(4, swapped=True)), "change", 4, 4),
    "missing blur": (lambda: _set(vae(), UP.format(1), Nails(blur=False)), "up_blocks.1", 2, 2),
    "bed of nails, ours": (lambda: ours("bed_of_nails"), "stages", 8, 8),
    "fold without division": (lambda: _set(unet(), "up1", Folded()), "up1", 4, 4),
    "tiles with a seam": (lambda: Tiled(vae()), "cat", 16, 16),
    "align_corners": (
        lambda: _set(unet(), "up2", aligned()),
        "up2", 2, 2,
    ),
    "fp16 overflow at a border": (
        lambda: _changed(vae(), UP.format(0), overflowing),
        "up_blocks.0", 4, 4,
    ),
    "a fixed tile of noise": (lambda: Multiplied(vae(), noise_tile(8)), "up_blocks.1", 8, 8),
    "a fixed tile of noise, resolver": (lambda: Multiplied(resolver(), noise_tile(16)), "", 16, 16),
    "a phase that moved": (
        lambda: _changed(unet(), "up2", phase(lambda x: x.roll(1, -1), 1, 0)), "up2", 2, 2,
    ),
    "free sub-pixel phases, ours": (lambda: ours("pixel_shuffle"), "stages", 8, 8),
}  # fmt: skip
"""Name -> (host with the fault, part of the stage's name, vertical and horizontal period in pixels)."""

CLEAN = {
    "ours nearest": lambda: ours(),
    "ours bilinear": lambda: ours("bilinear"),
    "ours bicubic": lambda: ours("bicubic"),
    "ours binomial": lambda: ours("binomial"),
    "ours icnr": lambda: ours({"name": "pixel_shuffle", "icnr": True}),
    "ours mixture": lambda: ours({"name": ["bilinear", "nearest", "bilinear"]}),
    "ours sngan nearest": lambda: ours("nearest", "sngan"),
    "ours sngan bilinear": lambda: ours("bilinear", "sngan"),
    "ours reflect": lambda: ours({"name": "nearest", "border": "reflect"}),
    "ours kaiser": lambda: ours("kaiser"),
    "vae nearest": lambda: vae(),
    "vae bilinear": lambda: vae(("bilinear", "bilinear")),
    "vae mixture": lambda: vae(("nearest", "bilinear")),
    "vae reflect": lambda: vae(padding_mode="reflect"),
    "vae blurred nails": lambda: _set(vae(), UP.format(1), Nails(blur=True)),
    "vae half": lambda: vae().to(torch.bfloat16),
    "unet bilinear": lambda: unet(),
    "unet nearest": lambda: unet("nearest"),
    "unet aligned throughout": lambda: _set(_set(unet(), "up1", aligned()), "up2", aligned()),
    "ours aligned throughout": lambda: ours("bilinear_align_corners"),
    "resolver": lambda: resolver(),
    "patches in order": lambda: Multiplied(resolver(), Patches(2)),
}
