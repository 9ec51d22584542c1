"""The command line: ``ganlab VERB``. `main` is the console script, ``app`` the typer application."""

from __future__ import annotations

from ganlab.cli.app import app, main

__all__ = ["app", "main"]
