"""A system = a feature and a detector with their options; and the published ones by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.detectors.make import make_detector
from ganlab.forensics.features.base import Feature
from ganlab.forensics.features.make import make_feature


@dataclass(frozen=True)
class System:
    """One way to detect.

    Attributes:
        feature: a key of ``FEATURES``.
        detector: a key of ``DETECTORS``.
        feature_options: of the feature.
        detector_options: of the detector.
    """

    feature: str
    detector: str
    feature_options: Mapping[str, Any] = field(default_factory=dict)
    detector_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``feature+detector``, options in parentheses where there are any."""
        return (
            f"{_titled(self.feature, self.feature_options)}+{_titled(self.detector, self.detector_options)}"
        )

    def make_feature(self) -> Feature:
        """The feature."""
        return make_feature(self.feature, **self.feature_options)

    def make_detector(self, seed: int) -> Any:
        """A new detector.

        Raises:
            GanlabError: unknown names or options.
        """
        return make_detector(self.detector, seed=seed, **self.detector_options)

    def with_detector_options(self, options: Mapping[str, Any]) -> System:
        """The same system with these options changed."""
        return replace(self, detector_options={**self.detector_options, **options})


def _titled(name: str, options: Mapping[str, Any]) -> str:
    shown = ",".join(f"{key}={value}" for key, value in options.items())
    return f"{name}({shown})" if shown else name


@dataclass(frozen=True)
class Preset:
    """A published method: its systems and what it does differently from the rest.

    Attributes:
        summary: what it is, one line.
        source: paper.
        systems: to be run side by side.
        trap: what the published experiment or its code did that this laboratory does not.
        attribution: whether the paper also names the source of an image.
        perturbations: those of its robustness experiment.
    """

    summary: str
    source: str
    systems: tuple[System, ...]
    trap: str
    attribution: bool = False
    perturbations: tuple[str, ...] = ()


GUARNERA_NEIGHBOURS = 3
_TRACES = tuple(
    System("traces", detector, {"kernel_size": size}, options)
    for size in (3, 5, 7)
    for detector, options in (("knn", {"k": GUARNERA_NEIGHBOURS}), ("linear_svm", {}), ("lda", {}))
)

PRESETS: dict[str, Preset] = {
    "durall2019": Preset(
        summary="radial profile of the log spectrum, then SVM, logistic regression, k-means",
        source="Durall et al. 2019, arXiv 1911.00686",
        systems=(
            System("durall_80", "durall_svm"),
            System("durall_80", "linear_svm", {}, {"standardise": False}),
            System("durall_80", "logistic", {}, {"standardise": False}),
            System("durall_80", "kmeans"),
        ),
        trap="its CelebA fakes are 128x128 and its reals 178x218; sets of different sizes are refused here",
    ),
    "frank2020": Preset(
        summary="full-image DCT and pixels, each with ridge, LASSO, CNN, neighbours, eigenfaces; PRNU",
        source="Frank et al. 2020, arXiv 2003.08685",
        systems=(
            *(
                System(feature, detector)
                for feature in ("pixels", "dct")
                for detector in ("ridge", "lasso", "cnn", "knn", "eigenfaces")
            ),
            System("residual", "prnu"),
        ),
        trap="its JPEG is always of quality 95 and its noise and blur are stronger than the text says; "
        "the operators here do what the text says, the released ones have names that end in _released",
        attribution=True,
        perturbations=("frank_noise", "frank_blur", "frank_crop", "frank_jpeg"),
    ),
    "guarnera2020": Preset(
        summary="convolutional traces by EM with kernels 3, 5, 7, then neighbours, SVM, LDA, random forest",
        source="Guarnera et al. 2020, arXiv 2004.10448, 2008.04095",
        systems=(*_TRACES, *(System("traces", "random_forest", {"kernel_size": size}) for size in (3, 5, 7))),
        trap="a random start with a small sigma leaves the kernel where it began; the data sets both here",
        attribution=True,
        perturbations=("occlusion", "gaussian_blur", "rotation", "mirror", "rescale", "jpeg"),
    ),
    "chai2020": Preset(
        summary="truncated Xception and ResNet-18 that judge small patches",
        source="Chai et al. 2020, arXiv 2008.10588",
        systems=(
            *(System("pixels", "patch", {}, {"depth": depth}) for depth in (1, 2, 3)),
            System("pixels", "patch", {}, {"backbone": "resnet18", "depth": 1}),
        ),
        trap="reals and fakes saved by different code; both pass the same path here, and the guards look",
    ),
    "yu2019": Preset(
        summary="which source made the image: attribution network, fingerprints, neighbours, eigenfaces",
        source="Yu et al. 2019, arXiv 1811.08180",
        systems=(
            System("pixels", "attribution"),
            System("pixels", "fingerprint"),
            System("pixels", "knn"),
            System("pixels", "eigenfaces"),
        ),
        trap="the perturbation code was never released; the parameters are those Frank's comments keep",
        attribution=True,
        perturbations=("frank_noise", "frank_blur", "frank_crop", "frank_jpeg", "yu_combined"),
    ),
    "decay": Preset(
        summary="three numbers of the spectrum's decay, 5 nearest neighbours",
        source="Dzanic et al. 2020, arXiv 1911.06465; Chandrasegaran et al. 2021, arXiv 2103.17195",
        systems=(
            System("decay", "knn", {}, {"k": 5}),
            System("decay", "knn", {"threshold": 0.85}, {"k": 5}),
        ),
        trap="the later paper's accuracy counts fakes only; balanced accuracy is reported here",
    ),
    "pixels2020": Preset(
        summary="ResNet on pixels with blur and JPEG augmentation, and the NPR residual's short ResNet",
        source="Wang et al. 2020, arXiv 1912.11035; Tan et al. 2024, arXiv 2312.10461",
        systems=(System("pixels", "resnet"), System("npr", "npr_resnet")),
        trap="published weights saw other generators; both are trained from scratch here",
        perturbations=("jpeg", "gaussian_blur"),
    ),
    "projections": Preset(
        summary="axis projections against the radial profile, classical detectors and a small CNN",
        source="ganlab",
        systems=(
            *(
                System(feature, "logistic")
                for feature in ("radial", "horizontal", "vertical", "both", "dft", "dct", "pixels")
            ),
            *(System("both", detector) for detector in ("rbf_svm", "random_forest", "gradient_boosting")),
            *(System(feature, "cnn") for feature in ("dct", "pixels")),
        ),
        trap="none known; every table carries real against real",
        perturbations=("jpeg", "gaussian_noise", "gaussian_blur", "crop_resize", "shift"),
    ),
}


def parse_system(text: str) -> System:
    """``feature+detector``, both by name.

    Raises:
        GanlabError: another form, or unknown names (checked by making both).
    """
    feature, plus, detector = text.partition("+")
    if not plus or not feature or not detector:
        raise GanlabError(f"a system is written feature+detector, such as both+logistic; got {text!r}")
    system = System(feature.strip(), detector.strip())
    system.make_feature()
    system.make_detector(0)
    return system


def systems_of(names: Sequence[str]) -> tuple[System, ...]:
    """The systems of presets (by name) and of ``feature+detector`` texts, each once.

    Raises:
        GanlabError: an unknown name.
    """
    found: dict[str, System] = {}
    for name in names:
        if "+" in name:
            chosen: tuple[System, ...] = (parse_system(name),)
        else:
            chosen = lookup(PRESETS, name, "preset of systems").systems
        found.update({system.name: system for system in chosen})
    return tuple(found.values())
