"""Does a detector see it? Perturbations, traces, features, detectors and one honest protocol."""

from __future__ import annotations

from ganlab.forensics.features.base import Feature
from ganlab.forensics.features.extract import extract, extract_many
from ganlab.forensics.features.make import make_feature
from ganlab.forensics.perturbations.base import describe, perturb
from ganlab.forensics.perturbations.severity import LEVELS, SEVERITIES, make_perturbation
from ganlab.forensics.protocol.guards import GUARDS, Finding, check_leakage, check_sets
from ganlab.forensics.protocol.hashes import exact_hashes, perceptual_hashes, set_hashes
from ganlab.forensics.protocol.metrics import METRICS, Interval, evaluate, summarise
from ganlab.forensics.protocol.split import Split, load_splits, save_splits, split_by_identity
from ganlab.forensics.registry import FEATURES, PERTURBATIONS
from ganlab.forensics.traces import Traces, convolutional_traces

__all__ = [
    "FEATURES",
    "GUARDS",
    "LEVELS",
    "METRICS",
    "PERTURBATIONS",
    "SEVERITIES",
    "Feature",
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
    "extract",
    "extract_many",
    "load_splits",
    "make_feature",
    "make_perturbation",
    "perceptual_hashes",
    "perturb",
    "save_splits",
    "set_hashes",
    "split_by_identity",
    "summarise",
]
