"""Everything that waits for a GPU, in slices of at most nine minutes each; the same call goes on.

Run from the repository's root:

    python results/gpu/run.py tests|bench|zoo|paper [--device cuda] [--minutes 9] [--out FOLDER]

- ``tests``: ``pytest -m gpu``, CUDA against the CPU.
- ``bench``: ``ganlab bench``, a preset at a time, then where the time of a step goes by torch's profiler.
- ``zoo``: the plan of results/zoo/build.py, many runs side by side on the one device.
- ``paper``: SNGAN-32 and DCGAN-64 at their papers' width, configs/gpu, side by side (``--only``: one alone).

Work is kept below ``--work`` (runs/gpu). What is small enough to bring back is put into ``--out`` at the end
of every slice: tables, logs, samples, generators as float16, in archives of 15 MB. ``--tiny --device cpu``
goes the same way on a CPU in a minute or two, with tiny networks: nothing is learned, all of it is called.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 15 * 2**20
"""Bytes of an archive."""
A_JOB = 150.0
"""Seconds that a preset's four ways may take, most of them compiling: a job is begun with no less."""
LEAVING = 45.0
"""Seconds kept at the end of a slice: for checkpoints, and for packing what there is."""
BENCHED = ("sngan32-pfnet", "dcgan64", "small32", "sngan32-mimicry", "sndcgan32", "dcgan32")
TINY = [
    "model.generator.width=4", "model.discriminator.width=4", "model.generator.z_dim=8",
    "training.batch_size=8", "training.generator_batch_size=8", "training.n_dis=1", "data.num_images=600",
    "training.precision=fp32", "training.compile=false", "training.steps=20", "logging.log_every=1",
    "logging.samples_every=20", "logging.checkpoint_every=20",
]  # fmt: skip


class Slice:
    """What all slices share: the options, the clock, and children that end with it."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked, self.work = asked, Path(asked.work)
        self.end = time.monotonic() + 60.0 * asked.minutes - (0.0 if asked.tiny else LEAVING)
        self.work.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self.end - time.monotonic())

    def say(self, text: str) -> None:
        """A line, at once: a command that is cut off keeps what it has printed."""
        print(text, flush=True)  # noqa: T201

    def together(self, commands: dict[str, list[str]], seconds: float) -> dict[str, int | None]:
        """Run modules side by side, a thread each; when the time is over they save and leave.

        Args:
            commands: name -> module and its arguments; each prints into ``work/NAME.log``.
            seconds: until they are told to.

        Returns:
            Name -> exit status; None of those that were stopped.
        """
        from ganlab.util.children import Child, stop

        children = {
            name: Child(module, arguments, self.work / f"{name}.log", 1)
            for name, (module, *arguments) in commands.items()
        }
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(child.status() is None for child in children.values()):
            time.sleep(0.2)
        found = {name: child.status() for name, child in children.items()}
        stop(children.values())
        for name, child in children.items():
            last = "".join(child.last_lines(1))
            self.say(f"{name}: {'stopped' if found[name] is None else found[name]}; {last[:150]}")
        return found


def tests(here: Slice) -> bool:
    """``pytest -m gpu``; a report in JUnit's form."""
    report = here.work / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "--junitxml", str(report),
               "-p", "no:cacheprovider", "--durations=10"]  # fmt: skip
    if here.asked.tiny:
        command += ["-k", "bare_operators or adversarial_losses or batches_are_those"]
    environment = {**os.environ, "GANLAB_TEST_DEVICE": here.asked.device, "PYTHONPATH": path_of_modules()}
    log = here.work / "tests.log"
    with log.open("w") as stream:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT,
                timeout=here.left, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            done = None
    here.say("\n".join(log.read_text().splitlines()[-25:]))
    return done == 0


def bench(here: Slice) -> bool:
    """The step of each preset as a file of its own, the other rates, and profiles; what is there is kept."""
    from ganlab.config import load
    from ganlab.experiments.bench import run as library
    from ganlab.util.atomic import write_json

    device, quick = here.asked.device, here.asked.tiny
    presets = BENCHED[2:3] if quick else BENCHED
    jobs: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
        (f"bench-{name}", (name,), ("steps",)) for name in presets
    ]
    jobs.insert(1, ("bench-rates", (), ("generation", "spectra") if quick else library.PARTS[1:]))
    for name, chosen, parts in jobs:
        file = here.work / f"{name}.json"
        if file.exists():
            here.say(f"{name}: there")
            continue
        if here.left < (0.1 if quick else A_JOB):
            return False
        write_json(file, library.bench(device, chosen, quick, here.say, parts))
    for name in presets[:2]:
        file = here.work / f"profile-{name}.txt"
        ways = library.WAYS["cuda" if device == "cuda" else "cpu"]
        options = [*(library.QUICK if quick else ()), *list(ways.values())[-1], f"training.device={device}"]
        if not file.exists():
            if here.left < (0.1 if quick else A_JOB):
                return False
            library.trace_summary(load(name, options), file)
            here.say(file.read_text())
    return True


