"""Anybody's module as a generator: by number, in its range; sources, and what they may run."""

from __future__ import annotations

import functools
import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import ganlab
from ganlab.adapters import ADAPTERS, as_generator, load_generator, source_generator
from ganlab.adapters.programs import program
from ganlab.adapters.trace import merging
from ganlab.errors import GanlabError
from ganlab.generation import Request, generate, generate_images
from ganlab.images import to_uint8
from ganlab.models import build_generator
from ganlab.util.hashing import sha256_file


class Decoder(nn.Module):
    """One resizing of every kind."""

    def __init__(self):
        super().__init__()
        self.start = nn.Linear(8, 8 * 4 * 4)
        self.up = nn.Upsample(scale_factor=2)
        self.norm = nn.BatchNorm2d(8)
        self.transposed = nn.ConvTranspose2d(8, 8, 3, 2, 1, 1)
        self.conv = nn.Conv2d(8, 12, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.last = nn.Conv2d(3, 3, 1)

    def forward(self, z):
        x = self.norm(self.up(self.start(z).view(-1, 8, 4, 4)))
        x = self.shuffle(self.conv(self.transposed(x)))
        return torch.tanh(self.last(F.interpolate(x, scale_factor=(1, 3))))


class UnPatchify(nn.Module):
    def __init__(self, patch):
        super().__init__()
        self.patch = patch

    def forward(self, x):
        n, c, h, w = x.shape
        p, own = self.patch, c // self.patch**2
        return x.view(n, p, p, own, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, own, p * h, p * w)


def test_images_by_number_in_any_batch():
    decoder = Decoder().train()
    generator = ganlab.wrap(decoder, 8)
    whole = generator.sample(3, 0, 70)
    assert whole.shape == (70, 3, 32, 96)
    assert generator.image_size == (32, 96)
    assert float(whole.abs().max()) <= 1
    for first, count in ((0, 1), (5, 9), (60, 10)):
        assert torch.equal(generator.sample(3, first, count), whole[first : first + count])
    assert not torch.equal(generator.sample(4, 0, 1), whole[:1])
    assert decoder.training  # as it was
    assert decoder.norm.training
    assert int(decoder.norm.num_batches_tracked) == 0


def test_stages_are_found_by_their_paths():
    stages = ganlab.wrap(Decoder(), 8).stages
    assert list(stages) == ["up", "transposed", "shuffle", "interpolate"]
    assert [stage.factor for stage in stages] == [(2, 2), (2, 2), (2, 2), (1, 3)]
    assert [stage.size for stage in stages] == [(8, 8), (16, 16), (32, 32), (32, 96)]
    assert "kernel 3, stride 2 (not divisible)" in stages[1].words
    inner = nn.Sequential(nn.Conv2d(4, 48, 1), UnPatchify(4), nn.Upsample(scale_factor=2, mode="bilinear"))
    assert list(ganlab.wrap(inner, (4, 8, 8)).stages) == ["1", "2"]
    by_function = ganlab.wrap(lambda z: inner(z), (4, 8, 8))
    assert list(by_function.stages) == ["1", "2"]
    assert by_function.stages[0].factor == (4, 4)


def test_functions_that_resize_are_found_in_the_module_that_calls_them():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            nails = x.new_zeros(len(x), 3, 2 * x.shape[2], 2 * x.shape[3])
            nails[..., ::2, ::2] = x
            unfolded = F.unfold(nails, 2, stride=2)
            folded = F.fold(unfolded, nails.shape[-2:], 2, stride=2)
            return self.conv(folded.repeat_interleave(2, 2).repeat_interleave(2, 3))

    stages = ganlab.wrap(nn.Sequential(Block()), (3, 4, 4)).stages
    assert list(stages) == ["0.setitem", "0.fold", "0.repeat_interleave"]
    assert [stage.factor for stage in stages] == [(2, 2)] * 3


def test_every_upsampler_of_ganlab_is_one_stage():
    from ganlab.upsampling import UPSAMPLERS

    for name in UPSAMPLERS:
        model = {"architecture": "dcgan", "image_size": 16, "upsampling": name, "generator": {"width": 8}}
        stages = as_generator(build_generator(model)).stages
        assert [stage.size for stage in stages] == [(8, 8), (16, 16)], name


@pytest.mark.parametrize(
    ("before", "after", "factor"),
    [
        ((5, 3, 4, 2, 4, 2), (5, 3, 8, 8), (2, 2)),
        ((5, 4, 2, 4, 2, 3), (5, 8, 8, 3), (2, 2)),
        ((5, 3, 4, 1, 4, 3), (5, 3, 4, 12), (1, 3)),
        ((5, 2, 8, 4, 4), (5, 16, 4, 4), None),  # heads or groups of channels
        ((5, 3, 64), (5, 3, 8, 8), None),
    ],
)
def test_a_reshape_that_merges_patches(before, after, factor):
    found = merging(before, after)
    assert (found if found is None or max(found) > 1 else None) == factor


def test_ranges_outputs_and_labels():
    class Conditional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, z, labels):
            level = labels.float()[:, None, None, None] / 4
            return {"other": z, "images": level.expand(-1, 1, 8, 8)}

    generator = ganlab.wrap(Conditional(), 3, labels=5, output="images", value_range=(0, 1))
    images = generator.sample(0, 0, 40)
    assert set(images.unique().tolist()) == {-1.0, -0.5, 0.0, 0.5, 1.0}
    with pytest.raises(GanlabError, match=r"from -?\d.* to .* outside of the stated range 0 \.\.\. 0\.5"):
        ganlab.wrap(Conditional(), 3, labels=5, output="images", value_range=(0, 0.5)).sample(0, 0, 40)
    with pytest.raises(GanlabError, match="no 'image' with other, images; did you mean 'images'"):
        ganlab.wrap(Conditional(), 3, labels=5, output="image").sample(0, 0, 1)
    with pytest.raises(GanlabError, match="say which part is the image"):
        ganlab.wrap(Conditional(), 3, labels=5).sample(0, 0, 1)
    with pytest.raises(GanlabError, match="channels last"):
        ganlab.wrap(lambda z: z, (8, 8, 3)).sample(0, 0, 1)
    for ends in ((1, 0), (0, 1, 2), ("a", "b"), 5):
        with pytest.raises(GanlabError, match="value_range"):
            ganlab.wrap(Conditional(), 3, value_range=ends)
    for latent in (0, 16.0, None, "16", (4, -1)):
        with pytest.raises(GanlabError, match="latent is a length"):
            ganlab.wrap(Conditional(), latent)
    with pytest.raises(GanlabError, match="NaN"):
        ganlab.wrap(lambda z: z / 0, (3, 8, 8)).sample(0, 0, 1)


