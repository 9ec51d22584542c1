"""``probe_generator``: structure from fields, content from real images, one report, one page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganlab.adapters import source_generator
from ganlab.adapters.wrap import PIXELS, Generator
from ganlab.errors import GanlabError
from ganlab.experiments.probe.content import lines, windowed
from ganlab.experiments.probe.findings import Finding, ProbeReport, fails
from ganlab.experiments.probe.measure import Probe, health, same, structure

SAMPLES = 64
"""Real images, fewer where they are large."""
FEWEST = 16


def probe_generator(
    generator: Any,
    seed: int = 0,
    fail_above: float = 3.0,
    samples: int | None = None,
    trust: str | None = None,
) -> ProbeReport:
    """What lattice a generator leaves, and which of its stages makes it.

    Args:
        generator: from `ganlab.wrap`, one of ganlab's networks, or what `ganlab.load_generator` reads.
        seed: of latents and fields.
        fail_above: dB from which on a finding of kind "structure" is a fault: over 8-bit rounding of a signal
            of power 1, at the stage itself.
        samples: real images; by default 64, fewer where they are large.
        trust: SHA-256 of a source that can run code.

    Raises:
        GanlabError: nothing that can be probed, or a call of it fails.
    """
    probed: Generator = source_generator(generator, trust)
    try:
        probe = Probe(probed, seed)
        findings, constant = structure(probe)
        findings += health(probe)
    except (RuntimeError, TypeError, IndexError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise GanlabError(f"{probed.name}: calling it fails ({type(error).__name__}: {reason})") from error
    images, clipped, seen = _real(probed, seed, samples, probe)
    ordered = same(findings)
    pictures: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}
    if images is not None:
        ordered += sorted(lines(images, probe.stages), key=lambda f: (f.kind, -f.db))
        power = windowed(images).abs().square().mean(0)
        pictures["spectrum"] = (10 * torch.log10(power / power.mean() + 1e-12)).float().numpy()
        pictures["samples"] = images[:8].float().cpu().numpy()
    if constant is not None and constant.image is not None:
        pictures["response"] = constant.image[0].float().cpu().numpy()
    low, high = probed.value_range
    ok = not any(fails(finding, fail_above) for finding in ordered)
    stages = tuple(
        {"name": s.name, "factor": s.factor, "size": s.size, "words": s.words} for s in probe.stages
    )
    return ProbeReport(
        probed.name, ok, tuple(_sorted(ordered)), fail_above, stages, (probe.height, probe.width), clipped,
        {**seen, "stated_low": low, "stated_high": high}, tuple(probe.notes), pictures, dict(probed.about),
    )  # fmt: skip


def _sorted(findings: list[Finding]) -> list[Finding]:
    order = {"structure": 0, "content": 1, "cyclostationary": 2}
    return sorted(findings, key=lambda finding: (order[finding.kind], -finding.db))


def _real(
    probed: Generator, seed: int, samples: int | None, probe: Probe
) -> tuple[torch.Tensor | None, float, dict[str, float]]:
    """Real images in their own range, the part of their values at its ends, and the ends they reach."""
    count = samples or max(FEWEST, min(SAMPLES, 4 * PIXELS // (probe.height * probe.width)))
    step = probed.fixed_batch or max(1, min(16, PIXELS // (probe.height * probe.width)))
    batches = [
        probed.raw(seed, first, step, noise=seed + first) for first in range(0, max(count, step), step)
    ]
    images = torch.cat(batches).cpu()
    if not bool(torch.isfinite(images).all()):
        probe.notes.append("real images hold NaN or infinite values: their lines cannot be measured")
        return None, 0.0, {}
    low, high = probed.value_range
    spare = 1e-3 * (high - low)
    clipped = float(((images <= low + spare) | (images >= high - spare)).double().mean())
    if float(images.min()) < low - 0.01 * (high - low) or float(images.max()) > high + 0.01 * (high - low):
        probe.notes.append(
            f"values run from {float(images.min()):.3g} to {float(images.max()):.3g}, beyond the stated "
            f"range {low:g} ... {high:g}: they would be clipped"
        )
    return images, clipped, {"low": float(images.min()), "high": float(images.max())}


def write_probe(
    report: ProbeReport, out: str | os.PathLike[str], command: str = "", force: bool = False
) -> bool:
    """Put a report, its pictures and its page into a results folder.

    Returns:
        Whether the folder already held this very report; nothing was written then.

    Raises:
        GanlabError: the folder holds something else, or cannot be written.
    """
    # Late: pictures need matplotlib, a verdict does not.
    from ganlab.experiments.probe.page import draw, page
    from ganlab.results.folder import PAGE, ResultsFolder
    from ganlab.results.page import write_page
    from ganlab.results.style import save_figure

    place = Path(out)
    folder = ResultsFolder(place, "probe", {"report": report.to_dict()}, staged=True)
    with folder.open(command, force) as staging:
        complete = folder.is_complete
        if not complete:
            for name, figure in draw(report).items():
                save_figure(figure, staging / name)
            folder.finish(report.to_dict())
        if not (place / PAGE).is_file():
            write_page(place, page(place))
    return complete
