"""Does a detector see it? Perturbations, traces, features, detectors and one honest protocol."""

from __future__ import annotations

from ganlab.forensics.perturbations.base import describe, perturb
from ganlab.forensics.perturbations.severity import LEVELS, SEVERITIES, make_perturbation
from ganlab.forensics.protocol.guards import GUARDS, Finding, check_leakage, check_sets
from ganlab.forensics.protocol.hashes import exact_hashes, perceptual_hashes, set_hashes
from ganlab.forensics.protocol.metrics import METRICS, Interval, evaluate, summarise
from ganlab.forensics.protocol.split import Split, load_splits, save_splits, split_by_identity
from ganlab.forensics.registry import PERTURBATIONS
from ganlab.forensics.traces import Traces, convolutional_traces

__all__ = [
    "GUARDS",
    "LEVELS",
    "METRICS",
    "PERTURBATIONS",
    "SEVERITIES",
    "Finding",
    "Interval",
    "Split",
    "Traces",
    "check_leakage",
    "check_sets",
    "convolutional_traces",
    "describe",
    "evaluate",
    "exact_hashes",
    "load_splits",
    "make_perturbation",
    "perceptual_hashes",
    "perturb",
    "save_splits",
    "set_hashes",
    "split_by_identity",
    "summarise",
]
