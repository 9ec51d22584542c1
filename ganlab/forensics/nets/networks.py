"""Names of the networks, as files of saved detectors use them."""

from __future__ import annotations

from collections.abc import Callable

from ganlab.forensics.nets.attribution import AttributionNetwork, FingerprintNetwork
from ganlab.forensics.nets.base import DetectorNetwork
from ganlab.forensics.nets.cnn import SmallCnn
from ganlab.forensics.nets.patch import PatchNetwork
from ganlab.forensics.nets.resnet import NprNetwork, ResNetDetector

NETWORKS: dict[str, Callable[..., DetectorNetwork]] = {
    "small_cnn": SmallCnn,
    "patch": PatchNetwork,
    "attribution": AttributionNetwork,
    "fingerprint": FingerprintNetwork,
    "npr": NprNetwork,
    "resnet": ResNetDetector,
}
