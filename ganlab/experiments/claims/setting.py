"""What an experiment works with: reals, generators (the zoo's, trained here, the user's), scale, folder."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ganlab import zoo
from ganlab.adapters import source_generator
from ganlab.config import Config, load
from ganlab.data import ImageSet, array_image_set, load_training_images, open_image_set
from ganlab.data.imageset import is_pack
from ganlab.errors import GanlabError, lookup
from ganlab.experiments.claims.recipes import PAPER, PHOTOGRAPHS, RECIPES, SMALL, Scale
from ganlab.experiments.detection.measure import named_sets
from ganlab.experiments.quickstart.run import Job, train_side_by_side
from ganlab.experiments.spectra.run import renamed
from ganlab.forensics.protocol.guards import MINIMUM
from ganlab.generation.sampling import generate_images
from ganlab.generation.sources import choose_reals, run_name
from ganlab.images import UInt8Array, to_float, to_uint8
from ganlab.models import load_generator
from ganlab.models.store import FILE_NAME, generator_file, read_generator
from ganlab.training import train
from ganlab.util.atomic import write_json
from ganlab.util.hashing import sha256_file
from ganlab.util.reading import read_json
from ganlab.util.signals import Terminated

RUNS, KEPT = "runs", "kept"
"""Folders below the results: trainings, which go on, and what was measured already."""


class Setting:
    """What an experiment may ask for.

    Args:
        place: its results folder; nothing is written there but through this class.
        scale: how much is done.
        seed: everything random follows from it.
        real: the user's reals: what ``ganlab detect`` takes; None: the generators' own.
        fakes: the user's fakes: sets of images, or generators (``zoo:NAME``, run folders, files).
        names: of the default generators.
        instead: what the zoo may have in their place.
        allow: guards whose findings are tolerated.
    """

    def __init__(
        self, place: Path, scale: Scale, seed: int = 0, real: str | None = None, fakes: Sequence[str] = (),
        names: Sequence[str] = (), instead: Sequence[str] = (), allow: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.place, self.scale, self.seed = place, scale, seed
        self._real, self._fakes, self._allow = real, tuple(fakes), tuple(allow)
        others = bool(instead) and self.in_zoo(names) is None and self.in_zoo(instead) is not None
        self.names = tuple(instead if others else names)
        self.left_out: list[str] = []
        if self._fakes and real is None and not all(map(_is_own, self._fakes)):
            raise GanlabError("--fake with images needs --real: the photos that they are held against")

    @property
    def at_paper_scale(self) -> bool:
        """Whether networks and data are those of the papers rather than small ones."""
        return self.scale.name == "paper"

    @property
    def default(self) -> bool:
        """Whether the images are this installation's own: glyphs."""
        return self._real is None and not self.at_paper_scale

    @property
    def allow(self) -> tuple[str, ...]:
        """Guards whose findings are tolerated.

        Of glyphs what takes their middle for JPEG's grid; of generators that were made here, that one latent
        looks alike in two of them.
        """
        glyphs, own = ("jpeg_grid",), ("near_duplicates",)
        return (*self._allow, *(glyphs if self.default else ()), *(() if self._fakes else own))

    def identity(self, seeds: int = 1) -> dict[str, Any]:
        """What the results depend on, as JSON values; trains nothing.

        Args:
            seeds: how many trainings of every generator count, where the zoo has them.
        """
        ready = self.in_zoo(self.names) or {}
        own = {name: sha256_file(generator_file(source)) for name, source in ready.items()}
        if not ready:
            own = {name: " ".join(lookup(RECIPES, name, "generator")) for name in self.names}
        for name, seed in itertools.product(self.names, range(seeds if seeds > 1 else 0)):
            for source in (self.in_zoo([name], seed) or {}).values():
                own[f"{name}-s{seed}"] = sha256_file(generator_file(source))
        return {
            "scale": {key: value for key, value in asdict(self.scale).items() if key != "processes"},
            "seed": self.seed,
            "real": None if self._real is None else self._opened_real.fingerprint(),
            "fakes": [_fingerprint(text, self.scale.images) for text in self._fakes],
            "generators": {} if self._fakes else own,
        }

    def config(self, name: str, changes: Sequence[str] = ()) -> Config:
        """How a generator of `RECIPES` is trained, on the user's reals where there are some.

        Args:
            name: a key of `RECIPES`.
            changes: further overrides.

        Raises:
            GanlabError: an unknown name or override.
        """
        family = name.partition("-")[0]
        chosen = lookup(RECIPES, name, "generator")
        base, overrides = ("small32", [*SMALL[family], *chosen])
        if self.at_paper_scale:
            base, overrides = (PAPER[family], [*PHOTOGRAPHS, *chosen])
        if self._real is not None:
            path, _, part = self._real.partition("@")
            kind = "pack" if path.endswith(".npz") or is_pack(Path(path)) else "folder"
            overrides += [f"data.source={kind}", f"data.path={path}", "data.num_images=null"]
            if part:
                raise GanlabError(f"--real {self._real}: a training takes the whole set; leave @{part} out")
        steps = f"training.steps={self.scale.steps}"
        return load(base, [*overrides, steps, f"seed={self.seed}", *changes])

    def in_zoo(self, names: Iterable[str], seed: int | None = None) -> dict[str, str] | None:
        """``zoo:NAME`` of all these generators; None where the zoo lacks one, or reals or scale are others.

        Those of the zoo were trained for longer than a training takes here, so that the two do not mix.
        """
        own = self.seed if seed is None else seed
        full = {name: f"{name}-s{own}" for name in names}
        usable = self._real is None and self.scale.zoo and set(full.values()) <= set(zoo.names())
        return {name: f"{zoo.PREFIX}{file}" for name, file in full.items()} if usable else None

    def trained(self, wanted: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, str]:
        """Generators that are trained here, several at a time; finished ones are left alone.

        Args:
            wanted: name here -> recipe, further overrides.

        Returns:
            Name -> run folder.

        Raises:
            GanlabError: a training failed.
            KeyboardInterrupt: or Terminated, when asked to stop; the same command goes on.
        """
        folders = {name: self.place / RUNS / file_name(name) for name in wanted}
        jobs = [
            Job(self.config(recipe, changes), folders[name]) for name, (recipe, changes) in wanted.items()
        ]
        train_all(jobs, self.scale.processes)
        return {name: str(folder) for name, folder in folders.items()}

    def named(self, names: Sequence[str], seed: int | None = None) -> dict[str, str]:
        """Generators of `RECIPES` by their names: the zoo's where it has all of them, else trained here."""
        found = self.in_zoo(names, seed)
        return found or self.trained({name: (name, ()) for name in names})

    def fake(self, source: str, name: str, seed: int = 0) -> ImageSet:
        """Images of a generator, as many as the scale says: ``seed`` is that of the latents."""
        return array_image_set(generate_images(load_generator(source), seed, 0, self.scale.images), name)

    @cached_property
    def sources(self) -> dict[str, str]:
        """Name -> generator of the default fakes; empty where the user gave fakes."""
        return {} if self._fakes else self.named(self.names)

    @cached_property
    def fakes(self) -> tuple[ImageSet, ...]:
        """The user's fakes, or the images of those default generators that have not collapsed.

        Raises:
            GanlabError: all of them have, or a set cannot be read.
        """
        if self._fakes:
            opened = [_opened_fake(text, self.scale.images) for text in self._fakes]
            return tuple(named_sets([self.real, *opened])[1:])
        made = [self.fake(source, name) for name, source in self.sources.items()]
        for images in made:
            different = len(images.pixel_hashes())
            if different < MINIMUM <= len(images):
                # a short training may end so; the others are worth measuring
                self.left_out.append(f"{images.name} collapsed to {different} different images: left out")
        kept = tuple(
            one for one in made if not any(text.startswith(f"{one.name} ") for text in self.left_out)
        )
        if not kept:
            raise GanlabError(f"no generator is left: {'; '.join(self.left_out)}")
        return kept

    @cached_property
    def real(self) -> ImageSet:
        """The reals that fakes are held against: the user's, else those of the trainings.

        Held-out ones come first. Where generators are trained on the user's reals they are prepared as for
        the training.
        """
        if self._real is not None and (self._fakes or not self.names):
            return renamed(self._opened_real, "real")
        if self._fakes:
            config = read_generator(generator_file(self._fakes[0]), "ema")[0]
        else:
            config = self.config(self.names[0] if self.names else next(iter(RECIPES)))
        return self.reals(config)

    def reals(self, config: Config) -> ImageSet:
        """As many reals of a configuration as the scale says, or as there are."""
        data = load_training_images(config.data, config.model.image_size)
        count = min(self.scale.images, len(data.val) + len(data.train))
        chosen = choose_reals(config, count, 0)
        pixels = np.stack([chosen.images.images[index] for index in chosen.order])
        return array_image_set(pixels, "real")

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """JSON values that are computed once and kept, so that a killed experiment goes on behind them."""
        file = self.place / KEPT / f"{file_name(name)}.json"
        if not file.is_file():
            write_json(file, make())
        return read_json(file)

    @cached_property
    def _opened_real(self) -> ImageSet:
        assert self._real is not None
        return open_image_set(self._real, self.scale.images)


