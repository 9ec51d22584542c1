"""Systems (a feature and a detector with their options), and the published methods as presets of systems."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ganlab.errors import GanlabError, lookup
from ganlab.forensics.features.base import Feature
from ganlab.forensics.registry import DETECTORS, make_detector, make_feature


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
        titles = []
        for name, options in ((self.feature, self.feature_options), (self.detector, self.detector_options)):
            shown = ",".join(f"{key}={value}" for key, value in options.items())
            titles.append(f"{name}({shown})" if shown else name)
        return "+".join(titles)

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

    def with_feature_options(self, options: Mapping[str, Any]) -> System:
        """The same system with these options of the feature changed."""
        return replace(self, feature_options={**self.feature_options, **options})

    @property
    def is_network(self) -> bool:
        """Whether the detector is a network, which is trained in epochs."""
        return "epochs" in inspect.signature(DETECTORS[self.detector]).parameters


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


@dataclass(frozen=True)
class Preset:
    """A published method: its systems, and what its paper's protocol prescribes.

    Attributes:
        summary: what it is, one line.
        source: paper.
        systems: to be run side by side.
        trap: what the published experiment or its code did that this laboratory does not.
        attribution: whether the paper also names the source of an image.
        perturbations: those of its robustness experiment.
        seeds: repetitions; absent: the paper says nothing.
        fractions: of train, validation, test; absent: the paper says nothing.
        training_sizes: images in all of its sample-size curve; empty: it has none.
        immunise: whether its networks are trained on with perturbed images and tested again.
        tsne_images: in its t-SNE map; 0: it has none.
    """

    summary: str
    source: str
    systems: tuple[System, ...]
    trap: str
    attribution: bool = False
    perturbations: tuple[str, ...] = ()
    seeds: int | None = None
    fractions: tuple[float, float, float] | None = None
    training_sizes: tuple[int, ...] = ()
    immunise: bool = False
    tsne_images: int = 0

    @property
    def description(self) -> str:
        """Two lines for a list: the summary, and the trap."""
        return f"{self.summary}\ntrap: {self.trap}"


DURALL_SAMPLES = (20, 100, 200, 1000, 2000, 4000)
"""Images in all in the tables of the paper's repository, 80 % of them for training."""
DURALL_FRACTIONS = (0.8, 0.0, 0.2)
_SENSOR = {"levels": 4, "sigma": 0.004}
"""Half a grey level of noise, the middle of Frank's grid; --optimize searches it."""
_PLAIN = {"standardise": False}
_RAW = {"convention": "durall2019"}

PRESETS: dict[str, Preset] = {
    "durall2019": Preset(
        summary="radial profile of the log spectrum, then SVM, logistic regression, k-means",
        source="Durall et al. 2019, arXiv 1911.00686",
        systems=(
            System("durall_80", "hinge_svm", {}, _PLAIN),
            System("durall_80", "durall_svm"),
            System("durall_80", "poly_svm", {}, _PLAIN | {"gamma": "auto"}),
            System("durall_80", "logistic", {}, _PLAIN),
            System("durall_80", "kmeans"),
            System("durall_300", "durall_svm"),
            System("durall_300", "logistic", {}, _PLAIN),
            System("radial", "hinge_svm", _RAW, _PLAIN),
            System("radial", "logistic", _RAW, _PLAIN),
        ),
        trap="its CelebA fakes are 128x128 and its reals 178x218; sets of different sizes are refused here",
        seeds=10,
        fractions=DURALL_FRACTIONS,
        training_sizes=tuple(round(DURALL_FRACTIONS[0] * count) for count in DURALL_SAMPLES),
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
            System("residual", "prnu_sensor", _SENSOR),
            System("residual", "prnu"),
        ),
        trap="its JPEG is always of quality 95 and its noise and blur are stronger than the text says; "
        "the operators here do what the text says, the released ones have names that end in _released. Its "
        "PRNU passes sensor forensics' filters, which erase what upsampling leaves; prnu does without them",
        attribution=True,
        perturbations=("frank_noise", "frank_blur", "frank_crop", "frank_jpeg"),
    ),
    "guarnera2020": Preset(
        summary="convolutional traces by EM with kernels 3, 5, 7, then neighbours, SVM, LDA, random forest",
        source="Guarnera et al. 2020, arXiv 2004.10448, 2008.04095",
        systems=tuple(
            System("traces", detector, {"kernel_size": size})
            for size in (3, 5, 7)
            for detector in ("knn", "linear_svm", "lda", "random_forest")
        ),
        trap="a random start with a small sigma leaves the kernel where it began; the data sets both here",
        attribution=True,
        perturbations=("occlusion", "gaussian_blur", "rotation", "mirror", "rescale", "jpeg"),
        tsne_images=1000,
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
        summary="who made the image: attribution network, fingerprints, neighbours, eigenfaces, PRNU",
        source="Yu et al. 2019, arXiv 1811.08180",
        systems=(
            System("pixels", "attribution"),
            System("pixels", "fingerprint"),
            System("pixels", "knn"),
            System("pixels", "eigenfaces"),
            System("residual", "prnu"),
        ),
        trap="the perturbation code was never released; the parameters are those Frank's comments keep, and "
        "in the place of relighting by a network stands a ramp of light",
        attribution=True,
        perturbations=("yu_relight", "frank_crop", "frank_blur", "frank_jpeg", "frank_noise", "yu_combined"),
        immunise=True,
    ),
    "decay": Preset(
        summary="three numbers of the spectrum's decay, 5 nearest neighbours",
        source="Dzanic et al. 2020, arXiv 1911.06465; Chandrasegaran et al. 2021, arXiv 2103.17195",
        systems=(
            System("decay", "knn", {}, {"k": 5}),
            System("decay", "knn", {"threshold": 0.85}, {"k": 5}),
        ),
        trap="the later paper's accuracy counts fakes only; balanced accuracy is reported here",
        training_sizes=(200,),
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

ALIASES = {
    "dzanic2020": "decay",
    "chandrasegaran2021": "decay",
    "wang2020": "pixels2020",
    "cnndetection": "pixels2020",
    "tan2024": "pixels2020",
    "npr": "pixels2020",
}
"""Other names under which the methods of a preset are known."""


def find_preset(name: str) -> Preset:
    """A preset by its name or another one it is known by.

    Raises:
        GanlabError: unknown.
    """
    known = {**PRESETS, **{alias: PRESETS[preset] for alias, preset in ALIASES.items()}}
    return lookup(known, name, "preset of systems")


def systems_of(names: Sequence[str]) -> tuple[System, ...]:
    """The systems of presets (by name) and of ``feature+detector`` texts, each once.

    Raises:
        GanlabError: an unknown name.
    """
    chosen: dict[str, System] = {}
    for name in names:
        systems = (parse_system(name),) if "+" in name else find_preset(name).systems
        chosen.update({system.name: system for system in systems})
    return tuple(chosen.values())
