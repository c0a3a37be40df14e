"""How the kernels are compiled: no float64, no allocation, no fast-math, and never stale."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import mlsolve_kernels
from conftest import environment

_ITERATE = """
import numpy as np
from mlsolve_kernels.objective import cpu as steps
from mlsolve_kernels.sweep import cpu as sweeps
from mlsolve_kernels.objective.terms import Objective
from mlsolve_kernels.threads import Team
guides = np.random.default_rng(0).random((2, 1, 16, 16))
for path in (steps.StepwiseWorkspace, sweeps.CpuWorkspace):
    work = path(guides[0], guides, Objective(0.5, 3, 10, 1), (0.1, 1), (0.9, 0.99), Team(1))
    work.start(guides)
    work.iterate(0.03)
    print(work.layers.tobytes().hex())
"""

_INSPECT = (
    _ITERATE
    + """
from pathlib import Path
for name in ("product_pass", "target_pass", "layer_pass", "adam_pass", "sweep"):
    (code,) = getattr(sweeps if name == "sweep" else steps, name).inspect_llvm().values()
    Path(name + ".ll").write_text(code)
"""
)

PASSES = ("product_pass", "target_pass", "layer_pass", "adam_pass", "sweep")
"""The loops of an iteration; all else is linked into these."""


def run(script, folder, **variables):
    """Run `script` in a process of its own whose compiled kernels go into `folder`; return what it prints."""
    settings = {**environment(), "NUMBA_CACHE_DIR": str(folder / "cache"), **variables}
    done = subprocess.run(
        [sys.executable, "-c", script], env=settings, capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The folder with the code of every pass, compiled afresh: Numba cannot show code from its cache."""
    folder = tmp_path_factory.mktemp("compiled")
    run(_INSPECT, folder)
    return folder


@pytest.mark.parametrize("name", PASSES)
def test_no_float64_no_allocation_no_fast_math(compiled, name):
    code = (compiled / f"{name}.ll").read_text()
    assert re.search(r"= fmul <16 x float>", code), "the loops are not vectors"
    # fptrunc is left out: it takes a Python float apart at the door.
    assert not re.findall(r"= f(?:add|sub|mul|div|neg|pext|cmp)\b[^\n]*\bdouble\b[^\n]*", code)
    assert "NRT_Allocate" not in code
    assert not re.findall(r"= f(?:add|sub|mul|div|neg) (?:fast|reassoc|nnan|ninf|nsz|arcp|contract|afn)", code)


@pytest.mark.parametrize("name", ["target_pass", "layer_pass", "sweep"])
def test_blurs_are_vectors_of_multiply_adds(compiled, name):
    assert re.search(r"call <16 x float> @llvm\.fma", (compiled / f"{name}.ll").read_text())


@pytest.mark.parametrize("name", PASSES)
def test_references_are_counted_at_the_door_only(compiled, name):
    """Threads that count references to the same arrays wait for each other: within, there are but Rows."""
    code = (compiled / f"{name}.ll").read_text()
    bodies = re.findall(r"^define[^\n]*\{\n.*?^\}", code, re.M | re.S)
    assert len(bodies) > 3
    for body in bodies:
        function = re.search(r"@(\S+?)\(", body).group(1)
        if re.search(r"call void @NRT_", body):
            assert f"{name}B" in function or function.startswith("NRT_")


def test_a_changed_constant_is_never_served_from_the_cache(tmp_path):
    """Numba alone would not notice a change in a file whose functions were inlined elsewhere."""
    package = tmp_path / "mlsolve_kernels"
    for source in Path(mlsolve_kernels.__file__).parent.rglob("*.py"):
        copy = package / source.relative_to(Path(mlsolve_kernels.__file__).parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())

    def iterate():
        return run(_ITERATE, tmp_path, PYTHONPATH=str(tmp_path))

    before = iterate()
    partials = package / "ssim" / "partials.py"
    text = partials.read_text()
    assert "(covariance + covariance)" in text
    partials.write_text(text.replace("(covariance + covariance)", "(covariance - covariance)"))
    assert iterate() != before
    partials.write_text(text)
    assert iterate() == before
