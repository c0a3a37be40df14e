"""Estimates: what a job will need, told before it starts."""

import shutil
import threading
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from mlsolve.errors import InputError

from .children import ask
from .folder import StudioFolder
from .jobs import Checked


class Estimates:
    """Makes estimates, one at a time: each rehearses the run at small sizes, and two would disturb each other."""

    def __init__(self, folder: StudioFolder) -> None:
        """folder: on the disk that the run will use."""
        self._folder = folder
        self._lock = threading.Lock()

    def clean(self) -> None:
        """Remove what earlier servers left."""
        for left in self._folder.runs.glob(".estimate-*"):
            shutil.rmtree(left, ignore_errors=True)

    def estimate(self, job: Checked, unwanted: threading.Event) -> dict[str, Any]:
        """Return what `mlsolve estimate job.toml --json` prints. Raises InputError with its line.

        unwanted: set when nobody waits for it any more; then it ends, and raises ProcessError.
        """
        with self._lock:
            # As deep as the folder of a run, because the job names its pictures relative to that.
            place = Path(mkdtemp(prefix=".estimate-", dir=self._folder.runs))
            try:
                (place / "job.toml").write_text(job.toml, encoding="utf-8")
                found, warned = ask("estimate", folder=place, unwanted=unwanted)
            except InputError as error:
                raise InputError(self._folder.relative(str(error), place)) from None
            finally:
                shutil.rmtree(place, ignore_errors=True)
        found.pop("event")
        return {**found, "warnings": warned}
