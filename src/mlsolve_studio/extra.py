"""Whether what the extra `studio` brings is here."""

from importlib.util import find_spec

from mlsolve.errors import MlsolveError


class NoStudio(MlsolveError):
    """The packages that serve pages are not installed."""


def require_studio(instead: str = "") -> None:
    """Raise NoStudio, in one line that says what to install, unless pages can be served.

    instead: what else will do, to be added to the line.
    """
    for name in ("starlette", "uvicorn"):
        if find_spec(name) is None:
            raise NoStudio(f"{name} is not installed: pip install 'mlsolve[studio]'{instead}")
