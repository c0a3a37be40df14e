"""Tasks for tests of executors: plain functions in a file that other processes can import."""

import os
import signal
import time
import uuid
from pathlib import Path

from mlsolve.errors import StoreError
from mlsolve.solving.executors.resources import current


def square(folder: Path, number: int) -> int:
    """Leave a file for this call, and return the square."""
    (folder / f"{number}-{uuid.uuid4()}").touch()
    return number * number


def fail_at(folder: Path, number: int, failing: int, workers: int) -> None:
    """Leave a file when it begins and one when it ends; one call raises an error while another is under way."""
    (folder / f"began-{number}").touch()
    if workers > 1 and number in (failing - 1, failing):
        wait_for(folder / f"began-{2 * failing - 1 - number}")
    if number == failing:
        raise StoreError("the store is damaged: delete it")
    if number >= failing - 1:
        time.sleep(0.1)
    (folder / f"ended-{number}").touch()


def meet(folder: Path, number: int, others: int) -> int:
    """Wait until so many tasks are under way, this one included; return who carries it out."""
    (folder / f"met-{number}").touch()
    for other in range(number - number % others, number - number % others + others):
        wait_for(folder / f"met-{other}")
    return os.getpid()


def wait_for(path: Path) -> None:
    """Wait until `path` is there; fail if it never comes."""
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.005)


def kill_at(folder: Path, number: int, killed: int) -> int:
    """Kill this process at one of the calls, while another is under way that does not end."""
    (folder / f"began-{number}-{os.getpid()}").touch()
    if number < killed:
        return number
    if number == killed:
        wait_for(folder / "waits")
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / "waits").touch()
    time.sleep(600)
    return number


def interrupt() -> bool:
    """Have this process sent what Ctrl-C sends to all of a terminal."""
    os.kill(os.getpid(), signal.SIGINT)
    return True


def threads() -> int:
    """Return how many threads the backend has that tasks are given here."""
    return current().backend.team.workers


def backend_of(folder: Path, number: int) -> int:
    """Return which backend this task is given, once two tasks are under way."""
    meet(folder, number, 2)
    return id(current().backend)


def backend_of_one() -> int:
    """Return which backend this thread has."""
    return id(current().backend)
