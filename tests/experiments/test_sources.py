"""Verbs take generators where they take images."""

import json

import numpy as np
import pytest
from foreign_sources import MINE
from spectra_sets import read_csv

from ganlab.data import open_image_set
from ganlab.errors import GanlabError
from ganlab.experiments.sources import draw, may_be_generator, open_sets
from ganlab.generation import Request, generate
from ganlab.util.hashing import sha256_file


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    return file, sha256_file(file)


def test_what_may_be_a_generator(tmp_path, photos, tiny_runs, mine):
    (tmp_path / "a.npz").touch()
    for text in (photos, tmp_path / "a.npz", photos / "000.png", tmp_path / "nothing", f"{photos}@val"):
        assert not may_be_generator(str(text))
    for text in (tiny_runs[0], tiny_runs[0] / "generator.safetensors", "zoo:x", f"{mine[0]}:make"):
        assert may_be_generator(str(text))


def test_a_run_draws_what_generate_writes(tmp_path, photos, tiny_runs):
    sets = open_sets([str(photos), str(tiny_runs[1])], limit=10)
    assert [len(images) for images in sets] == [10, 10]
    assert (sets[1].name, sets[0].origin) == ("transposed", None)
    generate(Request((tiny_runs[1],), 10, "npy"), tmp_path / "set")
    written = open_image_set(tmp_path / "set")
    assert np.array_equal(sets[1].read(range(10)), written.read(range(10)))
    assert sets[1].origin["sha256"] == sha256_file(tiny_runs[1] / "generator.safetensors")


def test_what_draws_no_images_for_a_verb_says_why(mine, photos):
    file, digest = mine
    with pytest.raises(GanlabError, match="--trust"):
        open_sets([str(photos), f"{file}:make"])
    with pytest.raises(GanlabError, match="say how many images"):
        open_sets([f"{file}:make"], trust=[digest])
    with pytest.raises(GanlabError, match="draws 2 channels"):
        draw(f"{file}:odd", 2, [digest])
    with pytest.raises(GanlabError, match="no generator 'nothing' in the zoo"):
        open_sets([str(photos), "zoo:nothing"])
    # Of several hashes the one of the file counts.
    assert len(draw(f"{file}:make", 3, ["0" * 64, digest])) == 3


def test_spectra_of_a_generator(ganlab, mine, photos, tmp_path):
    file, digest = mine
    out = tmp_path / "out"
    code, text, error = ganlab(
        "spectra", photos, f"{file}:make", "--trust", digest, "--out", out,
        "--bootstrap", 0, "--metrics", "basic", "--stages", f"{file}:make",
    )  # fmt: skip
    assert code == 0, error
    assert "mine" in text
    inputs = json.loads((out / "provenance.json").read_text())["inputs"]
    assert inputs[1]["generator"]["sha256"] == digest
    assert "generator" not in inputs[0]
    rows = read_csv(out / "stages-mine.csv")
    assert {row["question"] for row in rows} == {"features", "noise"}
    assert {row["operator"] for row in rows} == {"2", ""}


@pytest.mark.slow
def test_detect_and_audit_of_a_generator(ganlab, mine, photos, tmp_path):
    file, digest = mine
    fake = [f"{file}:make", "--trust", digest]
    code, text, error = ganlab(
        "detect", photos, *fake, "--out", tmp_path / "detect", "--system", "radial+logistic", "--seeds", 1,
        "--resamples", 20, "--size", 0, "--bands", 0, "--perturbation", "none",
    )  # fmt: skip
    assert code == 0, error
    model = tmp_path / "detect" / "detectors" / "0.safetensors"
    code, text, error = ganlab("detect", "--model", model, *fake, "--limit", 5)
    assert code == 0, error
    assert "5 images" in text
    code, text, error = ganlab("audit", photos, *fake, "--limit", 12)
    assert code in (0, 1), error
