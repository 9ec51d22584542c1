"""What a set will consist of, before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ganlab
from ganlab.device import choose_device
from ganlab.errors import GanlabError
from ganlab.generation.reconstruct import pairs_of
from ganlab.generation.sampling import LATENT_RULE
from ganlab.generation.sources import (
    FakeSource,
    RealSource,
    Sampled,
    SampledSource,
    Source,
    choose_reals,
    run_name,
)
from ganlab.images import ROUNDING
from ganlab.models.latents import BLOCK

FORMATS = ("folder", "zip", "npy")
LAYOUTS = ("folder", "cnndetection")


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        runs: run folders, .safetensors files, or generators of any kind (`ganlab.wrap`).
        num: images of each.
        format: a name of `FORMATS`.
        layout: a name of `LAYOUTS`.
        with_real: whether as many reals are written beside them.
        test_fraction: part of the images that goes below ``test/``; 0 for no split.
        seed: of latents and of the order of the reals.
        weights: "ema" or "raw".
        device: "auto" or a device's name.
        names: what each run's set is called; by default as its run folder or file is.
        photos: images that the runs make theirs of, one each; then ``num`` 0 stands for all of them.
    """

    runs: tuple[Path | Sampled, ...]
    num: int
    format: str = "folder"
    layout: str = "folder"
    with_real: bool = False
    test_fraction: float = 0.0
    seed: int = 0
    weights: str = "ema"
    device: str = "auto"
    names: tuple[str, ...] = ()
    photos: Path | None = None


@dataclass(frozen=True)
class Part:
    """Images ``first ... first + count - 1`` of a source, under a relative path without suffix."""

    path: str
    source: Source
    first: int
    count: int


@dataclass(frozen=True)
class Plan:
    """All parts, and everything the bytes depend on as plain values."""

    format: str
    parts: tuple[Part, ...]
    latent_rule: str = LATENT_RULE

    def identity(self) -> dict[str, Any]:
        """What must agree before an interrupted set may be continued."""
        return {
            "ganlab": ganlab.__version__, "format": self.format, "rounding": ROUNDING, "block": BLOCK,
            "latent_rule": self.latent_rule,
            "parts": [
                {"path": part.path, "first": part.first, "count": part.count, "source": part.source.about()}
                for part in self.parts
            ],
        }  # fmt: skip


def make_plan(request: Request) -> Plan:
    """Resolve generators, reals, layout and parts.

    Raises:
        GanlabError: unknown format or layout, no or equal names, too few reals, runs of different data.
    """
    for value, valid, what in ((request.format, FORMATS, "format"), (request.layout, LAYOUTS, "layout")):
        if value not in valid:
            raise GanlabError(f"unknown {what} {value!r}: expected one of {', '.join(valid)}")
    if request.photos is not None:
        return _plan_of_pairs(request, request.photos)
    if request.num < 1 or not request.runs:
        raise GanlabError("a set needs at least one run and --num of at least 1")
    if not 0 <= request.test_fraction < 1:
        raise GanlabError(f"--test-fraction is at least 0 and below 1; got {request.test_fraction}")
    device, _ = choose_device(request.device)
    names = request.names or tuple(
        run_name(run) if isinstance(run, str | Path) else run.name for run in request.runs
    )
    for name in names:
        # A name may come with somebody's file; it becomes a folder in the set, and none outside of it.
        if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise GanlabError(f"a set cannot be called {name!r:.80}: expected the name of a folder, no path")
    fakes: list[FakeSource | SampledSource] = [
        FakeSource(run, name, request.seed, request.weights, device)
        if isinstance(run, str | Path)
        else SampledSource(run, name, request.seed)
        for run, name in zip(request.runs, names, strict=True)
    ]
    _refuse_equal(names)
    real = _real_source(fakes, request) if request.with_real or request.layout == "cnndetection" else None
    return Plan(request.format, tuple(_parts(fakes, real, request)))


def _plan_of_pairs(request: Request, path: Path) -> Plan:
    """Photos and what each run makes of them, part by part in the same order.

    Raises:
        GanlabError: something that is no run of ganlab's, equal names, or as `pairs_of`.
    """
    runs = [run for run in request.runs if isinstance(run, str | Path)]
    if len(runs) < len(request.runs) or not runs:
        raise GanlabError("--reconstruct takes runs of ganlab with task: autoencoder, superres or segment")
    names = request.names or tuple(run_name(run) for run in runs)
    _refuse_equal(names)
    device, _ = choose_device(request.device)
    photos, made = pairs_of(runs, names, path, request.num or None, request.weights, device)
    request = replace(request, num=len(photos), with_real=True)
    parts = _parts(made, photos, request)
    return Plan(request.format, tuple(parts), "none: image i is made of photo i")


def _refuse_equal(names: Sequence[str]) -> None:
    """No two sets of one name.

    Raises:
        GanlabError: there are.
    """
    twice = [name for name, times in Counter([*names, "real"]).items() if times > 1]
    if twice:
        raise GanlabError(f"two sets would be called {twice[0]!r}: rename a run folder, or make two sets")


def _real_source(sources: Sequence[FakeSource | SampledSource], request: Request) -> RealSource:
    """The reals of the runs' common data set."""
    fakes = [source for source in sources if isinstance(source, FakeSource)]
    if len(fakes) < len(sources):
        other = next(source.name for source in sources if isinstance(source, SampledSource))
        raise GanlabError(
            f"{other} is no run of ganlab, so nobody knows what it was trained on: leave --with-real out and "
            "compare with a folder of real images"
        )
    config = fakes[0].config
    for fake in fakes[1:]:
        if fake.config.data != config.data or fake.config.model.image_size != config.model.image_size:
            raise GanlabError(
                f"{fakes[0].name} and {fake.name} were trained on different images, so they have no common "
                "reals; make one set for each, or leave --with-real out"
            )
    return RealSource(choose_reals(config, request.num, request.seed), config, request.seed)


def _parts(fakes: Sequence[Source], real: Source | None, request: Request) -> list[Part]:
    sources: list[tuple[str, Source]] = []
    for fake in fakes:
        if request.layout == "cnndetection" and real:
            sources += [(f"{fake.name}/0_real", real), (f"{fake.name}/1_fake", fake)]
        else:
            sources.append((fake.name, fake))
    if real and request.layout == "folder":
        sources.append(("real", real))
    return [part for path, source in sources for part in _split(path, source, request)]


def _split(path: str, source: Source, request: Request) -> list[Part]:
    """One part, or a training and a test part of consecutive indices."""
    if not request.test_fraction:
        return [Part(path, source, 0, request.num)]
    test = round(request.num * request.test_fraction)
    train = request.num - test
    if not train or not test:
        empty = "test" if train else "train"
        raise GanlabError(
            f"--test-fraction {request.test_fraction} of {request.num} leaves nothing to {empty} on"
        )
    if isinstance(source, RealSource):
        # Photos come held-out ones first, and those belong into the test part.
        return [Part(f"train/{path}", source, test, train), Part(f"test/{path}", source, 0, test)]
    return [Part(f"train/{path}", source, 0, train), Part(f"test/{path}", source, train, test)]
