"""Other people's upsampling layers replaced: the same function where the maths allows it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganlab.errors import GanlabError
from ganlab.upsampling import UPSAMPLERS, Upsampler, interpolate2x, replace_upsampling


def model(layer, channels=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), layer, nn.Conv2d(channels, 3, 1)).eval()


def transposed(kernel=4, stride=2, padding=1, output_padding=0, **options):
    return nn.ConvTranspose2d(4, 4, kernel, stride, padding, output_padding, **options)


X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
EVEN = {
    "kernel 4": (4, 2, 1, 0),
    "kernel 2": (2, 2, 0, 0),
    "kernel 6": (6, 2, 2, 0),
    "kernel 3": (3, 2, 1, 1),
}


@pytest.mark.parametrize("name", ["transposed", "pixel_shuffle", "bed_of_nails"])
@pytest.mark.parametrize("kernel", EVEN)
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"groups": 2}])
def test_a_transposed_kernel_becomes_phases_exactly(name, kernel, options):
    net = model(transposed(*EVEN[kernel], **options))
    before = net(X)
    (replaced,) = replace_upsampling(net, name)
    assert replaced == "1"
    assert replaced.kept
    assert replaced.initialised == ()
    assert isinstance(net[1], UPSAMPLERS[name])
    torch.testing.assert_close(net(X), before, rtol=1e-4, atol=1e-5)


def test_there_and_back_again():
    net = model(transposed())
    before = net(X)
    for name in ("pixel_shuffle", "transposed", "bed_of_nails"):
        layer = next((part for part in net.modules() if isinstance(part, Upsampler)), None)
        net[1] = net[1] if layer is None else _plain(layer)
        (replaced,) = replace_upsampling(net, name)
        assert replaced.kept
        torch.testing.assert_close(net(X), before, rtol=1e-4, atol=1e-5)


def _plain(layer):
    """One of ganlab's as others have it."""
    if hasattr(layer.conv, "output_padding") and isinstance(layer.conv, nn.ConvTranspose2d):
        return layer.conv
    return nn.Sequential(layer.conv, nn.PixelShuffle(2))


def test_a_pixel_shuffle_block_becomes_a_transposed_convolution():
    block = nn.Sequential(nn.Conv2d(4, 16, 3, padding=1, bias=False), nn.PixelShuffle(2), nn.ReLU())
    net = model(block)
    before = net(X)
    (replaced,) = replace_upsampling(net, "transposed")
    assert (str(replaced), replaced.kept) == ("1.0", True)
    assert isinstance(net[1][1], nn.Identity)
    torch.testing.assert_close(net(X), before, rtol=1e-4, atol=1e-5)


def test_free_biases_of_phases_are_not_held():
    """One bias a channel cannot be four; the message says what is new."""
    net = model(nn.Sequential(nn.Conv2d(4, 16, 3, padding=1), nn.PixelShuffle(2)))
    (replaced,) = replace_upsampling(net, "nearest")
    assert not replaced.kept
    assert replaced.initialised == ("1.0.conv.weight", "1.0.conv.bias")
    assert net(X).shape == (2, 3, 16, 16)


