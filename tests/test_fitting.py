"""Inks from samples: known inks are found again, spoiled patches are not followed, figures are those of refits."""

import contextlib
import dataclasses

import numpy as np
import pytest

import photographs
from mlsolve.calibration import fitting
from mlsolve.calibration.fitting import fit, metric
from mlsolve.calibration.layout import arrange
from mlsolve.calibration.least_squares import minimise
from mlsolve.calibration.parameters import Model, Parameters
from mlsolve.calibration.samples import Samples, joined, with_references
from mlsolve.errors import InputError
from mlsolve.media import Media, load_media
from mlsolve.pictures.difference import delta_e00, lab_from_light
from mlsolve_kernels.light.ink import reference


def sampled(inks, channels="rgb", noise=0.0, seed=0, stacks=True):
    """What a chart printed with `inks` would measure; noise: of the light, relative."""
    layout, rng = arrange(channels, "A4", 1), np.random.default_rng(seed)
    under, over = layout.of("under"), layout.of("over")
    first = [one.codes for one in layout.patches]
    second = [(np.nan,) * layout.channels] * len(first)
    names = [one.name for one in layout.patches]
    if stacks:
        first += [one.codes for one in under]
        second += [one.codes for one in over]
        names += [f"{one.name}+{other.name}" for one, other in zip(under, over, strict=True)]
    codes = np.array([first, second], dtype=np.float64) / 255
    light = photographs.light_of(codes, inks)
    light = light * (1 + noise * rng.standard_normal(light.shape)) + noise / 20 * rng.standard_normal(light.shape)
    return Samples(codes, light, tuple(names))


@pytest.mark.parametrize("name", ["inkjet-film", "uv-acrylic", "laser-film", "imagesetter-film"])
def test_known_inks_are_found_again(name):
    inks = load_media(name).inks._replace(reflectance=0.0)
    found = fit(sampled(inks, "rgb" if inks.planes == 3 else "grey"))
    assert found.fit.worst < 0.05
    assert found.fit.left_out == 0
    assert np.allclose(found.inks.base, inks.base, atol=1e-3)
    assert np.allclose(found.inks.curves, inks.curves, atol=0.02)
    assert np.allclose(found.inks.to_eye, inks.to_eye, atol=0.02)
    Media("found", found.inks)  # which checks that they are a printer's


def test_light_reflected_between_sheets_counts():
    inks = photographs.printer("uv-acrylic")._replace(reflectance=0.05)
    samples = sampled(inks)
    (at,) = np.nonzero(samples.stacked)
    bands = photographs.bands_of(samples.codes[0, at], inks) * photographs.bands_of(samples.codes[1, at], inks)
    light = samples.light.copy()
    light[at] = reference.look(bands.T[:, :, np.newaxis], inks, 2)[:, :, 0].T ** reference.GAMMA
    assert (light[at] > samples.light[at]).all()
    samples = dataclasses.replace(samples, light=light)
    assert fit(samples, 0.05).fit.worst < 0.05
    assert fit(samples, 0.0).fit.worst > 0.1


def fit_vector(inks, parameters):
    """The vector of parameters of known inks."""
    base, curves, to_eye, beyond = parameters.parts
    vector = np.zeros(beyond.stop)
    off = ~np.eye(3, dtype=bool)
    vector[base] = -2.2 * np.log10(inks.base)
    vector[curves] = (2.2 * np.diff(np.log10(inks.curves), axis=2)).ravel()
    vector[to_eye] = np.array(inks.to_eye)[off]
    return vector


def test_the_model_is_that_of_the_kernels():
    inks = load_media("inkjet-film").inks._replace(reflectance=0.0)
    samples, parameters = sampled(inks), Parameters(3, None)
    vector = fit_vector(inks, parameters)
    assert Model(samples, parameters).light(vector) == pytest.approx(samples.light, rel=1e-6, abs=1e-9)
    back = parameters.inks(vector)
    for one, other in zip(back[:3], inks[:3], strict=True):
        assert np.allclose(one, other)


def test_spoiled_patches_are_left_out_and_noise_is_not_taken_for_them():
    inks = photographs.printer()
    samples = sampled(inks, noise=0.01)
    assert fit(samples).fit.left_out <= 2
    light = samples.light.copy()
    spoiled = [3, 40, 77, 120, 150]
    light[spoiled] *= np.array([0.5, 0.6, 1.6, 0.4, 1.8])[:, np.newaxis]
    found = fit(dataclasses.replace(samples, light=light))
    assert not found.kept[spoiled].any()
    assert found.fit.left_out <= 7
    true = photographs.light_of(samples.codes, inks)
    assert np.median(delta_e00(lab_from_light(found.predicted), lab_from_light(true))) < 0.3


@pytest.mark.slow
def test_leaving_one_out_is_what_a_fit_without_it_gives():
    """The short cut against fits that are repeated, for the patches that draw the fit most; repeats go together."""
    samples = sampled(photographs.printer("uv-acrylic"), noise=0.02)
    whole = fit(samples)
    groups, measured = samples.groups(), lab_from_light(samples.light + 0.002)
    within = delta_e00(lab_from_light(whole.predicted + 0.002), measured)
    drawn = np.argsort(np.where(whole.kept & (within > 0.3), -whole.left_out / within, 0))[:8]
    ratios = []
    for at in drawn:
        others = whole.kept & (groups != groups[at])
        names = tuple(np.array(samples.names)[others].tolist())
        alone = fit(Samples(samples.codes[:, others], samples.light[others], names)).inks
        light = photographs.light_of(samples.codes[:, [at]], alone)
        off = float(delta_e00(lab_from_light(light + 0.002), measured[[at]])[0])
        assert off > 1.15 * within[at]
        ratios.append(off / whole.left_out[at])
    # Next to a bound the fit is not linear, so one may be further off.
    assert np.median(ratios) == pytest.approx(1, abs=0.05)
    assert min(ratios) > 0.6
    assert max(ratios) < 1.3


