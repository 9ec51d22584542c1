import numpy as np
import pytest
import torch
from torch import nn

from ganlab.errors import GanlabError
from ganlab.spectra import frequency_response, layer_kernel, layers, unevenness
from ganlab.spectra.layers import (
    LayerKernel,
    effective_response,
    polyphase,
    subpixel_kernel,
    transposed_kernel,
)
from ganlab.upsampling import KERNELS, UPSAMPLERS, interpolate2x, make_upsampler


def apply(kernel, x):
    """Zero insertion and the kernel, circular, by the definition: a loop over taps."""
    n, _, height, width = x.shape
    inserted = x.new_zeros(n, x.shape[1], 2 * height, 2 * width)
    inserted[..., ::2, ::2] = x
    total = 0
    for a in range(kernel.taps.shape[2]):
        for b in range(kernel.taps.shape[3]):
            moved = inserted.roll((a + kernel.offset[0], b + kernel.offset[1]), (2, 3))
            total = total + torch.einsum("oc,nchw->nohw", kernel.taps[..., a, b], moved)
    return total


def assert_is_kernel_of(kernel, layer, channels):
    torch.manual_seed(1)
    x = torch.zeros(2, channels, 16, 16, dtype=kernel.taps.dtype)
    x[:, :, 6:10, 6:10] = torch.randn(2, channels, 4, 4, dtype=x.dtype)
    with torch.no_grad():
        expected = layer(x) - layer(torch.zeros_like(x))
        torch.testing.assert_close(apply(kernel, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "padding"), [(4, 1), (2, 0), (3, 1), (6, 2)])
def test_transposed_weights(size, padding):
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(3, 2, size, stride=2, padding=padding, output_padding=size % 2)
    assert_is_kernel_of(transposed_kernel(layer.weight, padding), layer, 3)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_subpixel_weights(size):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, size, padding=size // 2)
    assert_is_kernel_of(subpixel_kernel(conv.weight), nn.Sequential(conv, nn.PixelShuffle(2)), 3)


OPTIONS = [(name, {}) for name in UPSAMPLERS] + [("pixel_shuffle", {"shuffle_first": True})]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_the_kernel_of_every_registered_layer(name, options):
    torch.manual_seed(0)
    layer = make_upsampler(name, 4, 3, **options)
    if name == "bilinear_align_corners":
        with pytest.raises(GanlabError, match="depends on position"):
            layer_kernel(layer, 4)
        return
    kernel = layer_kernel(layer, 4, size=24)
    assert kernel.taps.shape[:2] == (3, 4)
    assert_is_kernel_of(kernel, layer, 4)


def chains():
    """Pairs of plain torch layers whose weights tell, and a parametrized one."""

    def conv(*channels, size=3):
        return nn.Conv2d(*channels, size, padding=size // 2)

    yield nn.ConvTranspose2d(4, 3, (4, 2), stride=2, padding=(1, 0))
    yield nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1, bias=False)
    yield nn.Sequential(conv(4, 12, size=5), nn.PixelShuffle(2))
    yield nn.Sequential(nn.PixelShuffle(2), conv(1, 3))
    for mode in ("nearest", "bilinear", "bicubic"):
        yield nn.Sequential(nn.Upsample(scale_factor=2, mode=mode), conv(4, 3))
    spectral = nn.utils.parametrizations.spectral_norm(conv(4, 3))
    yield nn.Sequential(nn.Upsample(scale_factor=2), spectral)
    for name, options in OPTIONS:
        if name != "bilinear_align_corners":
            for size in (1, 3):
                yield make_upsampler(name, 4, 3, size, **options)


def test_weights_and_impulses_give_the_same_taps_and_biases():
    torch.manual_seed(0)
    for layer in chains():
        layer.double().eval()
        found = layer_kernel(layer, 4)
        assert not found.taps.requires_grad
        parameters = dict(layer.named_parameters())
        # A function has no weights to look at, so impulses find its kernel.
        measured = layer_kernel(lambda x, layer=layer: layer(x.double()), 4, size=24)
        top, left = (a - b for a, b in zip(measured.offset, found.offset, strict=True))
        assert min(top, left) >= 0, "taps that are zero may be cut off, none may be missing"
        height, width = measured.taps.shape[2:]
        part = found.taps[..., top : top + height, left : left + width]
        torch.testing.assert_close(part, measured.taps, rtol=1e-6, atol=1e-9)
        assert float(found.taps.square().sum()) == pytest.approx(float(part.square().sum()))
        if any(name.endswith("bias") for name in parameters):
            torch.testing.assert_close(found.bias, measured.bias)
        else:
            assert found.bias is None
            assert not measured.bias.any()
        activation = torch.randn(4)
        one, other = unevenness(found, activation), unevenness(measured, activation)
        for name in ("mean", "maximum", "given", "silent"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9), (layer, name)
        torch.testing.assert_close(
            effective_response(found, 48), effective_response(measured, 48), rtol=1e-6, atol=1e-8
        )


