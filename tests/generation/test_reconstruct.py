"""Aligned pairs: image i of a run is made of photo i, both written alike."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from shared import SMALL_CODER as SMALL

from ganlab.config import load
from ganlab.data import open_image_set
from ganlab.errors import GanlabError
from ganlab.generation import verify_set
from ganlab.generation.reconstruct import reconstructed
from ganlab.images import to_float, to_uint8
from ganlab.models import load_network
from ganlab.training import train


@pytest.fixture(scope="module")
def runs(tmp_path_factory, cache_folder):
    """An autoencoder and a super-resolution network of 16 px, trained for a step; read them only."""
    folder = tmp_path_factory.mktemp("coders")
    for name, preset in (("coder", "autoencoder32"), ("larger", "superres32"), ("masks", "segment32")):
        train(load(preset, [*SMALL, "training.steps=1"]), folder / name)
    return folder


def pixels(folder):
    return next(open_image_set(folder).batches())


def test_pairs_are_aligned_and_written_alike(ganlab, runs, photos, tmp_path):
    out = tmp_path / "pairs"
    given = [runs / "coder", runs / "larger", runs / "masks", "--reconstruct", photos, "--out", out]
    done = ganlab("generate", *given, "--device", "cpu")
    assert done.code == 0, done.output
    assert len(verify_set(out)["files"]) == 4 * 48
    names = [sorted(path.name for path in (out / part).iterdir()) for part in ("real", "coder", "larger")]
    assert names[0] == names[1] == names[2]
    real = pixels(out / "real")
    squares = [
        Image.open(path).resize((16, 16), Image.Resampling.LANCZOS) for path in sorted(photos.iterdir())
    ]
    assert np.array_equal(real, np.stack([np.asarray(square) for square in squares]))
    for name in ("coder", "larger"):
        expected = to_uint8(reconstructed(load_network(runs / name), to_float(real)))
        assert np.array_equal(pixels(out / name), expected)
    assert set(np.unique(pixels(out / "masks"))) <= {0, 255}
    parts = {
        part["path"]: part["source"]
        for part in json.loads((out / "manifest.json").read_text())["plan"]["parts"]
    }
    assert parts["coder"]["task"] == "autoencoder"
    assert "Keys" in parts["larger"]["reduced"]
    again = ganlab("generate", *given, "--device", "cpu")
    assert again.code == 0


def test_image_i_is_the_same_in_a_smaller_set(runs, photos):
    network = load_network(runs / "coder")
    images = to_float(np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), dtype=np.uint8))
    assert torch.equal(reconstructed(network, images)[:5], reconstructed(network, images[:5]))


def test_num_and_layout(ganlab, runs, photos, tmp_path):
    out = tmp_path / "pairs"
    arguments = ["--reconstruct", photos, "--num", 6, "--layout", "cnndetection", "--test-fraction", 0.5]
    assert ganlab("generate", runs / "coder", *arguments, "--out", out).code == 0
    for part in ("train", "test"):
        names = [
            sorted(p.name for p in (out / part / "coder" / kind).iterdir()) for kind in ("0_real", "1_fake")
        ]
        assert names[0] == names[1]
        assert len(names[0]) == 3


def test_wrong_pairs_give_one_message(ganlab, runs, tiny_runs, photos, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    Image.new("RGB", (8, 8)).save(small / "a.png")
    for given, message in (
        ([tiny_runs[0], "--reconstruct", photos], "trained as a GAN"),
        ([runs / "coder", "--reconstruct", small], "a.png: 8x8 would have to be enlarged to 16x16"),
        ([runs / "coder", "--reconstruct", tmp_path / "none"], "none"),
        ([runs / "larger", "--num", 4], "was trained for superres"),
    ):
        done = ganlab("generate", *given, "--out", tmp_path / message.replace(" ", "-"))
        assert done.code == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_decoder_generates_from_codes(ganlab, runs, tmp_path):
    done = ganlab("generate", runs / "coder", "--num", 5, "--out", tmp_path / "out")
    assert done.code == 0, done.output
    assert len(pixels(tmp_path / "out" / "coder")) == 5


def test_several_sizes(runs, photos, tmp_path):
    from ganlab.generation import Request, generate

    train(load("autoencoder32", [*SMALL, "model.image_size=32", "training.steps=1"]), tmp_path / "big")
    with pytest.raises(GanlabError, match="coder 16 px, big 32 px"):
        generate(Request((runs / "coder", tmp_path / "big"), 0, photos=photos), tmp_path / "out")
