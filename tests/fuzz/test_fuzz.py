"""Files and configurations that somebody spoiled: each is read, or refused with one sentence.

An escape is anything else: another exception, more than 5 seconds of this process, or a file left behind.
The default size takes half a minute; ``pytest -m fuzz`` reads 2,000 files of every kind and 10,000
configurations.
A case is a kind and a number: ``escape_of(KIND, bases, folder, number)`` makes it again.
"""

from __future__ import annotations

import os
import random
import shutil
import warnings

import pytest
from fuzz_kinds import kinds
from fuzz_texts import configuration
from mutator import Mutator, entries, escape

from ganlab.config import resolve

FEW, MANY = 10, 2_000
FEW_TEXTS, MANY_TEXTS = 60, 10_000
NAMES = [
    "zip of images", "npz", "npy", "pack", "picture", "generator", "pretrained", "detector logistic",
    "detector random_forest", "detector knn", "detector kmeans", "detector cnn", "checkpoint", "run",
    "fake set",
    "results", "splits", "cell", "texts",
]  # fmt: skip


@pytest.fixture(scope="module")
def bases(tmp_path_factory, tiny_runs):
    """A folder with the sound files of every kind."""
    folder, table = tmp_path_factory.mktemp("bases"), kinds(tiny_runs[0])
    assert list(table) == NAMES
    for name, kind in table.items():
        (folder / name).mkdir()
        kind.make(folder / name)
    return folder, table


def escape_of(name, bases, folder, number):
    """One case: the sound files copied, one of them spoiled, all of them read."""
    base, table = bases
    kind, mutator = table[name], Mutator([number, NAMES.index(name)])
    place, scratch = folder / "case", folder / "out"
    shutil.copytree(base / name, place)
    scratch.mkdir()
    chosen = mutator.pick(sorted(path for path in entries(place) if (place / path).is_file()))
    if kind.files:
        chosen = mutator.pick(kind.files)
    if not mutator.place(place / chosen):
        (place / chosen).write_bytes(kind.spoil(mutator, chosen, (place / chosen).read_bytes()))
    if name == "picture":
        (place / "chosen").write_text(chosen)
    before = entries(folder)
    try:
        found = escape(lambda: kind.read(place, scratch))
        left = sorted(entries(folder) - before)
        return f"{name} {number}: {chosen}: {found or f'left {left}'}" if found or left else None
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)


def escapes_of(name, bases, folder, numbers):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(filter(None, (escape_of(name, bases, folder, number) for number in numbers)))


@pytest.mark.parametrize("name", NAMES)
def test_sound_files_are_read(name, bases, tmp_path):
    """Otherwise the cases would show nothing."""
    shutil.copytree(bases[0] / name, tmp_path / "case")
    (tmp_path / "out").mkdir()
    if name == "picture":
        (tmp_path / "case" / "chosen").write_text("in/rgb.png")
    bases[1][name].read(tmp_path / "case", tmp_path / "out")


@pytest.mark.parametrize("name", NAMES)
def test_spoiled_files(name, bases, tmp_path):
    found = escapes_of(name, bases, tmp_path, range(FEW))
    assert not found, "\n\n".join(found[:3])


def spoiled_configurations(folder, numbers, monkeypatch):
    monkeypatch.chdir(folder)
    found = []
    for number in numbers:
        source, overrides = configuration(random.Random(number), folder)
        ended = escape(lambda source=source, overrides=overrides: str(resolve(source, overrides)))
        if ended:
            found.append(f"configuration {number}: {ended}")
    left = [name for name in os.listdir(folder) if name != "c.yaml"]
    return found + [f"left {name}" for name in left]


def test_spoiled_configurations(tmp_path, monkeypatch):
    found = spoiled_configurations(tmp_path, range(FEW_TEXTS), monkeypatch)
    assert not found, "\n\n".join(found[:3])


@pytest.mark.fuzz
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", NAMES)
def test_many_spoiled_files(name, bases, tmp_path):
    found = escapes_of(name, bases, tmp_path, range(FEW, FEW + MANY))
    assert not found, f"{len(found)} of {MANY}\n" + "\n\n".join(found[:5])


@pytest.mark.fuzz
@pytest.mark.timeout(7200)
def test_many_spoiled_configurations(tmp_path, monkeypatch):
    found = spoiled_configurations(tmp_path, range(FEW_TEXTS, FEW_TEXTS + MANY_TEXTS), monkeypatch)
    assert not found, f"{len(found)} of {MANY_TEXTS}\n" + "\n\n".join(found[:5])
