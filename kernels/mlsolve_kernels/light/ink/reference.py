"""float64 reference of the light of inks (docs/maths.md §12); the third axis from the end holds the planes."""

import itertools

import numpy as np
import numpy.typing as npt

from .inks import Inks

Array = npt.NDArray[np.float64]
Images = npt.NDArray[np.floating]

GAMMA = 2.2
DARKEST = 1e-4
"""Light below which the eye sees black; also what negative light counts as, which `to_eye` can give."""


def curve(points: tuple[float, ...], values: Images) -> Array:
    """Return the encoded transmittance of a channel's ink at `values` in [0, 1]: de Casteljau's algorithm."""
    found = [np.full(np.shape(values), point, dtype=np.float64) for point in points]
    while len(found) > 1:
        found = [a + (b - a) * values for a, b in itertools.pairwise(found)]
    return found[0]


def slope(points: tuple[float, ...], values: Images) -> Array:
    """Return the derivative of `curve` by the values."""
    steps = tuple((len(points) - 1) * (b - a) for a, b in itertools.pairwise(points))
    return curve(steps, values)


def develop(layers: Images, inks: Inks) -> Array:
    """Return what sheets let through, encoded, in bands: (…, B, H, W) for layer values (…, C, H, W).

    y_b = base_b · Π_i u_bi(v_i)
    """
    bands = []
    for base, curves in zip(inks.base, inks.curves, strict=True):
        inked = [curve(points, layers[..., i, :, :]) for i, points in enumerate(curves)]
        bands.append(base * np.prod(inked, axis=0))
    return np.stack(bands, axis=-3)


def develop_gradient(layers: Images, inks: Inks, by_bands: Images) -> Array:
    """Return the gradient by the layer values, given that by the bands of their sheets."""
    through, found = by_bands * develop(layers, inks), np.zeros(layers.shape)
    for b, curves in enumerate(inks.curves):
        for i, points in enumerate(curves):
            values = layers[..., i, :, :]
            found[..., i, :, :] += through[..., b, :, :] * slope(points, values) / curve(points, values)
    return found


def gain(through: Images, sheets: int, reflectance: float) -> tuple[Array, Array]:
    """Return by how much light reflected between `sheets` sheets of transmittance `through` brightens them.

    Also returns the derivative by the transmittance. Sheets are added one by one (Stokes 1862):
    T' = T t / (1 - r ρ), r' = ρ + t² r / (1 - r ρ), where ρ = R (1 + (t / (1 - R))²) is what the two surfaces of a
    sheet reflect. What happens inside a sheet is part of t, so t is at most (1 - R) / (1 + R).
    """
    clearest = (1 - reflectance) / (1 + reflectance)
    t = np.minimum(np.asarray(through, dtype=np.float64), clearest)
    rises = np.asarray(through < clearest, dtype=np.float64)
    own = reflectance * (1 + (t / (1 - reflectance)) ** 2)
    by_own = 2 * reflectance * t / (1 - reflectance) ** 2
    factor, by_factor = np.ones_like(t), np.zeros_like(t)
    behind, by_behind = own, by_own
    for _ in range(sheets - 1):
        multiple = 1 / (1 - behind * own)
        by_multiple = multiple**2 * (by_behind * own + behind * by_own)
        by_factor = by_factor * multiple + factor * by_multiple
        factor = factor * multiple
        by_behind = by_own + 2 * t * behind * multiple + t * t * (by_behind * multiple + behind * by_multiple)
        behind = own + t * t * behind * multiple
    return factor, by_factor * rises


def look(bands: Images, inks: Inks, sheets: int = 1, exposure: float = 1.0, room: float | None = None) -> Array:
    """Return how the eye sees light, encoded (…, P, H, W), for encoded light in bands (…, B, H, W).

    bands: already divided by the encoded exposure. sheets: how many it has passed; they count as equally dense for
    the light that is reflected between them. room: in shares of the white; None: that of `inks`.

    q_p = ((Σ_b M_pb · p_b^2.2 · gain + room) / (1 + room))^(1/2.2)
    """
    return _light(bands, inks, sheets, exposure, room) ** (1 / GAMMA)


def look_gradient(
    bands: Images,
    inks: Inks,
    by_look: Images,
    sheets: int = 1,
    exposure: float = 1.0,
    room: float | None = None,
) -> Array:
    """Return the gradient by the bands, given that by `look`; 0 by light that is darker than DARKEST."""
    room = inks.room if room is None else room
    light = _light(bands, inks, sheets, exposure, room)
    by_light = np.where(light > DARKEST, by_look * light ** (1 / GAMMA - 1) / GAMMA, 0) / (1 + room)
    by_reflected = np.einsum("pb,...phw->...bhw", np.asarray(inks.to_eye, dtype=np.float64), by_light)
    _, by_bands = _reflected(bands, inks, sheets, exposure)
    return np.asarray(by_reflected * by_bands)


def _light(bands: Images, inks: Inks, sheets: int, exposure: float, room: float | None) -> Array:
    """Return the light that the eye sees, at least DARKEST."""
    room = inks.room if room is None else room
    reflected, _ = _reflected(bands, inks, sheets, exposure)
    light = np.einsum("pb,...bhw->...phw", np.asarray(inks.to_eye, dtype=np.float64), reflected)
    return np.asarray(np.maximum((light + room) / (1 + room), DARKEST))


def _reflected(bands: Images, inks: Inks, sheets: int, exposure: float) -> tuple[Array, Array]:
    """Return the light in bands, with what is reflected between sheets, and its derivative by the bands."""
    encoded = np.asarray(bands, dtype=np.float64)
    light, slope = encoded**GAMMA, GAMMA * encoded ** (GAMMA - 1)
    if not inks.reflectance or sheets == 1:
        return light, slope
    through = (light * exposure) ** (1 / sheets)
    factor, by_through = gain(through, sheets, inks.reflectance)
    return light * factor, slope * (factor + by_through * through / sheets)
