import hashlib

import cv2
import numpy as np
import pytest

from mlsolve import OptionError
from mlsolve.guides import FAMILIES, PALETTES, canvas, generate, kaleidoscope, palette


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
def test_bands_leave_no_seam(monkeypatch, family):
    """Drawn in one band or in several, all but a few pixels on edges near a seam are the same."""
    banded = generate(family, (60, 700), 5).astype(int)
    monkeypatch.setattr(canvas, "_BAND", 1000)
    difference = np.abs(generate(family, (60, 700), 5) - banded).max(axis=2)
    assert (difference > 0).mean() < 0.005
    assert difference.max() < 64


def test_refusals(rng):
    photo = rng.integers(0, 256, (50, 50, 3)).astype(np.uint8)
    with pytest.raises(OptionError, match="guide family is 'spiral': use rosette, mosaic, kaleidoscope"):
        generate("spiral", (50, 50))
    with pytest.raises(OptionError, match="palette is 'mud': use ember"):
        generate("mosaic", (50, 50), 0, "mud")
    with pytest.raises(OptionError, match="fold is 1: it must be from 2 to 64"):
        kaleidoscope(photo, (50, 50), 0, 1)
