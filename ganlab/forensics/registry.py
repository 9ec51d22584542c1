"""The names of this room. A new entry is one class (or function) and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ganlab.forensics.detectors.classical import (
    durall_svm,
    eigenfaces,
    gradient_boosting,
    hinge_svm,
    lasso,
    lda,
    linear_svm,
    logistic,
    poly_svm,
    random_forest,
    rbf_svm,
    ridge,
)
from ganlab.forensics.detectors.neighbours import kmeans, knn
from ganlab.forensics.detectors.prnu import prnu, prnu_sensor
from ganlab.forensics.features.base import Feature
from ganlab.forensics.features.pixels import ConvolutionalTraces, Cooccurrence, NeighbouringPixels, Pixels
from ganlab.forensics.features.profiles import (
    BothAxes,
    Decay,
    Horizontal,
    Radial,
    Vertical,
    durall_80,
    durall_300,
)
from ganlab.forensics.features.residual import NoiseResidual, WaveletPackets
from ganlab.forensics.features.spectral import Dct, Dft, HighPass
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
