"""``ganlab probe``: what lattice does anybody's generator leave, and which of its stages makes it."""

from __future__ import annotations

from ganlab.experiments.probe.compare import Comparison, compare_generators
from ganlab.experiments.probe.findings import Finding, ProbeReport
from ganlab.experiments.probe.run import probe_generator

__all__ = ["Comparison", "Finding", "ProbeReport", "compare_generators", "probe_generator"]
