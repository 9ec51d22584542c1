"""``ganlab bench``: which cases, in which order, one report and one table."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ganlab import __version__
from ganlab.config import Config, load
from ganlab.data import load_training_images
from ganlab.device import choose_device, set_cuda_arithmetic
from ganlab.experiments.bench.measure import (
    Row,
    bare_step,
    generation,
    loop_step,
    peak,
    product,
    row,
    spectra,
    step_on_noise,
    traces,
    training,
    turns,
)
from ganlab.models import build_generator
from ganlab.results.tables import aligned, number
from ganlab.util.atomic import write_text

NARROW = ["model.generator.width=32", "model.discriminator.width=32"]
CASES: dict[str, dict[str, tuple[str, list[str]]]] = {
    "cpu": {
        "small32": ("small32", []),
        "dcgan32": ("dcgan32", []),
        "sngan32-mimicry at width 32": ("sngan32-mimicry", NARROW),
        "dcgan64": ("dcgan64", []),
    },
    "cuda": {
        name: (name, [])
        for name in ("small32", "dcgan32", "dcgan64", "sndcgan32", "sngan32-mimicry", "sngan32-pfnet")
    },
}
"""Preset and overrides by kind of device: SNGAN at its paper's width is nothing for a CPU."""
COMPILED = ["training.precision=bf16", "training.compile=true"]
WAYS: dict[str, dict[str, list[str]]] = {
    "cpu": {"fp32": []},
    "cuda": {
        "fp32": [],
        "bf16": ["training.precision=bf16"],
        "bf16, compiled": COMPILED,
        "bf16, CUDA graphs": [*COMPILED, "training.compile_mode=reduce-overhead"],
    },
}
"""How a step can be computed, by kind of device."""
QUICK = [
    "model.generator.width=8", "model.discriminator.width=8", "training.batch_size=4",
    "training.generator_batch_size=4",
]  # fmt: skip
PARTS = ("steps", "loop", "generation", "spectra", "traces")
TRACED_STEPS = 3
SHOWN_OPERATIONS = 25


def bench(
    device: str = "auto",
    presets: Sequence[str] = (),
    quick: bool = False,
    say: Callable[[str], None] = lambda text: None,
    parts: Sequence[str] = PARTS,
) -> dict[str, Any]:
    """Measure this machine.

    Args:
        device: "auto", "cpu" or "cuda".
        presets: whose step is timed, at their full size; those of `CASES` when absent.
        quick: tiny networks and batches and few rounds: seconds, to see that all of it works.
        say: told of every row as it is measured.
        parts: of `PARTS`; the limits are measured in any case.

    Returns:
        ``machine`` (device, threads, versions) and ``rows`` (see `ganlab.experiments.bench.measure`).

    Raises:
        GanlabError: the device is not there, or no such preset.
    """
    chosen, _ = choose_device(device)
    kind = "cuda" if chosen.type == "cuda" else "cpu"
    cases = {name: (name, list[str]()) for name in presets} or CASES[kind]
    configs = {
        (name, way): load(preset, [
            *overrides, *(QUICK if quick else ()), *options, f"training.device={chosen.type}",
        ])
        for name, (preset, overrides) in cases.items() for way, options in WAYS[kind].items()
    }  # fmt: skip
    rows: list[Row] = []
    for measured in _rows(chosen, configs, quick, parts):
        rows.append(measured)
        say(line(measured))
    machine = {
        "device": torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else _processor(),
        "kind": chosen.type, "threads": torch.get_num_threads(), "cores": os.cpu_count(),
        "torch": torch.__version__, "python": platform.python_version(), "ganlab": __version__,
        "quick": quick,
    }  # fmt: skip
    return {"machine": machine, "rows": rows}


