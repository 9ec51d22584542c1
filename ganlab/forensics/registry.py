"""The names of this room, and how an object is made from a name and options.

A new entry is one class (or function) and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.detectors.classical import (
    durall_svm,
    eigenfaces,
    gradient_boosting,
    hinge_svm,
    kmeans,
    knn,
    lasso,
    lda,
    linear_svm,
    logistic,
    poly_svm,
    random_forest,
    rbf_svm,
    ridge,
)
from ganlab.forensics.detectors.prnu import prnu, prnu_sensor
from ganlab.forensics.features.base import Feature
from ganlab.forensics.features.planes import Cooccurrence, Dct, Dft, HighPass, NeighbouringPixels, Pixels
from ganlab.forensics.features.profiles import (
    BothAxes,
    Decay,
    Horizontal,
    Radial,
    Vertical,
    durall_80,
    durall_300,
)
from ganlab.forensics.features.traces import ConvolutionalTraces
from ganlab.forensics.features.wavelets import NoiseResidual, WaveletPackets
from ganlab.forensics.nets.detector import attribution, cnn, fingerprint, npr_resnet, patch, resnet
from ganlab.forensics.perturbations.base import Perturbation
from ganlab.forensics.perturbations.operators import (
    CropResize,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    Median,
    Mirror,
    Occlusion,
    Relight,
    Rescale,
    Rotation,
    Shift,
)
from ganlab.forensics.perturbations.published import (
    frank_blur,
    frank_blur_released,
    frank_combined,
    frank_combined_released,
    frank_crop,
    frank_jpeg,
    frank_jpeg_released,
    frank_noise,
    frank_noise_released,
    yu_combined,
    yu_relight,
)

PERTURBATIONS: dict[str, Callable[..., Perturbation]] = {
    "gaussian_noise": GaussianNoise,
    "gaussian_blur": GaussianBlur,
    "jpeg": Jpeg,
    "crop_resize": CropResize,
    "rescale": Rescale,
    "rotation": Rotation,
    "mirror": Mirror,
    "shift": Shift,
    "occlusion": Occlusion,
    "median": Median,
    "relight": Relight,
    "frank_noise": frank_noise,
    "frank_blur": frank_blur,
    "frank_crop": frank_crop,
    "frank_jpeg": frank_jpeg,
    "frank_combined": frank_combined,
    "frank_noise_released": frank_noise_released,
    "frank_blur_released": frank_blur_released,
    "frank_jpeg_released": frank_jpeg_released,
    "frank_combined_released": frank_combined_released,
    "yu_relight": yu_relight,
    "yu_combined": yu_combined,
}

FEATURES: dict[str, Callable[..., Feature]] = {
    "pixels": Pixels,
    "dft": Dft,
    "dct": Dct,
    "radial": Radial,
    "durall_80": durall_80,
    "durall_300": durall_300,
    "horizontal": Horizontal,
    "vertical": Vertical,
    "both": BothAxes,
    "decay": Decay,
    "traces": ConvolutionalTraces,
    "npr": NeighbouringPixels,
    "highpass": HighPass,
    "wavelets": WaveletPackets,
    "residual": NoiseResidual,
    "cooccurrence": Cooccurrence,
}

DETECTORS: dict[str, Callable[..., Any]] = {
    "logistic": logistic,
    "ridge": ridge,
    "lasso": lasso,
    "linear_svm": linear_svm,
    "rbf_svm": rbf_svm,
    "durall_svm": durall_svm,
    "poly_svm": poly_svm,
    "hinge_svm": hinge_svm,
    "random_forest": random_forest,
    "gradient_boosting": gradient_boosting,
    "knn": knn,
    "lda": lda,
    "eigenfaces": eigenfaces,
    "kmeans": kmeans,
    "prnu": prnu,
    "prnu_sensor": prnu_sensor,
    "cnn": cnn,
    "patch": patch,
    "attribution": attribution,
    "fingerprint": fingerprint,
    "npr_resnet": npr_resnet,
    "resnet": resnet,
}

LEVELS = 5
SEVERITIES: dict[str, tuple[Mapping[str, Any], ...]] = {
    "gaussian_noise": tuple({"variance": v} for v in (2.0, 5.0, 20.0, 80.0, 320.0)),
    "gaussian_blur": tuple({"sigma": s} for s in (0.3, 0.5, 0.75, 1.0, 2.0)),
    "jpeg": tuple({"quality": q} for q in (95, 90, 75, 50, 25)),
    "crop_resize": tuple({"fraction": f} for f in (0.05, 0.1, 0.15, 0.2, 0.3)),
    "rescale": tuple({"factor": f} for f in (1.5, 0.9, 0.75, 0.66, 0.5)),
    "rotation": tuple({"degrees": (-d, d)} for d in (2.0, 5.0, 15.0, 45.0, 180.0)),
    "mirror": ({},) * LEVELS,
    "shift": tuple({"pixels": p} for p in (1, 2, 3, 4, 5)),
    "occlusion": tuple({"fraction": f} for f in (0.1, 0.2, 0.3, 0.4, 0.5)),
    "median": tuple({"size": s} for s in (3, 5, 7, 9, 11)),
    "relight": tuple({"strength": s} for s in (0.1, 0.2, 0.3, 0.5, 0.7)),
}
"""Keyword arguments of every operator from level 1 (barely visible) to level 5. A mirror has no degrees."""


def make_feature(name: str, **options: Any) -> Feature:
    """A feature by name.

    Raises:
        GanlabError: unknown name, unknown option, or a value out of range.
    """
    factory = lookup(FEATURES, name, "feature")
    try:
        return factory(**options)
    except TypeError as error:
        raise GanlabError(f"feature {name!r}: {error}") from error


def make_detector(name: str, seed: int = 0, **options: Any) -> Any:
    """An unfitted detector with scikit-learn's ``fit(features, labels)`` and ``predict_proba(features)``.

    Args:
        name: a key of ``DETECTORS``.
        seed: of everything it draws.
        options: of the detector.

    Raises:
        GanlabError: unknown name or option.
    """
    factory = lookup(DETECTORS, name, "detector")
    try:
        return factory(seed=seed, **options)
    except TypeError as error:
        raise GanlabError(f"detector {name!r}: {error}") from error


def make_perturbation(name: str, severity: int | None = None, **options: Any) -> Perturbation:
    """A perturbation by name, with options of its own or at one of five severities.

    Raises:
        GanlabError: unknown name, a level outside 1..5, a published mixture (it has no levels), unknown
            options, or options beside a severity.
    """
    factory = lookup(PERTURBATIONS, name, "perturbation")
    if severity is not None:
        if name not in SEVERITIES:
            raise GanlabError(f"perturbation {name!r} is a published mixture and has no severity levels")
        if not 1 <= severity <= LEVELS:
            raise GanlabError(f"severity runs from 1 to {LEVELS}; got {severity}")
        if options:
            given = ", ".join(options)
            raise GanlabError(f"perturbation {name!r}: give a severity or options ({given}), not both")
        options = dict(SEVERITIES[name][severity - 1])
    try:
        return factory(**options)
    except TypeError as error:
        raise GanlabError(f"perturbation {name!r}: {error}") from error
