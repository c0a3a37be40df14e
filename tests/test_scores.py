import math

import numpy as np
import pytest

import mlsolve
from mlsolve_kernels.ssim.reference import ssim_map
from oracle import mean_ssim


def test_ssim_against_the_oracle(picture):
    x, y = picture(30, 23, 0), picture(30, 23, 1)
    expected = mean_ssim(np.moveaxis(x, -1, 0), np.moveaxis(y, -1, 0))
    assert mlsolve.ssim(x, y) == pytest.approx(expected, abs=1e-6)
    assert mlsolve.ssim(x, x) == pytest.approx(1, abs=1e-6)


def test_ssim_against_scikit_image():
    # structural_similarity(x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    # data_range=1, full=True) of scikit-image 0.26, its map's middle 40×40, where borders play no part.
    y, x = np.mgrid[0:60, 0:60]
    first = 0.5 + 0.4 * np.sin(x / 5) * np.cos(y / 7)
    second = 0.5 + 0.3 * np.sin(x / 5 + 0.4) * np.cos(y / 6)
    assert ssim_map(first, second)[10:50, 10:50].mean() == pytest.approx(0.622198389, abs=1e-7)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_ssim_of_flat_pictures(level):
    flat = np.full((40, 40), level)
    assert mlsolve.ssim(flat, flat) == pytest.approx(1, abs=1e-6)


def test_psnr():
    x = np.full((12, 12), 0.5)
    assert mlsolve.psnr(x, x) == math.inf
    assert mlsolve.psnr(x, x + 0.1) == pytest.approx(20, abs=1e-4)


def test_refusals():
    with pytest.raises(mlsolve.InputError, match="the first picture is 12×12, the second is 13×12"):
        mlsolve.ssim(np.zeros((12, 12)), np.zeros((12, 13)))
    with pytest.raises(mlsolve.InputError, match="1 layers and 2 guides"):
        mlsolve.score(np.zeros((1, 12, 12)), np.zeros((12, 12)), np.zeros((2, 12, 12)), 1.0)
