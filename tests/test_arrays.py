import numpy as np
import pytest

from mlsolve.errors import InputError
from mlsolve.pictures.arrays import as_image, code_values, same_planes


@pytest.mark.parametrize(
    ("array", "value", "planes"),
    [
        (np.full((12, 13), 51, np.uint8), 0.2, 1),
        (np.full((12, 13, 1), 0.2, np.float64), 0.2, 1),
        (np.full((12, 13, 3), 13107, np.uint16), 0.2, 3),
        (np.full((12, 13, 3), 0.2, np.float32), 0.2, 3),
        (np.full((12, 13, 3), 0.2, np.float16), 0.2, 3),
    ],
)
def test_forms(array, value, planes):
    image = as_image(array, "target")
    assert image.shape == (12, 13, planes)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, value, atol=1e-3)


def test_a_hair_beyond_the_range_is_cut():
    """Resampling leaves values like these, and the power of a negative number is NaN."""
    array = np.full((12, 12), 0.5)
    array[0, 0], array[0, 1] = -5e-7, 1 + 5e-7
    image = as_image(array, "target")
    assert image.min() == 0
    assert image.max() == 1


@pytest.mark.parametrize("kind", [">u2", "<u2", ">f4", ">f8"])
def test_any_byte_order(kind):
    full = 65535 if "u" in kind else 1
    image = as_image((np.full((12, 12), 0.2) * full).astype(kind), "target")
    np.testing.assert_allclose(image, 0.2, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_alpha_is_laid_over_white(dtype):
    top = 1 if dtype == np.float64 else np.iinfo(dtype).max
    array = np.zeros((12, 12, 4), dtype)
    array[..., 0], array[..., 3] = top, np.linspace(0, top, 12).astype(dtype)
    image = as_image(array, "target")
    np.testing.assert_allclose(image[..., 0], 1, atol=1e-6)
    np.testing.assert_allclose(image[0, :, 1], 1 - array[0, :, 3] / top, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((10, 40)), "target is 40×10 pixels: the shorter side must be 11 or more"),
        (np.zeros((12, 12, 5)), "has shape"),
        (np.zeros(12), "has shape"),
        (np.zeros((12, 12), np.int64), "is of type int64: give uint8, uint16 or float"),
        (np.zeros((12, 12), bool), "is of type bool"),
        ([[0.1, 0.2], [0.3]], "is not an array of numbers"),
        (np.full((12, 12), 128.0), "from 128 to 128: float pictures must be in"),
        (np.full((12, 12), -0.1), "from -0.1 to -0.1"),
        (np.full((12, 12), np.nan), "contains NaN or infinite values"),
        (np.full((12, 12), np.inf), "contains NaN or infinite values"),
    ],
)
def test_refusals(array, words):
    with pytest.raises(InputError, match=r"^target ") as error:
        as_image(array, "target")
    assert words in str(error.value)


def test_grey_among_colour_is_spread():
    grey, colour = same_planes([np.full((12, 12), 0.5), np.full((12, 12, 3), 0.5)], "layer")
    assert grey.shape == colour.shape == (12, 12, 3)
    alone = same_planes([np.full((12, 12), 0.5)], "layer")
    assert alone[0].shape == (12, 12, 1)


def test_code_values_are_rounded():
    image = np.full((11, 11, 1), 100.6 / 255, np.float32)
    assert (code_values(image) == 101).all()
    assert code_values(image).shape == (11, 11, 3)
