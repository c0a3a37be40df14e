"""The light of inks on the CPU, sixteen pixels at a time: passes over the sheets, over a composite, and back.

    layers --develop--> sheets (bands), looks       sheets --placed, multiplied--> composite --see--> seen
    gradient by layers <--develop back-- gradients by sheets and looks      by composite <--see back-- by seen

Every pass takes all planes of a pixel together. Planes are ordered window by window (placement/frames.py).
"""

from typing import Any, Final

import numpy as np

from ...compiled import kernel
from ...lanes import LANES, Row, ahead, fma, load, load_one, masked, row, store
from ...layout import FloatArray
from ...threads import share_of
from .constants import BLACK, DARKEST, GAMMA, INVERSE, LEAST, LESS, SHARE
from .numbers import Numbers
from .powers import exp2, log2, of_degree_5, of_degree_6

_ONE: Final = np.float32(1)

SCRATCH: Final = 6 * LANES
"""float32 of work space that a worker needs: two values for each of up to three planes."""


@kernel
def _curve(points: Row, v: Any) -> Any:
    """Return a curve at v; points: its seven coefficients."""
    return of_degree_6(
        v,
        load_one(points, 0),
        load_one(points, 1),
        load_one(points, 2),
        load_one(points, 3),
        load_one(points, 4),
        load_one(points, 5),
        load_one(points, 6),
    )


@kernel
def _slope(points: Row, v: Any) -> Any:
    """Return the derivative of a curve at v; points: its six coefficients."""
    return of_degree_5(
        v,
        load_one(points, 0),
        load_one(points, 1),
        load_one(points, 2),
        load_one(points, 3),
        load_one(points, 4),
        load_one(points, 5),
    )


@kernel
def _inverse_gain(points: Row, square: Any) -> Any:
    """Return 1 / the gain by reflected light at t²; points: its nine coefficients."""
    p = fma(square, load_one(points, 8), load_one(points, 7))
    for k in range(6, -1, -1):
        p = fma(p, square, load_one(points, k))
    return p


@kernel
def _inverse_gain_slope(points: Row, square: Any) -> Any:
    """Return the derivative of 1 / the gain by t²."""
    p = fma(square, np.float32(8) * load_one(points, 8), np.float32(7) * load_one(points, 7))
    for k in range(6, 0, -1):
        p = fma(p, square, np.float32(k) * load_one(points, k))
    return p


@kernel
def _mixed(shares: Row, light: Row, planes: int) -> Any:
    """Return Σ shares_b · light_b, for `light` LANES after LANES."""
    result = load_one(shares, 0) * load(light, 0)
    for b in range(1, planes):
        result = fma(load(light, b * LANES), load_one(shares, b), result)
    return result


@kernel
def _seen(numbers: Numbers, light: Row, p: int, planes: int) -> Any:
    """Return the light that the eye sees in plane p, given that of the bands, at least DARKEST."""
    mixed = _mixed(row(numbers.to_eye, (p, 0)), light, planes)
    return max((mixed + numbers.room) * numbers.inverse, DARKEST)


@kernel
def _band(numbers: Numbers, planes: int, layer: Row, b: int, here: int, plane: int) -> Any:
    """Return what a sheet lets through in band b, encoded; layer: planes `plane` apart from `here` on."""
    y = load_one(row(numbers.base, (b,)), 0) * _curve(row(numbers.curves, (b, 0)), load(layer, here))
    for i in range(1, planes):
        y = y * _curve(row(numbers.curves, (b, i)), load(layer, here + i * plane))
    return y