def test_arguments_of_the_callers_own_and_arrays():
    def call(x, scale):
        return (x * scale).clamp(-1, 1).numpy()

    def latents(seed, first, count):
        rows = [torch.full((1, 4, 4), index / 100) for index in range(first, first + count)]
        return {"x": torch.stack(rows), "scale": 2.0}

    images = ganlab.wrap(call, latents).sample(0, 6, 3)
    assert torch.allclose(images[:, 0, 0, 0], torch.tensor([0.12, 0.14, 0.16]))


def test_noise_drawn_inside_follows_from_the_seed():
    generator = ganlab.wrap(lambda z: torch.tanh(z + torch.randn_like(z)), (3, 8, 8))
    before = torch.random.get_rng_state()
    whole = generator.sample(0, 0, 80)
    assert torch.equal(generator.sample(0, 64, 3), whole[64:67])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_half_precision_gets_half_latents():
    images = ganlab.wrap(Decoder().to(torch.bfloat16), 8).sample(0, 0, 2)
    assert images.dtype == torch.float32


def test_own_runs_are_what_they_were_and_sample(tiny_runs):
    network = ganlab.load_generator(tiny_runs[0])
    assert isinstance(network, nn.Module)
    expected = generate_images(network, 1, 60, 8)
    assert (to_uint8(network.sample(1, 60, 8)) == expected).all()
    generator = as_generator(network)
    assert generator.name == "nearest"
    assert (to_uint8(generator.sample(1, 60, 8)) == expected).all()
    assert generator.module is network.module
    with pytest.raises(GanlabError, match="no generator at"):
        ganlab.load_generator("nowhere")


def test_pretrained_round_trip(tmp_path):
    network = build_generator(
        {"architecture": "dcgan", "image_size": 16, "upsampling": "bilinear", "generator": {"width": 8}}
    ).eval()
    network.save_pretrained(tmp_path / "mine")
    loaded = ganlab.load_generator(tmp_path / "mine")
    assert torch.equal(loaded.sample(0, 0, 2), network.sample(0, 0, 2))
    assert type(network).from_pretrained(tmp_path / "mine").config == network.config
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(GanlabError, match="no generator of ganlab"):
        ganlab.load_generator(tmp_path / "mine")


SOURCE = """
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
import ganlab, torch

def make():
    return ganlab.wrap(torch.nn.Upsample(scale_factor=2), lambda s, f, n: torch.zeros(n, 3, 8, 8))

def bare():
    return torch.nn.Identity()
"""


