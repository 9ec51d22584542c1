"""ganlab theory: the table against known facts, replicas against the operators themselves, the folder."""

from __future__ import annotations

import json
import xml.etree.ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from spectra_sets import along, column, read_csv
from torch import nn

import ganlab as lab
from ganlab.errors import GanlabError
from ganlab.experiments.theory.learned import learned_rows, learned_text
from ganlab.experiments.theory.run import (
    operator_rows,
    replica_maps,
    replica_profiles,
    table_text,
    write_theory,
)
from ganlab.spectra import layer_kernel, unevenness
from ganlab.upsampling import KERNELS, interpolate2x


def test_the_table_holds_the_known_facts():
    rows = {row.name: row for row in operator_rows()}
    assert set(rows) == set(KERNELS)
    assert [(n.frequency, n.order) for n in rows["nearest"].nulls] == [(0.5, 1)]
    assert [(n.frequency, n.order) for n in rows["bilinear"].nulls] == [(0.5, 3)]
    assert rows["bed_of_nails"].nulls == ()
    # |H| of nearest is cos(pi f), of bilinear its cube.
    assert rows["nearest"].quarter_db == pytest.approx(20 * np.log10(np.cos(np.pi / 4)))
    assert rows["bilinear"].quarter_db == pytest.approx(60 * np.log10(np.cos(np.pi / 4)))
    ratio = np.cos(np.pi / 8) / np.cos(3 * np.pi / 8)
    assert rows["bilinear"].eighth_rejection_db == pytest.approx(60 * np.log10(ratio))
    assert rows["nearest"].image_share == pytest.approx(0.5 - 1 / np.pi, abs=1e-6)
    assert rows["bed_of_nails"].image_share == pytest.approx(0.5)
    text = table_text(tuple(rows.values()))
    assert all(name in text for name in KERNELS)
    assert max(map(len, text.splitlines())) <= 110


def test_replica_maps_are_those_of_an_impulse():
    """An impulse is white; its power after circular operators is the prediction exactly."""
    maps = replica_maps(32, stages=(1, 2))
    for (name, stages), level in maps.items():
        x = torch.zeros(1, 1, 32 >> stages, 32 >> stages, dtype=torch.float64)
        x[0, 0, 0, 0] = 1
        for _ in range(stages):
            x = interpolate2x(x, name, border="circular")
        power = np.abs(np.fft.fft2(x[0, 0].numpy())) ** 2
        expected = (power / power.mean())[:, :17]
        assert 10 ** (level / 10) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_replica_profiles_are_those_of_a_natural_spectrum():
    size, stages = 32, 2
    k = np.fft.fftfreq(size)
    natural = k[:, None] ** 2 + k[None, :] ** 2
    natural[0, 0] = np.inf
    base = along((1 / natural)[None], -1)[0]
    profiles = replica_profiles(size, (stages,))
    for name in KERNELS:
        power = np.zeros((size >> stages, size >> stages))
        index = np.rint(np.fft.fftfreq(size >> stages) * (size >> stages)).astype(int)
        power = (1 / natural)[np.ix_(index % size, index % size)]
        x = torch.from_numpy(np.fft.ifft2(np.sqrt(power)).real)[None, None]
        for _ in range(stages):
            x = interpolate2x(x, name, border="circular")
        after = along(np.abs(np.fft.fft2(x[0, 0].numpy()))[None] ** 2, -1)[0]
        expected = after / base / (after / base)[1]
        assert 10 ** (profiles[name, stages] / 10) == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_the_folder_holds_figures_numbers_and_table(tmp_path):
    out = tmp_path / "theory"
    rows, was_complete = write_theory(out, 32)
    assert not was_complete
    for stem in ("responses", "replicas", "replica-maps"):
        with Image.open(out / f"{stem}.png") as picture:
            assert picture.width in (700, 1400)
        assert xml.etree.ElementTree.parse(out / f"{stem}.svg").getroot().tag.endswith("svg")
    responses = read_csv(out / "responses.csv")
    f = column(responses, "frequency_cycles_per_pixel", operator="nearest")
    assert column(responses, "amplitude", operator="nearest") == pytest.approx(np.cos(np.pi * f), abs=1e-8)
    assert len(read_csv(out / "replica-maps.csv")) == len(KERNELS) * 4 * 32
    assert len(read_csv(out / "theory.csv")) == len(rows)
    assert json.loads((out / "theory.json").read_text())["operators"][0]["name"] == "nearest"
    before = {path: path.read_bytes() for path in out.iterdir() if path.name != ".lock"}
    assert write_theory(out, 32) == (rows, True)
    with pytest.raises(GanlabError, match="size 32 there, 64 asked for"):
        write_theory(out, 64)
    assert {path: path.read_bytes() for path in before} == before


