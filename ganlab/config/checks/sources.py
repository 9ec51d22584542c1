"""Data options against what each source brings along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ganlab.config.errors import Problem, error, no_effect, warning
from ganlab.config.schema import Config, DataConfig, glyph_characters


@dataclass(frozen=True)
class SourceFacts:
    """What a built-in source does with the options; None where it depends on the files."""

    path: Literal["needed", "optional", "unused"] = "optional"
    own_split: bool | None = True
    classes: int | None = 0
    native: int | None = None
    downloads: bool = True
    cached: bool = True
    reads_files: bool = True


FACTS: dict[str, SourceFacts] = {
    "dead_leaves": SourceFacts("unused", own_split=False, downloads=False, reads_files=False),
    "glyphs": SourceFacts("unused", own_split=False, classes=None, downloads=False, reads_files=False),
    "pack": SourceFacts("needed", None, None, downloads=False, cached=False, reads_files=False),
    "folder": SourceFacts("needed", None, None, downloads=False),
    "cifar10": SourceFacts(classes=10, native=32, reads_files=False),
    "cifar100": SourceFacts(classes=100, native=32, reads_files=False),
    "stl10": SourceFacts(native=96, reads_files=False),
    "celeba": SourceFacts(native=178),
    "lsun_bedroom": SourceFacts(native=256, downloads=False),
    "imagenette": SourceFacts(classes=10),
    "imagewoof": SourceFacts(classes=10, native=320),
}
"""Facts about what ``ganlab.data`` registers; sources that are not listed (a plug-in's) are not checked."""


def path(config: Config) -> Iterator[Problem]:
    """A pack or folder needs its path; what is drawn here has none; the others have a folder in the cache."""
    facts, data = FACTS.get(config.data.source), config.data
    if facts is None:
        return
    if facts.path == "needed" and data.path is None:
        missing = {"pack": "the .npz or the pack", "folder": "the image folder"}[data.source]
        yield error("data.path", f"missing; with source: {data.source} expected {missing} here")
    if facts.path == "unused" and data.path is not None:
        yield no_effect("data.path", f"{data.source} makes its images and reads no files")


def native_size(config: Config) -> Iterator[Problem]:
    """Images are never enlarged: interpolation would leave its own trace in the spectrum."""
    facts, side = FACTS.get(config.data.source), config.model.image_size
    if facts is not None and facts.native is not None and side > facts.native:
        source, native = config.data.source, facts.native
        text = f"got {side}; {source} has {native}x{native} and is never enlarged; expected {native} or less"
        yield error("model.image_size", text)


def classes(config: Config) -> Iterator[Problem]:
    """Class-conditional networks need as many classes as the source has labels for."""
    facts, num_classes = FACTS.get(config.data.source), config.model.num_classes
    if facts is None or num_classes == 0 or config.task != "gan":
        return
    there = facts.classes
    if config.data.source == "glyphs":
        there = len(glyph_characters(config.data.classes))
    if there == 0:
        text = f"{config.data.source} has no labels; expected 0 (unconditional) or a source with classes"
        yield error("model.num_classes", text)
    elif there is not None and num_classes != there:
        text = f"got {num_classes}; {config.data.source} has {there} classes; expected that or 0"
        yield error("model.num_classes", text)


def glyphs(config: Config) -> Iterator[Problem]:
    """Glyphs have a range of sizes, and mirrored ones are no characters; no other source has classes."""
    data, side = config.data, config.model.image_size
    if data.source != "glyphs":
        if data.classes != _default("classes"):
            yield no_effect("data.classes", "only glyphs draws characters")
        return
    if not 16 <= side <= 128:
        yield error(
            "model.image_size", f"got {side}; glyphs are drawn at 16 to 128 px; expected one of these"
        )
    if data.flip:
        yield warning("data.flip", "half of the characters will be mirrored, and mirrored ones are learned")


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
        # ``seed`` still chooses when ``num_images`` are wanted.
        for name in ("val_fraction",) if data.num_images else ("val_fraction", "seed"):
            if getattr(data, name) != _default(name):
                yield no_effect(f"data.{name}", f"{data.source} brings its own training and validation part")


def _default(name: str) -> object:
    return DataConfig.model_fields[name].default