@pytest.mark.parametrize("name", ["nearest", "bilinear", "binomial"])
def test_what_an_operator_divides_is_kept_by_it(name):
    """A transposed kernel that is an interpolation and a 3x3 convolution becomes exactly these two."""
    from ganlab.upsampling import kernel_of

    torch.manual_seed(2)
    conv, taps = torch.randn(4, 4, 3, 3), torch.tensor(kernel_of(name).taps)
    own = (taps[:, None] * taps).expand(4, 1, -1, -1)
    full = nn.functional.conv2d(
        nn.functional.pad(conv.flip(-2, -1), (len(taps) - 1,) * 4), own.flip(-2, -1), groups=4
    ).transpose(0, 1)
    side, padding = full.shape[-1], 1 - kernel_of(name).offset
    spare = 2 * padding + 2 - side
    layer = nn.ConvTranspose2d(4, 4, side + spare, 2, padding, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[..., :side, :side] = full.transpose(0, 1).transpose(0, 1)
    net = model(layer)
    before = net(X)
    (replaced,) = replace_upsampling(net, name)
    assert replaced.kept, replaced.error
    torch.testing.assert_close(net(X)[..., 4:-4, 4:-4], before[..., 4:-4, 4:-4], rtol=1e-4, atol=1e-4)
    other = model(transposed())
    (replaced,) = replace_upsampling(other, name)
    assert not replaced.kept
    assert 0.05 < replaced.error < 1


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_interpolation_becomes_any_other(mode):
    options = {} if mode == "nearest" else {"align_corners": False}
    net = model(nn.Upsample(scale_factor=2, mode=mode, **options))
    before = net(X)
    for name in ("transposed", "pixel_shuffle"):
        learned = copy.deepcopy(net)
        (replaced,) = replace_upsampling(learned, name)
        assert replaced.kept
        torch.testing.assert_close(learned(X), before, rtol=1e-4, atol=1e-5)
        assert any(p.requires_grad for p in learned[1].parameters())
    (replaced,) = replace_upsampling(net, "binomial")
    assert not replaced.kept
    assert torch.equal(net(X), net[2](interpolate2x(net[0](X), "binomial")))


def test_factors_of_four_and_unpooling():
    for layer in (nn.Upsample(scale_factor=4), transposed(8, 4, 2), transposed(4, 4, 0)):
        for name in ("nearest", "bilinear", "pixel_shuffle", "transposed"):
            net = model(copy.deepcopy(layer))
            before = net(X)
            (replaced,) = replace_upsampling(net, name)
            assert net(X).shape == before.shape
            if replaced.kept and (name == "nearest") == isinstance(layer, nn.Upsample):
                torch.testing.assert_close(net(X), before, rtol=1e-4, atol=1e-5)

    class Unpooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.MaxPool2d(2, return_indices=True)
            self.unpool = nn.MaxUnpool2d(2)
            self.last = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.last(self.unpool(*self.pool(x)))

    for name in ("nearest", "pixel_shuffle"):
        net = Unpooled()
        assert list(replace_upsampling(net, name)) == ["unpool"]
        assert net(X).shape == X.shape


def test_precision_mode_hooks_and_learning_stay():
    net = model(transposed()).double().train()
    net[1].requires_grad_(False)
    seen = []
    net[1].register_forward_hook(lambda module, inputs, output: seen.append(type(module).__name__))
    replace_upsampling(net, "pixel_shuffle")
    assert all(p.dtype == torch.float64 and not p.requires_grad for p in net[1].parameters())
    assert net[1].training
    net(X.double())
    assert seen == ["PixelShuffle"]


def test_which_and_what_cannot_be():
    net = nn.Sequential(
        model(transposed()), model(nn.Upsample(scale_factor=2)), nn.ConvTranspose2d(3, 3, 3, 1)
    )
    assert list(replace_upsampling(copy.deepcopy(net), "nearest")) == ["0.1", "1.1"]
    assert list(replace_upsampling(copy.deepcopy(net), "nearest", which="transposed")) == ["0.1"]
    assert list(replace_upsampling(copy.deepcopy(net), "nearest", which="1.*")) == ["1.1"]
    with pytest.raises(
        GanlabError, match=r"no upsampling layer 'up' in this model; it has 0\.1 \(transposed\)"
    ):
        replace_upsampling(net, "nearest", which=["up"])
    with pytest.raises(GanlabError, match=r"unknown upsampler 'nerest'"):
        replace_upsampling(net, "nerest")
    with pytest.raises(GanlabError, match="exactly 2 times as large"):
        replace_upsampling(model(transposed(3, 2, 1, 0)), "nearest")
    with pytest.raises(GanlabError, match=r"put it into an nn\.Sequential"):
        replace_upsampling(transposed(), "nearest")
    fresh = model(transposed())
    (replaced,) = replace_upsampling(fresh, "pixel_shuffle", keep_weights=False)
    assert replaced.initialised == ("1.conv.weight", "1.conv.bias")
    assert replace_upsampling(fresh, "nearest") == ()


def test_what_enlarges_by_three_stays_and_is_named():
    net = nn.Sequential(nn.ConvTranspose2d(3, 3, 3, 3), nn.Conv2d(3, 27, 3), nn.PixelShuffle(3), transposed())
    with pytest.warns(UserWarning, match=r"neither 2 nor 4: 0 \(ConvTranspose2d.*, 2 \(PixelShuffle"):
        assert replace_upsampling(net, "nearest") == ("3",)
