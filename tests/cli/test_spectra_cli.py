"""ganlab spectra and ganlab theory as a user types them."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image


def pixels(count, seed, size=16):
    """Blobs: smooth noise, uint8 (count, size, size, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, size // 2, size // 2, 3)).repeat(2, 1).repeat(2, 2)
    return ((coarse + np.roll(coarse, 1, 1) + np.roll(coarse, 1, 2)) // 3).astype(np.uint8)


@pytest.fixture
def sets(tmp_path):
    """A pack with a split, a folder, an array, and an array of another size."""
    split = np.arange(40) % 2
    np.savez(tmp_path / "photos.npz", images=pixels(40, 0), split=split.astype(np.uint8))
    (tmp_path / "folder").mkdir()
    for i, image in enumerate(pixels(12, 1)):
        Image.fromarray(image).save(tmp_path / "folder" / f"{i:02d}.png")
    np.save(tmp_path / "array.npy", pixels(30, 2))
    np.save(tmp_path / "large.npy", pixels(10, 3, 32))


def test_from_files_to_results_and_again(ganlab, sets, tmp_path):
    names = ("--name", "photos", "--name", "one", "--name", "two")
    options = ("--out", "out", "--bootstrap", "30", "--metrics", "basic", "--limit", "10", *names)
    command = ("spectra", "photos.npz@val", "folder", "array.npy", *options)
    first = ganlab(*command)
    assert first.code == 0, first.stderr
    lines = first.stdout.splitlines()
    assert lines[0].split()[:2] == ["set", "images"]
    assert [line.split()[:2] for line in lines[1:3]] == [["one", "10"], ["two", "10"]]
    assert lines[-1] == "out written; the page is out/index.html"
    assert "warning: photos has only 10 images" in first.stdout
    about = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert about["command"] == "ganlab " + " ".join(command)
    assert [(one["name"], one["images"]) for one in about["identity"]["sets"]] == [
        (name, 10) for name in ("photos", "one", "two")
    ]
    assert about["identity"]["options"]["window"] == "hann"
    assert "window hann" in first.stdout
    again = ganlab(*command)
    assert again.code == 0
    assert again.stdout.splitlines()[-1].startswith("out already holds this comparison")
    other = ganlab(*command, "--window", "none")
    assert other.code == 2
    assert other.stderr.startswith(
        "error: out holds other results of 'ganlab spectra' (options.window 'hann' there"
    )


def test_errors_are_one_line(ganlab, sets, tmp_path):
    for arguments, words in (
        (("photos.npz", "large.npy"), "photos has images of 16x16, large of 32x32"),
        (("photos.npz", "folders"), "did you mean 'folder'"),
        (("photos.npz", "folder", "--convention", "durall2021"), "did you mean 'durall2020'"),
        (("photos.npz", "folder", "--stages", "folder"), "no generator at folder"),
    ):
        result = ganlab("spectra", *arguments, "--out", "out")
        assert result.code == 2
        errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert words in errors[0]
    assert not (tmp_path / "out").exists()


def test_stages_join_the_results(ganlab, sets, tiny_runs, tmp_path):
    command = ("spectra", "photos.npz", "array.npy", "--out", "out", "--bootstrap", "0", "--metrics", "basic")
    made = ganlab(*command, "--stages", tiny_runs[0])
    assert made.code == 0, made.stderr
    assert (tmp_path / "out" / "stages-nearest-layers.csv").is_file()
    assert "stages-nearest.png" in made.stdout
    assert "already holds" in ganlab(*command, "--stages", tiny_runs[0]).stdout
    assert "(stages.nearest " in ganlab(*command).stderr


def test_theory_prints_and_draws(ganlab, tmp_path):
    printed = ganlab("theory")
    assert printed.code == 0, printed.stderr
    assert "bilinear" in printed.stdout
    assert not list(tmp_path.glob("*"))
    drawn = ganlab("theory", "--out", "theory", "--size", "32")
    assert drawn.stdout.splitlines()[-1] == "theory written; the page is theory/index.html"
    assert (tmp_path / "theory" / "replica-maps.svg").is_file()
    assert ganlab("theory", "--out", "theory", "--size", "40").code == 2


def test_sizes_are_refused_before_torch_is_imported(sets, tmp_path):
    """In a process of its own: this one has long imported torch."""
    code = (
        "import sys\n"
        "from ganlab.cli import app\n"
        "try:\n"
        "    app(['spectra', 'photos.npz', 'large.npy', '--out', 'out'])\n"
        "except BaseException as error:\n"
        "    print(type(error).__name__)\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
    assert "large of 32x32" in done.stderr
    assert not (tmp_path / "out").exists()


def test_published_figures_join_the_results(ganlab, sets, tmp_path):
    names = ("corvi2023", "stylegan3", "wang2020", "frank2020")
    chosen = [word for name in names for word in ("--published", name)]
    command = ("spectra", "photos.npz", "array.npy", "--out", "out", "--bootstrap", "0", "--metrics", "basic")
    made = ganlab(*command, *chosen)
    assert made.code == 0, made.stderr
    for name in names:
        for ending in ("csv", "png", "svg"):
            assert (tmp_path / "out" / f"published-{name}.{ending}").is_file()
        assert "window" in (tmp_path / "out" / f"published-{name}.csv").read_text()
    assert "did you mean 'wang2020'" in ganlab(*command, "--published", "wang202").stderr