@kernel
def develop_pass(
    layers: FloatArray,
    numbers: Numbers,
    of_window: int,
    inside: FloatArray,
    sheets: FloatArray,
    looks: FloatArray | None,
    scratch: FloatArray,
    worker: int,
    workers: int,
) -> None:
    """Store what the sheets of `layers` let through in bands, and how each looks alone; one worker's share.

    layers, sheets, looks: (N, P, across, H, L); looks: None where a sheet looks as its bands. inside: (across, L),
    0 outside the image, where everything becomes 0. scratch: (workers, SCRATCH).
    """
    count, planes, across, height, length = layers.shape
    windows = planes // of_window
    start, stop = share_of(count * windows * across * height, worker, workers)
    plane, through = across * height * length, row(scratch, (worker,))
    for number in range(start, stop):
        layer, rest = number // (windows * across * height), number % (windows * across * height)
        window, place = rest // (across * height), rest % (across * height)
        first = ((layer * planes + window * of_window) * across * height + place) * length
        own = row(inside, (place // height,))
        for at in range(0, length, LANES):
            mask = load(own, at)
            for b in range(of_window):
                y = _band(numbers, of_window, row(layers, (0,)), b, first + at, plane)
                store(row(sheets, (0,)), first + b * plane + at, masked(mask, y))
                if looks is not None:
                    store(through, b * LANES, exp2(GAMMA * log2(y)))
            if looks is not None:
                for p in range(of_window):
                    look = exp2(INVERSE * log2(_seen(numbers, through, p, of_window)))
                    store(row(looks, (0,)), first + p * plane + at, masked(mask, look))


@kernel
def develop_back_pass(
    layers: FloatArray,
    numbers: Numbers,
    of_window: int,
    sheets: FloatArray,
    looks: FloatArray | None,
    by_look: FloatArray | None,
    disc: FloatArray | None,
    gradient: FloatArray,
    scratch: FloatArray,
    worker: int,
    workers: int,
) -> None:
    """Turn the gradient by the sheets into that by the layers, in place; one worker's share.

    layers, sheets, gradient: (N, P, across, H, L), as in `develop_pass`. looks, by_look: how sheets look, and
    the gradient by that, which is cleared for the next iteration; None where looks are the sheets. disc: (W,
    across, H, L), 0 where a layer must not change, or None. scratch: (workers, SCRATCH).
    """
    count, planes, across, height, length = layers.shape
    windows = planes // of_window
    start, stop = share_of(count * windows * across * height, worker, workers)
    plane, slopes = across * height * length, row(scratch, (worker,))
    by_value = ahead(slopes, of_window * LANES)
    for number in range(start, stop):
        layer, rest = number // (windows * across * height), number % (windows * across * height)
        window, place = rest // (across * height), rest % (across * height)
        first = ((layer * planes + window * of_window) * across * height + place) * length
        for at in range(0, length, LANES):
            here = first + at
            if looks is not None and by_look is not None:
                _through_look(numbers, of_window, row(looks, (0,)), row(by_look, (0,)), here, plane, slopes)
            for i in range(of_window):
                store(by_value, i * LANES, np.float32(0))
            for b in range(of_window):
                by_band = load(row(gradient, (0,)), here + b * plane)
                if by_look is not None:
                    y = max(load(row(sheets, (0,)), here + b * plane), LEAST)
                    by_band = by_band + load(slopes, b * LANES) * exp2(LESS * log2(y))
                    store(row(by_look, (0,)), here + b * plane, np.float32(0))
                by_band = by_band * load_one(row(numbers.base, (b,)), 0)
                _add_by_values(numbers, of_window, row(layers, (0,)), b, here, plane, by_band, by_value)
            for i in range(of_window):
                found = load(by_value, i * LANES)
                if disc is not None:
                    found = masked(load(row(disc, (window,)), place * length + at), found)
                store(row(gradient, (0,)), here + i * plane, found)


@kernel
def _add_by_values(
    numbers: Numbers,
    planes: int,
    layer: Row,
    b: int,
    here: int,
    plane: int,
    by_band: Any,
    by_value: Row,
) -> None:
    """Add what band b has of the gradient by the values of the channels to `by_value`, LANES after LANES.

    layer: planes `plane` apart from `here` on. by_band: the gradient by the band, times its base.
    """
    if planes == 1:
        slope = _slope(row(numbers.slopes, (b, 0)), load(layer, here))
        store(by_value, 0, load(by_value, 0) + by_band * slope)
        return
    v0, v1, v2 = load(layer, here), load(layer, here + plane), load(layer, here + 2 * plane)
    u0 = _curve(row(numbers.curves, (b, 0)), v0)
    u1 = _curve(row(numbers.curves, (b, 1)), v1)
    u2 = _curve(row(numbers.curves, (b, 2)), v2)
    found = by_band * _slope(row(numbers.slopes, (b, 0)), v0) * u1 * u2
    store(by_value, 0, load(by_value, 0) + found)
    found = by_band * _slope(row(numbers.slopes, (b, 1)), v1) * u0 * u2
    store(by_value, LANES, load(by_value, LANES) + found)
    found = by_band * _slope(row(numbers.slopes, (b, 2)), v2) * u0 * u1
    store(by_value, 2 * LANES, load(by_value, 2 * LANES) + found)


@kernel
def _through_look(
    numbers: Numbers, planes: int, looks: Row, by_look: Row, here: int, plane: int, slopes: Row
) -> None:
    """Store the gradient by log(light) / 2.2 of every band, divided by its light, in `slopes`, LANES after LANES.

    looks, by_look: what the eye sees, encoded, and the gradient by it, `plane` apart from `here` on.
    """
    for b in range(planes):
        store(slopes, b * LANES, np.float32(0))
    for p in range(planes):
        look = max(load(looks, here + p * plane), BLACK)
        # q / L of q = L^(1/2.2); black, which is what is left after the maximum, does not answer.
        share = masked(look - BLACK, exp2(SHARE * log2(look)))
        by_light = load(by_look, here + p * plane) * share * numbers.inverse
        for b in range(planes):
            shares = row(numbers.to_eye, (p,))
            store(slopes, b * LANES, fma(by_light, load_one(shares, b), load(slopes, b * LANES)))


@kernel
def see_pass(
    composite: FloatArray,
    numbers: Numbers,
    of_window: int,
    inside: FloatArray,
    seen: FloatArray,
    scratch: FloatArray,
    worker: int,
    workers: int,
) -> None:
    """Store how the eye sees the `composite` of a stack, both (P, across, H, L), encoded; one worker's share."""
    planes, across, height, length = composite.shape
    start, stop = share_of(planes // of_window * across * height, worker, workers)
    plane, through = across * height * length, row(scratch, (worker,))
    for number in range(start, stop):
        window, place = number // (across * height), number % (across * height)
        first, own = (window * of_window * across * height + place) * length, row(inside, (place // height,))
        for at in range(0, length, LANES):
            mask = load(own, at)
            for b in range(of_window):
                power = log2(max(load(row(composite, (0,)), first + b * plane + at), LEAST))
                light = exp2(GAMMA * power)
                if numbers.reflects:
                    t = min(exp2(numbers.share * power + numbers.offset), numbers.clearest)
                    light = light / _inverse_gain(row(numbers.gain, (0,)), t * t)
                store(through, b * LANES, light)
            for p in range(of_window):
                look = exp2(INVERSE * log2(_seen(numbers, through, p, of_window)))
                store(row(seen, (0,)), first + p * plane + at, masked(mask, look))


@kernel
def see_back_pass(
    composite: FloatArray,
    numbers: Numbers,
    of_window: int,
    seen: FloatArray,
    gradient: FloatArray,
    scratch: FloatArray,
    worker: int,
    workers: int,
) -> None:
    """Turn the gradient by what the eye sees into that by the `composite`, in place; one worker's share.

    composite, seen, gradient: (P, across, H, L). scratch: (workers, SCRATCH).
    """
    planes, across, height, length = composite.shape
    start, stop = share_of(planes // of_window * across * height, worker, workers)
    plane, line = across * height * length, row(scratch, (worker,))
    slopes = ahead(line, of_window * LANES)
    for number in range(start, stop):
        window, place = number // (across * height), number % (across * height)
        first = (window * of_window * across * height + place) * length
        for at in range(0, length, LANES):
            here = first + at
            for b in range(of_window):
                # line: the derivative of the light by the encoded light, a 2.2nd of it.
                power = log2(max(load(row(composite, (0,)), here + b * plane), LEAST))
                rises = exp2(LESS * power)
                if numbers.reflects:
                    t = min(exp2(numbers.share * power + numbers.offset), numbers.clearest)
                    square, points = t * t, row(numbers.gain, (0,))
                    inverse = _inverse_gain(points, square)
                    # d gain / dt = -2 t · the slope · gain². Beyond the clearest t the gain is constant.
                    bend = masked(numbers.clearest - t, square * _inverse_gain_slope(points, square))
                    steeper = _ONE - numbers.share * INVERSE * np.float32(2) * bend / inverse
                    rises = rises / inverse * steeper
                store(line, b * LANES, rises)
            _through_look(numbers, of_window, row(seen, (0,)), row(gradient, (0,)), here, plane, slopes)
            for b in range(of_window):
                by_band = load(slopes, b * LANES) * load(line, b * LANES)
                store(row(gradient, (0,)), here + b * plane, by_band)
