"""A second light can be added, one that couples planes: on the CPU and in CUDA (tests/ink.py)."""

import os
import subprocess
import sys

import numpy as np
import pytest

from conftest import ROOT, environment
from ink import Reference
from mlsolve_kernels import light
from mlsolve_kernels.light.power.reference import compose
from test_references import central_differences


def test_the_reference_is_differentiated_rightly(rng):
    sheets, slope = rng.random((3, 3, 2, 4)), rng.random((3, 2, 4))
    expected = central_differences(lambda x: (Reference.compose(x, 0.3) * slope).sum(), sheets)
    np.testing.assert_allclose(Reference.compose_gradient(sheets, 0.3, slope), expected, atol=1e-7)
    assert not np.allclose(Reference.compose(sheets, 0.3), compose(sheets, 0.3))


@pytest.mark.slow
@pytest.mark.parametrize("leak", [0.0, 0.8])
def test_a_light_that_couples_planes(tmp_path, leak):
    """In a process and a cache of its own: kernels compiled for it are of no use to others."""
    settings = {
        **environment(),
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path]),
    }
    command = [sys.executable, "-c", f"import ink; ink.check({str(tmp_path)!r}, {leak}); print('right')"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert done.stdout == "right\n", done.stderr[-3000:]


def test_a_light_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="light is 'tar': use power"):
        light.declared("tar")
