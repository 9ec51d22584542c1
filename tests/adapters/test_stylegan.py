"""StyleGAN2 and StyleGAN3 from state dicts of the released layout, made here with random weights."""

import math

import pytest
import torch
import torch.nn.functional as F
from stylegan_weights import FIR, W, stylegan2, stylegan3, written

import ganlab
from ganlab.adapters import load_generator
from ganlab.adapters.stylegan import plan
from ganlab.errors import GanlabError


def upfirdn(x, taps, up, pads):
    """Zeros between pixels, padding, and the true convolution with every tap, one by one."""
    n, c, h, w = x.shape
    wide = torch.zeros(n, c, h * up, w * up)
    wide[:, :, ::up, ::up] = x
    wide = F.pad(wide, pads * 2)
    k = len(taps)
    rows, columns = wide.shape[2] - k + 1, wide.shape[3] - k + 1
    out = torch.zeros(n, c, rows, columns)
    for i in range(k):
        for j in range(k):
            out += taps[k - 1 - i, k - 1 - j] * wide[:, :, i : i + rows, j : j + columns]
    return out


def reference2(state, z):
    """One image of StyleGAN2 with weights that are modulated first, as its paper writes it."""
    x = z / z.square().mean().add(1e-8).sqrt()
    for number in range(2):
        weight, bias = (state[f"mapping.fc{number}.{kind}"] for kind in ("weight", "bias"))
        x = F.leaky_relu(weight @ x * 0.01 / math.sqrt(len(x)) + bias * 0.01, 0.2) * math.sqrt(2)
    style, image, features = x, None, state["synthesis.b4.const"][None]

    def modulated(at, x, demodulate, up):
        weight = state[f"{at}.weight"]
        s = state[f"{at}.affine.weight"] @ style / math.sqrt(W) + state[f"{at}.affine.bias"]
        weight = weight * (s if demodulate else s / math.sqrt(weight[0].numel()))[None, :, None, None]
        if demodulate:
            weight = weight / weight.square().sum((1, 2, 3), keepdim=True).add(1e-8).sqrt()
        if up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            return upfirdn(x, FIR * 4, 1, (1, 1))
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)

    for res in (4, 8, 16):
        at = f"synthesis.b{res}"
        for conv in ("conv0", "conv1")[res == 4 :]:
            features = modulated(f"{at}.{conv}", features, True, conv == "conv0")
            bias = state[f"{at}.{conv}.bias"][:, None, None]
            features = F.leaky_relu(features + bias, 0.2) * math.sqrt(2)
        colours = modulated(f"{at}.torgb", features, False, False)
        image = colours if image is None else upfirdn(image, FIR * 4, 2, (2, 1)) + colours
    return image.clamp(-1, 1)


def test_stylegan2_is_what_its_paper_describes(tmp_path):
    state = stylegan2()
    generator = load_generator(written(state, tmp_path / "faces.safetensors"))
    assert (generator.name, generator.image_size, generator.about["adapter"]) == ("faces", 16, "stylegan")
    images = generator.sample(0, 0, 3)
    z = generator.arguments(0, 0, 3)[0][0]
    for image, latent in zip(images, z, strict=True):
        assert torch.allclose(image[None], reference2(state, latent), atol=1e-4)
    assert generator.stages == (
        "synthesis.b8.conv0.conv_transpose2d", "synthesis.b8.conv_transpose2d",
        "synthesis.b16.conv0.conv_transpose2d", "synthesis.b16.conv_transpose2d",
    )  # fmt: skip


def test_stylegan2_with_classes_and_noise(tmp_path):
    state = stylegan2(8, classes=4)
    state["synthesis.b8.conv1.noise_strength"] = torch.tensor(0.5)
    generator = load_generator(written(state, tmp_path / "net.safetensors"))
    images = generator.sample(0, 0, 6)
    assert torch.equal(generator.sample(0, 4, 1), images[4:5])
    assert len(set(generator.drawn_labels(0, 0, 20))) > 1


def test_stylegan3_has_the_published_sizes_and_moves_with_its_input(tmp_path):
    assert plan(256, 14)[0] == [36, 36, 36, 52, 52, 84, 84, 148, 148, 148, 276, 276, 276, 256, 256]
    assert plan(1024, 14)[0][-3:] == [1044, 1024, 1024]
    state = stylegan3()
    first = load_generator(written(state, tmp_path / "a.safetensors")).raw(0, 0, 2)
    assert first.shape == (2, 3, 32, 32)
    # The plane spans one unit: an image of 32 pixels that is moved by 4 pixels is moved by 1/8.
    state["synthesis.input.transform"][0, 2] = 4 / 32
    moved = load_generator(written(state, tmp_path / "b.safetensors")).raw(0, 0, 2)
    assert float(_shifted(first, moved).square().mean() / first.var()) < 0.02


def _shifted(first, moved):
    """The smaller of the two differences: whatever the sign of the move, one of them is none."""
    left = moved[..., 6:26, 8:20] - first[..., 6:26, 12:24]
    right = moved[..., 6:26, 12:24] - first[..., 6:26, 8:20]
    return min(left, right, key=lambda value: float(value.square().mean()))


def test_stylegan3_with_radial_filters(tmp_path):
    state = stylegan3(kernel=1)
    name = next(name for name in state if name.startswith("synthesis.L1_") and name.endswith("down_filter"))
    state[name] = torch.outer(state[name], state[name])
    assert load_generator(written(state, tmp_path / "r.safetensors")).sample(0, 0, 1).shape == (1, 3, 32, 32)


def test_weights_that_fit_no_stylegan_are_named(tmp_path):
    path = tmp_path / "net.safetensors"
    state = stylegan2(8)
    for change, words in (
        ({"synthesis.b8.skip.weight": torch.zeros(6, 6, 1, 1)}, "skip.weight is in none"),
        ({"synthesis.b8.conv1.bias": torch.zeros(7)}, "conv1.bias"),
        ({"synthesis.b8.conv1.weight": torch.zeros(6, 5, 3, 3)}, "do not fit each other"),
        ({"synthesis.b8.conv1.noise_const": None}, "noise_const"),
        ({"synthesis.b4.const": None}, "no synthesis network"),
        ({"synthesis.b4.const": torch.full((6, 4, 4), math.nan)}, "not finite"),
    ):
        spoilt = {name: value for name, value in {**state, **change}.items() if value is not None}
        with pytest.raises(GanlabError, match=words):
            load_generator(written(spoilt, path))
    aliased = stylegan3()
    name = next(name for name in aliased if name.startswith("synthesis.L2_"))
    layer = name.rpartition(".")[0].removesuffix(".affine")
    other = {key.replace(layer, "synthesis.L2_40_6"): value for key, value in aliased.items()}
    with pytest.raises(GanlabError, match=r"net\.safetensors: layers of .* only the published settings"):
        load_generator(written(other, path))
    # A file of nobody's: the words of the oldest kind.
    with pytest.raises(GanlabError, match="no generator of ganlab"):
        load_generator(written({"x": torch.zeros(1)}, path))


@pytest.mark.slow
def test_a_probe_of_stylegan2_is_clean_and_sees_a_lost_filter(tmp_path):
    path = written(stylegan2(), tmp_path / "net.safetensors")
    assert ganlab.probe_generator(path).ok
    state = stylegan2()
    state["synthesis.b16.conv0.resample_filter"] = torch.zeros(4, 4)
    state["synthesis.b16.conv0.resample_filter"][1, 1] = 0.25
    report = ganlab.probe_generator(written(state, path))
    assert not report.ok
    assert report.of("structure")[0].stage == "synthesis.b16.conv0.conv_transpose2d"
