"""The zoo: every generator with its card, by name in the verbs; and runs that start alike."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

import ganlab as package
from ganlab import zoo
from ganlab.errors import GanlabError
from ganlab.models import load_generator
from ganlab.models.store import generator_file
from ganlab.util.hashing import sha256_file

FIELDS = {
    "name", "differs", "data", "pixels_sha256", "steps", "seed", "parameters", "command", "commit", "sha256",
    "samples", "curve", "spectrum", "strongest_line", "float16",
}  # fmt: skip
LARGEST = 25_000_000


def test_there_are_generators_and_they_are_small():
    assert zoo.names()
    assert sum(path.stat().st_size for path in zoo.FOLDER.iterdir()) < LARGEST


@pytest.mark.parametrize("name", zoo.names())
def test_every_card_says_what_its_file_is(name):
    card, file = zoo.card(name), zoo.zoo_file(name)
    assert set(card) == FIELDS
    assert card["name"] == name
    assert card["sha256"] == sha256_file(file)
    assert (zoo.FOLDER / card["samples"]).is_file()
    assert len(card["spectrum"]["real_db"]) == len(card["spectrum"]["fake_db"]) == 17
    rounding = card["float16"]
    assert rounding["levels"] <= 1
    assert rounding["low"] <= rounding["mean_db_float16"] <= rounding["high"]
    assert {value.dtype for value in load_file(file).values()} >= {torch.float16}


@pytest.mark.parametrize("name", zoo.names())
def test_every_generator_draws(name):
    generator = load_generator(f"zoo:{name}")
    images = generator.sample(0, 0, 2)
    assert images.shape == (2, 3, 32, 32)
    assert images.std() > 0.1
    assert sum(weight.numel() for weight in generator.parameters()) == zoo.card(name)["parameters"]


def test_a_name_works_wherever_a_run_does(ganlab, tmp_path):
    name = zoo.names()[0]
    assert package.load_generator(f"zoo:{name}").source_name == name
    done = ganlab("generate", f"zoo:{name}", "--num", 4, "--out", tmp_path / "fakes")
    assert done.code == 0, done.output
    assert json.loads((tmp_path / "fakes" / "manifest.json").read_text())
    (folder,) = [path for path in (tmp_path / "fakes").iterdir() if path.is_dir()] or [tmp_path / "fakes"]
    assert len(list(folder.glob("*.png"))) == 4


def test_the_verb_lists_and_shows_cards(ganlab):
    name = zoo.names()[0]
    listed = ganlab("zoo")
    assert listed.code == 0
    assert all(one in listed.stdout for one in zoo.names())
    shown = ganlab("zoo", name)
    for key in ("command", "commit", "sha256", "strongest_line", "data"):
        assert str(zoo.card(name)[key]) in shown.stdout
    wrong = ganlab("zoo", "dcgan-transposd-s0")
    assert wrong.code == 2
    assert "no generator 'dcgan-transposd-s0' in the zoo" in wrong.stderr


def test_what_is_not_there_is_named():
    with pytest.raises(GanlabError, match="no generator 'nothing' in the zoo"):
        generator_file("zoo:nothing")
    with pytest.raises(GanlabError, match="holds no raw weights"):
        load_generator(f"zoo:{zoo.names()[0]}", weights="raw")