def seen_by_a_camera(light):
    """What a camera makes of linear sRGB, whose colours no matrix takes to the eye's."""
    matrix = np.array([[0.80, 0.15, 0.05], [0.05, 0.85, 0.10], [0.02, 0.12, 0.86]])
    return np.maximum(light @ matrix.T, 1e-4)


def test_references_tell_what_the_eye_sees():
    """Stacks by the eye beside sheets and stacks by a camera: the profile predicts the eye."""
    inks = photographs.printer("inkjet-film")
    true = sampled(inks)
    seen = dataclasses.replace(true, light=seen_by_a_camera(true.light))
    pairs = np.flatnonzero(true.stacked)
    told = Samples(true.codes[:, pairs], true.light[pairs], tuple(true.names[at] for at in pairs))
    codes = np.stack([np.random.default_rng(1).random((200, 3)) ** 0.5, np.full((200, 3), np.nan)])
    eye = lab_from_light(photographs.light_of(codes, inks))
    alone, both = (
        np.median(delta_e00(lab_from_light(photographs.light_of(codes, fit(one).inks)), eye))
        for one in (seen, with_references(seen, told))
    )
    assert alone > 3
    assert both < 0.5
    found = fit(with_references(seen, told))
    assert len(found.first(len(seen.names)).kept) == len(seen.names)
    assert found.fit.median < 0.3


def test_sheets_are_not_called_spoiled_because_of_stacks():
    """Half of the stacks are brighter than any inks explain: stacks are left out, sheets are not."""
    true = sampled(photographs.printer("inkjet-film"), noise=0.004)
    light = true.light.copy()
    bright = np.flatnonzero(true.stacked)[::2]
    light[bright] = np.maximum(light[bright], 0) ** 0.5
    left_out = ~fit(dataclasses.replace(true, light=light)).kept
    assert left_out[true.stacked].sum() > 5
    assert not left_out[~true.stacked].any()


def test_good_patches_are_not_left_out_with_spoiled_ones():
    """Two patches that are far off draw the fit away from others; without them the others are as predicted."""
    true = sampled(photographs.printer("inkjet-film"), noise=0.004)
    light = true.light.copy()
    light[20] *= [0.3, 0.48, 0.6]
    light[75] = 0.15 + 0.05 * light[75]
    assert set(np.flatnonzero(~fit(dataclasses.replace(true, light=light)).kept)) == {20, 75}


ODD = [
    lambda light: np.random.default_rng(0).random(light.shape),
    lambda light: np.full(light.shape, 0.9),
    lambda light: np.full(light.shape, 1e-9),
    lambda light: 2 * light,
    lambda light: light[:, ::-1].copy(),
]


@pytest.mark.parametrize("odd", ODD, ids=["random", "clear", "black", "too bright", "channels swapped"])
def test_a_fit_of_what_no_printer_does_stays_finite(odd):
    samples = sampled(photographs.printer(), stacks=False)
    samples = dataclasses.replace(samples, light=odd(samples.light))
    with contextlib.suppress(InputError):  # that so many patches fit no printer
        found = fit(samples)
        assert np.isfinite(found.predicted).all()
        media = Media("odd", found.inks)
        assert Media.parse(media.toml(), "odd").digest == media.digest


def test_too_little_and_not_a_number_are_refused():
    samples = sampled(photographs.printer())
    few = Samples(samples.codes[:, :20], samples.light[:20], samples.names[:20])
    with pytest.raises(InputError, match="different patches: give 24 or more"):
        fit(few)
    light = samples.light.copy()
    light[3, 1] = np.nan
    with pytest.raises(InputError, match="not finite"):
        fit(dataclasses.replace(samples, light=light))
    assert len(joined([few, few]).names) == 40


def test_the_metric_is_the_colour_difference_of_near_colours():
    rng = np.random.default_rng(2)
    lab = lab_from_light(rng.random((40, 3)) + 0.02)
    step = 0.2 * rng.standard_normal((40, 3))
    short = np.linalg.norm(np.einsum("nij,nj->ni", metric(lab), step), axis=1)
    assert short == pytest.approx(delta_e00(lab - step / 2, lab + step / 2), rel=0.03)


def test_a_minimum_within_bounds():
    """Rosenbrock's valley, whose minimum (1, 1) is out of bounds: the best allowed place is on the bound."""

    def valley(at):
        return np.array([10 * (at[1] - at[0] ** 2), 1 - at[0]])

    free = minimise(valley, np.array([-1.2, 1.0]), np.full(2, -5.0), np.full(2, 5.0), 200)
    assert free.vector == pytest.approx([1, 1], abs=1e-3)
    held = minimise(valley, np.array([-1.2, 0.2]), np.full(2, -5.0), np.array([0.5, 5.0]), 200)
    assert held.vector == pytest.approx([0.5, 0.25], abs=1e-3)
    assert (held.jacobian[:, 0] == 0).all()
    assert fitting.fit is fit
