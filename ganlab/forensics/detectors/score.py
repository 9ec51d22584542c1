"""Apply a saved detector to a set of images, one row an image."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.forensics.detectors.store import SavedDetector
from ganlab.forensics.features.extract import extract
from ganlab.util.atomic import write_text


@dataclass(frozen=True)
class Scores:
    """What a detector says of every image of a set.

    Attributes:
        paths: identity of each image.
        class_names: columns of ``probabilities``.
        probabilities: ``(N, K)``.
    """

    paths: tuple[str, ...]
    class_names: tuple[str, ...]
    probabilities: npt.NDArray[np.float64]

    @property
    def fake(self) -> npt.NDArray[np.float64]:
        """Probability that an image is not real, ``(N,)``: 1 minus the first class."""
        return 1.0 - self.probabilities[:, 0]


def score_images(saved: SavedDetector, images: ImageSet) -> Scores:
    """Probabilities for every image of a set.

    Raises:
        GanlabError: the images have another size than those the detector was fitted on (its features would
            mean something else; nothing is resized).
    """
    if images.shape != saved.image_shape:
        height, width, channels = saved.image_shape
        raise GanlabError(
            f"{images.name} has images of {images.shape[1]}x{images.shape[0]}x{images.shape[2]}; the "
            f"detector was fitted on {width}x{height}x{channels}. Crop them (resizing leaves traces)"
        )
    features = extract(saved.make_feature(), images)
    probabilities = np.asarray(saved.detector.predict_proba(features), np.float64)
    return Scores(tuple(images.paths), saved.class_names, probabilities)


def write_scores(path: str | os.PathLike[str], scores: Scores) -> None:
    """CSV: image, verdict (the likeliest class), probability of each class."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["image", "verdict", *(f"p_{name}" for name in scores.class_names)])
    for image, row in zip(scores.paths, scores.probabilities, strict=True):
        writer.writerow([image, scores.class_names[int(row.argmax())], *(f"{p:.6f}" for p in row)])
    write_text(path, buffer.getvalue())
