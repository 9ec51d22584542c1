"""An ablation plan: a base configuration and axes, expanded to content-hashed cells."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from ganlab.config import Config, ConfigError, Resolved, dump_mapping, identity, resolve
from ganlab.config.errors import dotted
from ganlab.config.schema import PositiveInt, Section
from ganlab.config.sources import locate, read, shipped, with_parents
from ganlab.config.tree import find, suggestion
from ganlab.config.yaml12 import load_yaml
from ganlab.errors import GanlabError, nearest_name
from ganlab.util.hashing import sha256_json
from ganlab.util.reading import read_text

PLAN, BASE = "plan.yaml", "base.yaml"
CELLS, LOGS, COMMANDS = "cells", "jobs", "commands.jsonl"
"""In the results folder: a folder a cell, what the jobs print, the commands that were given."""
SPEC, RUN = "cell.json", "run"
"""In the folder of each cell: what its process reads, and its run folder."""
MANY_CELLS = 500
HASH = 10
RESERVED = {"seed", "seeds", "cell", "status", "step", "metric", "mean_rank", "context", "value", "reason"}


class GenerateOptions(Section):
    """The fakes that are measured."""

    num: PositiveInt = 2000
    """Images of each run; as many reals, held-out ones first, where there are so many."""
    seed: int = Field(0, ge=0)
    """Of the latents."""
    weights: str = Field("ema", pattern="^(ema|raw)$")
    """Averaged or last weights."""


class MeasureOptions(Section):
    """What is measured on them."""

    resamples: int = Field(200, ge=0)
    """Bootstrap resamples of every deviation."""
    inception: bool = True
    """FID and KID where torch-fidelity and its weights are present."""
    detect: tuple[str, ...] = ()
    """Systems (``feature+detector``, or presets) that are trained on each run's fakes."""

    def plain(self) -> dict[str, Any]:
        """JSON values; without systems as before there were any, so that older results go on to hold."""
        return {
            name: value for name, value in self.model_dump(mode="json").items() if name != "detect" or value
        }


class PlanFile(Section):
    """The keys of a plan."""

    base: str
    """A preset, a configuration file (beside the plan or from the working directory), or a run folder."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Key path -> value, for all cells."""
    axes: dict[str, Any]
    """Key path -> list of values, or name -> {variant: {key path: value}}."""
    seeds: tuple[int, ...] = (0,)
    """Each cell is run once with each."""
    baseline: dict[str, str] = Field(default_factory=dict)
    """Axis -> the value that others are compared with; its first value when absent."""
    generate: GenerateOptions = GenerateOptions()
    measure: MeasureOptions = MeasureOptions()


@dataclass(frozen=True)
class Cell:
    """One run of a plan.

    Attributes:
        variant: axis -> name of its value.
        seed: of the run.
        config: the complete configuration.
        warnings: what the configuration's checks say about it.
        key: hash of everything that decides the run's numbers.
    """

    variant: Mapping[str, str]
    seed: int
    config: Config
    warnings: tuple[str, ...]
    key: str

    @property
    def name(self) -> str:
        """Folder name: values, seed, hash."""
        words = [re.sub(r"[^A-Za-z0-9_.]+", "-", value).strip("-") for value in self.variant.values()]
        return "-".join([*words, f"s{self.seed}", self.key])

    @property
    def title(self) -> str:
        """``upsampling=nearest, remedy=none, seed 0``."""
        return ", ".join([*(f"{axis}={value}" for axis, value in self.variant.items()), f"seed {self.seed}"])


