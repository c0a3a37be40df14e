"""A camera: sensitivities of its own, and what a telephone makes of them."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from .box import LightBox
from .eye import weights
from .spectra import WAVES, Array, Codes, Images, lobes


def _sensitivities() -> Array:
    """Return how the three kinds of pixels respond at WAVES, (3, 31): wide, and unlike any observer."""
    return np.stack(
        [
            lobes((1.0, 600, 36, 34), (0.06, 530, 30, 30), (0.05, 440, 20, 20)),
            lobes((1.0, 532, 40, 42), (0.06, 450, 30, 20)),
            lobes((1.0, 460, 32, 32)),
        ]
    )


@dataclass(frozen=True)
class Camera:
    """A camera, fixed in front of a light box, with exposure and white balance locked."""

    size: tuple[int, int] = (2400, 3200)
    """Height and width of its pictures."""
    exposure: float = 0.8
    """Linear code of the middle of the empty box."""
    vignetting: float = 0.25
    """Share of light that is lacking in the corners."""
    noise: float = 0.004
    """Standard deviation at white, as a share of white; in darker places less, as the root of their light."""
    read_noise: float = 0.0008
    """Standard deviation in the dark, as a share of white."""
    black: float = 0.001
    """Light where there is none: stray light and offset."""
    flare: float = 0.0
    """Share of the mean light of the picture that the lens spreads over all of it."""
    blur: float = 0.7
    """Standard deviation of the picture of a point, in pixels."""
    tilt: float = 0.04
    """How far a corner lies from where it would be seen straight on, as a share of the width."""
    distortion: float = -0.02
    """Of the lens: the share by which a corner is displaced outwards."""
    cover: float = 0.92
    """Share of the height or width that the sheet takes."""
    jpeg: int | None = 93
    """Quality; None: not compressed."""
    sensitivities: Array = field(default_factory=_sensitivities)
    seed: int = 0

    def photograph(self, through: Images | None, box: LightBox, shot: int = 0) -> Codes:
        """Return a photograph, sRGB codes (H, W, 3), of sheets in the middle of the box, or of the box alone.

        through: what the sheets let through, as `transmittance` returns it. shot: a number, on which noise depends.
        """
        if through is None:
            return self._developed(np.ones((*self.size, 3), np.float32) * self._box(box), box, shot)
        light = np.asarray(through @ self._response(box).T.astype(np.float32), dtype=np.float32)
        return self._developed(self._placed(light) * self._box(box), box, shot)

    def colours(self, through: Images, box: LightBox) -> Images:
        """Return linear sRGB, (H, W, 3), that it makes of what sheets let through, without noise and optics.

        The empty box is white. An eye sees other colours, as no matrix makes its sensitivities an observer's.
        """
        seen = self.matrix(box) @ self._response(box)
        return np.asarray(through @ seen.T.astype(np.float32), dtype=np.float32)

    def dark(self, box: LightBox) -> Codes:
        """Return a photograph with the lens covered."""
        return self._developed(np.zeros((*self.size, 3), np.float32), box, 1000)

    def _response(self, box: LightBox) -> Array:
        """Return what its colours take from the transmittance at each wavelength, (3, 31); the rows add up to 1."""
        seen = self.sensitivities * box.spectrum
        return np.asarray(seen / seen.sum(axis=1, keepdims=True))

    def matrix(self, box: LightBox) -> Array:
        """Return the maker's matrix from its colours to linear sRGB, (3, 3).

        It fits smooth spectra that are like surfaces, not like inks, best; white stays white.
        """
        rng = np.random.default_rng(2)
        waves = np.cos(np.arange(6)[:, np.newaxis] * np.pi * (WAVES - 400) / 300)
        smooth = 1 / (1 + np.exp(-(rng.standard_normal((400, 6)) * [1, 1, 1, 0.7, 0.5, 0.4]) @ waves))
        smooth = np.vstack([smooth, np.ones((400, len(WAVES)))])
        raw, wanted = smooth @ self._response(box).T, smooth @ weights(box.spectrum).T
        found = np.linalg.lstsq(raw, wanted, rcond=None)[0].T
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    def _box(self, box: LightBox) -> Images:
        """Return the light of the box as it reaches the sensor, (H, W, 1)."""
        height, width = self.size
        fall = LightBox(box.spectrum, self.vignetting).brightness(height, width)
        return (box.brightness(height, width) * fall)[..., np.newaxis]

    def _placed(self, light: Images) -> Images:
        """Return light, (h, w, 3), as it falls on the pixels: in perspective, distorted, blurred; 1 beside it."""
        height, width = self.size
        rows, columns = light.shape[:2]
        scale = min(self.cover * height / rows, self.cover * width / columns)
        rng = np.random.default_rng((self.seed, 3))
        corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], dtype=np.float64)
        there = (corners - [columns / 2, rows / 2]) * scale + [width / 2, height / 2]
        there += rng.uniform(-0.5, 0.5, (4, 2)) * self.tilt * width
        homography = cv2.getPerspectiveTransform(there.astype(np.float32), corners.astype(np.float32))
        y, x = np.mgrid[0:height, 0:width] + 0.5
        off = np.stack([x - width / 2, y - height / 2], axis=-1) / (np.hypot(height, width) / 2)
        off *= 1 - self.distortion * np.sum(off**2, axis=-1, keepdims=True)
        straight = off * (np.hypot(height, width) / 2) + [width / 2, height / 2]
        places = straight @ homography[:, :2].T + homography[:, 2]
        places = (places[..., :2] / places[..., 2:] - 0.5).astype(np.float32)
        if scale < 1:
            light = cv2.GaussianBlur(light, (0, 0), 0.4 / scale).astype(np.float32)
        found = cv2.remap(
            light, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(1, 1, 1)
        )  # type: ignore[call-overload]
        return np.asarray(cv2.GaussianBlur(found, (0, 0), self.blur), dtype=np.float32)

    def _developed(self, light: Images, box: LightBox, shot: int) -> Codes:
        """Return sRGB codes of light on the sensor, (H, W, 3): noise, clipping, matrix, gamma, JPEG."""
        rng = np.random.default_rng((self.seed, shot, 4))
        sensor = self.exposure * (light + self.flare * light.mean(axis=(0, 1))) + self.black
        deviation = np.sqrt(self.noise**2 * np.maximum(sensor, 0) + self.read_noise**2)
        sensor = np.clip(sensor + deviation * rng.standard_normal(sensor.shape, dtype=np.float32), 0, 1)
        linear = np.clip(sensor @ self.matrix(box).T, 0, 1)
        codes = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
        shown: Codes = np.rint(codes * 255).astype(np.uint8)
        if self.jpeg is None:
            return shown
        done, data = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])
        assert done
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        developed: Codes = np.array(decoded[..., ::-1], dtype=np.uint8)
        return developed
