"""Prints lines. Typer does the same, but takes a twentieth of a second to load."""

import sys


def echo(text: object = "", err: bool = False) -> None:
    """Print `text` and a line break at once, on standard output or, if `err`, on standard error."""
    print(text, file=sys.stderr if err else sys.stdout, flush=True)
