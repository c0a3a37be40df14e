"""Code values of transmittance, and what PNG and TIFF make of them before they compress it."""

import zlib
from itertools import pairwise

import numpy as np
import pytest

from mlsolve.pictures.code_steps import code_steps
from mlsolve.pictures.colour import decode
from mlsolve.pictures.writers.deflating import joined_adler
from mlsolve_kernels.codes import cpu, reference


def written(values, bits):
    out = np.full((*values.shape, 2), 7, np.uint8 if bits == 8 else np.uint16)
    code_steps(bits).write(values, out, 1)
    assert (out[..., 0] == 7).all()
    return out[..., 1]


def formula(values, bits):
    return np.rint(decode(values) * np.float32(2**bits - 1)).astype(np.int64)


@pytest.mark.parametrize("bits", [8, 16])
def test_codes_are_the_formulas(rng, bits):
    """All floats around each step, and a sample of the others."""
    steps, reach = code_steps(bits), 3000 if bits == 8 else 24
    first = np.unique(steps.steps[np.isfinite(steps.steps)]).view(np.uint32).astype(np.int64)
    assert len(first) == 2**bits - 1
    for part in np.array_split(first, 16):
        around = np.clip(part[:, np.newaxis] + np.arange(-reach, reach), 0, np.float32(1).view(np.uint32))
        values = around.astype(np.uint32).view(np.float32)
        np.testing.assert_array_equal(written(values, bits), formula(values, bits))
    values = rng.random((1000, 1000), dtype=np.float32)
    values[::2] **= 8
    np.testing.assert_array_equal(written(values, bits), formula(values, bits))


@pytest.mark.parametrize("bits", [8, 16])
def test_codes_of_odd_values(bits):
    values = np.array([[-1, -0.0, 0, 1e-45, 1e-30, 0.99999994, 1, 1.0000001, 2, 1e38, np.inf, -np.inf, np.nan]])
    highest = 2**bits - 1
    expected = [0, 0, 0, 0, 0, *[highest] * 6, 0, 0]
    np.testing.assert_array_equal(written(values.astype(np.float32), bits)[0], expected)


def test_codes_of_any_steps(rng):
    first = np.array([0.1, 0.3, 0.55, 1.0], np.float32)
    floors = np.searchsorted(first, np.arange(9) / 8, side="right")
    values, out = rng.random((5, 40), dtype=np.float32), np.zeros((5, 40, 1), np.uint8)
    values[0, :4] = first
    cpu.to_codes(values, floors.astype(np.uint16), np.append(first, np.float32(np.inf))[floors], out, 0)
    np.testing.assert_array_equal(out[..., 0], reference.to_codes(values, first))


def smooth(rng, height, length):
    """Bytes among which all three neighbours are the nearest at times, and ties are common."""
    return (np.cumsum(rng.integers(-2, 3, (height, length)), axis=1) + rng.integers(0, 256)).astype(np.uint8)


@pytest.mark.parametrize("pixel", [1, 2, 3, 6])
@pytest.mark.parametrize("columns", [1, 2, 37])
def test_filters(rng, pixel, columns):
    for codes in (smooth(rng, 9, columns * pixel), rng.integers(0, 256, (9, columns * pixel)).astype(np.uint8)):
        out = np.empty((8, 1 + columns * pixel), np.uint8)
        repeats = cpu.filtered(codes[1:], codes[0], cpu.PAETH, pixel, out)
        np.testing.assert_array_equal(out, reference.filtered(codes[1:], codes[0], pixel))
        assert repeats == reference.repeats(out)
        cpu.filtered(codes[1:], np.zeros_like(codes[0]), cpu.SUB, pixel, out)
        np.testing.assert_array_equal(out, reference.filtered(codes[1:], None, pixel))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("planes", [1, 3])
def test_tiles(rng, planes, kind):
    codes = rng.integers(0, np.iinfo(kind).max + 1, (11, 19, planes)).astype(kind)
    for start in (0, 8, 16):
        tile = np.empty((16, 8 * planes), kind)
        cpu.differences(codes.reshape(11, -1), start * planes, planes, tile)
        part = codes[:, start : start + 8]
        padded = np.pad(part, ((0, 5), (0, 8 - part.shape[1]), (0, 0)), mode="edge")
        np.testing.assert_array_equal(np.cumsum(tile.reshape(16, 8, planes), axis=1, dtype=kind), padded)
        if planes == 1:
            expected = np.diff(padded.astype(int), axis=1, prepend=0).astype(kind)
            np.testing.assert_array_equal(tile[..., np.newaxis], expected)
    np.testing.assert_array_equal(
        reference.differences(codes[:, 16:], 16)[:, :8].reshape(16, -1)[:, : 8 * planes], tile
    )


def test_repeats(rng):
    data = rng.integers(0, 2, (7, 50)).astype(np.uint8)
    assert cpu.repeats(data) == reference.repeats(data) > 0
    assert cpu.repeats(np.zeros((2, 3), np.uint8)) == 0
    assert cpu.repeats(np.zeros((2, 300000), np.uint8)) == 2 * 299997


def test_checksums_are_joined(rng):
    data = rng.integers(0, 256, 70000).astype(np.uint8).tobytes() + b"\xff" * 200000
    for cuts in ([], [0], [1, 1, 2], [65521, 65522], sorted(rng.integers(0, len(data), 20).tolist())):
        ends = [0, *cuts, len(data)]
        parts = [data[a:b] for a, b in pairwise(ends)]
        assert joined_adler((zlib.adler32(part), len(part)) for part in parts) == zlib.adler32(data)
    assert joined_adler([]) == 1
