"""The ``ganlab`` command: a group that imports verbs late and turns errors into one clear line."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import ganlab
from ganlab.cli.verbs import VERBS
from ganlab.errors import GanlabError, nearest_name
from ganlab.util.signals import INTERRUPTED, Terminated, terminable

USAGE_ERROR = 2
STOPPED = "nothing is left half written; the same command goes on"


class LazyGroup(TyperGroup):
    """Verbs from the table in `ganlab.cli.verbs`; errors a user can cause without traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Verbs whose file is there, in the table's order."""
        return [name for name, verb in VERBS.items() if verb.exists]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, imported now; None for an unknown verb."""
        return VERBS[cmd_name].load(cmd_name) if cmd_name in self.list_commands(ctx) else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of verbs in ``--help``, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, VERBS[name].help) for name in self.list_commands(ctx)])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb in ``args``; an unknown one is a usage error with the nearest name."""
        verbs = self.list_commands(ctx)
        if args[0] not in verbs and not args[0].startswith("-"):
            ctx.fail(f"no verb {args[0]!r}; expected one of {', '.join(verbs)}{nearest_name(args[0], verbs)}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``--debug`` may stand anywhere on the line."""
        if "--debug" in args:
            args = ["--debug", *(arg for arg in args if arg != "--debug")]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; with ``--debug`` errors keep their traceback."""
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except (typer.Exit, typer.Abort):
            raise
        except (GanlabError, KeyboardInterrupt, ImportError, RuntimeError, OSError, MemoryError) as error:
            status = _report(error)
            if status is None:
                raise
            raise typer.Exit(status) from error


def _report(error: BaseException) -> int | None:
    """Print the error as users should see it and return the exit status; None for what is a bug."""
    if isinstance(error, KeyboardInterrupt):
        print(f"interrupted: {STOPPED}", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Nobody reads on (`ganlab list | head`); the flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    text = str(error) if isinstance(error, GanlabError) else _of_the_machine(error)
    if text is None:
        return None
    print(f"error: {text}", file=sys.stderr)
    return USAGE_ERROR


def _of_the_machine(error: BaseException) -> str | None:
    """What the files, the memory or the installation did not allow; None for other errors."""
    from ganlab.util.torch_pair import explain

    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror} (--debug shows where)"
    # torch reports memory as a RuntimeError: on CUDA of a class of its own, on the CPU by the text alone.
    memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if memory or "can't allocate memory" in str(error):
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return f"not enough memory ({reason}); take a smaller batch, narrower networks or smaller images"
    return explain(error)


def _version(value: bool) -> None:
    if value:
        print(f"ganlab {ganlab.__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def ganlab_(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """A laboratory for what upsampling does to the images a GAN makes, and whether detectors see it."""


def _in_one_line(message: Warning | str, category: type[Warning], *place: Any, **kept: Any) -> None:
    """A warning of ganlab's own as its text alone; of another's with the place in its code."""
    if category.__module__.partition(".")[0] == "ganlab":
        print(f"warning: {message}", file=sys.stderr)
    else:
        _SHOW(message, category, *place, **kept)


_SHOW = warnings.showwarning


def main() -> None:
    """Console script ``ganlab``; SIGTERM ends any verb with a word, and with status 143."""
    try:
        with terminable(), warnings.catch_warnings():
            warnings.showwarning = _in_one_line
            app(prog_name="ganlab")
    except Terminated:
        print(f"terminated: {STOPPED}", file=sys.stderr)
        raise