def test_what_the_weights_do_not_tell_is_measured():
    """A hook, groups, a stride: the arithmetic is no longer that of the weights alone."""
    torch.manual_seed(0)
    hooked = make_upsampler("nearest", 4, 3)
    hooked.conv.register_forward_hook(lambda module, inputs, output: 2 * output)
    grouped = nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1, groups=2)
    same = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 3, padding="same"))
    for layer in (hooked, grouped, same):
        kernel = layer_kernel(layer, 4)
        assert kernel.fixed is None
        assert_is_kernel_of(kernel, layer, 4)


def test_many_channels_are_sent_in_parts(monkeypatch):
    torch.manual_seed(0)
    layer = make_upsampler("transposed", 7, 2)
    monkeypatch.setattr(layers, "IMPULSES", 3)
    found = layer_kernel(lambda x: layer(x), 7)
    torch.testing.assert_close(found.taps, layer_kernel(layer, 7).taps, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_effective_response_of_fixed_operators_is_theirs(name):
    kernel = layer_kernel(lambda x: interpolate2x(x, name), 2, size=24)
    response = effective_response(kernel, 32)
    axis = frequency_response(name, 32).float()
    vertical = torch.cat((axis, axis[1:-1].flip(0)))
    torch.testing.assert_close(response, vertical[:, None] * axis, rtol=1e-4, atol=1e-5)


def test_phases_make_the_output():
    torch.manual_seed(0)
    kernel = transposed_kernel(torch.randn(2, 3, 4, 4, dtype=torch.float64))
    phases = polyphase(kernel)
    assert set(phases) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    constant = torch.randn(1, 2, 1, 1, dtype=torch.float64).expand(1, 2, 4, 4)
    output = apply(kernel, constant)
    for (r, s), taps in phases.items():
        expected = taps.sum((-1, -2)) @ constant[0, :, 0, 0]
        torch.testing.assert_close(output[0, :, r, s], expected)


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "binomial", "kaiser"])
def test_operators_with_even_phases_are_even(name):
    found = unevenness(layer_kernel(lambda x: interpolate2x(x, name), 2, size=24))
    assert found.mean == pytest.approx(0, abs=1e-10)
    assert found.maximum == pytest.approx(0, abs=1e-10)


def test_bed_of_nails_puts_three_quarters_beside():
    found = unevenness(layer_kernel(lambda x: interpolate2x(x, "bed_of_nails"), 2))
    assert found.mean == pytest.approx(0.75)
    assert found.maximum == pytest.approx(0.75)
    assert found.replicas == pytest.approx({"vertical": 0.25, "horizontal": 0.25, "diagonal": 0.25})


def test_three_by_three_with_stride_two_overlaps_unevenly():
    """Along an axis the phases sum to 1 and 2, a tenth of the power; 0.9^2 is even in two dimensions."""
    found = unevenness(transposed_kernel(torch.ones(1, 1, 3, 3)))
    assert found.mean == pytest.approx(1 - 0.9**2)


def test_icnr_starts_even_and_random_weights_do_not():
    torch.manual_seed(0)
    even = make_upsampler("pixel_shuffle", 8, 3, icnr=True)
    assert unevenness(layer_kernel(even, 8)).maximum == pytest.approx(0, abs=1e-9)
    free = make_upsampler("pixel_shuffle", 8, 3)
    assert unevenness(layer_kernel(free, 8)).mean > 0.3


def test_unevenness_is_measured_power():
    torch.manual_seed(0)
    kernel = transposed_kernel(torch.randn(6, 3, 4, 4, dtype=torch.float64))
    activation = torch.randn(6, dtype=torch.float64)
    output = apply(kernel, activation[None, :, None, None].expand(1, 6, 8, 8))[0]
    even = output.mean((-1, -2)).square().sum()
    expected = 1 - float(even / output.square().mean((-1, -2)).sum())
    found = unevenness(kernel, activation)
    assert found.given == pytest.approx(expected)
    assert found.given <= found.maximum + 1e-12
    drawn = [unevenness(kernel, torch.randn(6)).given for _ in range(200)]
    assert max(drawn) <= found.maximum + 1e-9
    assert min(drawn) < found.mean < found.maximum