def test_sizes_that_no_doublings_reach_are_refused(tmp_path):
    for size in (33, 48, 16):
        with pytest.raises(GanlabError, match="divisible by 32"):
            write_theory(tmp_path / "out", size)
    assert not (tmp_path / "out").exists()


def test_layers_of_a_generator_from_their_weights():
    torch.manual_seed(0)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.up1 = nn.ConvTranspose2d(4, 6, 4, 2, 1)
            self.up2 = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(6, 6, 3, padding=1)
            )
            conv = nn.Conv2d(6, 12, 3, padding=1, padding_mode="reflect")
            self.up3 = nn.Sequential(conv, nn.PixelShuffle(2))

        def forward(self, x):
            return torch.tanh(self.up3(self.up2(self.up1(x).relu()).relu()))

    net = Decoder()
    rows = {row.stage: row for row in learned_rows(lab.wrap(net, (4, 4, 4)))}
    assert list(rows) == ["up1", "up2.0", "up3.1"]
    share = unevenness(layer_kernel(net.up1, 4)).mean
    assert rows["up1"].lattice_db == pytest.approx(10 * np.log10(share), abs=1e-4)
    assert rows["up1"].kernel == "4x4"
    assert rows["up2.0"].lattice_db == -np.inf
    assert rows["up2.0"].nyquist_db < -100
    assert -20 < rows["up3.1"].lattice_db < 0
    assert "none" in learned_text(rows.values())
    assert learned_text([]).startswith("no resizing")


def followed(up, channels=4):
    """An interpolation and a convolution after it."""
    return nn.Sequential(up, nn.Conv2d(channels, 5, 3, padding=1))


@pytest.mark.parametrize(
    ("layer", "factor"),
    [
        (nn.ConvTranspose2d(4, 5, 8, 4, 2), (4, 4)), (nn.ConvTranspose2d(4, 5, 10, 4, 3), (4, 4)),
        (nn.ConvTranspose2d(4, 5, (3, 4), (1, 2), (1, 1)), (1, 2)),
        (nn.Sequential(nn.Conv2d(4, 18, 3, padding=1), nn.PixelShuffle(3)), (3, 3)),
        (followed(nn.Upsample(scale_factor=3)), (3, 3)),
        (followed(nn.Upsample(scale_factor=(1, 2), mode="bilinear")), (1, 2)),
        (followed(nn.Upsample(scale_factor=(2, 1))), (2, 1)),
    ],
)  # fmt: skip
def test_layers_of_any_factor(layer, factor):
    """What the weights say of a constant, and of impulses, is what the layer makes of them."""
    torch.manual_seed(0)
    fixed = torch.randn(1, 4, 1, 1)
    constant = lab.wrap(layer, lambda seed, first, count: fixed.expand(count, 4, 12, 12))
    (row,) = learned_rows(constant)
    with torch.no_grad():
        out = layer(fixed.expand(1, 4, 12, 12).clone()).double()
        impulses = torch.zeros(5, 4, 12, 12)
        impulses[range(1, 5), range(4), 6, 6] = 1
        responses = layer(impulses).double()
    rows, columns = (4 * side for side in factor)
    cell = out[..., rows : 2 * rows, columns : 2 * columns]
    uneven = 1 - float(cell.mean((-2, -1)).square().sum() / cell.square().mean((-2, -1)).sum())
    assert row.used_db == (pytest.approx(10 * np.log10(uneven), abs=0.01) if uneven > 1e-12 else -np.inf)
    power = torch.fft.fft2(responses[1:] - responses[0]).abs().square().sum(0).mean(0)
    gain = power.sqrt() / (factor[0] * factor[1])
    along = gain[0] if factor[1] > 1 else gain[:, 0]
    assert row.response[[0, -1]] == pytest.approx(along[[0, len(along) // 2]].numpy(), rel=1e-4, abs=1e-6)


def test_the_command_with_a_generator(ganlab, tmp_path, tiny_runs):
    code, text, error = ganlab("theory", tiny_runs[1], "--out", tmp_path / "out", "--size", 32)
    assert code == 0, error
    assert "transposed convolution, kernel 4, stride 2" in text
    table = read_csv(tmp_path / "out" / "layers.csv")
    assert {row["generator"] for row in table} == {"transposed"}
    assert "Layers of these generators" in (tmp_path / "out" / "index.html").read_text()
    code, _, error = ganlab("theory", "--out", tmp_path / "out", "--size", 32)
    assert code == 2
    assert "layers" in error
