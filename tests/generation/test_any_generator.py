"""Fake sets of generators that are not ganlab's, with what is known of them in the manifest."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

import ganlab as lab
from ganlab.data import open_image_set
from ganlab.errors import GanlabError
from ganlab.generation import Request, generate
from ganlab.images import to_uint8

SOURCE = """
import ganlab, torch
torch.manual_seed(0)

def make():
    net = torch.nn.Sequential(torch.nn.Conv2d(4, 3, 3, padding=1), torch.nn.Upsample(scale_factor=2))
    return ganlab.wrap(torch.nn.Sequential(net, torch.nn.Tanh()), (4, 8, 8), name="mine")
"""


def decoder():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 3, 3, padding=1), nn.Upsample(scale_factor=2), nn.Tanh())


def test_a_wrapped_module_makes_a_set(tmp_path):
    generator = lab.wrap(decoder(), (4, 8, 8), name="mine")
    manifest = generate(Request((generator,), 70, "npy", seed=3), tmp_path / "set")
    source = manifest["plan"]["parts"][0]["source"]
    assert source["generator"] == "mine"
    assert len(source["weights_sha256"]) == 64
    made = np.load(tmp_path / "set" / "mine.npy")
    assert (made == to_uint8(generator.sample(3, 0, 70))).all()
    assert generate(Request((generator,), 70, "npy", seed=3), tmp_path / "set") == manifest
    other = decoder()
    with torch.no_grad():
        other[0].bias.add_(1)
    with pytest.raises(GanlabError, match="weights_sha256"):
        generate(Request((lab.wrap(other, (4, 8, 8), name="mine"),), 70, "npy", seed=3), tmp_path / "set")
    with pytest.raises(GanlabError, match="nobody knows what it was trained on"):
        generate(Request((generator,), 8, with_real=True), tmp_path / "other")


@pytest.mark.parametrize("format", ["folder", "npy"])
def test_grey_images_and_what_is_no_image(tmp_path, format):
    grey = lab.wrap(lambda z: z.clamp(-1, 1), (1, 8, 8), name="grey")
    generate(Request((grey,), 3, format), tmp_path / "set")
    assert (open_image_set(tmp_path / "set").read(range(3)) == to_uint8(grey.sample(0, 0, 3))).all()
    with pytest.raises(GanlabError, match="draws 2 channels"):
        generate(Request((lab.wrap(lambda z: z.clamp(-1, 1), (2, 8, 8)),), 3), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_any_source_on_the_command_line(tmp_path, ganlab, tiny_runs):
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    refused = ganlab("generate", f"{file}:make", "--num", 4, "--out", tmp_path / "set")
    assert refused.code == 2
    assert "--trust" in refused.stderr
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    line = (
        "generate",
        f"{file}:make",
        tiny_runs[0],
        "--trust",
        digest,
        "--num",
        4,
        "--out",
        tmp_path / "set",
    )
    done = ganlab(*line)
    assert done.code == 0, done.stderr
    assert open_image_set(tmp_path / "set" / "mine").num_images == 4
    assert open_image_set(tmp_path / "set" / "nearest").num_images == 4
    assert ganlab(*line).code == 0  # finished: verified
