"""Detectors on disk, and what they say of images.

A detector is one safetensors file with arrays and a JSON description; reading it runs no code of it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save
from sklearn.pipeline import Pipeline

from ganlab.data.imageset import ImageSet
from ganlab.errors import GanlabError
from ganlab.forensics.detectors.domain import Domain, outside_words
from ganlab.forensics.detectors.frozen import (
    KINDS,
    FrozenDetector,
    Step,
    check_probabilities,
    check_steps,
    freeze,
)
from ganlab.forensics.features.base import Feature
from ganlab.forensics.features.extract import extract
from ganlab.forensics.nets.detector import NetDetector
from ganlab.forensics.registry import make_feature
from ganlab.util.atomic import write_bytes, write_text
from ganlab.util.reading import open_safetensors, parse_json, reading

FORMAT = "ganlab-detector-1"
LARGEST_FEATURE = 2**26
"""Numbers of one image: 4096 pixels square with three channels has 50 million."""

Array = npt.NDArray[Any]


class Predictor(Protocol):
    """What a loaded detector can do."""

    @property
    def classes_(self) -> Array:
        """Labels of the columns of `predict_proba`."""
        ...

    def predict_proba(self, features: Array) -> Array:
        """Probability of each class, ``(N, K)``."""
        ...


@dataclass(frozen=True)
class SavedDetector:
    """A detector together with everything that is needed to apply it to images.

    Attributes:
        detector: fitted.
        feature: name of the feature it was fitted on.
        feature_options: options of that feature.
        image_shape: height, width, channels of the training images.
        class_names: name of each of ``detector.classes_``; real comes first.
        record: where it came from: training sets, split, metrics, versions.
    """

    detector: Predictor
    feature: str
    feature_options: Mapping[str, Any]
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    record: Mapping[str, Any] = field(default_factory=dict)

    def make_feature(self) -> Feature:
        """The feature it was fitted on."""
        return make_feature(self.feature, **self.feature_options)


def save_detector(path: str | os.PathLike[str], saved: SavedDetector) -> None:
    """Write a detector to one ``.safetensors`` file, atomically.

    Raises:
        GanlabError: the detector is not fitted or has no form without code.
    """
    detector: Any = saved.detector
    if isinstance(detector, NetDetector):
        arrays, description = detector.arrays(), detector.description()
    else:
        frozen = freeze(detector) if isinstance(detector, Pipeline) else detector
        if not isinstance(frozen, FrozenDetector):
            raise GanlabError(f"a {type(detector).__name__} cannot be saved")
        arrays = {
            f"{number}.{name}": array
            for number, step in enumerate(frozen.steps)
            for name, array in step.arrays.items()
        }
        steps = [{"kind": step.kind, "numbers": dict(step.numbers)} for step in frozen.steps]
        description = {"steps": steps, "classes": frozen.classes_.tolist(), "shape": list(frozen.shape)}
    description |= {
        "feature": saved.feature,
        "feature_options": dict(saved.feature_options),
        "image_shape": list(saved.image_shape),
        "class_names": list(saved.class_names),
        "record": dict(saved.record),
    }
    metadata = {"format": FORMAT, "detector": json.dumps(description, allow_nan=False)}
    # safetensors writes an array's memory as it lies, whatever its strides
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(path, with_metadata(save(contiguous), metadata))


def with_metadata(file: bytes, metadata: Mapping[str, str]) -> bytes:
    """A safetensors file with this metadata; equal arrays and metadata give equal bytes.

    safetensors itself writes several keys in an order that changes from process to process.
    """
    length = int.from_bytes(file[:8], "little")
    header = json.dumps({"__metadata__": dict(metadata), **json.loads(file[8 : 8 + length])}).encode()
    header += b" " * (-len(header) % 8)  # arrays begin at a multiple of eight
    return len(header).to_bytes(8, "little") + header + file[8 + length :]


def load_detector(path: str | os.PathLike[str]) -> SavedDetector:
    """Read what `save_detector` wrote.

    Raises:
        GanlabError: no such file, not a detector, or damaged.
    """
    with open_safetensors(path, "numpy", "a detector that 'ganlab detect' saved") as (metadata, stream):
        arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    if metadata.get("format") != FORMAT:
        raise GanlabError(f"{path} is no detector of this program (format {metadata.get('format')!r})")
    with reading(path, "its metadata"):
        description = parse_json(metadata["detector"], f"{path}: its metadata", dict)
    try:
        with reading(path, "the detector"):
            return _described(arrays, description)
    except GanlabError as error:
        raise GanlabError(f"the detector {path} is damaged: {error}") from error


def _described(arrays: Mapping[str, Array], description: Mapping[str, Any]) -> SavedDetector:
    """The detector and all that belongs to it, checked: the file may be anybody's.

    Raises:
        GanlabError: parts that do not fit each other. Other exceptions mean the same.
    """
    names, classes, shape = description["class_names"], description["classes"], description["shape"]
    if len(set(classes)) != len(classes) or len(classes) < 2 or len(names) != len(classes):
        raise GanlabError(f"{len(names)} names of classes for {len(classes)} classes")
    if not all(isinstance(name, str) for name in names):
        raise GanlabError("a class has no name")
    for sides in (shape, description["image_shape"]):
        if not all(type(side) is int and side > 0 for side in sides) or math.prod(sides) > LARGEST_FEATURE:
            raise GanlabError(f"a size is {sides}")
    height, width, channels = description["image_shape"]
    restored = _restored(arrays, description)
    if isinstance(restored, FrozenDetector):
        check_steps(restored)
    feature, options = str(description["feature"]), dict(description["feature_options"])
    sides = (height, width, channels)
    saved = SavedDetector(restored, feature, options, sides, tuple(names), dict(description["record"]))
    saved.make_feature()
    return saved


def _restored(arrays: Mapping[str, Array], description: Mapping[str, Any]) -> Predictor:
    """A network or a frozen detector from the two parts of a file."""
    if "network" in description:
        network: Predictor = NetDetector.restored(arrays, description)
        return network
    steps = []
    for number, entry in enumerate(description["steps"]):
        if entry["kind"] not in KINDS:
            raise GanlabError(f"unknown step {entry['kind']!r}: expected one of {', '.join(KINDS)}")
        prefix = f"{number}."
        own = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
        steps.append(Step(entry["kind"], own, {k: float(v) for k, v in entry["numbers"].items()}))
    classes = np.asarray(description["classes"], np.int64)
    return FrozenDetector(tuple(steps), classes, tuple(int(side) for side in description["shape"]))


@dataclass(frozen=True)
class Scores:
    """What a detector says of every image of a set.

    Attributes:
        paths: identity of each image.
        class_names: columns of ``probabilities``.
        probabilities: ``(N, K)``.
        outside: which images lie outside what the detector knows; None where it does not say what it knows.
    """

    paths: tuple[str, ...]
    class_names: tuple[str, ...]
    probabilities: npt.NDArray[np.float64]
    outside: npt.NDArray[np.bool_] | None = None

    @property
    def warning(self) -> str | None:
        """What to say where more of the images than chance brings are none of the kind it was trained on."""
        return None if self.outside is None else outside_words(self.outside)

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
        made, fitted = (f"{s[1]}x{s[0]}x{s[2]}" for s in (images.shape, saved.image_shape))
        advice = "Crop them (resizing leaves traces)"
        if images.shape[2] != saved.image_shape[2]:  # no crop helps there
            advice = f"Give images of {saved.image_shape[2]} channels"
        raise GanlabError(
            f"{images.name} has images of {made}; the detector was fitted on {fitted}. {advice}"
        )
    features = extract(saved.make_feature(), images)
    with reading(f"the detector of {saved.feature}", "its steps"), np.errstate(all="ignore"):
        probabilities = np.asarray(saved.detector.predict_proba(features), np.float64)
        check_probabilities(probabilities, len(saved.class_names))
    outside = None
    if "domain" in saved.record:
        domain = Domain.from_json(saved.record["domain"])
        outside = np.concatenate([domain.outside(batch) for batch in images.batches()])
    return Scores(tuple(images.paths), saved.class_names, probabilities, outside)


def write_scores(path: str | os.PathLike[str], scores: Scores) -> None:
    """CSV: image, verdict (the likeliest class), probability of each class."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["image", "verdict", *(f"p_{name}" for name in scores.class_names)])
    for image, row in zip(scores.paths, scores.probabilities, strict=True):
        writer.writerow([image, scores.class_names[int(row.argmax())], *(f"{p:.6f}" for p in row)])
    write_text(path, buffer.getvalue())