@dataclass(frozen=True)
class Plan:
    """A read plan: what each axis's values change.

    Attributes:
        path: the plan's file.
        file: its keys.
        axes: axis -> value name -> key path -> value.
    """

    path: Path
    file: PlanFile
    axes: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @property
    def num_cells(self) -> int:
        """Number of cells, seeds included."""
        count = len(self.file.seeds)
        for values in self.axes.values():
            count *= len(values)
        return count

    @property
    def baseline(self) -> dict[str, str]:
        """Axis -> the value that others are compared with."""
        return {axis: self.file.baseline.get(axis, next(iter(values))) for axis, values in self.axes.items()}

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the systems in ``measure.detect``.

        Raises:
            GanlabError: there is no such system.
        """
        if not self.file.measure.detect:
            return ()
        from ganlab.forensics import systems_of  # loads torch, which plans without it do not need

        try:
            return tuple(system.name for system in systems_of(self.file.measure.detect))
        except GanlabError as error:
            raise GanlabError(f"{self.path}: measure.detect: {error}") from error

    @property
    def measure_key(self) -> str:
        """Hash of what is generated and measured."""
        options = {"generate": self.file.generate.model_dump(), "measure": self.file.measure.plain()}
        return sha256_json(options)[:HASH]


def read_plan(path: str | Path, overrides: Sequence[str] = ()) -> Plan:
    """Read and check a plan.

    Args:
        path: its file, or the name of one in ganlab's own ``configs/``.
        overrides: ``key.path=value`` texts for all cells, over those of the file.

    Raises:
        GanlabError: no such file, not YAML, unknown keys, an unknown or empty axis, two axes over one key.
    """
    source = shipped(Path(path))
    value = load_yaml(read_text(source), str(path))
    if not isinstance(value, dict):
        raise GanlabError(f"{path}: a plan is a mapping with base, axes, seeds, generate, measure")
    fixed = dict(value.get("overrides", {}))
    for text in overrides:
        key, equals, entry = text.partition("=")
        if not equals or not key:
            raise GanlabError(f"{text!r}: expected key.path=value, for example training.steps=500")
        fixed[key] = load_yaml(entry, f"override {text!r}")
    try:
        file = PlanFile.model_validate({**value, "overrides": fixed})
    except ValidationError as error:
        faults = []
        for detail in error.errors(include_url=False):
            key = dotted(tuple(detail["loc"]))
            near = nearest_name(key, PlanFile.model_fields) if detail["type"] == "extra_forbidden" else ""
            faults.append(f"{key}: {detail['msg']}{near}")
        raise GanlabError(f"{path}: {'; '.join(faults)}") from error
    axes = {name: _axis(source, name, axis) for name, axis in file.axes.items()}
    _check_axes(source, file, axes)
    plan = Plan(source, file, axes)
    plan.detectors  # noqa: B018 - one that does not exist is an error now, not after the first training
    return plan


def _axis(source: Path, name: str, axis: Any) -> dict[str, dict[str, Any]]:
    """Value name -> overrides, of either form: a list of a key's values, or named mappings."""
    if not isinstance(axis, dict | tuple) or not axis:
        raise GanlabError(
            f"{source}: axis {name!r} is empty; expected a list of values, or {{variant: {{key: value}}}}"
        )
    if isinstance(axis, dict):
        for variant, changes in axis.items():
            if not isinstance(changes, dict):
                raise GanlabError(
                    f"{source}: axis {name!r}, variant {variant!r}: expected a mapping from key paths to "
                    f"values, such as {{model.upsampling.name: nearest}}; got {changes!r}"
                )
        return {str(variant): dict(changes) for variant, changes in axis.items()}
    key = tuple(name.split("."))
    if find(key) is None:
        raise GanlabError(
            f"{source}: axis {name!r} is a list of values, but no configuration has such a key"
            f"{suggestion(key)}"
        )
    if any(isinstance(value, dict | tuple) for value in axis):
        raise GanlabError(
            f"{source}: axis {name!r}: give lists and sections names: {{variant: {{key: value}}}}"
        )
    named = {_value_name(value): {name: value} for value in axis}
    if len(named) < len(axis):
        raise GanlabError(f"{source}: axis {name!r} has a value twice")
    return named


def _value_name(value: Any) -> str:
    """A value as the plan's tables name it."""
    if value is None or isinstance(value, bool):
        return str({None: "null", True: "true", False: "false"}[value])
    return f"{value:g}" if isinstance(value, float) else str(value)


