"""mlsolve: layers to print that multiply to a picture, while each sheet alone looks like its guide.

    >>> import mlsolve
    >>> solution = mlsolve.solve(target, guides, mlsolve.Options(exposure=0.1))
    >>> solution.save("prints")

Pictures go in and come out as sRGB code values. The names below load on first use, so that importing
mlsolve costs next to nothing.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .colour import compose
    from .errors import BackendError, InputError, MlsolveError, OptionError, OutputError
    from .history import History, Step
    from .images import load_picture
    from .model import Arrangement, Placement, Problem
    from .options import Options
    from .resize import fit_image
    from .scores import Scores, psnr, score, ssim
    from .solution import Solution
    from .solver import solve

_HOMES = {
    "Arrangement": "model",
    "Placement": "model",
    "Problem": "model",
    "compose": "colour",
    "BackendError": "errors",
    "InputError": "errors",
    "MlsolveError": "errors",
    "OptionError": "errors",
    "OutputError": "errors",
    "History": "history",
    "Step": "history",
    "load_picture": "images",
    "Options": "options",
    "fit_image": "resize",
    "Scores": "scores",
    "psnr": "scores",
    "score": "scores",
    "ssim": "scores",
    "Solution": "solution",
    "solve": "solver",
}

__all__ = [
    "Arrangement",
    "BackendError",
    "History",
    "InputError",
    "MlsolveError",
    "OptionError",
    "Options",
    "OutputError",
    "Placement",
    "Problem",
    "Scores",
    "Solution",
    "Step",
    "__version__",
    "compose",
    "fit_image",
    "load_picture",
    "psnr",
    "score",
    "solve",
    "ssim",
]


def __getattr__(name: str) -> Any:
    """Import the module that holds `name` when it is asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
