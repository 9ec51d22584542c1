"""Configuration: what a run is made of, read from YAML 1.2 with every error at once. No torch.

>>> import ganlab.config
>>> config = ganlab.config.load("sngan32-pfnet", ["optimizer.lr=1e-4"])
>>> config.optimizer.lr
0.0001
"""

from __future__ import annotations

from ganlab.config.checks import problems
from ganlab.config.dump import differences, dump, dump_mapping, flat, identity
from ganlab.config.errors import ConfigError, Fault, Origin, Problem
from ganlab.config.load import Resolved, from_mapping, load, loads, resolve
from ganlab.config.schema import (
    Config,
    DataConfig,
    DiscriminatorConfig,
    GeneratorConfig,
    LoggingConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    SpectralDiscriminatorConfig,
    SpectralTermConfig,
    TailConfig,
    TrainingConfig,
    UpsamplingConfig,
)
from ganlab.config.sources import preset_names
from ganlab.config.tree import json_schema

__all__ = [
    "Config",
    "ConfigError",
    "DataConfig",
    "DiscriminatorConfig",
    "Fault",
    "GeneratorConfig",
    "LoggingConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "Origin",
    "Problem",
    "Resolved",
    "SpectralDiscriminatorConfig",
    "SpectralTermConfig",
    "TailConfig",
    "TrainingConfig",
    "UpsamplingConfig",
    "differences",
    "dump",
    "dump_mapping",
    "flat",
    "from_mapping",
    "identity",
    "json_schema",
    "load",
    "loads",
    "preset_names",
    "problems",
    "resolve",
]
