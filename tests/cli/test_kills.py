"""SIGKILL by the clock, of commands with their real children: the same command ends in the same bytes.

Takes minutes to an hour. ``GANLAB_KILLS`` is the number of kills of each command, 20 by default.
"""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from forensics_images import natural
from PIL import Image
from shared import TINY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600)]

KILLS = int(os.environ.get("GANLAB_KILLS", "20"))
PLAN = {
    "base": "dcgan32",
    "overrides": {key: yaml.safe_load(value) for key, value in (text.split("=") for text in TINY)},
    "axes": {"model.upsampling.name": ["nearest", "transposed"]},
    "seeds": [0],
    "generate": {"num": 32},
}
TIMES = {
    "ablate": (
        "log.txt", "environment.json", ".lock", ".cell-lock", "events.out.tfevents", "commands.jsonl",
        "index.html", "provenance.json",
    ),
    "spectra": (".lock",),
}  # fmt: skip
"""Files that hold clock times, processes or machines, or hashes of such, and what children said (jobs/): not
compared. Everything else is, but for ``seconds`` in JSON and CSV."""
COMMANDS = {
    "ablate": "ablate plan.yaml --out out",
    "spectra": "spectra sets/real sets/fake --out out --bootstrap 100",
}


@pytest.fixture
def place(tmp_path):
    """A function that makes a fresh working folder."""
    for seed, name in enumerate(("real", "fake")):
        (tmp_path / "sets" / name).mkdir(parents=True)
        for number, image in enumerate(natural(60, 32, seed=seed)):
            Image.fromarray(image).save(tmp_path / "sets" / name / f"{number}.png")
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN, sort_keys=False))

    def make(name):
        folder = tmp_path / name / "here"
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copytree(tmp_path / "sets", folder / "sets")
        shutil.copy(tmp_path / "plan.yaml", folder)
        return folder

    return make


def start(folder, words, mark):
    environment = {**os.environ, "GANLAB_MARK": mark, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "ganlab", *words.split()], cwd=folder, env=environment,
        stdout=subprocess.DEVNULL, stderr=open(folder.parent / "stderr.txt", "ab"),
    )  # fmt: skip


def alive(mark):
    """Processes that belong to this trial, zombies not counted."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"GANLAB_MARK={mark}\0".encode() in (entry / "environ").read_bytes():
                found += [] if ") Z" in (entry / "stat").read_text() else [int(entry.name)]
        except OSError:
            pass
    return found


def without_seconds(value):
    """A JSON value without how long anything took."""
    if isinstance(value, dict):
        return {key: without_seconds(v) for key, v in value.items() if not key.startswith("seconds")}
    return [without_seconds(entry) for entry in value] if isinstance(value, list) else value


def contents(folder, verb):
    """Relative path -> content of all files but those that hold times."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name.startswith(TIMES[verb]) or path.parent.name == "jobs":
            continue
        content = path.read_bytes()
        if path.suffix == ".json" and b'"seconds' in content:
            content = without_seconds(json.loads(content))
        elif path.suffix == ".csv" and b"seconds" in content:
            rows = list(csv.reader(content.decode().splitlines()))
            kept = [place for place, name in enumerate(rows[0]) if not name.startswith("seconds")]
            content = [[row[place] for place in kept] for row in rows]
        found[path.relative_to(folder).as_posix()] = content
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("verb", list(COMMANDS))
def test_killed_at_random_moments(verb, place, tmp_path):
    words, source = COMMANDS[verb], random.Random(verb)
    untouched = place("untouched")
    begin = time.monotonic()
    assert start(untouched, words, "untouched").wait() == 0, (untouched.parent / "stderr.txt").read_text()
    seconds = time.monotonic() - begin

    folder, mark = place("killed"), f"kills-{os.getpid()}-{verb}"
    trials = {"kills": 0, "finished before": 0, "seconds": seconds, "moments": []}
    while trials["kills"] < KILLS:
        process, moment = start(folder, words, mark), source.uniform(0, 1.1 * seconds)
        try:
            code = process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            trials["kills"] += 1
            trials["moments"].append(round(moment, 1))
            patience = time.monotonic() + 60
            while (left := alive(mark)) and time.monotonic() < patience:
                time.sleep(0.2)
            assert left == [], "children outlived their parent"
        else:
            assert code == 0, (folder.parent / "stderr.txt").read_text()
            compare(verb, untouched / "out", folder / "out")
            trials["finished before"] += 1
            folder = place("killed")
    assert start(folder, words, mark).wait() == 0, (folder.parent / "stderr.txt").read_text()
    compare(verb, untouched / "out", folder / "out")
    print(json.dumps({verb: trials}))


def compare(verb, untouched, killed):
    """The same files with the same content."""
    expected, found = contents(untouched, verb), contents(killed, verb)
    assert sorted(found) == sorted(expected)
    assert [name for name in found if found[name] != expected[name]] == []
