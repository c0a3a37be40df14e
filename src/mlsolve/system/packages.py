"""The versions of mlsolve, Python and the packages that can affect a result."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from ..version import __version__


def versions() -> dict[str, str]:
    """Return the versions of mlsolve, Python and the packages that can affect the result, by name."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    found = {"mlsolve": __version__, "python": platform.python_version()}
    for package in ("numpy", "numba", "opencv-python-headless", "pillow", "pyvips-binary", "pi-heif"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
