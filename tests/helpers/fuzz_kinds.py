"""Kinds of files that ganlab reads: a sound one of each, how it is spoiled, and what reads it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mutator import Mutator
from PIL import Image

from ganlab.cli.report import report
from ganlab.config import resolve
from ganlab.config.schema import DataConfig
from ganlab.data import PackWriter, load_training_images, open_image_set
from ganlab.data.folder import pack_folder, warn_about
from ganlab.data.imageset import array_image_set
from ganlab.data.pack import read_pack
from ganlab.errors import GanlabError
from ganlab.experiments.ablation.measure import read_arrays, read_result
from ganlab.experiments.ablation.page import read_curves
from ganlab.experiments.ablation.plan import read_plan
from ganlab.experiments.spectra.profiles import last_operator
from ganlab.experiments.theory.run import write_theory
from ganlab.forensics import load_detector, save_detector, score_images
from ganlab.forensics.detectors.store import SavedDetector
from ganlab.forensics.protocol.split import load_splits, save_splits, split_by_identity
from ganlab.forensics.registry import make_detector, make_feature
from ganlab.generation import Request, generate, verify_set
from ganlab.images import to_float
from ganlab.models import Generator as OwnGenerator
from ganlab.models import load_generator
from ganlab.results.folder import read_folder
from ganlab.training.checkpoint import checkpoint_path, load_checkpoint
from ganlab.training.monitor import cut_metrics


@dataclass(frozen=True)
class Kind:
    """A sound file, its spoiling, its reading.

    Attributes:
        make: writes the sound files into a folder.
        spoil: (mutator, the chosen file's name, its bytes) -> its new bytes.
        read: reads the folder as ganlab does; a second folder is for what it writes.
        files: names of the files that may be chosen; empty: all.
    """

    make: Callable[[Path], None]
    spoil: Callable[[Mutator, str, bytes], bytes]
    read: Callable[[Path, Path], None]
    files: tuple[str, ...] = ()


def pixels(count=6, side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def png(image, **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", **options)
    return stream.getvalue()


def read_set(path):
    images = open_image_set(path)
    for _ in images.batches():
        pass
    str((images.paths, images.labels, images.class_names, images.recipe, images.fingerprint()))


# ------------------------------------------------------------------------------------------------- images


def make_zip(folder):
    names = [f"00000/img{index:08d}.png" for index in range(4)]
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        for name, image in zip(names, pixels(4), strict=True):
            archive.writestr(name, png(image))
        archive.writestr("dataset.json", json.dumps({"labels": [[name, 1] for name in names]}))


def make_npz(folder):
    np.savez_compressed(
        folder / "set.npz", images=pixels(), labels=np.arange(6) % 2, split=np.arange(6) % 2,
        class_names=np.array(["a", "b"]),
    )  # fmt: skip


def make_pack(folder):
    with PackWriter(folder / "p.gpack", 8) as writer:
        writer.meta.update(class_names=["a", "b"], recipe={"kind": "x"}, notes=["n"], skipped=[["a", "b"]])
        for number, image in enumerate(pixels()):
            writer.add(image, number % 2, number % 2, f"{number}.png")


def read_pack_set(folder, scratch):
    read_set(folder / "p.gpack")
    warn_about(read_pack(folder / "p.gpack"))
    data = DataConfig(source="pack", path=str(folder / "p.gpack"))
    json.dumps(load_training_images(data, 8).description)


def make_pictures(folder):
    """One of each format and mode."""
    colour = Image.fromarray(pixels(1, 24)[0])
    wide = Image.fromarray(np.arange(576, dtype=np.uint16).reshape(24, 24) * 100)
    frames = [Image.fromarray(image) for image in pixels(3, 24)]
    (folder / "in").mkdir()
    for name, image, options in [
        ("rgb.png", colour, {}), ("palette.png", colour.convert("P"), {"transparency": 0}),
        ("wide.png", wide, {}), ("alpha.png", colour.convert("RGBA"), {}),
        ("bit.png", colour.convert("1"), {}),
        ("moving.png", frames[0], {"save_all": True, "append_images": frames[1:]}),
        ("plain.jpg", colour, {}), ("cmyk.jpg", colour.convert("CMYK"), {}),
        ("grey.jpg", colour.convert("L"), {}),
        ("exif.jpg", colour, {"progressive": True, "exif": b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00"}),
        ("moving.gif", frames[0], {"save_all": True, "append_images": frames[1:]}), ("a.bmp", colour, {}),
        ("lzw.tiff", colour, {"compression": "tiff_lzw"}), ("raw.tif", wide, {}), ("a.webp", colour, {}),
        ("a.ppm", colour, {}), ("a.tga", colour, {"compression": "tga_rle"}), ("a.pcx", colour, {}),
        ("a.jp2", colour, {}), ("a.ico", colour, {}), ("a.sgi", colour, {}), ("a.qoi", colour, {}),
        ("a.dds", colour, {}), ("a.im", colour, {}), ("a.xbm", colour.convert("1"), {}),
        ("a.icns", colour, {}),
        ("moving.webp", frames[0], {"save_all": True, "append_images": frames[1:]}), ("a.avif", colour, {}),
    ]:  # fmt: skip
        try:
            image.save(folder / "in" / name, **options)
        except (OSError, KeyError, ValueError):
            (folder / "in" / name).write_bytes(png(pixels(1, 24)[0]))


def read_pictures(folder, scratch):
    """The spoiled file alone, and the whole folder packed without what cannot be used."""
    chosen = (folder / "chosen").read_text()
    if (folder / chosen).is_file():
        with contextlib.suppress(GanlabError):
            read_set(folder / chosen)
    pack_folder(folder / "in", scratch / "out.gpack", 8, on_error="skip")
    shutil.rmtree(scratch / "out.gpack")


# ------------------------------------------------------------------------------------------ networks, runs


def make_generator(folder, run):
    shutil.copy(run / "generator.safetensors", folder)


def read_generator_file(folder, scratch):
    generator = load_generator(folder / "generator.safetensors")
    with torch.no_grad():
        generator(torch.zeros(1, generator.z_dim))


def make_pretrained(folder, run):
    load_generator(run).save_pretrained(folder / "hub")


NETWORKS, FUZZED_DETECTORS = ("cnn",), ("logistic", "random_forest", "knn", "kmeans", "cnn")


def make_detector_file(folder, name):
    feature = "pixels" if name in NETWORKS else "both"
    features = make_feature(feature)(to_float(pixels(40))).numpy()
    options = {"epochs": 1} if name in NETWORKS else {}
    detector = make_detector(name, **options).fit(features, np.arange(40) % 2)
    saved = SavedDetector(detector, feature, {}, (8, 8, 3), ("real", "fake"), {"made": "here"})
    save_detector(folder / "d.safetensors", saved)


def read_detector(folder, scratch):
    score_images(load_detector(folder / "d.safetensors"), array_image_set(pixels(), "x"))


def make_checkpoint(folder, run):
    shutil.copy(checkpoint_path(run / "checkpoints", 8), folder)


def read_checkpoint(folder, scratch):
    load_checkpoint(checkpoint_path(folder, 8), torch.device("cpu"))


def make_run(folder, run):
    shutil.copytree(run, folder / "run")


RUN_FILES = ("run/metrics.jsonl", "run/data.json", "run/environment.json", "run/config.yaml", "run/log.txt")


def read_run(folder, scratch):
    cut_metrics(folder / "run" / "metrics.jsonl", 4)
    read_curves(folder / "run" / "metrics.jsonl")
    report(folder / "run", scratch / "page.html")
    (scratch / "page.html").unlink()


# ------------------------------------------------------------------------------------------- sets, results


def make_set(folder, run):
    generate(Request((run,), 3), folder / "set")


def read_manifest_set(folder, scratch):
    errors = []
    for reader in (verify_set, read_set, last_operator):
        try:
            reader(folder / "set")
        except GanlabError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def make_theory(folder):
    write_theory(folder / "theory", 32, "ganlab theory")


def read_results(folder, scratch):
    read_folder(folder / "theory").damaged()
    report(folder / "theory", scratch / "page.html")
    (scratch / "page.html").unlink()


def make_split_file(folder):
    splits = {
        name: split_by_identity(np.arange(start, start + 40).astype(np.uint64))
        for start, name in [(0, "a"), (9, "b")]
    }
    save_splits(folder / "splits.json", splits)


def make_cell(folder):
    (folder / "result-x.json").write_text(json.dumps({"status": "finished", "values": {"a": 1.0}}))
    np.savez_compressed(folder / "samples.npz", real=pixels(2), fake=pixels(2))


def read_cell(folder, scratch):
    read_result(folder / "result-x.json")
    read_arrays(folder / "samples.npz")


# --------------------------------------------------------------------------------------------------- texts

CONFIG = """extends: dcgan32
seed: 3
data: {source: dead_leaves, num_images: 100}
model:
  image_size: 32
  upsampling: &up {name: [nearest, bilinear, bicubic]}
loss: {spectral: [{kind: radial_profile, weight: 0.5}]}
training: {steps: 10, batch_size: 8}
optimizer: {betas: [0.5, 0.9], lr: 2e-4}
"""
PLAN = """base: dcgan32
axes:
  model.upsampling: [nearest, bilinear]
  loss: {none: {}, radial: {loss.spectral: [{kind: radial_profile}]}}
seeds: [0, 1]
overrides: {training.steps: 10}
generate: {num: 64}
"""


def make_texts(folder):
    (folder / "c.yaml").write_text(CONFIG)
    (folder / "p.yaml").write_text(PLAN)


def read_texts(folder, scratch):
    errors = []
    for reader, name in ((resolve, "c.yaml"), (read_plan, "p.yaml")):
        try:
            reader(folder / name)
        except GanlabError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def by_bytes(mutator, name, data):
    return mutator.data(data)


def by_name(mutator, name, data):
    if name.endswith(".json"):
        return mutator.json_file(data)
    if name.endswith(".npy"):
        return mutator.npy_file(data)
    if name.endswith(".jsonl"):
        lines = data.splitlines() or [b"{}"]
        place = mutator.below(len(lines))
        lines[place] = mutator.json_file(lines[place])
        return b"\n".join(lines)
    if name.endswith((".zip", ".npz")):
        return mutator.zip_file(data)
    return mutator.data(data)


def kinds(run):
    """Name -> kind; ``run`` is a finished tiny run."""
    detectors = {
        f"detector {name}": Kind(
            lambda folder, name=name: make_detector_file(folder, name),
            lambda mutator, name, data: mutator.tensors(data, "detector"), read_detector,
        )
        for name in FUZZED_DETECTORS
    }  # fmt: skip
    return {
        "zip of images": Kind(make_zip, by_name, lambda folder, scratch: read_set(folder / "set.zip")),
        "npz": Kind(make_npz, by_name, lambda folder, scratch: read_set(folder / "set.npz")),
        "npy": Kind(
            lambda folder: np.save(folder / "set.npy", pixels()), by_name,
            lambda folder, scratch: read_set(folder / "set.npy"),
        ),
        "pack": Kind(make_pack, by_name, read_pack_set),
        "picture": Kind(make_pictures, by_bytes, read_pictures),
        "generator": Kind(
            lambda folder: make_generator(folder, run),
            lambda mutator, name, data: mutator.tensors(data, "ganlab"), read_generator_file,
        ),
        "pretrained": Kind(
            lambda folder: make_pretrained(folder, run),
            lambda mutator, name, data: by_name(mutator, name, data)
            if name.endswith("json") else mutator.tensors(data),
            lambda folder, scratch: OwnGenerator.from_pretrained(folder / "hub"),
        ),
        **detectors,
        "checkpoint": Kind(
            lambda folder: make_checkpoint(folder, run), lambda mutator, name, data: mutator.zip_file(data),
            read_checkpoint,
        ),
        "run": Kind(lambda folder: make_run(folder, run), by_name, read_run, RUN_FILES),
        "fake set": Kind(lambda folder: make_set(folder, run), by_name, read_manifest_set),
        "results": Kind(make_theory, by_name, read_results),
        "splits": Kind(make_split_file, by_name, lambda folder, scratch: load_splits(folder / "splits.json")),
        "cell": Kind(make_cell, by_name, read_cell),
        "texts": Kind(make_texts, by_bytes, read_texts),
    }  # fmt: skip