def _rows(
    device: torch.device, configs: dict[tuple[str, str], Config], quick: bool, parts: Sequence[str]
) -> Iterator[Row]:
    """The rows in their order: limits, steps, the loop, generation, spectra, traces."""
    cuda, threads = device.type == "cuda", torch.get_num_threads()
    side, rounds = (64, 3) if quick else (8192 if cuda else 1024, 7)
    if cuda:
        set_cuda_arithmetic(tf32=True, deterministic=False)
    limits = {
        name: product(device, getattr(torch, name), side)
        for name in (("float32", "bfloat16") if cuda else ("float32",))
    }
    for name, limit in limits.items():
        yield peak(f"matrix product of {side}, {name}", limit, device, rounds)
    for (name, way), config in configs.items() if "steps" in parts else ():
        limit = limits["bfloat16" if config.training.precision == "bf16" else "float32"]
        yield training(f"{name}, {way}", config, limit, rounds)
    config = load("dcgan32", [f"training.device={device.type}", *(QUICK if quick else ())])
    with tempfile.TemporaryDirectory() as folder:
        if "loop" in parts:
            yield loop_ratio(config, Path(folder) / "run", rounds)
        if "generation" in parts:
            if not cuda:
                torch.set_num_threads(max(1, threads // 2))
            generator = build_generator(config).eval().to(device)
            yield from generation(generator, 128 if quick else 2048, Path(folder), 3 if quick else 5)
    for size, count in {32: 1024, 64: 256, 256: 16}.items() if "spectra" in parts else ():
        # A GPU is not filled by what fits a CPU's cache.
        yield from spectra(size, 4 if quick else count * (16 if cuda else 1), device, 3 if quick else 50)
    torch.set_num_threads(threads)
    for kernel in ((3,) if quick else (3, 5, 7)) if "traces" in parts else ():
        yield traces(kernel, 2 if quick else 64, device, 3 if quick else 9)


def loop_ratio(config: Config, folder: Path, rounds: int = 7, steps: int = 4) -> Row:
    """The real loop's step over a bare loop's with the same nets, on 2,000 images made here."""
    made = {
        "source": "dead_leaves",
        "path": None,
        "num_images": 2000 if config.training.batch_size > 4 else 40,
    }
    config = config.model_copy(update={"data": config.data.model_copy(update=made)})
    data = load_training_images(config.data, config.model.image_size)
    ours, bare = loop_step(config, data, folder), bare_step(config, data)
    actions = [lambda: [ours() for _ in range(steps)], lambda: [bare() for _ in range(steps)]]
    seconds = turns(actions, rounds, config.training.device if config.training.device == "cuda" else "cpu")
    return row(f"loop over a bare loop, {config.model.architecture}", "ratio", seconds[:, 0] / seconds[:, 1])


def trace_summary(config: Config, path: Path) -> None:
    """Which operations the time of a few steps goes to, by torch's profiler, as a text file."""
    step, cuda = step_on_noise(config), config.training.device == "cuda"
    for _ in range(2):
        step()
    activities = [torch.profiler.ProfilerActivity.CPU]
    if cuda:
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(TRACED_STEPS):
            step()
        if cuda:
            torch.cuda.synchronize()
    order = "self_device_time_total" if cuda else "self_cpu_time_total"
    averages = profiler.key_averages()
    write_text(path, str(averages.table(sort_by=order, row_limit=SHOWN_OPERATIONS, max_name_column_width=60)))


def line(measured: Row) -> str:
    """A row as a sentence: name, median and quartiles, what it refers to."""
    return "  ".join(part for part in _cells(measured) if part)


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    header = ("", "median [quartiles]", "unit", "")
    return aligned([header, *(_cells(measured) for measured in report["rows"])])


def _cells(measured: Row) -> tuple[str, str, str, str]:
    scale, unit = (1e9, "GFLOP/s") if measured["unit"] == "FLOP/s" else (1.0, measured["unit"])
    median, low, high = (number(measured[key] / scale, 3) for key in ("median", "low", "high"))
    note = ""
    if "share_of_limit" in measured:
        ends = [f"{measured[key]:.0%}" for key in ("share_of_limit", "share_low", "share_high")]
        hours = measured["hours_of_the_run"]
        note = "{} [{}, {}] of the limit".format(*ends) + f"; {measured['steps']:,} steps take {hours:.2g} h"
    return measured["what"], f"{median} [{low}, {high}]", unit, note


def _processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
