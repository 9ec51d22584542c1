"""The stage probe: analytic truths about operators, noise and untrained networks; files; bad input."""

from __future__ import annotations

import xml.etree.ElementTree

import numpy as np
import pytest
import torch
from spectra_sets import column, read_csv

from ganlab.errors import GanlabError
from ganlab.experiments.spectra import stages
from ganlab.experiments.spectra.stage_figures import write_stages
from ganlab.experiments.spectra.stages import QUESTIONS, generators, layer_rows, probe_stages, stage_spectra
from ganlab.models import build_generator


@pytest.fixture(scope="module")
def probe(tiny_runs):
    return probe_stages(tiny_runs[0], count=80)


def generator(tiny, *overrides):
    torch.manual_seed(0)
    return build_generator(tiny(*overrides)).eval()


def panels_of(network, question, count=64):
    return [panel for panel in stage_spectra(network, network, count, 0) if panel.question == question]


def test_every_question_has_a_panel_for_every_stage(probe):
    for question in QUESTIONS:
        found = probe.of(question)
        assert [panel.stage for panel in found] == [1, 2, 3]
        assert [panel.operator for panel in found] == ["nearest", "nearest", ""]
    assert [panel.side for panel in probe.of("features")] == [8, 16, 16]
    assert {panel.side for panel in probe.of("noise")} == {16}
    assert (probe.name, probe.step, probe.count) == ("nearest", 8, 80)


def test_levels_are_relative_to_white(probe):
    for panel in probe.panels:
        power = 10 ** (panel.level / 10)
        middle = panel.side // 2
        assert power[middle, middle] == pytest.approx(1)
        assert (power.sum() - 1) / (power.size - 1) == pytest.approx(1)
        rows = np.fft.ifftshift(power)
        rows[0, 0] = 0
        expected = 10 * np.log10(rows.mean(0)[: middle + 1])
        assert panel.horizontal == pytest.approx(expected, abs=1e-6)
        assert panel.vertical == pytest.approx(10 * np.log10(rows.mean(1)[: middle + 1]), abs=1e-6)


def test_features_are_those_of_the_network(tiny):
    """Against a plain walk through the network and numpy's FFT."""
    network = generator(tiny, "model.upsampling=transposed")
    z = stages.image_latents(0, 0, 64, network.z_dim)
    with torch.no_grad():
        x = network.stage(0, network.start(z, None), None).numpy().astype(np.float64)
    power = (np.abs(np.fft.fft2(x)) ** 2).sum((0, 1))
    mean = (power.sum() - power[0, 0]) / 63
    expected = 10 * np.log10(np.fft.fftshift(power) / mean)
    found = panels_of(network, "features")[0].level
    assert np.delete(found.ravel(), 36) == pytest.approx(np.delete(expected.ravel(), 36), abs=1e-3)


def test_a_fixed_null_is_seen_after_the_last_stage_and_not_after_a_learned_one(tiny):
    """With circular borders nothing linear refills Nyquist row and column of nearest; tanh comes later."""
    options = ("model.upsampling.border=circular",)
    nearest = panels_of(generator(tiny, "model.upsampling.name=nearest", *options), "features")[1]
    assert nearest.level[0].max() < -60
    assert nearest.level[:, 0].max() < -60
    assert nearest.level[1:, 1:].min() > -60
    learned = panels_of(generator(tiny, "model.upsampling.name=transposed", *options), "features")[1]
    assert learned.level.min() > -60


def test_noise_into_pointwise_layers_stays_white(tiny):
    """DCGAN ends with tanh alone: what enters as white noise leaves white."""
    last = panels_of(generator(tiny, "model.upsampling=nearest"), "noise", count=256)[-1]
    assert np.abs(last.level).max() < 2.0
    assert np.abs(last.horizontal).max() < 0.5


