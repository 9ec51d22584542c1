"""State dicts of StyleGAN2's and StyleGAN3's released layout, with random weights."""

import math

import numpy as np
import torch
from safetensors.torch import save_file
from scipy.signal import firwin

from ganlab.adapters.stylegan import plan

W, Z = 12, 10
FIR = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64


def linear(state, name, outputs, inputs, bias=0.0, rate=1.0):
    state[f"{name}.weight"] = torch.randn(outputs, inputs) / rate
    state[f"{name}.bias"] = torch.full((outputs,), bias)


def mapping(layers, classes=0):
    state = {"mapping.w_avg": torch.zeros(W)}
    if classes:
        linear(state, "mapping.embed", W, classes)
    for number in range(layers):
        linear(state, f"mapping.fc{number}", W, (Z + (W if classes else 0)) if number == 0 else W, rate=0.01)
    return state


def stylegan2(side=16, width=6, classes=0):
    torch.manual_seed(3)
    state = mapping(2, classes)
    for res in (2**k for k in range(2, int(math.log2(side)) + 1)):
        name = f"synthesis.b{res}"
        state[f"{name}.resample_filter"] = FIR.clone()
        for conv in ("conv0", "conv1")[res == 4 :]:
            at = f"{name}.{conv}"
            state[f"{at}.weight"] = torch.randn(width, width, 3, 3)
            state[f"{at}.bias"] = torch.randn(width) * 0.1
            state[f"{at}.noise_const"] = torch.randn(res, res)
            state[f"{at}.noise_strength"] = torch.tensor(0.0)
            state[f"{at}.resample_filter"] = FIR.clone()
            linear(state, f"{at}.affine", width, W, 1.0)
        if res == 4:
            state[f"{name}.const"] = torch.randn(width, 4, 4)
        state[f"{name}.torgb.weight"] = torch.randn(3, width, 1, 1) * 0.1
        state[f"{name}.torgb.bias"] = torch.zeros(3)
        linear(state, f"{name}.torgb.affine", width, W, 1.0)
    return state


def stylegan3(side=32, layers=6, width=6, kernel=3):
    torch.manual_seed(4)
    sizes, rates, _ = plan(side, layers)
    state = mapping(2)
    at = "synthesis.input"
    state |= {f"{at}.weight": torch.randn(width, width), f"{at}.transform": torch.eye(3),
              f"{at}.freqs": torch.randn(width, 2), f"{at}.phases": torch.rand(width) - 0.5,
              f"{at}.affine.weight": torch.zeros(4, W),
              f"{at}.affine.bias": torch.tensor([1.0, 0, 0, 0])}  # fmt: skip
    for number in range(layers + 1):
        last = number == layers
        outputs, k = (3, 1) if last else (width, kernel)
        name = f"synthesis.L{number}_{sizes[number]}_{outputs}"
        state[f"{name}.weight"] = torch.randn(outputs, width, k, k)
        state[f"{name}.bias"] = torch.zeros(outputs)
        state[f"{name}.magnitude_ema"] = torch.tensor(1.0)
        linear(state, f"{name}.affine", width, W, 1.0)
        if not last:
            before = rates[max(number - 1, 0)]
            up, down = (round(max(before, rates[number]) * 2 / rate) for rate in (before, rates[number]))
            for kind, factor in (("up", up), ("down", down)):
                taps = firwin(6 * factor, 1 / factor * 0.8).astype(np.float32)
                state[f"{name}.{kind}_filter"] = torch.from_numpy(taps)
    return state


def written(state, path):
    save_file({name: value.contiguous() for name, value in state.items()}, str(path))
    return path
