"""Detectors trained on photos and what an autoencoder makes of them, tested on the GANs of the zoo: 6 x 6.

    python results/decoders/matrix.py --out decoders-matrix [--seeds 3]

Six autoencoders (preset ``autoencoder32``, one upsampler each) learn the images that the zoo's GANs have
learned. A detector learns to tell photos from their reconstructions by one of them, and is asked about other
photos and images of each GAN; both classes are rounded and coded the same way. No network has seen any of the
photos. Each seed has networks of its own on both sides; the photos stay. The same command goes on where it
was stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
import torch

from ganlab.config import load
from ganlab.data import array_image_set, load_training_images
from ganlab.forensics import evaluate, extract, log_odds, make_detector, make_feature, make_perturbation
from ganlab.generation import generate_images
from ganlab.generation.reconstruct import reconstructed
from ganlab.images import to_float, to_uint8
from ganlab.models import load_generator, load_network
from ganlab.results.style import new_figure, styled, svg_bytes
from ganlab.results.tables import markdown, write_csv
from ganlab.spectra import profile_set, spectral_deviation
from ganlab.training import train

NAMES = ("transposed", "nearest", "bilinear", "bicubic", "pixel_shuffle", "bed_of_nails")
CODINGS = {"PNG": None, "JPEG 90": 90, "JPEG 75": 75}
SYSTEMS = {"dct+logistic": ("dct", "logistic"), "both+logistic": ("both", "logistic")}
COUNT = 1000
"""Photos to learn from, photos to test on, and images of each network."""


def coder(folder: Path, name: str, seed: int, steps: int) -> Path:
    """The trained autoencoder with this upsampler: the images, order and first weights of the others."""
    options = {"model.upsampling": name, "seed": seed, "training.steps": steps, "data.num_images": 10_000}
    options |= {"training.same_start": True, "training.threads": 1, "logging.tensorboard": False}
    options |= {"logging.checkpoint_every": 200, "logging.samples_every": 400, "training.device": "cpu"}
    run = folder / f"{name}-s{seed}"
    train(load("autoencoder32", options), run)
    return run


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
            of_reals = log_odds(fitted, asked)
            for kind, other in itertools.product(("coder", "gan"), NAMES):
                odds = np.concatenate([of_reals, log_odds(fitted, described[kind, other])])
                truth = np.repeat([0, 1], [len(of_reals), len(odds) - len(of_reals)])
                # probabilities round to 0 or 1 where images are unlike all that was learned
                found = evaluate(truth, (odds >= 0).astype(float), resamples=0, ranking=odds)
                row = {"spectra": spectra, "system": system, "coding": coding, "learned": name}
                row |= {"kind": kind, "asked": other}
                rows.append(row | {key: found[key].value for key in ("roc_auc", "balanced_accuracy")})
    return rows


def over_seeds(values: np.ndarray) -> tuple[float, float]:
    """Ends of Student's 95 % interval of the mean; of one seed the value itself."""
    if len(values) < 2:
        return float(values[0]), float(values[0])
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - half), float(values.mean() + half)


def table(rows: list[dict], *which: str) -> np.ndarray:
    """(S, 6, 6): areas of every seed, a line a detector, a column a set of fakes.

    Args:
        rows: from `measured`, with their seeds.
        which: spectra, system, coding and kind.
    """
    chosen = {
        (row["seed"], row["learned"], row["asked"]): row["roc_auc"]
        for row in rows
        if tuple(row[key] for key in ("spectra", "system", "coding", "kind")) == which
    }
    seeds = sorted({key[0] for key in chosen})
    return np.array([[[chosen[seed, one, other] for other in NAMES] for one in NAMES] for seed in seeds])


def agreement(areas: np.ndarray) -> dict[str, Any]:
    """Mean on and off the diagonal; share of the 720 orders of the columns that agree at least as well.

    A column is centred first: some GANs are easier for every detector.

    Args:
        areas: (S, 6, 6), a matrix a seed. Orders are those of the mean matrix's columns.
    """
    auc = areas.mean(0)
    eye = np.eye(len(auc), dtype=bool)
    # what a seed says of its own networks; the interval over seeds is of this difference
    ahead = areas[:, eye].mean(1) - areas[:, ~eye].mean(1)
    centred = auc - auc.mean(0)
    orders = np.array(list(itertools.permutations(range(len(auc)))))
    traces = centred[np.arange(len(auc)), orders].mean(1)
    own = centred.trace() / len(auc)
    return {
        "on": auc[eye].mean(), "off": auc[~eye].mean(), "ahead": ahead,
        "best_is_own": (auc.argmax(0) == np.arange(len(auc))).sum(), "p": (traces >= own - 1e-12).mean(),
    }  # fmt: skip


@styled()
def figure(rows: list[dict], spectra: str, system: str) -> bytes:
    """A map for every coding: areas under the ROC curve, detectors down, GANs across."""
    drawn = new_figure(7.2, 3.3)
    axes = drawn.subplots(1, len(CODINGS), sharey=True)
    for place, (axis, coding) in enumerate(zip(axes, CODINGS, strict=True)):
        auc = table(rows, spectra, system, coding, "gan").mean(0)
        axis.imshow(auc, vmin=0, vmax=1, cmap="RdBu_r")
        for (line, column), value in np.ndenumerate(auc):
            colour = "white" if abs(value - 0.5) > 0.35 else "black"
            axis.text(column, line, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=colour)
        axis.set_xticks(range(len(NAMES)), NAMES, rotation=60, ha="right")
        axis.set_yticks(range(len(NAMES)), NAMES)
        axis.set(title=coding, xlabel="images of the GAN with")
        if not place:
            axis.set_ylabel("learned from the autoencoder with")
    return svg_bytes(drawn)


