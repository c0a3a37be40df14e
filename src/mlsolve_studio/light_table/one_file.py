"""Page and run in one file that needs no server and fetches nothing."""

from pathlib import Path


def write_one_file(folder: Path, path: Path, side: int, overwrite: bool) -> tuple[int, int]:
    """Write the light table of the run in `folder` into the file `path`; returns the size of its sheets."""
    raise NotImplementedError
