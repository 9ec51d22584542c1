"""``python -m ganlab.experiments.ablation FOLDER``: one cell, as `ganlab ablate` starts it."""

from __future__ import annotations

import sys

from ganlab.experiments.ablation.measure import run_cell

if __name__ == "__main__":
    print(run_cell(sys.argv[1]))  # noqa: T201