def zoo(here: Slice) -> bool:
    """The zoo's plan by several processes, each with every so-manieth generator."""
    several = here.asked.at_once or (2 if here.asked.tiny else max(2, min(12, (os.cpu_count() or 2) - 2)))
    folder = here.work / "zoo"
    folder.mkdir(exist_ok=True)
    # Not into the package: a borrowed machine's checkout may be made anew with every call, what git ignores
    # stays.
    options = ["--runs", str(here.work / "zoo-runs"), "--minutes", str(here.left / 60),
               "--set", f"training.device={here.asked.device}", "--folder", str(folder)]  # fmt: skip
    if here.asked.tiny:
        options += ["--anew", "--only", "dcgan-nearest-s"]
        options += [part for text in TINY for part in ("--set", text)]
    commands = {
        f"zoo-{k}": ["results.zoo.build", "--part", f"{k}/{several}", *options] for k in range(1, several + 1)
    }
    found = here.together(commands, here.left + LEAVING / 2)
    ask = [sys.executable, "-m", "results.zoo.build", "--list", "--folder", str(folder)]
    listed = subprocess.run(ask, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    missing = [line.split()[1] for line in listed if line.startswith("missing") and "imagewoof" not in line]
    here.say(f"{len(listed) - len(missing)} of {len(listed)} are there or need photos")
    return all(status == 0 for status in found.values()) and (here.asked.tiny or not missing)


def paper(here: Slice) -> bool:
    """Both trainings at their papers' width; each resumes from its checkpoint."""
    commands = {}
    for name in ("sngan32", "dcgan64"):
        if here.asked.only in ("", name):
            commands[name] = [
                "ganlab", "train", f"configs/gpu/{name}.yaml", f"out={here.work / name}",
                f"training.device={here.asked.device}", f"training.max_minutes={max(here.left, 1) / 60}",
                *(TINY if here.asked.tiny else ()), *here.asked.set,
            ]  # fmt: skip
    found = here.together(commands, here.left + LEAVING / 2)
    finished = [f"{name}: " for name in commands if "finished" in last_line(here.work / f"{name}.log")]
    return all(status == 0 for status in found.values()) and len(finished) == len(commands)


def last_line(log: Path) -> str:
    """How a training ended: its line with the number of steps."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if " steps, " in line]
    return lines[-1] if lines else ""


def path_of_modules() -> str:
    """PYTHONPATH with this checkout first, for ``ganlab`` and ``results.zoo.build``."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def builder() -> ModuleType:
    """results/zoo/build.py, for the way it halves weights."""
    spec = importlib.util.spec_from_file_location("zoo_build", ROOT / "results" / "zoo" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def small_files(here: Slice) -> Iterable[tuple[Path, str]]:
    """What is brought back, with its name in the archives."""
    for path in sorted(here.work.glob("*")):
        if path.is_file() and path.suffix in (".json", ".xml", ".txt", ".log"):
            yield path, path.name
    for name in ("sngan32", "dcgan64"):
        run = here.work / name
        if (run / "generator.safetensors").exists():
            target = here.work / f"{name}.half"
            builder().halved(run / "generator.safetensors", target)
            yield target, f"{name}/generator.safetensors"
            chosen = [run / file for file in ("config.yaml", "environment.json", "data.json", "log.txt")]
            chosen += [run / "metrics.jsonl", *sorted((run / "samples").glob("*.png"))[-2:]]
            yield from ((path, f"{name}/{path.name}") for path in chosen if path.exists())
    yield from ((path, f"zoo/{path.name}") for path in sorted((here.work / "zoo").glob("*")))


def collect(here: Slice) -> None:
    """Archives of at most 15 MB with what is small, in ``--out``."""
    out = Path(here.asked.out)
    shutil.rmtree(out / "results", ignore_errors=True)
    (out / "results").mkdir(parents=True)
    parts: list[list[tuple[Path, str]]] = [[]]
    size = 0
    for path, name in small_files(here):
        if size + path.stat().st_size > LIMIT and parts[-1]:
            parts.append([])
            size = 0
        parts[-1].append((path, name))
        size += path.stat().st_size
    for number, part in enumerate(parts, 1):
        target = out / "results" / f"gpu-{number}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, name in part:
                archive.write(path, name)
        here.say(f"{target}: {len(part)} files, {target.stat().st_size / 2**20:.1f} MiB")


SLICES: dict[str, Callable[[Slice], bool]] = {"tests": tests, "bench": bench, "zoo": zoo, "paper": paper}


def main() -> int:
    """Run one slice; 0 when it is complete, 1 when the same call should go on or a test has failed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("slice", choices=SLICES)
    options.add_argument("--device", default="cuda")
    options.add_argument("--minutes", type=float, default=9.0)
    options.add_argument("--work", default="runs/gpu")
    options.add_argument("--out", default=os.environ.get("OUT", "runs/gpu-out"))
    options.add_argument("--at-once", type=int, default=0, help="processes of the zoo side by side")
    options.add_argument("--only", default="", help="paper: sngan32 or dcgan64 alone")
    options.add_argument("--set", action="append", default=[], help="paper: key.path=value for both")
    options.add_argument("--tiny", action="store_true")
    asked = options.parse_args()
    os.environ["PYTHONPATH"] = path_of_modules()
    sys.path.insert(0, str(ROOT))
    here = Slice(asked)
    complete = False
    try:
        complete = SLICES[asked.slice](here)
    finally:
        collect(here)
    here.say(f"{asked.slice}: {'complete' if complete else 'not complete; the same call goes on'}")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
