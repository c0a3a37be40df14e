"""The `mlsolve` command: its verbs, and what becomes of errors.

Only Typer is imported here; a verb imports what it needs when it runs, so that --help answers at once.
"""

import atexit
import gc
import io
import os
import sys
import warnings
from typing import Annotated, Any, Final, NoReturn

import typer

from mlsolve import __version__
from mlsolve.errors import MlsolveError

from .animate import animate
from .bench import bench
from .estimate import estimate
from .guide import guide
from .info import info
from .resume import resume
from .run import run
from .suggest import suggest
from .verify import verify

# Typer carries its own copy of Click or uses the installed one, depending on its version; either way
# these are the classes it raises.
_USAGE_ERROR: Final[Any] = typer.BadParameter.__mro__[1]
_ABORT: Final[Any] = typer.Abort

INTERRUPTED: Final = 130

_OBJECTS_BETWEEN_COLLECTIONS: Final = 200_000

VERBS: Final = (run, resume, estimate, suggest, verify, animate, guide, info, bench)
"""In the order of the help and of docs/cli.md."""

app = typer.Typer(
    name="mlsolve",
    help="Layers to print on film, acrylic or glass: laid over each other on a light box they multiply to a "
    "picture, while each sheet alone looks like its guide.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for verb in VERBS:
    app.command(verb.name, help=verb.help)(verb.callback())


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mlsolve {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 2 refused in one line, 130 interrupted."""
    _spare_collections()
    _ready_streams()
    warnings.showwarning = _show_warning
    try:
        status = app(args=arguments, prog_name="mlsolve", standalone_mode=False)
    except _USAGE_ERROR as error:
        # Without any argument Typer prints the help and raises an error without words.
        sys.exit(_refuse(error.format_message()) if error.format_message() else 2)
    except (KeyboardInterrupt, _ABORT):
        status = INTERRUPTED
    except MlsolveError as error:
        sys.exit(_refuse(str(error)))
    except MemoryError:
        sys.exit(_refuse("there is not enough memory for pictures of this size: use a smaller --size"))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(_refuse(f"{where}{error.strerror or error}"))
    except Exception as error:
        if type(error).__name__ != "Interrupted":  # whose module is not loaded for every verb
            raise
        typer.echo(f"mlsolve: {error}", err=True)
        sys.exit(INTERRUPTED)
    if status == INTERRUPTED:  # some versions of Typer turn Ctrl-C into a status of their own
        typer.echo("mlsolve: interrupted: nothing was written", err=True)
    sys.exit(status if isinstance(status, int) else 0)


def _spare_collections() -> None:
    """Run the garbage collector rarely: Numba's import makes half a million objects, none of which is freed.

    Scanning them took a third of a second of a run, at the imports and again at the exit.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)


def _ready_streams() -> None:
    """Make the standard streams writable: open them, and replace characters they cannot encode."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _refuse(message: str) -> int:
    """Say `message` in one line on standard error and return the exit status for it."""
    typer.echo("mlsolve: error: " + " ".join(message.split()), err=True)
    return 2


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"mlsolve: warning: {message}", err=True)
