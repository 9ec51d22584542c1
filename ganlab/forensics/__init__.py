"""Does a detector see it? Perturbations, traces, features, detectors and one honest protocol."""

from __future__ import annotations

from ganlab.forensics.perturbations.base import describe, perturb
from ganlab.forensics.perturbations.severity import LEVELS, SEVERITIES, make_perturbation
from ganlab.forensics.registry import PERTURBATIONS
from ganlab.forensics.traces import Traces, convolutional_traces

__all__ = [
    "LEVELS",
    "PERTURBATIONS",
    "SEVERITIES",
    "Traces",
    "convolutional_traces",
    "describe",
    "make_perturbation",
    "perturb",
]
