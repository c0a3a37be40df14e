"""Faults planted into the sources of the kernels: whoever checks the kernels must notice every one of them.

A test file lists its faults and has a check that raises AssertionError where kernels are not right:

    FAULTS = [Fault("guide weight", "layer_pass", "fmaf(-guide_weight,", "fmaf(-2.0f * guide_weight,"), …]

    @each(FAULTS)
    def test_planted_faults_are_caught(folder, fault):
        assert_noticed(fault, lambda edits: check(HostDevice(folder, edits=edits)))

    def test_nothing_is_caught_in_what_is_right(folder):
        check(HostDevice(folder))

The check must pass where nothing is planted, or a fault would prove nothing: every file has that test as well.
A fault that no longer fits its source, or does not compile, is an error and does not count as noticed.
"""

import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import mlsolve_kernels
from mlsolve_kernels import compiled

PACKAGE = Path(mlsolve_kernels.__file__).parent

Edits = dict[str, Callable[[str], str]]
"""What becomes of the text of kernels, by their names, before they are compiled."""


class FaultError(Exception):
    """A fault that cannot be planted. No AssertionError, which would count as noticed."""


class Fault(NamedTuple):
    """Text of a source and what it becomes."""

    why: str
    """What is wrong then."""
    where: str
    """A CUDA kernel, by its name, or a Python file, by its path in mlsolve_kernels."""
    text: str
    """What stands there exactly once."""
    replacement: str

    def planted(self, text: str) -> str:
        """Return the source `text` with the fault in it; raises FaultError."""
        found = text.count(self.text)
        if found != 1:
            raise FaultError(
                f"{self.why!r}: {self.text!r} is {found} times in {self.where}, and must be there once"
            )
        if self.replacement == self.text:
            raise FaultError(f"{self.why!r} changes nothing")
        return text.replace(self.text, self.replacement)

    @property
    def edits(self) -> Edits:
        """How a CUDA kernel gets the fault (HostDevice)."""
        return {self.where: self.planted}


def each(faults: Iterable[Fault]) -> Any:
    """Return the mark that runs a test for each of `faults`, its argument `fault`. Builds are slow."""
    marked = [pytest.param(fault, id=fault.why, marks=pytest.mark.slow) for fault in faults]
    assert len({fault.id for fault in marked}) == len(marked)
    return pytest.mark.parametrize("fault", marked)


def assert_noticed(fault: Fault, check: Callable[[Edits], None]) -> None:
    """Assert that `check`, given the edits of a CUDA kernel, raises AssertionError."""
    try:
        check(fault.edits)
    except AssertionError:
        return
    pytest.fail(f"nobody notices {fault.why!r} in {fault.where}")


def module_with(fault: Fault) -> types.ModuleType:
    """Return the Python module of the kernels that the fault is in, as a module of its own that has the fault."""
    path = PACKAGE / fault.where
    name = ".".join((mlsolve_kernels.__name__, *Path(fault.where).with_suffix("").parts))
    module = types.ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    code = compile(fault.planted(path.read_text(encoding="utf-8")), "<planted>", "exec")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "cache_folder", lambda: None)  # Numba keeps what comes from a file, and no other
        exec(code, vars(module))
    return module


def package_in(folder: Path, fault: Fault | None = None) -> None:
    """Put the Python files of the package of the kernels, with the fault in them, into `folder`."""
    for path in PACKAGE.rglob("*.py"):
        copy = folder / PACKAGE.name / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8")
        inside = fault is not None and fault.where == path.relative_to(PACKAGE).as_posix()
        copy.write_text(fault.planted(text) if fault is not None and inside else text, encoding="utf-8")
