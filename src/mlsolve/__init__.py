"""mlsolve: layers to print that multiply to a picture, while each sheet alone looks like its guide.

    >>> import mlsolve
    >>> solution = mlsolve.solve(target, guides, mlsolve.Options(exposure=0.1))
    >>> solution.save("prints")

Pictures go in and come out as sRGB code values. The names below load on first use, so that importing
mlsolve costs next to nothing.
"""

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .errors import BackendError, InputError, MlsolveError, OptionError, OutputError
    from .job.arrangements import Arrangement, Placement, Problem
    from .job.job import Job
    from .job.job_file import load_job
    from .job.options import Options
    from .media import Media, load_media
    from .pictures.picture_files import load_picture
    from .pictures.resize import fit_image
    from .run.budget import Budget
    from .run.events import Event, Outcome
    from .run.session import Session
    from .run.solution import Solution
    from .run.solver import solve
    from .scoring.developing import compose
    from .scoring.scores import Scores, psnr, score, ssim, ssim_moved
    from .solving.history import History, Step

_HOMES = {
    "Arrangement": "job.arrangements",
    "Placement": "job.arrangements",
    "Problem": "job.arrangements",
    "Media": "media",
    "load_media": "media",
    "compose": "scoring.developing",
    "BackendError": "errors",
    "InputError": "errors",
    "MlsolveError": "errors",
    "OptionError": "errors",
    "OutputError": "errors",
    "History": "solving.history",
    "Step": "solving.history",
    "load_picture": "pictures.picture_files",
    "Options": "job.options",
    "fit_image": "pictures.resize",
    "Scores": "scoring.scores",
    "psnr": "scoring.scores",
    "score": "scoring.scores",
    "ssim": "scoring.scores",
    "ssim_moved": "scoring.scores",
    "Solution": "run.solution",
    "Session": "run.session",
    "Budget": "run.budget",
    "Event": "run.events",
    "Outcome": "run.events",
    "Job": "job.job",
    "load_job": "job.job_file",
    "solve": "run.solver",
}

__all__ = [
    "Arrangement",
    "BackendError",
    "Budget",
    "Event",
    "History",
    "InputError",
    "Job",
    "Media",
    "MlsolveError",
    "OptionError",
    "Options",
    "Outcome",
    "OutputError",
    "Placement",
    "Problem",
    "Scores",
    "Session",
    "Solution",
    "Step",
    "__version__",
    "compose",
    "fit_image",
    "load_job",
    "load_media",
    "load_picture",
    "psnr",
    "score",
    "solve",
    "ssim",
    "ssim_moved",
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
