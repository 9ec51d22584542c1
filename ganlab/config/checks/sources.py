"""Data options against what each source brings along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ganlab.config.checks.problem import Problem, error, no_effect
from ganlab.config.schema import Config, DataConfig


@dataclass(frozen=True)
class SourceFacts:
    """What a built-in source does with the options; None where it depends on the files."""

    needs_path: bool = True
    own_split: bool | None = True
    classes: int | None = 0
    downloads: bool = True
    cached: bool = True
    reads_files: bool = False


FACTS: dict[str, SourceFacts] = {
    "dead_leaves": SourceFacts(needs_path=False, own_split=False, downloads=False),
    "pack": SourceFacts(own_split=None, classes=None, downloads=False, cached=False),
    "folder": SourceFacts(own_split=False, classes=None, downloads=False, reads_files=True),
    "cifar10": SourceFacts(classes=10),
    "cifar100": SourceFacts(classes=100),
    "stl10": SourceFacts(classes=10),
    "celeba": SourceFacts(),
    "lsun_bedroom": SourceFacts(downloads=False),
    "imagenette": SourceFacts(classes=10),
    "imagewoof": SourceFacts(classes=10),
}
"""Sources that are not listed (registered by a plug-in) are not checked."""


def path(config: Config) -> Iterator[Problem]:
    """A source that lives in files needs its path; dead leaves are made."""
    facts, data = FACTS.get(config.data.source), config.data
    if facts is None:
        return
    if facts.needs_path and data.path is None:
        what = {"pack": "the .npz or pack", "folder": "the image folder"}
        wanted = what.get(data.source, "the folder that holds the data set")
        yield error("data.path", f"missing; the source {data.source} expected {wanted} here")
    if not facts.needs_path and data.path is not None:
        yield no_effect("data.path", f"{data.source} makes its images and reads no files")


def classes(config: Config) -> Iterator[Problem]:
    """Class-conditional networks need as many classes as the source has labels for."""
    facts, wanted = FACTS.get(config.data.source), config.model.num_classes
    if facts is None or facts.classes is None or wanted == 0:
        return
    if facts.classes == 0:
        text = f"{config.data.source} has no labels; expected 0 (unconditional) or a source with classes"
        yield error("model.num_classes", text)
    elif wanted != facts.classes:
        text = f"got {wanted}; {config.data.source} has {facts.classes} classes; expected that or 0"
        yield error("model.num_classes", text)


def idle_options(config: Config) -> Iterator[Problem]:
    """Options that the source does not look at."""
    facts, data = FACTS.get(config.data.source), config.data
    if facts is None:
        return
    if data.download and not facts.downloads:
        yield no_effect("data.download", f"{data.source} downloads nothing")
    if data.cache is not None and not facts.cached:
        yield no_effect("data.cache", f"{data.source} is used in place and never packed anew")
    if data.on_error != _default("on_error") and not facts.reads_files:
        yield no_effect(
            "data.on_error", f"{data.source} reads no single image files; it is for source: folder"
        )
    if facts.own_split:
        yield from _idle_split(data)


def _idle_split(data: DataConfig) -> Iterator[Problem]:
    """A split that the source brings along; ``seed`` still chooses when ``num_images`` are wanted."""
    idle = ("val_fraction",) if data.num_images else ("val_fraction", "seed")
    for name in idle:
        if getattr(data, name) != _default(name):
            yield no_effect(f"data.{name}", f"{data.source} brings its own training and validation part")


def _default(name: str) -> object:
    return DataConfig.model_fields[name].default