def test_python_runs_only_when_trusted(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    with pytest.raises(GanlabError, match="can run code") as refused:
        load_generator(f"{file}:make")
    assert not (tmp_path / "ran").exists()
    digest = str(refused.value).split("--trust ")[1].split()[0]
    with pytest.raises(GanlabError, match="not the file you trust"):
        load_generator(f"{file}:make", trust="0" * 64)
    generator = load_generator(f"{file}:make", trust=digest)
    assert (tmp_path / "ran").exists()
    assert generator.sample(0, 0, 1).shape == (1, 3, 16, 16)
    assert generator.about["sha256"] == digest
    with pytest.raises(GanlabError, match=r"let it return ganlab\.wrap"):
        load_generator(f"{file}:bare", trust=digest)
    with pytest.raises(GanlabError, match="has no 'other'"):
        load_generator(f"{file}:other", trust=digest)


def test_programs_run_only_when_trusted(tmp_path):
    network = nn.Sequential(nn.Unflatten(1, (3, 2, 2)), nn.Upsample(scale_factor=4), nn.Tanh()).eval()
    path = tmp_path / "net.pt"
    torch.jit.trace(network, torch.zeros(2, 12)).save(str(path))
    exported = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(network, (torch.zeros(4, 12),)), exported)
    expected = ganlab.wrap(network, 12).sample(0, 0, 5)
    for file in (path, exported):
        with pytest.raises(GanlabError, match="can run code") as refused:
            load_generator(file)
        load = functools.partial(load_generator, trust=str(refused.value).split("--trust ")[1].split()[0])
        if file is path:
            with pytest.raises(GanlabError, match="does not say what it takes"):
                load(file)
            (tmp_path / "net.pt.json").write_text(json.dumps({"latent": 12, "range": [0, 1]}))
            with pytest.raises(GanlabError, match="unknown key 'range'"):
                load(file)
            (tmp_path / "net.pt.json").write_text(json.dumps({"latent": 12}))
        generator = load(file)
        assert torch.allclose(generator.sample(0, 0, 5), expected)
    assert generator.block == 4  # as the program was exported


def test_adapters_by_name_and_by_entry_point(monkeypatch, tiny_runs):
    class Point:
        name = "mine"

        @staticmethod
        def load():
            return lambda source, trust: ganlab.wrap(torch.tanh, (3, 4, 4)) if source == "x" else None

    monkeypatch.setattr("ganlab.adapters.sources.metadata.entry_points", lambda group: [Point])
    assert source_generator("x").sample(0, 0, 1).shape == (1, 3, 4, 4)
    assert source_generator(f"ganlab:{tiny_runs[0]}").name == "nearest"
    with pytest.raises(GanlabError, match="nothing that the adapter 'ganlab' reads"):
        load_generator("ganlab:nowhere")
    with pytest.raises(GanlabError, match="expected a generator"):
        source_generator(3)
    assert all(loader.__doc__ for loader in ADAPTERS.values())


@pytest.mark.parametrize(
    "side",
    [{"latent": [1.5]}, {"latent": [2**20, 2**20]}, {"latent": "abc"}, {"latent": None}, {"labels": "x"},
     {"labels": -1}, {"labels": 10**30}, {"output": ["a"]}, {"output": "__class__"}, {"output": "grad"},
     {"output": 7}, {"value_range": [0]}, {"value_range": "ab"}, {"latent": [9]},
     {"value_range": [-1e308, 1e308]}],
)  # fmt: skip
def test_what_a_file_says_of_a_program_is_not_believed(side, tmp_path):
    def call(latents, labels=None):
        return latents.tanh().reshape(-1, 3, 2, 2)

    with pytest.raises(GanlabError):
        program(call, {"latent": 12, **side}, tmp_path / "a.onnx", "0" * 64, "onnx").sample(0, 0, 1)
    assert program(call, {"latent": 12}, tmp_path / "a.onnx", "", "onnx").sample(0, 0, 1).shape == (
        1,
        3,
        2,
        2,
    )


def test_what_a_program_raises_is_one_sentence(tmp_path):
    def fail(latents):
        raise KeyError("weights\nof mine")

    with pytest.raises(GanlabError, match=r"fail: calling it fails for \(2, 3\) .KeyError"):
        ganlab.wrap(fail, 3).sample(0, 0, 1)
    file = tmp_path / "mine.py"
    file.write_text("def make():\n    return 1 / 0\n")
    with pytest.raises(GanlabError, match="running it raised ZeroDivisionError"):
        load_generator(f"{file}:make", trust=sha256_file(file))
    with pytest.raises(GanlabError, match="no generator at no_such_module:x"):
        load_generator("no_such_module:x")
    # `python -m pytest` has a file behind it, the command `pytest` none
    with pytest.raises(GanlabError, match=r"no generator at __main__:x|can run code"):
        load_generator("__main__:x")


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", "a\0b"])
def test_a_generators_name_is_no_path(name, tmp_path):
    generator = ganlab.wrap(torch.tanh, (3, 16, 16), name=name)
    with pytest.raises(GanlabError, match="expected the name of a folder, no path"):
        generate(Request((generator,), 3), tmp_path / "out" / "set")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "hint"), [("net.py", "name the function"), ("net.pth", "weights alone")])
def test_a_file_that_needs_a_function_says_which(name, hint, tmp_path):
    (tmp_path / name).write_text("x = 1\n")
    with pytest.raises(GanlabError, match=hint):
        ganlab.load_generator(tmp_path / name)
