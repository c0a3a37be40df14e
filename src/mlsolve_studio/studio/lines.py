"""Errors as the command line says them: one line."""

import json
import sys
from contextlib import suppress
from typing import Any

from mlsolve.errors import MlsolveError


def line_of(error: BaseException) -> str:
    """Return the line with which `mlsolve` refuses, without its beginning "mlsolve: error: ".

    Raises `error` itself if the command line would not refuse with a line.
    """
    if isinstance(error, MlsolveError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = "there is not enough memory for pictures of this size: use a smaller --size"
    elif isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        text = f"{where}{error.strerror or error}"
    else:
        raise error
    return " ".join(text.split())


def tell(**message: Any) -> None:
    """Write a message to the process that started this one: a line of JSON. If that has gone, say nothing."""
    with suppress(OSError, ValueError):
        sys.stdout.write(json.dumps(message, ensure_ascii=True) + "\n")
        sys.stdout.flush()