def _check_axes(source: Path, file: PlanFile, axes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    reserved = sorted(RESERVED & set(axes))
    if reserved:
        raise GanlabError(
            f"{source}: an axis cannot be called {reserved[0]!r}, a column of the tables; rename it"
        )
    if not axes or not file.seeds:
        raise GanlabError(f"{source}: a plan has at least one axis and one seed")
    if len(set(file.seeds)) < len(file.seeds):
        raise GanlabError(f"{source}: a seed stands twice in seeds")
    keys = {axis: {key for changes in values.values() for key in changes} for axis, values in axes.items()}
    keys |= {"overrides": set(file.overrides), "seeds": {"seed"}}
    for (first, ours), (second, theirs) in itertools.combinations(keys.items(), 2):
        for a, b in itertools.product(sorted(ours), sorted(theirs)):
            # A key and a section that holds it: the order of the axes would decide what holds.
            if a == b or a.startswith(f"{b}.") or b.startswith(f"{a}."):
                raise GanlabError(f"{source}: {first!r} and {second!r} both set {min(a, b, key=len)}")
    for axis, value in file.baseline.items():
        if value not in axes.get(axis, {}):
            valid = ", ".join(axes.get(axis, axes))
            raise GanlabError(
                f"{source}: baseline {axis}: {value} is not in the plan; expected one of {valid}"
            )


def expand(plan: Plan, confirmed: bool = False) -> list[Cell]:
    """All cells, seeds varying last.

    Raises:
        GanlabError: more than 500 cells without confirmation, or a cell's configuration is invalid or would
            stop before its end.
    """
    if plan.num_cells > MANY_CELLS and not confirmed:
        raise GanlabError(f"{plan.path}: {plan.num_cells:,} cells; add --yes if that is meant")
    cells = []
    seeds = plan.file.seeds
    for values in itertools.product(*(axis.items() for axis in plan.axes.values())):
        variant = dict(zip(plan.axes, (name for name, _ in values), strict=True))
        changes = {key: value for _, part in values for key, value in part.items()}
        # A variant is read for two seeds, not for all: reading is what takes time in a plan of thousands, and
        # a seed is valid within a range, so that with its ends all others are.
        _resolved(plan, variant, changes, min(seeds))
        resolved = _resolved(plan, variant, changes, max(seeds))
        if resolved.config.training.max_minutes is not None:
            # A cell that stops by itself has no result, and would be started again and again.
            raise GanlabError(
                f"{plan.path}: training.max_minutes is {resolved.config.training.max_minutes:g}, but a cell "
                "is trained to its end; expected null, and ganlab ablate --minutes for the whole plan"
            )
        decisive = identity(resolved.config)
        cells += [
            Cell(
                variant, seed, resolved.config.model_copy(update={"seed": seed}), resolved.warnings,
                sha256_json(decisive | {"seed": seed})[:HASH],
            )
            for seed in seeds
        ]  # fmt: skip
    return cells


def _base(plan: Plan) -> str | Path:
    beside = plan.path.parent / plan.file.base
    return beside if beside.exists() else plan.file.base


def _resolved(plan: Plan, variant: dict[str, str], changes: dict[str, Any], seed: int) -> Resolved:
    try:
        return resolve(_base(plan), {**plan.file.overrides, **changes, "seed": seed, "out": None})
    except ConfigError as error:
        cell = ", ".join(f"{axis}={value}" for axis, value in variant.items())
        raise GanlabError(f"{plan.path}: cell {cell}: {error}") from error


def plan_texts(plan: Plan) -> dict[str, str]:
    """The plan as files that need no others: ``plan.yaml`` and the base it names, parents merged in.

    Raises:
        GanlabError: the base cannot be read.
    """
    path = locate(_base(plan))
    base = with_parents(read(path), path).value
    file = plan.file.model_dump() | {"base": BASE}
    return {BASE: dump_mapping(dict(base)), PLAN: dump_mapping(file)}


def chosen(cells: Sequence[Cell], filters: Sequence[str]) -> list[Cell]:
    """Cells that agree with every ``AXIS=VALUE`` (several of one axis: any of them); ``seed`` is an axis.

    Raises:
        GanlabError: an unknown axis, or nothing left.
    """
    filtered: dict[str, set[str]] = {}
    for text in filters:
        axis, _, value = text.partition("=")
        filtered.setdefault(axis, set()).add(value)
    facts = [{**cell.variant, "seed": str(cell.seed)} for cell in cells]
    for axis, values in filtered.items():
        valid = list(dict.fromkeys(fact[axis] for fact in facts if axis in fact))
        unknown = [value for value in values if value not in valid]
        if unknown:
            options = valid or list(facts[0])
            near = nearest_name(unknown[0] if valid else axis, options)
            raise GanlabError(f"no cell has {axis}={unknown[0]}: expected one of {', '.join(options)}{near}")
    return [
        cell
        for cell, fact in zip(cells, facts, strict=True)
        if all(fact[axis] in values for axis, values in filtered.items())
    ]


def cell_name(run: Path) -> str | None:
    """Name of the cell that a run folder (or a file in it) belongs to; None where it is no cell's.

    The run folders of all cells are called ``run``, which would be no name for what they generate.
    """
    folder = Path(os.path.abspath(run))
    cell = (folder if folder.is_dir() else folder.parent).parent
    return cell.name if (cell / SPEC).is_file() else None
