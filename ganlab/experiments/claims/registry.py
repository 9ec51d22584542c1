"""Every experiment by its name. A new one is a file with an `Experiment`, and a line here."""

from __future__ import annotations

from ganlab.experiments.claims import frank2020
from ganlab.experiments.claims.outcome import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    "frank2020": frank2020.EXPERIMENT,
}
"""Name -> experiment, in the order of ``ganlab reproduce``."""
