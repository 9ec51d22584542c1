"""``ganlab ablate --cluster slurm`` with stand-ins for SLURM's programs that run what is submitted."""

from __future__ import annotations

import json

import pytest
import slurm_stand_in
import yaml

PLAN = {
    "base": "dcgan32",
    "overrides": {
        "model.image_size": 16, "model.generator.width": 8, "model.discriminator.width": 8,
        "model.generator.z_dim": 8, "data.num_images": 120, "training.batch_size": 8, "training.steps": 4,
        "training.device": "cpu", "training.threads": 1, "logging.samples_every": 4, "logging.log_every": 1,
    },
    "axes": {"model.upsampling.name": ["nearest"]},
    "generate": {"num": 70},
    "measure": {"resamples": 10, "inception": False},
}  # fmt: skip


@pytest.fixture
def slurm(tmp_path, monkeypatch, ganlab):
    """The stand-ins' folder and a function that runs ``ganlab ablate`` with them."""
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN, sort_keys=False))
    monkeypatch.setenv("PATH", slurm_stand_in.install(tmp_path / "slurm"))
    monkeypatch.chdir(tmp_path)
    command = ("ablate", "plan.yaml", "--out", "out", "--cluster", "slurm")
    return tmp_path / "slurm", lambda *options: ganlab(*command, *options)


def test_a_cell_by_way_of_sbatch_once_lost_with_its_node(slurm, tmp_path):
    place, ablate = slurm
    (place / "lose").touch()
    done = ablate("--option", "slurm_partition=long", "--option", "cpus_per_task=2")
    assert done.code == 0, done.output
    (row,) = json.loads((tmp_path / "out" / "table.json").read_text())
    assert (row["status"], row["step"]) == ("finished", 4)
    states = {path.name: path.read_text().strip() for path in (place / "jobs").iterdir()}
    assert states["100"] == "NODE_FAIL"
    assert set(states) == {"100", "101"}
    script = (place / "scripts" / "101.sh").read_text()
    for line in ("--partition=long", "--cpus-per-task=2", "--time=1440"):
        assert f"#SBATCH {line}" in script
    assert "sacct -o JobID,State,NodeList --parsable2 -j 100" in (place / "calls").read_text()
    logs = "".join(path.read_text() for path in (tmp_path / "out" / "jobs").glob("101_0_log.*"))
    assert "JobEnvironment(job_id=101" in logs
    again = ablate()
    assert again.code == 0
    assert "1 cells, 1 done" in again.output
    assert len([*(place / "jobs").iterdir()]) == 2  # nothing was submitted again


def test_what_sbatch_says_is_passed_on(slurm, tmp_path):
    place, ablate = slurm
    (place / "refuse").write_text("invalid partition specified: shrot")
    done = ablate("--option", "slurm_partition=shrot", "--option", "timeout_min=30")
    assert done.code == 2
    assert "invalid partition specified: shrot" in done.output
    assert "Traceback" not in done.output
    (row,) = json.loads((tmp_path / "out" / "table.json").read_text())
    assert row["status"] == "not run"
    done = ablate("--option", "slurm_queue=long")
    assert done.code == 2
    assert "submitit refuses" in done.output
    assert "slurm_queue" in done.output
    assert "Traceback" not in done.output
