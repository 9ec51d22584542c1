"""Does a detector see it? Perturbations, traces, features, detectors and one honest protocol."""

from __future__ import annotations

from ganlab.forensics.perturbations.base import describe, perturb
from ganlab.forensics.perturbations.severity import LEVELS, SEVERITIES, make_perturbation
from ganlab.forensics.registry import PERTURBATIONS

__all__ = ["LEVELS", "PERTURBATIONS", "SEVERITIES", "describe", "make_perturbation", "perturb"]