def file_name(name: str) -> str:
    """A name without what file systems or people do not take."""
    return "".join(letter if letter.isalnum() or letter in "._+=" else "-" for letter in name)


def pixels(images: ImageSet) -> UInt8Array:
    """All images of a set, uint8 ``(N, H, W, C)``."""
    return images.read(np.arange(len(images)))


def floats(images: ImageSet) -> Tensor:
    """All images of a set, float ``(N, C, H, W)`` in [-1, 1]."""
    return to_float(pixels(images))


def train_all(jobs: Sequence[Job], processes: int | None = None) -> None:
    """Train all jobs, finished ones are left alone; one at a time happens in this process.

    Raises:
        GanlabError: a training failed.
        KeyboardInterrupt: Ctrl-C came; what was trained is saved.
        Terminated: SIGTERM came, likewise.
    """
    at_once = min(len(jobs), processes or os.cpu_count() or 1)
    if at_once > 1:
        train_side_by_side(jobs, at_once)
        return
    for job in jobs:
        done = train(job.config, job.folder)
        if done.signal is not None and not done.finished:
            raise Terminated if done.signal == signal.SIGTERM else KeyboardInterrupt


def _is_own(text: str) -> bool:
    """Whether a fake is one of ganlab's generators, whose reals are known."""
    path = Path(text)
    return text.startswith(zoo.PREFIX) or path.suffix == ".safetensors" or (path / FILE_NAME).is_file()


def _opened_fake(text: str, count: int) -> ImageSet:
    """A set of images, or so many images of a generator.

    Raises:
        GanlabError: neither.
    """
    if _is_own(text):
        generator = source_generator(text)
        return array_image_set(to_uint8(generator.sample(0, 0, count)), run_name(Path(text)))
    return open_image_set(text, count)


def _fingerprint(text: str, count: int) -> str:
    return sha256_file(generator_file(text)) if _is_own(text) else open_image_set(text, count).fingerprint()
