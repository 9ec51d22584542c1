"""Fake sets: bytes depend on (weights, seed, i) alone; interrupted sets continue; bad input is named."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import ganlab
from ganlab.config import load
from ganlab.data import open_image_set
from ganlab.errors import GanlabError
from ganlab.generation import Request, generate, generate_images, verify_set
from ganlab.generation import write as writing
from ganlab.generation.sampling import image_labels, image_latents
from ganlab.generation.sources import choose_reals
from ganlab.training import train
from ganlab.util.atomic import write_json
from ganlab.util.hashing import derive_seed


def hashes(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_bytes_do_not_depend_on_batch_size_or_workers(tiny_runs, tmp_path):
    request = Request(tiny_runs, 150)
    for name, batch_size, workers in (("a", 1, 1), ("b", 7, 3), ("c", 512, 8)):
        generate(request, tmp_path / name, batch_size, workers)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b") == hashes(tmp_path / "c")
    assert len(list((tmp_path / "a" / "nearest").iterdir())) == 150


def test_image_i_is_the_same_in_every_format_and_count(tiny_runs, tmp_path):
    run = tiny_runs[:1]
    generate(Request(run, 70), tmp_path / "png")
    generate(Request(run, 100, "npy"), tmp_path / "npy")
    generate(Request(run, 130, "zip"), tmp_path / "zip")
    array = np.load(tmp_path / "npy" / "nearest.npy")
    assert array.shape == (100, 16, 16, 3)
    assert array.dtype == np.uint8
    with zipfile.ZipFile(tmp_path / "zip" / "nearest.zip") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert json.loads(archive.read("dataset.json")) == {"labels": None}
        inside = np.asarray(Image.open(archive.open("00000/img00000066.png")))
    file = np.asarray(Image.open(tmp_path / "png" / "nearest" / "img00000066.png"))
    np.testing.assert_array_equal(file, array[66])
    np.testing.assert_array_equal(inside, array[66])
    np.testing.assert_array_equal(generate_images(ganlab.load_generator(run[0]), 0, 66, 1)[0], array[66])


def test_the_latent_rule_is_the_one_in_the_manifest():
    draw = torch.Generator().manual_seed(
        int.from_bytes(hashlib.sha256(b"3/fake/17").digest()[:8], "big") >> 1
    )
    assert torch.equal(image_latents(3, 16, 2, 5)[1], torch.randn(5, generator=draw))
    assert derive_seed(3, "fake", 17) == int.from_bytes(hashlib.sha256(b"3/fake/17").digest()[:8], "big") >> 1


def test_seeds_and_generators_differ(tiny_runs):
    one, two = (ganlab.load_generator(run) for run in tiny_runs)
    assert not np.array_equal(generate_images(one, 0, 0, 4), generate_images(one, 1, 0, 4))
    assert not np.array_equal(generate_images(one, 0, 0, 4), generate_images(two, 0, 0, 4))


def test_reals_that_are_elsewhere_are_named():
    config = load("dcgan32", ["data.source=pack", "data.path=elsewhere.npz"])
    with pytest.raises(GanlabError, match=r"cannot be read \(elsewhere.npz: no such pack.*your own"):
        choose_reals(config, 4, 0)


def test_with_real_writes_photos_unchanged(tiny_runs, tmp_path):
    manifest = generate(Request(tiny_runs, 20, with_real=True), tmp_path / "set")
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == [
        "manifest.json",
        "nearest",
        "real",
        "transposed",
    ]
    source = next(p["source"] for p in manifest["plan"]["parts"] if p["path"] == "real")
    assert source["num"] == 20
    assert source["held_out"] == 6
    from ganlab.config import load
    from ganlab.data import load_training_images

    config = load(tiny_runs[0])
    photos = load_training_images(config.data, config.model.image_size)
    originals = {np.asarray(image).tobytes() for image in photos.images}
    written = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "set" / "real").iterdir())]
    assert all(image.tobytes() in originals for image in written)
    held_out = {np.asarray(photos.images[i]).tobytes() for i in photos.val}
    assert all(image.tobytes() in held_out for image in written[:6])


def test_layouts_and_parts(tiny_runs, tmp_path):
    generate(Request(tiny_runs, 10, layout="cnndetection", test_fraction=0.2), tmp_path / "set")
    for part, count in (("train", 8), ("test", 2)):
        for run in ("nearest", "transposed"):
            for kind in ("0_real", "1_fake"):
                assert len(list((tmp_path / "set" / part / run / kind).iterdir())) == count
    names = [p.name for p in sorted((tmp_path / "set" / "test" / "nearest" / "1_fake").iterdir())]
    assert names == ["img00000008.png", "img00000009.png"]


def test_held_out_photos_go_to_the_test_part_first(tiny_runs, tmp_path):
    """6 of the 64 photos are held out: with 4 photos in the test part none of them was trained on."""
    from ganlab.config import load
    from ganlab.data import load_training_images

    generate(Request(tiny_runs[:1], 10, with_real=True, test_fraction=0.4), tmp_path / "set")
    config = load(tiny_runs[0])
    photos = load_training_images(config.data, config.model.image_size)
    held_out = {np.asarray(photos.images[i]).tobytes() for i in photos.val}
    test = [np.asarray(Image.open(path)) for path in (tmp_path / "set" / "test" / "real").iterdir()]
    assert [image.tobytes() in held_out for image in test] == [True] * 4
    assert len(list((tmp_path / "set" / "train" / "real").iterdir())) == 6


def test_classes_of_a_conditional_generator_are_kept(tmp_path, tiny):
    """In the manifest for every format, and in a zip as StyleGAN's dataset.json has them."""
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "pack.npz",
        images=rng.integers(0, 256, (64, 16, 16, 3), dtype=np.uint8),
        labels=np.arange(64) % 3,
    )
    config = tiny(
        "data.source=pack", f"data.path={tmp_path / 'pack.npz'}", "model.num_classes=3", "training.steps=1"
    )
    train(config, tmp_path / "run")
    manifest = generate(Request((tmp_path / "run",), 20, "zip", test_fraction=0.25), tmp_path / "set")
    expected = image_labels(0, 0, 20, 3).tolist()
    assert manifest["labels"] == {"train/run": expected[:15], "test/run": expected[15:]}
    with zipfile.ZipFile(tmp_path / "set" / "test" / "run.zip") as archive:
        listed = json.loads(archive.read("dataset.json"))["labels"]
    assert listed == [[f"00000/img{i:08d}.png", expected[i]] for i in range(15, 20)]
    assert open_image_set(tmp_path / "set" / "test" / "run.zip").labels.tolist() == expected[15:]


