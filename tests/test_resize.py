import numpy as np
import pytest

from mlsolve import InputError, OptionError
from mlsolve.pictures.colour import light_from_srgb
from mlsolve.pictures.resize import Geometry, double, fit_geometry, fit_image, halve, resize
from mlsolve.solving.pyramid import level_shapes


def marked(height, width):
    """A picture whose red tells the column and whose green tells the row."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([x / (width - 1), y / (height - 1), np.zeros_like(x)], axis=-1)


def test_cover_cuts_the_middle_out():
    fitted = fit_image(marked(40, 80), (40, 40), "cover")
    assert fitted.shape == (40, 40, 3)
    np.testing.assert_allclose(fitted, marked(40, 80)[:, 20:60], atol=1e-6)


def test_contain_shows_all_on_white():
    fitted = fit_image(marked(40, 80), (40, 40), "contain")
    assert (fitted[:10] == 1).all()
    assert (fitted[-10:] == 1).all()
    assert fitted[10:30, 0, 0].max() < 0.1
    assert fitted[10:30, -1, 0].min() > 0.9


def test_stretch_changes_proportions():
    fitted = fit_image(marked(40, 80), (40, 40), "stretch")
    assert fitted[:, 0, 0].max() < 0.1
    assert fitted[:, -1, 0].min() > 0.9
    assert fitted[0, :, 1].max() < 0.1


def test_unknown_fit():
    with pytest.raises(OptionError, match="fit is 'fill': use cover, contain or stretch"):
        fit_image(marked(40, 80), (80, 40), "fill")


@pytest.mark.parametrize("size", [(0, 30), (30.0, 30), (-1, 5)])
def test_impossible_sizes(size):
    with pytest.raises(OptionError, match=r"size is \("):
        fit_image(marked(40, 80), size)


def test_same_size_is_untouched():
    picture = marked(40, 80)
    np.testing.assert_array_equal(fit_image(picture, (80, 40)), picture)


def test_pictures_as_users_hold_them():
    codes = np.rint(marked(40, 80) * 255).astype(np.uint8)
    expected = fit_image(codes / 255, (40, 20))
    np.testing.assert_allclose(fit_image(codes, (40, 20)), expected, atol=1e-6)
    np.testing.assert_allclose(fit_image(codes.astype(np.uint16) * 257, (40, 20)), expected, atol=1e-6)
    assert fit_image(codes[..., 0], (40, 20)).shape == (20, 40, 1)
    with pytest.raises(InputError, match="picture contains values from"):
        fit_image(codes.astype(float), (40, 20))


def test_smaller_averages_light():
    checks = np.indices((40, 40)).sum(axis=0)[..., np.newaxis].astype(np.float32) % 2
    small = resize(checks, (20, 20))
    np.testing.assert_allclose(light_from_srgb(small), 0.5, atol=1e-5)
    assert small.shape == (20, 20, 1)


def test_larger_stays_in_range():
    edge = np.zeros((20, 20, 3), np.float32)
    edge[:, 10:] = 1
    large = resize(edge, (60, 60))
    assert large.min() == 0
    assert large.max() == 1


def test_levels_of_planes():
    planes = np.full((2, 3, 21, 33), 0.4, np.float32)
    assert halve(planes, (11, 17)).shape == (2, 3, 11, 17)
    np.testing.assert_allclose(double(halve(planes, (11, 17)), (21, 33)), 0.4, atol=1e-6)


def test_an_odd_side_is_halved_by_two(rng):
    planes = rng.random((2, 21, 33), np.float32)
    half = halve(planes, (11, 17))
    np.testing.assert_allclose(half[:, 3, 5], planes[:, 6:8, 10:12].mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(half[:, -1, 5], planes[:, -1, 10:12].mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(half[:, -1, -1], planes[:, -1, -1])


def test_doubling_is_cut_off(rng):
    planes = rng.random((2, 20, 20), np.float32)
    np.testing.assert_array_equal(double(planes, (39, 39)), double(planes, (40, 40))[:, :39, :39])
    ramp = np.arange(20, dtype=np.float32)[np.newaxis] + np.zeros((20, 1), np.float32)
    at = (np.arange(39) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(double(ramp, (39, 39))[9, 4:-4], at[4:-4], atol=0.05)  # nothing drifts


def test_geometry():
    assert fit_geometry((80, 40), (40, 40)) == Geometry((20, 0, 40, 40), (0, 0, 40, 40))
    assert fit_geometry((80, 40), (40, 40)).identity
    assert fit_geometry((80, 40), (41, 41), "contain") == Geometry((0, 0, 80, 40), (0, 10, 41, 20))
    assert fit_geometry((80, 40), (41, 41), "contain").shrinks
    stretched = fit_geometry((80, 40), (40, 41), "stretch")
    assert stretched == Geometry((0, 0, 80, 40), (0, 0, 40, 41))
    assert not stretched.shrinks
    assert not stretched.identity
    with pytest.raises(OptionError, match="fit is 'fill'"):
        fit_geometry((80, 40), (40, 40), "fill")


def test_level_shapes():
    assert level_shapes(600, 600, None) == [(38, 38), (75, 75), (150, 150), (300, 300), (600, 600)]
    assert level_shapes(63, 640, None) == [(32, 320), (63, 640)]
    assert level_shapes(62, 640, None) == [(62, 640)]
    assert level_shapes(601, 300, 2) == [(301, 150), (601, 300)]
    assert level_shapes(20, 20, None) == [(20, 20)]
    with pytest.raises(OptionError, match="levels is 5: a picture of 100×90 pixels allows at most 4"):
        level_shapes(90, 100, 5)
