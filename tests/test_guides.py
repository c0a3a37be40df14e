import gc
import hashlib
import sys
import tracemalloc
import weakref
from itertools import islice

import cv2
import numpy as np
import pytest

from mlsolve import OptionError
from mlsolve.guides import FAMILIES, PALETTES, canvas, drawing_bytes, generate, generated, kaleidoscope, palette
from mlsolve.solving.tiles import tiles_of

kaleidoscopes = sys.modules["mlsolve.guides.kaleidoscope"]  # whose name in the package is the function


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(96, 96), (130, 61), (11, 40)])
def test_size_and_determinism(family, size):
    first, again = generate(family, size, 3), generate(family, size, 3)
    assert first.shape == (size[1], size[0], 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)


@pytest.mark.parametrize("family", FAMILIES)
def test_seeds_differ(family):
    pictures = {hashlib.sha256(generate(family, (96, 96), seed, "ink").tobytes()).digest() for seed in range(8)}
    assert len(pictures) == 8


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(6))
def test_there_is_something_to_hold_on_to_everywhere(family, seed):
    """No part of a guide is flat: SSIM has nothing to say about flat parts."""
    grey = generate(family, (240, 240), seed).mean(axis=2)
    blocks = grey.reshape(4, 60, 4, 60).std(axis=(1, 3))
    assert blocks.min() > 4
    assert grey.std() > 20


@pytest.mark.parametrize("name", PALETTES)
def test_a_palette_is_kept_to(name):
    colours = palette(name, 0) * 255
    found = generate("mosaic", (80, 80), 1, name).astype(float)
    assert (found >= colours.min(axis=0) - 1).all()
    assert (found <= colours.max(axis=0) + 1).all()


def test_own_colours():
    found = generate("rosette", (80, 80), 1, "#000000,#ff0000")
    assert not found[..., 1:].any()
    assert found[..., 0].std() > 20


@pytest.mark.parametrize("fold", [2, 3, 4, 6, 8])
def test_kaleidoscope_has_its_symmetry(rng, fold):
    photo = cv2.GaussianBlur(rng.integers(0, 256, (200, 260, 3)).astype(np.uint8), (0, 0), 6)
    photo = cv2.normalize(photo, None, 0, 255, cv2.NORM_MINMAX)
    picture = kaleidoscope(photo, (161, 161), 2, fold)
    turn = cv2.getRotationMatrix2D((80, 80), 360 / fold, 1)
    y, x = np.mgrid[-80:81, -80:81]
    inside = np.hypot(x, y) < 76
    turned = cv2.warpAffine(picture, turn, (161, 161), flags=cv2.INTER_CUBIC)
    other = cv2.warpAffine(picture, cv2.getRotationMatrix2D((80, 80), 180 / fold, 1), (161, 161))

    def difference(a):
        return np.abs(a.astype(float) - picture)[inside].mean()

    assert difference(turned) < 2
    assert difference(other) > 3 * difference(turned)
    assert np.abs(picture[::-1].astype(float) - picture).mean() < 2  # mirrored in the x axis


def test_kaleidoscopes_differ_by_part_of_the_photo(rng):
    photo = rng.integers(0, 256, (100, 100, 3)).astype(np.uint8)
    assert not np.array_equal(kaleidoscope(photo, (50, 50), 0), kaleidoscope(photo, (50, 50), 1))


@pytest.mark.parametrize("family", ["rosette", "mosaic"])
def test_tiles_leave_no_seam(monkeypatch, family):
    """Drawn in one tile or in several, all but a few pixels on edges that are cut are the same."""
    tiled = [generate(family, (600, 700), 5).astype(int)]
    monkeypatch.setattr(canvas, "NARROW", 100)
    tiled.append(generate(family, (600, 700), 5).astype(int))
    monkeypatch.setattr(canvas, "TILE", 1000)
    difference = max(
        (np.abs(picture - generate(family, (600, 700), 5)).max(axis=2) for picture in tiled), key=np.sum
    )
    assert difference.any()
    assert (difference > 0).mean() < 0.02
    assert difference.max() < 64


@pytest.mark.parametrize("family", ["rosette", "mosaic"])
def test_what_is_not_seen_is_not_drawn(monkeypatch, family):
    """Leaving out polygons that are covered, or elsewhere, changes no byte."""
    monkeypatch.setattr(canvas, "TILE", 50)
    monkeypatch.setattr(canvas, "NARROW", 50)
    drawing = generated(family, (333, 401), 2)
    found = drawing.whole()
    tiles = drawing.tiles
    seen = [
        len(tiles._visible(np.array([x, y]) * 4.0, np.array([x, y]) * 4.0 + 200)[1])
        for x, y in [(0, 0), (150, 150)]
    ]
    assert max(seen) < len(tiles.corners) / 4
    monkeypatch.setattr(
        canvas.Tiles, "_visible", lambda self, first, last: (self.background, list(range(len(self.corners))))
    )
    assert np.array_equal(generated(family, (333, 401), 2).whole(), found)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(301, 197), (97, 411), (900, 130)])