def write(out: Path, rows: list[dict], deviations: list[list]) -> None:
    """matrix.csv, matrix.md, matrix.svg, deviations.csv."""
    write_csv(out / "matrix.csv", list(rows[0]), [list(row.values()) for row in rows])
    names = ["seed", "kind", "upsampling", "metric", "value", "low", "high"]
    write_csv(out / "deviations.csv", names, deviations)
    lines = []
    summary = []
    for which in itertools.product(("as made", "matched"), SYSTEMS, CODINGS, ("gan", "coder")):
        areas = table(rows, *which)
        spectra, system, coding, kind = which
        found = agreement(areas)
        ahead = found["ahead"]
        ends = over_seeds(ahead)
        values = [found["on"], found["off"], *ends, found["best_is_own"], found["p"]]
        summary.append([*which, *values, areas.mean(0).min(), areas.mean(0).max()])
        asked = "GANs" if kind == "gan" else "reconstructions of other photos"
        low, mean, high = areas.min(0), areas.mean(0), areas.max(0)
        cells = [
            [
                name,
                *(
                    f"{mean[line, c]:.2f} ({low[line, c]:.2f} to {high[line, c]:.2f})"
                    for c in range(len(NAMES))
                ),
            ]
            for line, name in enumerate(NAMES)
        ]
        lines += [
            f"### Reconstructions {spectra}; {system}, {coding}, asked about {asked}", "",
            markdown(["learned from", *NAMES], cells),
            "",
            f"On the diagonal {found['on']:.3f}, off it {found['off']:.3f}; the difference is "
            f"{ahead.mean():+.3f} [{ends[0]:+.3f}, {ends[1]:+.3f}] over {len(ahead)} seeds. The detector of "
            f"the same upsampler is the best in {found['best_is_own']} of 6 columns; "
            f"p = {found['p']:.4f} (all orders).", "",
        ]  # fmt: skip
    (out / "matrix.md").write_text("\n".join(lines), encoding="utf-8")
    header = ["spectra", "system", "coding", "asked", "on", "off", "difference low", "difference high"]
    header += ["best is own", "p", "least", "most"]
    write_csv(out / "agreement.csv", header, summary)
    for spectra, system in itertools.product(("as made", "matched"), SYSTEMS):
        name = f"matrix-{system.partition('+')[0]}-{spectra.replace(' ', '-')}.svg"
        (out / name).write_bytes(figure(rows, spectra, system))


def of_seed(out: Path, seed: int, steps: int, photos: np.ndarray) -> tuple[list[dict], list[list]]:
    """Rows of both kinds of spectra, and deviations, of one seed's networks; read if they are there."""
    kept = out / f"rows-s{seed}.json"
    if kept.exists():
        rows, deviations = json.loads(kept.read_text())
        return rows, deviations
    learn, ask = photos[: len(photos) // 2], photos[len(photos) // 2 :]
    sets = {}
    for name in NAMES:
        network = load_network(coder(out / "coders", name, seed, steps))
        for kind, part in (("learn", learn), ("coder", ask)):
            sets[kind, name] = to_uint8(reconstructed(network, to_float(part)))
        sets["gan", name] = generate_images(load_generator(f"zoo:dcgan-{name}-s{seed}"), 0, 0, len(ask))
    deviations = []
    reals = profile_set(to_float(ask))
    for (kind, name), images in sets.items():
        if kind != "learn":
            metrics = ["high_excess_db", "axis_nyquist_excess_db", "peak_diagonal_2", "peak_horizontal_2"]
            found = spectral_deviation(reals, profile_set(to_float(images)), metrics=metrics, resamples=100)
            deviations += [
                [seed, kind, name, key, one.value, one.low, one.high] for key, one in found.items()
            ]
    rows = measured(sets, learn, ask, "as made")
    same = {
        key: images if key[0] == "gan" else matched(images, sets["learn", key[1]], learn)
        for key, images in sets.items()
    }
    rows += measured(same, learn, ask, "matched")
    rows = [{"seed": seed, **row} for row in rows]
    kept.write_text(json.dumps([rows, deviations]), encoding="utf-8")
    return rows, deviations


def main() -> None:
    """Train what is missing, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1, help="0, 1, ..., of the networks")
    parser.add_argument("--steps", type=int, default=800, help="of each autoencoder")
    parser.add_argument("--count", type=int, default=COUNT)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    data = load("autoencoder32", {"data.seed": 1, "data.num_images": 2 * given.count}).data
    photos = np.asarray(load_training_images(data, 32).images)
    found = [of_seed(given.out, seed, given.steps, photos) for seed in range(given.seeds)]
    write(given.out, *([*chain.from_iterable(parts)] for parts in zip(*found, strict=True)))


if __name__ == "__main__":
    main()
