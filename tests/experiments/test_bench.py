"""``ganlab bench``: every figure is there, with its spread; operations are counted as by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ganlab.experiments.bench import run as library
from ganlab.experiments.bench.measure import loop_traces, row, smooth_grey, step_flop, turns
from ganlab.forensics import convolutional_traces


def test_the_report_of_a_quick_run(ganlab, tmp_path):
    code, out, err = ganlab("bench", "--device", "cpu", "--quick", "--json", tmp_path / "bench.json")
    assert code == 0, err
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["machine"]["kind"] == "cpu"
    assert report["machine"]["threads"] >= 1
    rows = {row["what"]: row for row in report["rows"]}
    steps = [name for name in rows if name.startswith("training step, ")]
    assert len(steps) == len(library.CASES["cpu"])
    for name, measured in rows.items():
        assert 0 < measured["low"] <= measured["median"] <= measured["high"], name
        assert measured["rounds"] >= 3
        assert name in out
    for name in steps:
        step = rows[name]
        assert step["flop_per_second"] == pytest.approx(step["flop"] / step["median"] * 1e3)
        assert 0 < step["share_low"] <= step["share_of_limit"] <= step["share_high"]
    units = {measured["unit"] for measured in rows.values()}
    assert units == {"FLOP/s", "ms", "ratio", "images/s", "rfft2", "times faster"}
    assert "of the limit; 2,000 steps take" in out


def test_what_cannot_be_measured_is_said(ganlab):
    code, _, err = ganlab("bench", "--preset", "small33", "--quick")
    assert (code, "small32" in err) == (2, True)
    if not torch.cuda.is_available():
        code, _, err = ganlab("bench", "--device", "cuda")
        assert (code, "device 'cuda' is not available" in err) == (2, True)


def test_actions_take_turns_and_the_first_round_is_not_counted():
    order, ticks = [], iter(range(1000))
    seconds = turns([lambda: order.append("a"), lambda: order.append("b")], 5, clock=lambda: next(ticks))
    assert order == ["a", "b"] * 6
    assert seconds.tolist() == [[1, 1]] * 5
    assert turns([list], 50, budget=0.0).shape == (3, 1), "three rounds however long they take"
    measured = row("x", "ms", np.array([3.0, 1.0, 2.0]), images=5)
    assert (measured["median"], measured["low"], measured["high"], measured["images"]) == (2, 1.5, 2.5, 5)


def test_the_operations_of_a_step_are_those_of_its_convolutions(tiny):
    """Counted by hand: each product of an update, forward and backward, with its weights' part or without."""

    def products(network, side):
        """Multiply-adds of one image's forward pass, by layers in their order; the first one's input."""
        from torch import nn

        sizes = []
        hooks = [
            layer.register_forward_hook(lambda layer, x, y: sizes.append((layer, x[0].shape, y.shape)))
            for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        ]  # fmt: skip
        network.eval()(side)
        for hook in hooks:
            hook.remove()
        found = []
        for layer, before, after in sizes:
            weight = layer.weight.numel()
            places = 1 if isinstance(layer, nn.Linear) else before[2] * before[3]
            if isinstance(layer, nn.Conv2d):
                places = after[2] * after[3]
            found.append(2 * weight * places)
        return found

    from ganlab.models import build_discriminator, build_generator

    config = tiny("training.batch_size=8")
    g = products(build_generator(config), torch.zeros(1, config.model.generator.z_dim))
    d = products(build_discriminator(config), torch.zeros(1, 3, 16, 16))
    first = d[0] if len(d) else 0
    discriminator_update = sum(g) + 2 * (3 * sum(d) - first)  # no gradient at the images
    generator_update = 3 * sum(g) - g[0] + 2 * sum(d)  # none at the latents, none for the weights of D
    assert step_flop(config) == 8 * (discriminator_update + generator_update)


def test_the_loop_of_traces_finds_what_the_batch_finds():
    grey = smooth_grey(1, 24)
    ours = convolutional_traces(torch.from_numpy(grey / 127.5 - 1).float(), 3).kernels[0, 0]
    np.testing.assert_allclose(ours, loop_traces(grey[0, 0], 3), atol=1e-3)
