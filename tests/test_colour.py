import numpy as np
import pytest

import mlsolve
from mlsolve.pictures.colour import (
    decode,
    encode,
    exposure_scale,
    light_from_srgb,
    printable_range,
    srgb_from_light,
)


def test_srgb_curve_at_known_points():
    # IEC 61966-2-1: the linear part, the joint, middle grey.
    np.testing.assert_allclose(
        light_from_srgb(np.array([0.0, 0.02, 0.5, 1.0])), [0, 0.0015480, 0.2140411, 1], atol=1e-7
    )
    np.testing.assert_allclose(
        srgb_from_light(np.array([0.0, 0.002, 0.2140411, 1.0])), [0, 0.02584, 0.5, 1], atol=1e-6
    )


def test_every_code_value_comes_back():
    codes = np.arange(65536, dtype=np.float32) / np.float32(65535)
    assert np.abs(decode(encode(codes)) - codes).max() < 1e-6
    assert encode(codes).dtype == decode(codes).dtype == np.float32


def test_encoding_commutes_with_the_product():
    a, b = np.float32([0.2, 0.6]), np.float32([0.9, 0.5])
    through = light_from_srgb(a) * light_from_srgb(b)
    np.testing.assert_allclose((encode(a) * encode(b)) ** 2.2, through, rtol=1e-5)


def test_density_limits():
    low, high = printable_range(0.1, 2.5)
    assert low**2.2 == pytest.approx(10**-2.5)
    assert high**2.2 == pytest.approx(10**-0.1)
    assert exposure_scale(0.1) == pytest.approx(0.351119, abs=1e-6)


def test_compose_multiplies_light():
    layers = np.full((2, 12, 13), 0.5, dtype=np.float32)
    light = light_from_srgb(np.float64(0.5)) ** 2
    stack = mlsolve.compose(layers, 0.25)
    assert stack.shape == (12, 13, 1)
    np.testing.assert_allclose(stack, srgb_from_light(light / 0.25), atol=1e-6)
    assert mlsolve.compose(layers, 0.01).max() == pytest.approx(1, abs=1e-6)


def test_compose_takes_grey_among_colour():
    grey, colour = np.full((12, 12), 255, np.uint8), np.full((12, 12, 3), 100, np.uint8)
    np.testing.assert_allclose(mlsolve.compose([grey, colour]), 100 / 255, atol=1e-6)


def test_compose_refuses():
    with pytest.raises(mlsolve.OptionError, match="exposure is 0"):
        mlsolve.compose(np.ones((1, 12, 12)), 0.0)
    with pytest.raises(mlsolve.InputError, match="layer 2 is 13×12, layer 1 is 12×12"):
        mlsolve.compose([np.ones((12, 12)), np.ones((12, 13))])
    with pytest.raises(mlsolve.InputError, match="there is no layer"):
        mlsolve.compose([])
