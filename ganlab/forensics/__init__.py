"""Does a detector see it? Perturbations, traces, features, detectors and one honest protocol."""

from __future__ import annotations

from ganlab.forensics.audit.audit import audit_sets
from ganlab.forensics.audit.report import KINDS, AuditReport
from ganlab.forensics.detectors.frozen import FrozenDetector
from ganlab.forensics.detectors.prepare import log_odds, odds_of
from ganlab.forensics.detectors.store import (
    SavedDetector,
    Scores,
    load_detector,
    save_detector,
    score_images,
    write_scores,
)
from ganlab.forensics.features.base import Feature
from ganlab.forensics.features.extract import extract, extract_many
from ganlab.forensics.features.traces import Traces, convolutional_traces
from ganlab.forensics.nets.adversarial import finetune_against
from ganlab.forensics.nets.detector import NetDetector, immunised
from ganlab.forensics.nets.patch import ReceptiveField, receptive_field
from ganlab.forensics.nets.patch_maps import Patch, exaggerate, patch_maps, telling_patches
from ganlab.forensics.nets.trainer import Plan
from ganlab.forensics.perturbations.base import describe, perturb
from ganlab.forensics.protocol.bench import NULL, Bench, Checked, check, make_bench
from ganlab.forensics.protocol.guards import GUARDS, Finding, check_leakage, check_sets
from ganlab.forensics.protocol.metrics import METRICS, Interval, evaluate, highest_area_test, summarise
from ganlab.forensics.protocol.near import exact_hashes, perceptual_hashes, set_hashes
from ganlab.forensics.protocol.split import Split, load_splits, save_splits, split_by_identity
from ganlab.forensics.protocol.systems import (
    ALIASES,
    PRESETS,
    Preset,
    System,
    find_preset,
    parse_system,
    systems_of,
)
from ganlab.forensics.registry import (
    DETECTORS,
    FEATURES,
    LEVELS,
    PERTURBATIONS,
    SEVERITIES,
    make_detector,
    make_feature,
    make_perturbation,
)

__all__ = [
    "ALIASES",
    "DETECTORS",
    "FEATURES",
    "GUARDS",
    "KINDS",
    "LEVELS",
    "METRICS",
    "NULL",
    "PERTURBATIONS",
    "PRESETS",
    "SEVERITIES",
    "AuditReport",
    "Bench",
    "Checked",
    "Feature",
    "Finding",
    "FrozenDetector",
    "Interval",
    "NetDetector",
    "Patch",
    "Plan",
    "Preset",
    "ReceptiveField",
    "SavedDetector",
    "Scores",
    "Split",
    "System",
    "Traces",
    "audit_sets",
    "check",
    "check_leakage",
    "check_sets",
    "convolutional_traces",
    "describe",
    "evaluate",
    "exact_hashes",
    "exaggerate",
    "extract",
    "extract_many",
    "find_preset",
    "finetune_against",
    "highest_area_test",
    "immunised",
    "load_detector",
    "load_splits",
    "log_odds",
    "make_bench",
    "make_detector",
    "make_feature",
    "make_perturbation",
    "odds_of",
    "parse_system",
    "patch_maps",
    "perceptual_hashes",
    "perturb",
    "receptive_field",
    "save_detector",
    "save_splits",
    "score_images",
    "set_hashes",
    "split_by_identity",
    "summarise",
    "systems_of",
    "telling_patches",
    "write_scores",
]
