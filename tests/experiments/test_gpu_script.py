"""results/gpu/run.py, every slice, the way of a borrowed machine; and the configurations that it trains."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest
from shared import ROOT

from ganlab.config import resolve

CONFIGS = sorted((ROOT / "configs" / "gpu").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_configurations_load_and_say_what_they_are(path):
    resolved = resolve(path)
    assert resolved.warnings == ()
    training = resolved.config.training
    assert (training.device, training.precision, training.compile_mode) == ("cuda", "bf16", "reduce-overhead")
    header = "\n".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    for word in (f"configs/gpu/{path.name}", "Source:", "Time: not measured", "Shows:", "Differs from"):
        assert word in header


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_slice_from_end_to_end_on_a_cpu(tmp_path):
    """Tiny networks on the CPU; the second call of a slice finds what the first has left."""

    def call(*words):
        command = [sys.executable, "results/gpu/run.py", "--device", "cpu", "--tiny",
                   "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]  # fmt: skip
        return subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True, check=False)

    for words in (["tests"], ["bench"], ["zoo"], ["paper", "--only", "sngan32"], ["paper"]):
        done = call(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{words[0]}: complete" in done.stdout
    again = call("bench")
    assert "bench-small32: there" in again.stdout
    assert "finished, 20 steps" in (tmp_path / "work" / "sngan32.log").read_text()
    archives = sorted((tmp_path / "out" / "results").iterdir())
    names = {name for path in archives for name in zipfile.ZipFile(path).namelist()}
    assert sum(path.stat().st_size for path in archives) < 15 * 2**20
    assert {"tests.xml", "bench-small32.json", "bench-rates.json", "profile-small32.txt"} <= names
    assert {f"zoo/dcgan-nearest-s{seed}.safetensors" for seed in range(3)} <= names
    for name in ("sngan32", "dcgan64"):
        assert {f"{name}/generator.safetensors", f"{name}/metrics.jsonl", f"{name}/config.yaml"} <= names
    late = call("bench", "--minutes", "0", "--work", str(tmp_path / "late"))
    assert late.returncode == 1
    assert "bench: not complete; the same call goes on" in late.stdout