def test_a_finished_set_is_verified_not_rewritten(tiny_runs, tmp_path):
    request = Request(tiny_runs[:1], 10)
    generate(request, tmp_path / "set")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "set").rglob("*")}
    generate(request, tmp_path / "set")
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "set").rglob("*")}
    victim = tmp_path / "set" / "nearest" / "img00000003.png"
    victim.write_bytes(victim.read_bytes()[:-1])
    (tmp_path / "set" / "nearest" / "img00000004.png").unlink()
    (tmp_path / "set" / "nearest" / "stray.txt").write_text("?")
    with pytest.raises(GanlabError) as error:
        verify_set(tmp_path / "set")
    for text in ("img00000003.png: changed", "img00000004.png: missing", "stray.txt: not in the manifest"):
        assert text in str(error.value)


def edited(change):
    """Change the value in the manifest and write it as ganlab would."""

    def edit(folder):
        path = folder / "manifest.json"
        value = json.loads(path.read_text())
        change(value)
        write_json(path, value)

    return edit


CHANGES = {
    "the seed": (edited(lambda value: value["plan"]["parts"][0]["source"].update(seed=1)), "its own hash"),
    "a version": (edited(lambda value: value["versions"].update(torch="9.9")), "its own hash"),
    "one entry more": (edited(lambda value: value.update(license="mine")), "its own hash"),
    "no seal": (edited(lambda value: value.pop("manifest_sha256")), "its own hash"),
    "a space": (
        lambda folder: (folder / "manifest.json").write_text((folder / "manifest.json").read_text() + " "),
        "its own hash",
    ),
    "an empty folder": (lambda folder: (folder / "nearest" / "more").mkdir(), "nearest/more: not in the"),
    "unfinished work": (
        lambda folder: write_json(folder / ".unfinished" / "x" / "plan.json", {}),
        r"\.unfinished/: left by an interrupted call; the same 'ganlab generate' removes it",
    ),
    "a hidden file": (lambda folder: (folder / "nearest" / ".x").write_text(""), r"nearest/\.x: not in the"),
    "a pipe": (lambda folder: os.mkfifo(folder / "pipe"), "pipe: not in the manifest"),
    "a link": (lambda folder: (folder / "link").symlink_to("nowhere"), "link: not in the manifest"),
    "a link to itself": (lambda folder: (folder / "loop").symlink_to("."), "loop: not in the manifest"),
    "a file that became a link": (
        lambda folder: (
            (folder / "nearest" / "img00000001.png").rename(folder.parent / "elsewhere.png"),
            (folder / "nearest" / "img00000001.png").symlink_to(folder.parent / "elsewhere.png"),
        ),
        "img00000001.png: a link, and no file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_anything_that_differs_from_what_was_written_is_named(tiny_runs, tmp_path, what):
    change, text = CHANGES[what]
    generate(Request(tiny_runs[:1], 3), tmp_path / "set")
    assert verify_set(tmp_path / "set")
    change(tmp_path / "set")
    with pytest.raises(GanlabError, match=text):
        verify_set(tmp_path / "set")


def test_a_killed_generation_continues_to_the_same_bytes(tiny_runs, tmp_path):
    """kill -9 in the middle, then the same command; the other formats in test_interrupted.py."""
    request = Request(tiny_runs, 1500)
    expected = generate(request, tmp_path / "whole")
    command = [
        sys.executable, "-m", "ganlab", "generate", *map(str, tiny_runs), "--num", "1500",
        "--out", str(tmp_path / "set"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    journal = tmp_path / "set" / ".unfinished" / "nearest.journal"
    while process.poll() is None and not (journal.exists() and journal.read_text().count("\n") >= 3):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "set" / "manifest.json").exists()
    assert generate(request, tmp_path / "set") == expected
    assert hashes(tmp_path / "set") == hashes(tmp_path / "whole")


def test_a_torn_journal_and_a_torn_file_are_written_again(tiny_runs, tmp_path, monkeypatch):
    request = Request(tiny_runs[:1], 200)
    expected = generate(request, tmp_path / "whole")
    publish = writing.PartWriter._publish

    def killed(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing.PartWriter, "_publish", killed)
    with pytest.raises(KeyboardInterrupt):
        generate(request, tmp_path / "set")
    monkeypatch.setattr(writing.PartWriter, "_publish", publish)
    journal = tmp_path / "set" / ".unfinished" / "nearest.journal"
    journal.write_text(journal.read_text()[:-40])
    (tmp_path / "set" / ".unfinished" / "nearest" / "img00000199.png").write_bytes(b"\x89PNG")
    (tmp_path / "set" / ".unfinished" / "nearest" / "img00000000.png").unlink()
    assert generate(request, tmp_path / "set") == expected


def test_a_full_disk_is_one_sentence_and_loses_nothing(tiny_runs, tmp_path, monkeypatch):
    request = Request(tiny_runs[:1], 200)
    expected = generate(request, tmp_path / "whole")
    png, calls = writing.PartWriter._png, []

    def full(self, index, image):
        calls.append(index)
        if len(calls) > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return png(self, index, image)

    monkeypatch.setattr(writing.PartWriter, "_png", full)
    with pytest.raises(GanlabError, match="No space left on device; the same command goes on"):
        generate(request, tmp_path / "set")
    monkeypatch.setattr(writing.PartWriter, "_png", png)
    assert generate(request, tmp_path / "set") == expected


def test_another_request_for_the_same_folder_is_refused(tiny_runs, tmp_path):
    generate(Request(tiny_runs[:1], 10), tmp_path / "set")
    with pytest.raises(GanlabError, match=r"count: 10 there, 11 asked for"):
        generate(Request(tiny_runs[:1], 11), tmp_path / "set")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(GanlabError, match="no set of ganlab's"):
        generate(Request(tiny_runs[:1], 10), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": "jpeg"}, "unknown format 'jpeg'"),
        ({"layout": "imagenet"}, "unknown layout"),
        ({"num": 0}, "at least 1"),
        ({"runs": ()}, "at least one run"),
        ({"test_fraction": 1.0}, "test-fraction"),
        ({"weights": "best"}, "unknown weights"),
        ({"device": "tpu"}, "not available"),
        ({"with_real": True, "num": 65}, "64 images"),
    ],
)
def test_bad_requests(tiny_runs, tmp_path, change, text):
    fields = {"runs": tiny_runs, "num": 4} | change
    with pytest.raises(GanlabError, match=text):
        generate(Request(**fields), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_names_must_differ(tiny_runs, tmp_path):
    with pytest.raises(GanlabError, match="two sets would be called 'nearest'"):
        generate(Request((tiny_runs[0], tiny_runs[0]), 4), tmp_path / "set")


def test_manifest_records_what_forensics_needs(tiny_runs, tmp_path):
    manifest = generate(Request(tiny_runs[:1], 4), tmp_path / "set")
    plan, source = manifest["plan"], manifest["plan"]["parts"][0]["source"]
    assert "round" in plan["rounding"]
    assert source["step"] == 8
    assert source["config"]["model"]["upsampling"]["name"] == "nearest"
    expected = hashlib.sha256((tiny_runs[0] / "generator.safetensors").read_bytes()).hexdigest()
    assert source["generator_sha256"] == expected
    assert str(tmp_path) not in json.dumps(manifest)
    (tmp_path / "set" / "manifest.json").write_text("{}")
    with pytest.raises(GanlabError, match="damaged"):
        verify_set(tmp_path / "set")


def test_command_line(tiny_runs, tmp_path, ganlab):
    done = ganlab("generate", *tiny_runs, "--num", 12, "--out", tmp_path / "set", "--with-real")
    assert done.code == 0, done.output
    assert "only 6 of the 12 reals were held out" in done.stdout
    assert ganlab("generate", "--verify", tmp_path / "set").code == 0
    assert ganlab("generate", "--verify", "--out", tmp_path / "set").code == 0
    missing = ganlab("generate", tmp_path / "nowhere", "--num", 3, "--out", tmp_path / "other")
    assert missing.code == 2
    assert "no generator at" in missing.stderr
    assert "Traceback" not in missing.stderr
    assert ganlab("generate", *tiny_runs).code == 2


def test_runs_of_an_ablation_are_called_after_their_cells(tiny_runs, tmp_path, ganlab):
    runs = []
    for cell, run in zip(("none-s0", "loss-s0"), tiny_runs, strict=True):
        runs.append(shutil.copytree(run, tmp_path / cell / "run"))
        (tmp_path / cell / "cell.json").write_text("{}")
    runs[1] /= "generator.safetensors"
    done = ganlab("generate", *runs, "--num", 5, "--out", tmp_path / "set")
    assert done.code == 0, done.output
    assert len(list((tmp_path / "set" / "none-s0").iterdir())) == 5
    assert len(list((tmp_path / "set" / "loss-s0").iterdir())) == 5
