"""Twenty faults in four decoders, found at their stage and period; twenty clean ones, not flagged."""

from __future__ import annotations

import json
import math

import pytest
import torch
import torch.nn.functional as F
from probe_hosts import CLEAN, FAULTS, Decoder, Multiplied, ours, phase, vae, wrapped
from probe_others import CLEAN as OTHER_CLEAN
from probe_others import FAULTS as OTHER_FAULTS
from torch import nn

import ganlab
from ganlab.errors import GanlabError
from ganlab.experiments.probe import compare_generators, probe_generator
from ganlab.experiments.probe.content import level, mean_chance, windowed
from ganlab.experiments.probe.fields import agreement
from ganlab.experiments.probe.findings import fails
from ganlab.models import Generator as OwnGenerator
from ganlab.upsampling import UPSAMPLERS
from ganlab.zoo import names

QUICK = {
    "kernel 3, stride 2", "one phase scaled by 1.02", "swapped axes", "tiles with a seam", "align_corners",
    "fp16 overflow at a border", "ours nearest", "vae mixture", "unet bilinear", "resolver",
}  # fmt: skip


def some(names):
    """All of them; what a default run leaves out is marked slow."""
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def generator(host):
    return host if isinstance(host, OwnGenerator) else wrapped(host)


@pytest.mark.parametrize("name", some(FAULTS))
def test_a_fault_is_found_at_its_stage_and_period(name):
    make, stage, period_y, period_x = FAULTS[name]
    report = probe_generator(generator(make()))
    assert not report.ok
    strong = [f for f in report.of("structure") if f.db > 3 and f.p < 0.05]
    assert any(stage in f.stage and (f.period_y, f.period_x) == (period_y, period_x) for f in strong)
    assert f"`{strong[0].stage}`" in report.verdict


@pytest.mark.parametrize("name", some(CLEAN))
def test_a_clean_decoder_is_not_flagged(name):
    report = probe_generator(generator(CLEAN[name]()))
    assert report.ok
    assert not [f for f in report.of("structure") if f.db > -10]


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHER_FAULTS)
def test_a_fault_in_another_decoder_is_found_alone(name):
    make, expected = OTHER_FAULTS[name]
    report = probe_generator(make())
    found = {(f.stage, f.period_y, f.period_x) for f in report.of("structure") if fails(f, 3)}
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHER_CLEAN)
def test_another_clean_decoder_is_not_flagged(name):
    assert not probe_generator(OTHER_CLEAN[name]()).of("structure")


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_the_zoo_is_judged_by_its_operators(name):
    faulty = any(operator in name for operator in ("transposed", "pixel_shuffle", "bed_of_nails"))
    assert probe_generator(f"zoo:{name}").ok is not faulty


EVERY_STAGE = {("stages.0.up", 8), ("stages.1.up", 4), ("stages.2.up", 2)}


