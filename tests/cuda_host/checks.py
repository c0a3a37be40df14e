"""What is asked of the CUDA kernels, on the host and on a GPU alike."""

import itertools
from contextlib import contextmanager

import numpy as np
import pytest

from mlsolve_kernels.cuda.geometry import OWN, THREADS, Grid, grid_for, pitch_of
from mlsolve_kernels.iteration import cuda_state, reference
from mlsolve_kernels.iteration.cuda import CudaWorkspace
from mlsolve_kernels.iteration.objective import one_stack

OBJECTIVE = one_stack(0.1 ** (1 / 2.2), 3.0, 10.0, 0.7)
BOUNDS = (0.073, 1.0)
BETAS = (0.8, 0.95)

# Layers, planes, height, width: smaller than the window, just as large; one pixel more and less than a strip,
# two strips and a bit, an odd width, widths without padding (32, 64); 1 and 3 planes; 1 to 16 layers.
CASES = [
    (1, 1, 1, 1),
    (3, 1, 1, 40),
    (3, 1, 40, 1),
    (2, 3, 11, 11),
    (3, 3, 37, 29),
    (2, 1, 12, OWN),
    (2, 1, 13, OWN + 1),
    (3, 1, 9, 2 * OWN + 5),
    (4, 1, 9, 32),
    (5, 3, 6, 64),
    (16, 1, 14, 21),
]

MODES = list(itertools.product((False, True), (False, True)))
"""Whether threads run in reverse order, and whether asynchronous copies happen at once (HostDevice)."""

FORMS = list(itertools.product((90, 80), (True, False)))
"""The chip, on which rows are fetched two steps or one before their use, and whether the layer pass takes Adam's
step. The first form is the one that HostDevice has by itself."""


def problem(rng, count, planes, height, width):
    """Target, guides and layers of noise, dark in the right half, where SSIM's constants count."""
    shape = (count, planes, height, width)
    light = np.where(np.arange(width) < width / 2, 1.0, 0.02)
    target, guides = rng.random(shape[1:]) * light, rng.random(shape) * light
    layers = 0.1 + 0.9 * rng.random(shape) * light
    return tuple(array.astype(np.float32) for array in (target, guides, layers))


def workspace(target, guides, layers, device):
    work = CudaWorkspace(target, guides, OBJECTIVE, BOUNDS, BETAS, device)
    work.start(layers)
    return work


@contextmanager
def pieces_of(rows):
    """Let marching kernels of workspaces that are made now work on pieces of so many rows; None: as they choose."""

    def grid(planes, height, width, resident):
        return Grid(planes, -(-width // OWN), -(-height // rows), rows)

    with pytest.MonkeyPatch.context() as patch:
        if rows is not None:
            patch.setattr(cuda_state, "grid_for", grid)
        yield


def state_of(work):
    """Layers and moments, (3, N, C, H, W)."""
    found = np.empty((3, *work.shape), dtype=np.float32)
    for k, plane in np.ndindex(work.shape[:2]):
        work.take_layer(k, plane, found[0, k, plane])
        for moment in (0, 1):
            work.take_moment(moment, k, plane, found[1 + moment, k, plane])
    return found


def assert_padding_is_zero(work):
    """Of layers, moments and pictures. Nobody is given it: it has to be looked at.

    Only the side where the layers are not may have something there, a gradient, in the column behind the last.
    """
    for array in (work._layers, work._first, work._second, work._target[0], work._guides[0]):
        assert not array[..., work.shape.width :].any()


def statistics_by(device, image):
    """The mean and the variance of `image` (C, H, W) by the CUDA kernel."""
    planes, height, width = image.shape
    pitch, grid = pitch_of(width), grid_for(planes, height, width, device.resident("statistics", 1, THREADS))
    arrays = [device.zeros(planes, height, pitch) for _ in range(3)]
    device.upload(image, arrays[0])
    blocks = grid.planes, grid.strips, grid.pieces
    device.launch("statistics", 1, blocks, THREADS, *arrays, height, width, pitch, grid.rows)
    return [device.download(array, width) for array in arrays[1:]]


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def assert_right(work, target, guides, layers):
    """Assert that terms and gradient at `layers` are those of the float64 reference."""
    found, expected = work.evaluate(), reference.terms(layers, target, guides, OBJECTIVE)
    rounded = 2e-6 + 2.0**-19  # and every pixel to 2^-18
    np.testing.assert_allclose(found["stack_ssim"], expected["stack_ssim"], atol=rounded)
    np.testing.assert_allclose(found["stack_mse"], expected["stack_mse"], rtol=2e-6, atol=2.0**-31)
    np.testing.assert_allclose(found["guide_ssim"], expected["guide_ssim"], atol=rounded)
    assert relative_error(work.gradient, reference.gradient(layers, target, guides, OBJECTIVE)) < 1e-5