def test_noise_has_the_statistics_of_what_it_replaces():
    channels = stages.Channels()
    rng = torch.Generator().manual_seed(0)
    spread, mean = torch.tensor([0.5, 2.0, 0.0]), torch.tensor([1.0, -3.0, 4.0])
    for _ in range(3):
        channels.add(torch.randn(20, 3, 8, 8, generator=rng) * spread[:, None, None] + mean[:, None, None])
    noise = channels.noise(500, torch.Generator().manual_seed(1))
    assert noise.mean((0, 2, 3)).numpy() == pytest.approx(mean.numpy(), abs=0.15)
    assert noise.std((0, 2, 3)).numpy() == pytest.approx(spread.numpy(), abs=0.1)
    power = np.abs(np.fft.fft2(noise[:, 0].numpy())).__pow__(2).mean(0)
    assert power.ravel()[1:].std() / power.ravel()[1:].mean() < 0.1


@pytest.mark.parametrize("architecture", ["dcgan", "sngan"])
def test_layers_even_and_uneven(tiny, architecture):
    size = ["model.architecture=sngan", "model.image_size=32"] if architecture == "sngan" else []

    def rows(name):
        network = generator(tiny, f"model.upsampling={name}", *size)
        z = torch.randn(8, network.z_dim, generator=torch.Generator().manual_seed(0))
        return layer_rows(network, "untrained", lambda: network(z))

    even, learned = rows("nearest"), rows("transposed")
    assert [row.operator for row in even] == ["nearest"] * len(even)
    assert max(max(row.mean, row.given) for row in even) < 1e-9
    # Sixteen free weights a pair of channels: three quarters of the power lies on the three replicas.
    assert all(0.5 < row.mean < 0.95 for row in learned)
    names = {row.layer for row in learned}
    assert names == ({"up"} if architecture == "dcgan" else {"residual_up", "shortcut"})
    assert not rows("bilinear_align_corners")


def test_the_same_probe_gives_the_same_files_and_leaves_the_random_state(tiny_runs, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    names = [write_stages(probe_stages(tiny_runs[1], count=20), tmp_path / folder) for folder in "ab"]
    assert torch.equal(torch.rand(2), expected)
    assert names[0] == names[1]
    assert sorted(names[0]) == sorted(path.name for path in (tmp_path / "a").iterdir())
    for name in names[0]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_files_hold_what_is_drawn(probe, tmp_path):
    for name in write_stages(probe, tmp_path):
        if name.endswith(".svg"):
            assert xml.etree.ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")
    rows = read_csv(tmp_path / "stages-nearest-profiles.csv")
    found = column(rows, "db_over_white", question="noise", stage=1, profile="vertical")
    assert found == pytest.approx(probe.of("noise")[0].vertical, abs=1e-4)
    rows = read_csv(tmp_path / "stages-nearest.csv")
    found = column(rows, "db_over_white", question="untrained", stage=1).reshape(8, 5)
    assert found == pytest.approx(np.fft.ifftshift(probe.of("untrained")[0].level)[:, :5], abs=1e-4)
    layers = read_csv(tmp_path / "stages-nearest-layers.csv")
    assert {(row["stage"], row["weights"]) for row in layers} == {
        (stage, weights) for stage in "12" for weights in ("trained", "untrained")
    }


def test_a_conditional_generator_can_be_probed(tiny):
    network = build_generator(tiny("model.upsampling=nearest").model.model_copy(update={"num_classes": 3}))
    assert len(list(stage_spectra(network, network, 8, 0))) == 9


def test_wrong_paths_counts_and_names(tiny_runs, tmp_path):
    with pytest.raises(GanlabError, match="no generator"):
        probe_stages(tmp_path)
    with pytest.raises(GanlabError, match="2 latents or more"):
        probe_stages(tiny_runs[0], count=1)
    assert list(generators(tiny_runs)) == ["nearest", "transposed"]
    with pytest.raises(GanlabError, match="two generators are called 'nearest'"):
        generators([tiny_runs[0], tiny_runs[0] / "generator.safetensors"])
