"""Kernels under g++'s sanitizers of addresses and bounds, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, environment


def run_sanitized(script, folder, fault=None, **values):
    """Run `script` with the sanitizers loaded; it must print "clean" or, with a fault, be ended by one of them.

    script: Python text with {tests}, {folder} and {edits} in it, and the names in `values`.
    """
    edits = {} if fault is None else f"{fault!r}.edits"
    script = script.format(tests=str(ROOT / "tests"), folder=str(folder), edits=edits, **values)
    libraries = [
        subprocess.run(
            ["g++", f"-print-file-name={name}.so"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan", "libubsan")
    ]
    if not all(Path(library).exists() for library in libraries):
        pytest.skip("needs g++'s address sanitizer: install libasan")
    settings = {
        **environment(),
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path]),
    }
    done = subprocess.run([sys.executable, "-c", script], env=settings, capture_output=True, text=True, check=False)
    if fault is None:
        assert done.returncode == 0, done.stderr[-4000:]
        assert done.stdout == "clean\n"
    else:
        assert done.returncode != 0
        assert "AddressSanitizer" in done.stderr or "runtime error" in done.stderr, done.stderr[-2000:]
