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

PLAN, BASE = "plan.yaml", "base.yaml"
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
    def measure_key(self) -> str:
        """Hash of what is generated and measured."""
        options = {"generate": self.file.generate.model_dump(), "measure": self.file.measure.model_dump()}
        return sha256_json(options)[:HASH]


def read_plan(path: str | Path, overrides: Sequence[str] = ()) -> Plan:
    """Read and check a plan.

    Args:
        path: its file, or the name of one in ganlab's own ``configs/``.
        overrides: ``key.path=value`` texts for all cells, over those of the file.

    Raises:
        GanlabError: no such file, not YAML, unknown keys, an unknown or empty axis, two axes over one key.
    """
    where = shipped(Path(path))
    try:
        value = load_yaml(where.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise GanlabError(f"cannot read plan {path}: {error}") from error
    if not isinstance(value, dict):
        raise GanlabError(f"{path}: a plan is a mapping with base, axes, seeds, generate, measure")
    try:
        more = dict(_override(text) for text in overrides)
        file = PlanFile.model_validate({**value, "overrides": {**value.get("overrides", {}), **more}})
    except ValidationError as error:
        raise GanlabError(f"{path}: {_words(error)}") from error
    axes = {name: _axis(where, name, axis) for name, axis in file.axes.items()}
    _check_axes(where, file, axes)
    return Plan(where, file, axes)


def _override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise GanlabError(f"{text!r}: expected key.path=value, for example training.steps=500")
    return key, load_yaml(value, f"override {text!r}")


def _words(error: ValidationError) -> str:
    lines = []
    for detail in error.errors(include_url=False):
        key = dotted(tuple(detail["loc"]))
        near = nearest_name(key, PlanFile.model_fields) if detail["type"] == "extra_forbidden" else ""
        lines.append(f"{key}: {detail['msg']}{near}")
    return "; ".join(lines)


def _axis(where: Path, name: str, axis: Any) -> dict[str, dict[str, Any]]:
    """Value name -> overrides, of either form."""
    if not isinstance(axis, dict | tuple) or not axis:
        raise GanlabError(
            f"{where}: axis {name!r} is empty; expected a list of values, or {{variant: {{key: value}}}}"
        )
    if isinstance(axis, tuple):
        return _listed(where, name, axis)
    for variant, changes in axis.items():
        if not isinstance(changes, dict):
            raise GanlabError(
                f"{where}: axis {name!r}, variant {variant!r}: expected a mapping from key paths to values, "
                f"such as {{model.upsampling.name: nearest}}; got {changes!r}"
            )
    return {str(variant): dict(changes) for variant, changes in axis.items()}


def _listed(where: Path, name: str, values: Sequence[Any]) -> dict[str, dict[str, Any]]:
    if find(tuple(name.split("."))) is None:
        raise GanlabError(
            f"{where}: axis {name!r} is a list of values, but no configuration has such a key"
            f"{suggestion(tuple(name.split('.')))}"
        )
    if any(isinstance(value, dict | tuple) for value in values):
        raise GanlabError(
            f"{where}: axis {name!r}: give lists and sections names: {{variant: {{key: value}}}}"
        )
    named = {_word(value): {name: value} for value in values}
    if len(named) < len(values):
        raise GanlabError(f"{where}: axis {name!r} has a value twice")
    return named


def _word(value: Any) -> str:
    """A value as the plan's tables name it."""
    if value is None or isinstance(value, bool):
        return str({None: "null", True: "true", False: "false"}[value])
    return f"{value:g}" if isinstance(value, float) else str(value)


def _check_axes(where: Path, file: PlanFile, axes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    reserved = sorted(RESERVED & set(axes))
    if reserved:
        raise GanlabError(
            f"{where}: an axis cannot be called {reserved[0]!r}, a column of the tables; rename it"
        )
    if not axes or not file.seeds:
        raise GanlabError(f"{where}: a plan has at least one axis and one seed")
    if len(set(file.seeds)) < len(file.seeds):
        raise GanlabError(f"{where}: a seed stands twice in seeds")
    fixed = set(file.overrides)
    touched = {axis: {key for changes in values.values() for key in changes} for axis, values in axes.items()}
    whole = {**touched, "overrides": fixed, "seeds": {"seed"}}
    for (one, ours), (other, theirs) in itertools.combinations(whole.items(), 2):
        for a, b in itertools.product(sorted(ours), sorted(theirs)):
            if a == b or a.startswith(f"{b}.") or b.startswith(f"{a}."):
                raise GanlabError(f"{where}: {one!r} and {other!r} both set {min(a, b, key=len)}")
    for axis, value in file.baseline.items():
        if value not in axes.get(axis, {}):
            valid = ", ".join(axes.get(axis, axes))
            raise GanlabError(
                f"{where}: baseline {axis}: {value} is not in the plan; expected one of {valid}"
            )


def expand(plan: Plan, confirmed: bool = False) -> list[Cell]:
    """All cells, seeds varying last.

    Raises:
        GanlabError: more than 500 cells without confirmation, or a cell's configuration is invalid.
    """
    if plan.num_cells > MANY_CELLS and not confirmed:
        raise GanlabError(f"{plan.path}: {plan.num_cells:,} cells; add --yes if that is meant")
    cells = []
    for chosen in itertools.product(*(values.items() for values in plan.axes.values())):
        names = dict(zip(plan.axes, (name for name, _ in chosen), strict=True))
        changes = {key: value for _, part in chosen for key, value in part.items()}
        cells += _cells(plan, names, changes)
    return cells


def _base(plan: Plan) -> str | Path:
    beside = plan.path.parent / plan.file.base
    return beside if beside.exists() else plan.file.base


def _cells(plan: Plan, names: dict[str, str], changes: dict[str, Any]) -> list[Cell]:
    """One variant with every seed; read once, because reading is what takes time in a plan of thousands."""
    seeds = plan.file.seeds
    # Seeds are valid within a range: with its ends all others are.
    _resolved(plan, names, changes, min(seeds))
    resolved = _resolved(plan, names, changes, max(seeds))
    about = identity(resolved.config)
    return [
        Cell(
            names, seed, resolved.config.model_copy(update={"seed": seed}), resolved.warnings,
            sha256_json(about | {"seed": seed})[:HASH],
        )
        for seed in seeds
    ]  # fmt: skip


def _resolved(plan: Plan, names: dict[str, str], changes: dict[str, Any], seed: int) -> Resolved:
    try:
        return resolve(_base(plan), {**plan.file.overrides, **changes, "seed": seed, "out": None})
    except ConfigError as error:
        where = ", ".join(f"{axis}={value}" for axis, value in names.items())
        raise GanlabError(f"{plan.path}: cell {where}: {error}") from error


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
    wanted: dict[str, set[str]] = {}
    for text in filters:
        axis, _, value = text.partition("=")
        wanted.setdefault(axis, set()).add(value)
    facts = [{**cell.variant, "seed": str(cell.seed)} for cell in cells]
    for axis, values in wanted.items():
        valid = list(dict.fromkeys(fact[axis] for fact in facts if axis in fact))
        unknown = [value for value in values if value not in valid]
        if unknown:
            options = valid or list(facts[0])
            near = nearest_name(unknown[0] if valid else axis, options)
            raise GanlabError(f"no cell has {axis}={unknown[0]}: expected one of {', '.join(options)}{near}")
    return [
        cell
        for cell, fact in zip(cells, facts, strict=True)
        if all(fact[axis] in values for axis, values in wanted.items())
    ]


def cell_name(run: Path) -> str | None:
    """Name of the cell that a run folder (or a file in it) belongs to; None where it is no cell's.

    The run folders of all cells are called ``run``, which would be no name for what they generate.
    """
    folder = Path(os.path.abspath(run))
    cell = (folder if folder.is_dir() else folder.parent).parent
    return cell.name if (cell / SPEC).is_file() else None
