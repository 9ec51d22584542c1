"""Detectors trained on photos and what an autoencoder makes of them, tested on the GANs of the zoo: 6 x 6.

    python results/decoders/matrix.py --out decoders-matrix

Six autoencoders (preset ``autoencoder32``, one upsampler each) learn the images that the zoo's GANs have
learned. A detector learns to tell photos from their reconstructions by one of them, and is asked about other
photos and images of each GAN; both classes are rounded and coded the same way. No network has seen any of the
photos. The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch

from ganlab.config import load
from ganlab.data import array_image_set, load_training_images
from ganlab.forensics import evaluate, extract, make_detector, make_feature, make_perturbation
from ganlab.generation import generate_images
from ganlab.generation.reconstruct import reconstructed
from ganlab.images import to_float, to_uint8
from ganlab.models import load_generator, load_network
from ganlab.results.style import new_figure, styled, svg_bytes
from ganlab.results.tables import markdown, with_interval, write_csv
from ganlab.spectra import profile_set, spectral_deviation
from ganlab.training import train

NAMES = ("transposed", "nearest", "bilinear", "bicubic", "pixel_shuffle", "bed_of_nails")
CODINGS = {"PNG": None, "JPEG 90": 90, "JPEG 75": 75}
SYSTEMS = {"dct+logistic": ("dct", "logistic"), "both+logistic": ("both", "logistic")}
COUNT = 1000
"""Photos to learn from, photos to test on, and images of each network."""


def coder(folder: Path, name: str, steps: int) -> Path:
    """The trained autoencoder with this upsampler: the images, order and first weights of the others."""
    options = {"model.upsampling": name, "training.steps": steps, "data.num_images": 10_000}
    options |= {"training.same_start": True, "training.threads": 1, "logging.tensorboard": False}
    options |= {"logging.checkpoint_every": 200, "logging.samples_every": 400, "training.device": "cpu"}
    train(load("autoencoder32", options), folder / name)
    return folder / name


def features(images: np.ndarray, feature: str, quality: int | None) -> np.ndarray:
    """A feature of every image, after JPEG where a quality is given."""
    jpeg = None if quality is None else make_perturbation("jpeg", quality=quality)
    return np.asarray(extract(make_feature(feature), array_image_set(images, "images"), perturbation=jpeg))


def matched(images: np.ndarray, others: np.ndarray, photos: np.ndarray) -> np.ndarray:
    """``images`` with the photos' mean power on every ring, by one filter that ``others`` of their kind give.

    A reconstruction has little power at high frequencies, whatever upsampled it: here this is taken away, and
    what is no matter of rings, a lattice, stays.
    """
    side = images.shape[1]
    down, right = np.fft.fftfreq(side)[:, None] * side, np.fft.fftfreq(side)[None] * side
    rings = np.rint(np.hypot(down, right)).astype(int)

    def profile(pictures: np.ndarray) -> np.ndarray:
        spectra = np.abs(np.fft.fft2(pictures.astype(float), axes=(1, 2))) ** 2
        return np.bincount(rings.ravel(), spectra.mean((0, 3)).ravel()) / np.bincount(rings.ravel())

    gain = np.sqrt(profile(photos) / profile(others))[rings]
    filtered = np.fft.ifft2(
        np.fft.fft2(images.astype(float), axes=(1, 2)) * gain[..., None], axes=(1, 2)
    ).real
    return np.rint(np.clip(filtered, 0, 255)).astype(np.uint8)


def measured(
    sets: dict[tuple[str, str], np.ndarray], learn: np.ndarray, ask: np.ndarray, spectra: str
) -> list[dict]:
    """A row for every detector, coding and set of fakes.

    Args:
        sets: ("learn" or "coder" or "gan", upsampler) -> images.
        spectra: "as made" or "matched", for the rows.
        learn: photos that the reconstructions "learn" were made of.
        ask: other photos, those of "coder".
    """
    rows = []
    for (system, (feature, detector)), (coding, quality) in itertools.product(
        SYSTEMS.items(), CODINGS.items()
    ):
        described = {key: features(images, feature, quality) for key, images in sets.items()}
        real, asked = features(learn, feature, quality), features(ask, feature, quality)
        for name in NAMES:
            labels = np.repeat([0, 1], [len(real), len(described["learn", name])])
            fitted = make_detector(detector, seed=0)
            fitted.fit(np.concatenate([real, described["learn", name]]), labels)
            of_reals = fitted.predict_proba(asked)[:, 1]
            for kind, other in itertools.product(("coder", "gan"), NAMES):
                scores = np.concatenate([of_reals, fitted.predict_proba(described[kind, other])[:, 1]])
                truth = np.repeat([0, 1], [len(of_reals), len(scores) - len(of_reals)])
                found = evaluate(truth, scores, resamples=0)
                row = {"spectra": spectra, "system": system, "coding": coding, "learned": name}
                row |= {"kind": kind, "asked": other}
                for metric in ("roc_auc", "balanced_accuracy"):
                    ends = zip(("", "_low", "_high"), found[metric].as_list(), strict=True)
                    row |= {f"{metric}{end}": value for end, value in ends}
                rows.append(row)
    return rows


def table(rows: list[dict], *which: str) -> np.ndarray:
    """(6, 6, 3): area and interval, a line a detector, a column a set of fakes.

    Args:
        rows: from `measured`.
        which: spectra, system, coding and kind.
    """
    chosen = {
        (row["learned"], row["asked"]): [row[f"roc_auc{end}"] for end in ("", "_low", "_high")]
        for row in rows
        if tuple(row[key] for key in ("spectra", "system", "coding", "kind")) == which
    }
    return np.array([[chosen[learned, asked] for asked in NAMES] for learned in NAMES])


def agreement(auc: np.ndarray) -> dict[str, float]:
    """Mean on and off the diagonal; share of the 720 orders of the columns that agree at least as well.

    A column is centred first: some GANs are easier for every detector.
    """
    centred = auc - auc.mean(0)
    orders = np.array(list(itertools.permutations(range(len(auc)))))
    traces = centred[np.arange(len(auc)), orders].mean(1)
    own = centred.trace() / len(auc)
    off = (auc.sum() - auc.trace()) / (auc.size - len(auc))
    return {
        "on": float(auc.trace() / len(auc)), "off": float(off), "p": float((traces >= own - 1e-12).mean()),
        "best_is_own": float((auc.argmax(0) == np.arange(len(auc))).sum()),
    }  # fmt: skip


@styled()
def figure(rows: list[dict], spectra: str, system: str) -> bytes:
    """A map for every coding: areas under the ROC curve, detectors down, GANs across."""
    drawn = new_figure(7.2, 2.9)
    axes = drawn.subplots(1, len(CODINGS), sharey=True)
    for place, (axis, coding) in enumerate(zip(axes, CODINGS, strict=True)):
        auc = table(rows, spectra, system, coding, "gan")[..., 0]
        axis.imshow(auc, vmin=0, vmax=1, cmap="RdBu_r")
        for (line, column), value in np.ndenumerate(auc):
            colour = "white" if abs(value - 0.5) > 0.35 else "black"
            axis.text(column, line, f"{value:.2f}", ha="center", va="center", fontsize=5.5, color=colour)
        axis.set_xticks(range(len(NAMES)), NAMES, rotation=60, ha="right")
        axis.set_yticks(range(len(NAMES)), NAMES)
        axis.set(title=coding, xlabel="images of the GAN with")
        if not place:
            axis.set_ylabel("learned from the autoencoder with")
    return svg_bytes(drawn)


def write(out: Path, rows: list[dict], deviations: list[list]) -> None:
    """matrix.csv, matrix.md, matrix.svg, deviations.csv."""
    write_csv(out / "matrix.csv", list(rows[0]), [list(row.values()) for row in rows])
    write_csv(out / "deviations.csv", ["kind", "upsampling", "metric", "value", "low", "high"], deviations)
    lines = []
    summary = []
    for which in itertools.product(("as made", "matched"), SYSTEMS, CODINGS, ("gan", "coder")):
        auc = table(rows, *which)
        spectra, system, coding, kind = which
        found = agreement(auc[..., 0])
        values = [found["on"], found["off"], found["best_is_own"], found["p"]]
        summary.append([*which, *values, auc[..., 0].min(), auc[..., 0].max()])
        asked = "GANs" if kind == "gan" else "reconstructions of other photos"
        cells = [
            [name, *(with_interval(*values) for values in line)]
            for name, line in zip(NAMES, auc, strict=True)
        ]
        lines += [
            f"### Reconstructions {spectra}; {system}, {coding}, asked about {asked}", "",
            markdown(["learned from", *NAMES], cells),
            "",
            f"On the diagonal {found['on']:.3f}, off it {found['off']:.3f}; the detector of the same "
            f"upsampler is the best in {found['best_is_own']:.0f} of 6 columns; p = {found['p']:.3f} "
            "(all orders).", "",
        ]  # fmt: skip
    (out / "matrix.md").write_text("\n".join(lines), encoding="utf-8")
    header = ["spectra", "system", "coding", "asked", "on", "off", "best is own", "p", "least", "most"]
    write_csv(out / "agreement.csv", header, summary)
    for spectra, system in itertools.product(("as made", "matched"), SYSTEMS):
        name = f"matrix-{system.partition('+')[0]}-{spectra.replace(' ', '-')}.svg"
        (out / name).write_bytes(figure(rows, spectra, system))


def main() -> None:
    """Train what is missing, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=800, help="of each autoencoder")
    parser.add_argument("--count", type=int, default=COUNT)
    given = parser.parse_args()
    torch.set_num_threads(1)
    runs = {name: coder(given.out / "coders", name, given.steps) for name in NAMES}
    data = load("autoencoder32", {"data.seed": 1, "data.num_images": 2 * given.count}).data
    photos = np.asarray(load_training_images(data, 32).images)
    learn, ask = photos[: given.count], photos[given.count :]
    sets = {}
    for name, run in runs.items():
        network, gan = load_network(run), load_generator(f"zoo:dcgan-{name}-s0")
        for kind, part in (("learn", learn), ("coder", ask)):
            sets[kind, name] = to_uint8(reconstructed(network, to_float(part)))
        sets["gan", name] = generate_images(gan, 0, 0, given.count)
    deviations = []
    reals = profile_set(to_float(ask))
    for (kind, name), images in sets.items():
        if kind != "learn":
            metrics = ["high_excess_db", "axis_nyquist_excess_db", "peak_diagonal_2", "peak_horizontal_2"]
            found = spectral_deviation(reals, profile_set(to_float(images)), metrics=metrics, resamples=100)
            deviations += [[kind, name, key, one.value, one.low, one.high] for key, one in found.items()]
    rows = measured(sets, learn, ask, "as made")
    same = {
        key: images if key[0] == "gan" else matched(images, sets["learn", key[1]], learn)
        for key, images in sets.items()
    }
    rows += measured(same, learn, ask, "matched")
    (given.out / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    write(given.out, rows, deviations)


if __name__ == "__main__":
    main()