def test_every_stage_answers_for_itself():
    """Zeros between pixels at all three stages: each leaves a lattice of its own."""
    findings = probe_generator(ours("bed_of_nails")).of("structure")
    assert {(finding.stage, finding.period) for finding in findings} == EVERY_STAGE
    born = {finding.stage: [stage for stage, _ in finding.later] for finding in findings}
    assert born["stages.0.up"] == ["stages.1.up", "stages.2.up"]
    assert born["stages.2.up"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", UPSAMPLERS)
def test_every_operator_at_every_stage(name):
    faulty = name in ("transposed", "pixel_shuffle", "bed_of_nails", "bilinear_align_corners")
    for base in ("nearest", "bilinear"):
        for place, (stage, period) in enumerate(sorted(EVERY_STAGE)):
            names = [base] * 3
            names[place] = name
            findings = probe_generator(ours({"name": names})).of("structure")
            assert [(f.stage, f.period_y, f.period_x) for f in findings] == [(stage, period, period)] * faulty
            assert all(finding.p < 0.01 for finding in findings)
    everywhere = probe_generator(ours(name))
    # Where all resizings align corners that is a convention, and noted.
    expected = EVERY_STAGE if faulty and not everywhere.notes else set()
    assert {(f.stage, f.period) for f in everywhere.of("structure")} == expected


def test_a_gain_of_two_percent_stands_far_above_rounding():
    """Section 14.8 of the notes: 5e-9 where it is clean, 1.6e-5 with the gain, at the end of a decoder."""
    from ganlab.experiments.probe.findings import decibel

    make, stage, *_ = FAULTS["one phase scaled by 1.02"]
    (fault,) = probe_generator(generator(make())).of("structure")
    assert fault.stage == stage
    assert decibel(1.6e-5) < fault.db < decibel(1e-3)
    assert fault.low <= fault.db <= fault.high


def test_three_kinds_are_kept_apart():
    """A line that nearest and ReLU make is the same in every image; no constant input shows it."""
    report = probe_generator(wrapped(vae()))
    assert report.ok
    assert report.of("content")
    assert not report.passes(strict=True)
    assert "same in every image" in report.verdict
    white = ganlab.wrap(lambda z: (F.interpolate(z, scale_factor=2) / 6).clamp(-1, 1), (1, 16, 16))
    quiet = probe_generator(white)
    assert quiet.ok
    assert quiet.passes(strict=True)


def test_the_level_of_a_line_lies_in_its_interval():
    """A line of known height in white noise, over the floor that the mean of so many images has."""
    count, side, at = 32, 24, (6, 12)
    draw = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    wave = 0.1 * torch.cos(2 * torch.pi * (at[0] * y + at[1] * x) / side)
    hann = torch.hann_window(side, periodic=True, dtype=torch.float64)
    line = (0.1 * hann.sum() ** 2 / 2) ** 2
    floor = hann.square().sum() ** 2
    truth = {"content": float(line / floor * count), "cyclostationary": float(1 + line / floor)}
    held = dict.fromkeys(truth, 0)
    for _ in range(40):
        spectra = windowed(torch.randn(count, 1, side, side, generator=draw) + wave)
        near = spectra[:, at[0] - 4 : at[0] - 1, 3:21].flatten(1)
        for kind, ratio in truth.items():
            value, error = level(spectra[:, *at], near, kind)
            held[kind] += abs(value - 10 * math.log10(ratio)) <= 2.04 * error
    assert min(held.values()) >= 34
    # Without a line one mean in twenty is that large.
    chances = [mean_chance(spectra[:, fy, 1], False) for fy in range(-11, 12)]
    assert sum(p <= 0.05 for p in chances) <= 4


def test_p_of_structure_is_that_of_rounding():
    draw = torch.Generator().manual_seed(0)
    pairs = [torch.randn(2, 5, 4, 8, generator=draw).double() for _ in range(200)]
    assert 2 <= sum(agreement(a, b) <= 0.05 for a, b in pairs) <= 20
    a, b = pairs[0]
    assert agreement(a, a + 0.1 * b) < 1e-4
    assert agreement(a[:1, :2], a[:1, :2]) == 0.25  # two rows can hardly surprise
    assert agreement(a, torch.zeros_like(a)) == 1


def test_what_a_filter_takes_away_is_no_fault():
    """StyleGAN2: a transposed convolution with free phases, and a low-pass with a null right after."""

    class Up(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(8, 8, 3, 2)
            taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
            self.register_buffer("taps", (taps[:, None] * taps / 16).expand(8, 1, 4, 4).contiguous())

        def forward(self, x):
            x = F.conv2d(F.pad(self.up(x), (1, 1, 1, 1)), self.taps, groups=8)
            return F.leaky_relu(x + 0.1 * torch.randn_like(x), 0.2)

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(4, 8, 1), Up(), Up(), nn.Conv2d(8, 3, 1), nn.Tanh())
    report = probe_generator(ganlab.wrap(net, (4, 8, 8)))
    assert [stage["name"] for stage in report.stages] == ["1.up", "2.up"]
    assert report.ok


def test_un_patchify_of_tokens():
    """Positions' codes make every place another; only what all patches share is a lattice."""

    class Tokens(nn.Module):
        def __init__(self, even):
            super().__init__()
            self.embed = nn.Conv2d(4, 24, 2, 2)
            self.position = nn.Parameter(torch.randn(1, 64, 24))
            self.out = nn.Linear(24, 12)
            if even:
                with torch.no_grad():
                    self.out.weight.copy_(self.out.weight[:3].repeat(4, 1))
                    self.out.bias.copy_(self.out.bias[:3].repeat(4))

        def forward(self, x):
            x = self.out(torch.tanh(self.embed(x).flatten(2).transpose(1, 2) + self.position))
            x = x.view(len(x), 8, 8, 2, 2, 3).permute(0, 5, 1, 3, 2, 4)
            return torch.tanh(x.reshape(len(x), 3, 16, 16))

    torch.manual_seed(0)
    fine, uneven = (probe_generator(ganlab.wrap(Tokens(even), (4, 16, 16))) for even in (True, False))
    assert fine.ok
    assert [(f.stage, f.period_y, f.period_x) for f in uneven.of("structure")] == [("reshape", 2, 2)]


def test_calls_that_show_nothing_of_themselves():
    """An engine that takes and gives arrays is judged by its images."""
    host = Multiplied(vae(), phase(lambda x: x + 0.1, 1, 1))
    opaque = torch.jit.trace(host, torch.zeros(5, 4, 8, 8))
    report = probe_generator(ganlab.wrap(lambda z: opaque(z).numpy(), (4, 8, 8), value_range=(-2, 2)))
    (fault,) = report.of("structure")
    assert (fault.period_y, fault.period_x) == (2, 2)
    clean = torch.jit.trace(vae(), torch.zeros(5, 4, 8, 8))
    assert probe_generator(ganlab.wrap(lambda z: clean(z).numpy(), (4, 8, 8))).ok
    nothing = probe_generator(ganlab.wrap(lambda z: z.view(-1, 1, 16, 16).numpy() / 8, 256))
    assert nothing.ok
    assert not nothing.stages


def test_out_of_range_and_clipped_values_are_said():
    report = probe_generator(ganlab.wrap(lambda z: (2 * z).clamp(-1, 1), (3, 16, 16)))
    assert 0.5 < report.clipped < 0.8
    report = probe_generator(ganlab.wrap(lambda z: 2 * z, (3, 16, 16)))
    assert "beyond the stated range -1 ... 1" in report.notes[0]
    with pytest.raises(GanlabError, match=r"calling it fails .*shapes cannot be multiplied"):
        probe_generator(ganlab.wrap(nn.Linear(3, 4), 5))


def test_two_implementations_of_one():
    a = vae()
    exported = torch.export.export(a, (torch.zeros(16, 4, 8, 8),)).module()
    same = compare_generators(wrapped(a), ganlab.wrap(exported, (4, 8, 8)))
    assert same.same
    assert "but for rounding" in same.verdict
    half = compare_generators(wrapped(a), wrapped(vae().to(torch.bfloat16)))
    assert not half.same
    assert half.first == "up_blocks.0.upsamplers.0.interpolate"
    b = vae()
    with torch.no_grad():
        b.up_blocks[1].resnets[0].conv1.weight.mul_(1.1)
    apart = compare_generators(wrapped(a), wrapped(b))
    assert apart.first == "up_blocks.1.upsamplers.0.interpolate"
    assert apart.spectrum_db > 0.01
    with pytest.raises(GanlabError, match="cannot be compared"):
        compare_generators(wrapped(a), ganlab.wrap(lambda z: z[:, :3] / 6, (4, 8, 8)))


def test_the_command(ganlab, tiny_runs, tmp_path):
    nearest, transposed = tiny_runs
    file = tmp_path / "report.json"
    done = ganlab("probe", nearest, "--json", file, "--samples", 16, "--out", tmp_path / "out")
    assert done.code == 0, done.stderr
    report = json.loads(file.read_text())
    assert report["ok"] is report["passes"] is True
    assert [stage["name"] for stage in report["stages"]] == ["stages.0.up", "stages.1.up"]
    assert report["about"]["sha256"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "no lattice of its own" in page
    assert "data:image/" in page
    assert ganlab("report", tmp_path / "out").code == 0
    found = ganlab("probe", transposed, "--json", file, "--samples", 16)
    assert found.code == 1
    assert "transposed convolution, kernel 4, stride 2" in found.stdout
    finding = json.loads(file.read_text())["findings"][0]
    assert {"stage", "kind", "period_y", "period_x", "db", "low", "high", "p"} <= finding.keys()
    assert ganlab("probe", transposed, "--samples", 16, "--fail-above", 90).code == 0
    missing = ganlab("probe", tmp_path / "nothing")
    assert missing.code == 2
    assert "no generator at" in missing.stderr
    (tmp_path / "net.pt").write_bytes(b"x")
    assert "--trust" in ganlab("probe", tmp_path / "net.pt").stderr


def test_the_latents_may_come_from_a_function():
    decoder = Decoder(("bilinear", "nearest")).eval()
    given = ganlab.wrap(decoder, lambda seed, first, count: (torch.zeros(count, 4, 8, 8) + first,))
    assert probe_generator(given).ok


def test_a_tile_of_three_pixels_is_a_lattice_and_no_seam():
    """Six pixels are two of its periods: what repeats in six need not have been decoded in tiles of six."""

    class Tiled(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 8 * 36)
            self.up = nn.Upsample(scale_factor=3)
            self.out = nn.Conv2d(8, 3, 1)
            self.register_buffer("tile", torch.randn(1, 1, 3, 3) / 5)

        def forward(self, z):
            image = self.out(self.up(self.first(z).view(-1, 8, 6, 6)))
            return torch.tanh(image + self.tile.repeat(1, 1, *(side // 3 for side in image.shape[-2:])))

    torch.manual_seed(0)
    report = probe_generator(ganlab.wrap(Tiled(), 8), samples=16)
    structure = [f for f in report.findings if f.kind == "structure"]
    assert [(f.what, f.period_y, f.period_x) for f in structure] == [("lattice", 3, 3)]
