"""The `mlsolve` command: who reads what was typed, and what becomes of errors.

Nothing heavy is imported here. A verb imports what it needs when it runs; Typer is imported only for help and for
what must be explained.
"""

import atexit
import gc
import io
import os
import sys
import warnings
from contextlib import suppress
from typing import Any, Final, NoReturn

from mlsolve.errors import MlsolveError

from .echo import echo
from .plain import read
from .verbs import VERBS

INTERRUPTED: Final = 130

_OBJECTS_BETWEEN_COLLECTIONS: Final = 200_000


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 2 refused in one line, 130 interrupted."""
    _spare_collections()
    _ready_streams()
    warnings.showwarning = _show_warning
    try:
        status = _carry_out(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except MlsolveError as error:
        sys.exit(_refuse(str(error)))
    except MemoryError:
        sys.exit(_refuse("there is not enough memory for pictures of this size: use a smaller --size"))
    except BrokenPipeError:
        _forget_stdout()
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(_refuse(f"{where}{error.strerror or error}"))
    except Exception as error:
        if type(error).__name__ != "Interrupted":  # whose module is not loaded for every verb
            raise
        echo(f"mlsolve: {error}", err=True)
        sys.exit(INTERRUPTED)
    if status == INTERRUPTED:  # some versions of Typer turn Ctrl-C into a status of their own
        echo("mlsolve: interrupted: nothing was written", err=True)
    sys.exit(status if isinstance(status, int) else 0)


def _carry_out(typed: list[str]) -> object:
    """Carry out what was typed; return a status if there is one."""
    for verb in VERBS:
        if typed[:1] == [verb.name]:
            given = read(typed[1:], verb)
            if given is not None:
                verb.carry_out(given)
                return None
    from .application import interpret

    return interpret(typed)


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


def _forget_stdout() -> None:
    """Write the rest of standard output, whose reader has gone, to nowhere: at the exit it would be an error."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(message: str) -> int:
    """Say `message` in one line on standard error and return the exit status for it."""
    echo("mlsolve: error: " + " ".join(message.split()), err=True)
    return 2


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    echo(f"mlsolve: warning: {message}", err=True)