def test_biases_of_the_phases_are_a_pattern():
    """Four filters alike, four biases not: even weights, and a checkerboard for every input."""
    torch.manual_seed(0)
    layer = make_upsampler("pixel_shuffle", 8, 3, icnr=True).double()
    with torch.no_grad():
        layer.conv.bias.copy_(torch.randn(12))
    assert unevenness(subpixel_kernel(layer.conv.weight)).mean < 1e-12
    activation = torch.randn(8, dtype=torch.float64)
    found = unevenness(layer_kernel(layer, 8), activation)
    for given, constant in ((found.given, activation), (found.silent, torch.zeros(8).double())):
        with torch.no_grad():
            output = layer(constant[None, :, None, None].expand(1, 8, 12, 12))[0, :, 6:18, 6:18]
        even = output.mean((-1, -2)).square().sum()
        assert given == pytest.approx(1 - float(even / output.square().mean((-1, -2)).sum()))
    assert found.silent > 0.3
    assert found.mean > 0.05
    assert max(found.mean, found.given, found.silent) <= found.maximum + 1e-12


def test_mean_is_the_expected_power_of_independent_channels():
    torch.manual_seed(0)
    kernel = subpixel_kernel(torch.randn(8, 3, 3, 3).double(), bias=torch.randn(8).double())
    powers = torch.zeros(2).double()
    for activation in torch.randn(4000, 3).double():
        output = kernel.bias.clone()
        for (r, s), taps in polyphase(kernel).items():
            output[:, r, s] += taps.sum((-1, -2)) @ activation
        whole = output.square().mean((-1, -2)).sum()
        powers += torch.stack([whole - output.mean((-1, -2)).square().sum(), whole])
    assert unevenness(kernel).mean == pytest.approx(float(powers[0] / powers[1]), rel=0.02)


def test_one_bias_a_channel_is_grey():
    torch.manual_seed(0)
    for name in ("nearest", "bilinear", "kaiser"):
        found = unevenness(layer_kernel(make_upsampler(name, 6, 3), 6), torch.randn(6))
        assert max(found.mean, found.maximum, found.given, found.silent) < 1e-12


def test_enough_inputs_can_make_any_pattern():
    torch.manual_seed(0)
    assert unevenness(transposed_kernel(torch.randn(16, 3, 4, 4))).maximum == pytest.approx(1.0)


def test_a_layer_without_power():
    found = unevenness(transposed_kernel(torch.zeros(2, 2, 4, 4)), torch.ones(2))
    assert (found.mean, found.maximum, found.given) == (0.0, 0.0, 0.0)
    assert layer_kernel(lambda x: 0 * x.repeat_interleave(2, 2).repeat_interleave(2, 3), 1).taps.shape == (
        1,
        1,
        1,
        1,
    )


def test_effective_response_gradient():
    weight = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: effective_response(transposed_kernel(w), 6), (weight,))


def test_effective_response_of_white_noise():
    torch.manual_seed(0)
    kernel = LayerKernel(torch.randn(3, 2, 4, 4), (-1, -1))
    output = apply(kernel, torch.randn(3000, 2, 4, 4))
    power = (torch.fft.rfft2(output).abs() ** 2).mean((0, 1)) / 16
    np.testing.assert_allclose(effective_response(kernel, 8).square() * 16, power, rtol=0.15)


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda: subpixel_kernel(torch.zeros(6, 3, 3, 3)), "multiple of 4"),
        (lambda: transposed_kernel(torch.zeros(3, 3)), "four axes"),
        (lambda: layer_kernel(nn.Conv2d(2, 2, 3, padding=1), 2), "twice the size"),
        (lambda: layer_kernel(nn.ConvTranspose2d(2, 2, 4, 2, 1), 3), "takes 2 channels"),
        (
            lambda: layer_kernel(
                lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3) + torch.linspace(0, 1, 32), 1
            ),
            "from place to place",
        ),
        (
            lambda: layer_kernel(lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3).relu(), 1),
            "no filter",
        ),
        (lambda: effective_response(transposed_kernel(torch.zeros(1, 1, 4, 4)), 3), "cannot hold"),
        (
            lambda: unevenness(transposed_kernel(torch.ones(2, 1, 4, 4)), torch.ones(3)),
            "one number a channel",
        ),
    ],
)
def test_misuse_is_explained(action, text):
    with pytest.raises(GanlabError) as error:
        action()
    assert text in str(error.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("chain", [False, True])
def test_layers_in_half_precision_have_the_kernel_of_their_weights(dtype, chain):
    layer = nn.ConvTranspose2d(3, 4, 4, 2, 1).to(dtype)
    kernel = layer_kernel(nn.Sequential(layer, nn.Identity()) if chain else layer, 3)
    expected = layer_kernel(layer.float(), 3)
    for n in (8, 9):
        torch.testing.assert_close(
            effective_response(kernel, n), effective_response(expected, n), rtol=0.02, atol=0.02
        )


def test_what_cannot_be_called_with_images_is_named():
    with pytest.raises(GanlabError, match=r"calling the layer with \(3, 3, 16, 16\) fails"):
        layer_kernel(nn.Linear(3, 3), 3)