@pytest.mark.parametrize("seed", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_regions_are_the_whole_byte_for_byte(monkeypatch, rng, family, size, seed):
    monkeypatch.setattr(canvas, "NARROW", 250)
    monkeypatch.setattr(kaleidoscopes, "BLOCK", 70)
    (width, height), whole = size, generate(family, size, seed)
    for number in range(16):
        if number == 8:
            monkeypatch.setattr(kaleidoscopes, "BLOCK", 512)
        drawing = generated(family, size, seed)
        top, left = int(rng.integers(height)), int(rng.integers(width))
        bottom, right = int(rng.integers(top, height)) + 1, int(rng.integers(left, width)) + 1
        assert np.array_equal(drawing.region(top, bottom, left, right), whole[top:bottom, left:right])


@pytest.mark.parametrize("family", FAMILIES)
def test_regions_of_a_sheet_too_large_to_draw(family):
    """Far inside of 45 gigabytes: regions agree where they overlap, and show what the small picture shows."""
    drawing = generated(family, (150_000, 100_000), 4)
    region = drawing.region(70_003, 70_403, 120_001, 120_501)
    assert region.shape == (400, 500, 3)
    again = generated(family, (150_000, 100_000), 4)
    assert np.array_equal(again.region(70_203, 70_260, 120_101, 120_300), region[200:257, 100:299])
    small = generate(family, (300, 200), 4).astype(int)
    rows, columns = np.arange(4, 200, 16), np.arange(4, 300, 16)
    far = 0
    for row in rows:
        for column in columns:
            y, x = row * 500 + 250, column * 500 + 250
            far += np.abs(drawing.region(y, y + 1, x, x + 1)[0, 0] - small[row, column]).max() > 32
    assert far < 0.15 * rows.size * columns.size  # those on an edge


@pytest.mark.parametrize("side", [128, 512])
@pytest.mark.parametrize(
    "size",
    [
        *((120, 90), (500, 400), (2049, 600)),
        *(pytest.param(size, marks=pytest.mark.slow) for size in ((1500, 1500), (2048, 600), (9000, 900))),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_drawing_takes_no_more_memory_than_it_says(family, size, side):
    """Seed 0 has the rosette of the most and longest polygons among many."""
    said = drawing_bytes(family, size, side)
    tracemalloc.start()
    try:
        drawing = generated(family, size, 0)
        for region in islice(tiles_of(size[::-1], (side, side)), 4):
            drawing.region(*region)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    regions = 3 * min(side, size[0]) * min(side, size[1])
    assert 0.2 * said < peak <= said + regions


@pytest.mark.parametrize("family", FAMILIES)
def test_a_drawing_that_is_done_with_holds_no_memory(family):
    """No cycle keeps it until garbage is looked for, which is seldom."""
    drawing = generated(family, (90, 80), 1)
    drawing.region(0, 80, 0, 90)
    gone = weakref.ref(drawing)
    gc.disable()
    try:
        del drawing
        assert gone() is None
    finally:
        gc.enable()


def test_regions_that_are_not():
    drawing = generated("mosaic", (60, 40))
    for region in [(0, 41, 0, 60), (-1, 5, 0, 5), (5, 5, 0, 5), (0, 5, 0, 61)]:
        with pytest.raises(ValueError, match="the picture is 60×40 pixels"):
            drawing.region(*region)


def test_kaleidoscope_of_a_photo_that_opencv_cannot_take(rng):
    """Sides of 32768 pixels or more, of which the borders show mirrored."""
    strip = rng.integers(0, 256, (40, 1, 3)).astype(np.uint8)
    photo = np.broadcast_to(strip, (40, 40_000, 3))
    picture = kaleidoscope(photo, (400, 30), 1, 5)
    assert picture.std() > 20
    assert set(range(0, 256, 64)) <= set((picture // 64 * 64).ravel().tolist())


def test_refusals(rng):
    photo = rng.integers(0, 256, (50, 50, 3)).astype(np.uint8)
    with pytest.raises(OptionError, match="guide family is 'spiral': use rosette, mosaic, kaleidoscope"):
        generate("spiral", (50, 50))
    with pytest.raises(OptionError, match="palette is 'mud': use ember"):
        generate("mosaic", (50, 50), 0, "mud")
    with pytest.raises(OptionError, match="fold is 1: it must be from 2 to 64"):
        kaleidoscope(photo, (50, 50), 0, 1)
