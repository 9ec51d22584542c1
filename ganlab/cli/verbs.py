"""The verbs, and how each is imported only when it is called.

How to add a verb
-----------------
1. Write ``ganlab/cli/<verb>.py`` with one function of the verb's name and typer annotations. Its docstring is
   the verb's help. Import ganlab's rooms (whatever loads torch) inside the function, not at the top. Raise
   `ganlab.errors.GanlabError` for what a user can cause; the group prints it and exits with 2.
   For sub-commands (``ganlab data pack``) let the file hold a ``typer.Typer`` of the verb's name instead.
2. Add one line to `VERBS`: name, ``file:attribute``, one line of help for ``ganlab --help``.

A verb whose file is not there is not listed.
"""

from __future__ import annotations

import importlib
import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from ganlab.errors import GanlabError
from ganlab.util.reading import is_unicode

LARGEST = 2**31 - 1
"""Of numbers on the command line: what counts, sizes and seeds of configurations may be too."""


class VerbCommand(TyperCommand):
    """A verb that is not called with what no file system, no table and no array can take."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb.

        Raises:
            GanlabError: a text with NUL or that is no Unicode, a number that is not finite or too large.
        """
        for name, given in ctx.params.items():
            for value in given if isinstance(given, list | tuple) else (given,):
                if fault := _unusable(value):
                    raise GanlabError(f"{name.replace('_', '-')}: {fault}")
        return super().invoke(ctx)


def _unusable(value: object) -> str | None:
    """What is wrong with a value; None where nothing is."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"got a number of {len(str(abs(value)))} digits; expected at most {LARGEST}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"got {value}; expected a finite number"
    if isinstance(value, str | Path) and ("\0" in str(value) or not is_unicode(str(value))):
        return f"got {str(value)[:80]!a}; expected Unicode text without NUL"
    return None


@dataclass(frozen=True)
class Verb:
    """Where a verb lives, as ``file:attribute`` in this folder, and its line of help."""

    target: str
    help: str

    @property
    def module(self) -> str:
        """Name of the file without its suffix."""
        return self.target.partition(":")[0]

    @property
    def exists(self) -> bool:
        """Whether the file is there."""
        return Path(__file__).with_name(f"{self.module}.py").is_file()

    def load(self, name: str) -> Any:
        """Import the file and make the command (a group for a ``typer.Typer``)."""
        module, _, attribute = self.target.partition(":")
        function = getattr(importlib.import_module(f"ganlab.cli.{module}"), attribute)
        if isinstance(function, typer.Typer):
            return typer.main.get_group(function)
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(name, cls=VerbCommand, help=(inspect.getdoc(function) or "").replace("``", ""))(
            function
        )
        return typer.main.get_command(single)


VERBS: dict[str, Verb] = {
    "quickstart": Verb("quickstart:quickstart", "The whole lab in minutes, offline, on built-in images."),
    "train": Verb("train:train", "Train a generator; the same command again resumes."),
    "generate": Verb("generate:generate", "Make a fake dataset from one or more runs."),
    "spectra": Verb("spectra:spectra", "Compare the spectra of real and fake images: figures and tables."),
    "ablate": Verb("ablate:ablate", "Run a plan of many trainings and put the results in one table."),
    "detect": Verb("detect:detect", "Train and test detectors of fake images."),
    "audit": Verb("audit:audit", "Is this a fair detection set? What else tells the two apart."),
    "probe": Verb("probe:probe", "What lattice a generator leaves, and which stage makes it."),
    "patches": Verb("patches:patches", "What a patch detector sees, and where: maps, patches, pairs."),
    "evade": Verb("evade:evade", "Tune a generator against a frozen detector; is it found again?"),
    "report": Verb("report:report", "One self-contained HTML page about a results folder."),
    "data": Verb("data:data", "Prepare images: pack a folder."),
    "theory": Verb("theory:theory", "Frequency responses and spectral replicas of the upsamplers."),
    "reproduce": Verb("reproduce:reproduce", "A published experiment or a claim by its name, judged."),
    "bench": Verb("bench:bench", "What this machine does in a second, against its limits."),
    "zoo": Verb("zoo:zoo", "Trained generators that differ in one thing only."),
    "show": Verb("show:show", "Print a resolved configuration and what is doubtful about it."),
    "list": Verb("list_:list_", "List every name that a configuration or an option accepts."),
    "schema": Verb("schema:schema", "Print the JSON schema of configuration files."),
}
"""Verb -> where it lives, in the order of ``ganlab --help``."""
