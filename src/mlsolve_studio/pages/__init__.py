"""The files of the pages: HTML, CSS and ES modules, as browsers take them.

Knows where they are. Must not know what they show. Called by `server` and by `light_table`.
"""

from functools import cache
from pathlib import Path
from typing import Final

_SUFFIXES: Final = (".html", ".css", ".js", ".svg")


@cache
def page_files() -> dict[str, Path]:
    """Return every file of the pages by its name."""
    here = Path(__file__).parent
    return {path.name: path for path in sorted(here.iterdir()) if path.suffix in _SUFFIXES}


def page_bytes(name: str) -> bytes:
    """Return the file `name` of the pages. Raises KeyError if there is none."""
    return page_files()[name].read_bytes()
