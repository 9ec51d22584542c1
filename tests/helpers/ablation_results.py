"""A small finished ablation for the tests of its report: four variants of one axis, two seeds each."""

from __future__ import annotations

import pytest
import yaml

from ganlab.experiments.ablation import run as library
from ganlab.experiments.ablation.jobs import Cluster
from ganlab.experiments.ablation.measure import run_cell
from ganlab.experiments.ablation.run import ablate, open_ablation

SMALL = {
    "model.image_size": 16, "model.generator.width": 8, "model.discriminator.width": 8,
    "model.generator.z_dim": 8, "data.num_images": 120, "training.batch_size": 8, "training.steps": 4,
    "training.device": "cpu", "training.threads": 1, "logging.samples_every": 4, "logging.log_every": 1,
    "logging.gradients_every": 2,
}  # fmt: skip
NASTY = "a</script><b>"
FIXED = {"model.upsampling.name": "nearest"}
PLAN = {
    "base": "dcgan32",
    "overrides": SMALL,
    "axes": {
        "remedy": {
            "none": FIXED,
            NASTY: {**FIXED, "loss.spectral": [{"kind": "axis_profiles"}]},
            "learned": {"model.upsampling.name": "transposed"},
            "mad": {**FIXED, "optimizer.lr": 1e30},
        }
    },
    "seeds": [0, 1],
    "generate": {"num": 70, "weights": "raw"},
    "measure": {"resamples": 10},
}
COMMAND = "ganlab ablate plan.yaml --out out"


def in_this_process(folders, logs, cluster, done):
    """In the place of ``run_cells``: one after the other, without jobs."""
    for cell in folders:
        run_cell(cell)
    return {}


def make_results(folder, cache_folder):
    """Run the plan in ``folder / "out"``; one variant diverges, one has a name that is markup."""
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLAB_CACHE", str(cache_folder))
        patch.setattr(library, "run_cells", in_this_process)
        ablate(open_ablation(folder / "plan.yaml", folder / "out"), Cluster(), command=COMMAND)
    return folder / "out"
