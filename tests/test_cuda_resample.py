"""Layers put at the size of the coarser level: the CUDA kernel on the host gives the bytes of the CPU."""

import numpy as np

from cuda_host.checks import BETAS, BOUNDS, OBJECTIVE
from cuda_host.device import HostDevice, needs_compiler
from mlsolve_kernels.cuda.geometry import TILE
from mlsolve_kernels.iteration.cuda import CudaWorkspace
from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.resample.cpu import cubic_taps, resample, span
from planted_faults import Fault, assert_noticed, each

pytestmark = needs_compiler

# Height and width of the coarser level and of this one, and the rows of the bands: fewer samples than taps, odd
# sides, a square with a pixel less and more.
CASES = [
    ((1, 1), (1, 1), [(0, 1)]),
    ((1, 2), (2, 3), [(0, 2)]),
    ((3, 40), (5, 80), [(0, 4), (4, 5)]),
    ((TILE // 2, 18), (TILE - 1, TILE + 1), [(0, TILE - 1)]),
    ((45, 35), (90, 70), [(0, 1), (1, TILE + 2), (TILE + 2, 90)]),
]


def assert_resampled_right(rng, device):
    """Every band of two layers, and their moments; the other rows and layers stay as they were."""
    low, high = (np.float32(bound) for bound in BOUNDS)
    for coarse, fine, bands in CASES:
        work = CudaWorkspace.blank(Shape(3, 1, *fine), OBJECTIVE, BOUNDS, BETAS, device)
        before = rng.uniform(0.1, 1, (3, 3, *fine)).astype(np.float32)  # layers and both moments
        for layer in range(3):
            work.put_layer(layer, 0, before[0, layer], (before[1, layer], before[2, layer]))
        whole = rng.uniform(-0.2, 1.3, (2, *coarse)).astype(np.float32)
        columns = cubic_taps(coarse[1], fine[1], 0, fine[1], factor=0.5)
        for top, bottom in bands:
            rows = cubic_taps(coarse[0], fine[0], top, bottom, factor=0.5)
            first, last = span(rows)
            relative = rows._replace(first=rows.first - first)
            for layer, picture in enumerate(whole):
                source = picture[first:last]
                work.put_resampled(layer, 0, source, relative, columns, top)
                part = resample(source[np.newaxis], (first, 0), rows, columns)[0]
                before[:, layer, top:bottom] = np.clip(part, low, high), 0 * part, 0 * part
                np.testing.assert_array_equal(state_of(work), before)
        assert not device.download(work._layers)[..., fine[1] :].any(), "padding"
    assert getattr(device, "intact", lambda: True)()  # a GPU cannot tell


def state_of(work):
    """Layers and moments, (3, N, H, W)."""
    found = np.empty((3, work.shape.layers, *work.shape[2:]), dtype=np.float32)
    for layer in range(work.shape.layers):
        work.take_layer(layer, 0, found[0, layer])
        for moment in (0, 1):
            work.take_moment(moment, layer, 0, found[1 + moment, layer])
    return found


def check(rng, folder, edits):
    """Raise AssertionError where the kernel is not right, threads in order or in reverse."""
    for reverse in (False, True):
        assert_resampled_right(rng, HostDevice(folder, reverse=reverse, edits=edits))


def test_the_kernel_gives_the_bytes_of_the_cpu(rng, folder):
    check(rng, folder, {})


def test_taps_are_uploaded_once_for_all_planes(rng, folder, monkeypatch):
    device, up = HostDevice(folder), []
    work, upload = CudaWorkspace.blank(Shape(2, 1, 20, 30), OBJECTIVE, BOUNDS, BETAS, device), device.upload

    def uploaded(host, to):
        up.append(host.size)
        upload(host, to)

    monkeypatch.setattr(device, "upload", uploaded)
    rows, columns = (cubic_taps(side, 2 * side, 0, 2 * side, factor=0.5) for side in (10, 15))
    for _ in range(2):
        work.put_resampled(1, 0, rng.random((10, 15), dtype=np.float32), rows, columns)
    assert sorted(up) == sorted([20, 4 * 20, 30, 4 * 30, 150, 150])


FAULTS = [
    Fault(
        "the last tap for the first",
        "resample",
        "by_column[0] * from[0]",
        "by_column[across - 1] * from[across - 1]",
    ),
    Fault(
        "across contracted", "resample", "sum += by_column[m] * from[m]", "sum = fmaf(by_column[m], from[m], sum)"
    ),
    Fault("down contracted", "resample", "value + by_row[k] * sum", "fmaf(by_row[k], sum, value)"),
    Fault("a tap left out", "resample", "m < across", "m < across - 1"),
    Fault("a row left out", "resample", "k < down;", "k < down - 1;"),
    Fault("weights of another row", "resample", "(size_t)row * down", "(size_t)row * across"),
    Fault("too dark", "resample", "value < low ? low : value", "value < 0.0f ? 0.0f : value"),
    Fault("too light", "resample", "value > high ? high : value", "value"),
    Fault("a column of the padding", "resample", "column >= width", "column > width"),
    Fault("a row below the last", "resample", "row >= height", "row > height"),
    Fault("rows without their padding", "resample", "(size_t)row * pitch", "(size_t)row * width"),
]


@each(FAULTS)
def test_planted_faults_are_caught(rng, folder, fault):
    assert_noticed(fault, lambda edits: check(rng, folder, edits))
