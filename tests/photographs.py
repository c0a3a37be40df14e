"""Charts printed and photographed, simulated: not a laboratory, but all that calibration must cope with."""

from functools import cache

import cv2
import numpy as np

from mlsolve.calibration.chart import make
from mlsolve.calibration.spectra import D50
from mlsolve.media import load_media
from mlsolve.pictures.colour import encode, srgb_from_light
from mlsolve.pictures.difference import XYZ_FROM_SRGB
from mlsolve_kernels.light.ink import reference

CAMERA = np.array([[0.9, 0.1, 0.0], [0.05, 0.88, 0.07], [0.0, 0.08, 0.92]])
"""How bands become the red, green and blue of a camera: it sees no light as negative."""
WARM = np.array([1.0, 0.96, 0.85])
"""The light of the box."""


def printer(name="inkjet-film"):
    """Inks whose light in the camera is never negative."""
    inks = load_media(name).inks._replace(reflectance=0.0)
    if inks.planes == 3:
        inks = inks._replace(to_eye=tuple(tuple(map(float, row)) for row in CAMERA))
    return inks


def bands_of(codes, inks):
    """Encoded transmittance in bands, (n, B), of device codes in [0, 1], (n, C)."""
    values = np.asarray(encode(np.asarray(codes, np.float32)), np.float64)
    return reference.develop(values.T[:, :, np.newaxis], inks)[:, :, 0].T


def light_of(codes, inks):
    """Light through sheets laid on each other: codes (sheets, n, C), NaN for none; returns (n, P)."""
    through = [np.where(np.isnan(one[:, :1]), 1, bands_of(np.nan_to_num(one), inks)) for one in codes]
    bands = np.prod(through, axis=0)
    return reference.look(bands.T[:, :, np.newaxis], inks)[:, :, 0].T ** reference.GAMMA


def printed(chart, inks, spoiled=None):
    """The sheet as encoded transmittance in bands, (H, W, B); spoiled: factors of light by the names of patches."""
    codes = chart.codes
    flat, which = np.unique(codes.reshape(-1, codes.shape[2]), axis=0, return_inverse=True)
    sheet = bands_of(flat / 255, inks)[which.ravel()].reshape(*codes.shape[:2], -1).astype(np.float32)
    scale = chart.dpi / 25.4
    for patch in chart.layout.patches:
        if patch.name in (spoiled or {}):
            x, y, width, height = (round(one * scale) for one in patch.where)
            sheet[y : y + height, x : x + width] *= spoiled[patch.name] ** (1 / reference.GAMMA)
    return sheet


def stacked(chart, sheet, turned=False):
    """The sheet with its strip cut off and laid over; turned: by half a turn within its place."""
    below, over = chart.cut_and_laid(sheet)
    if turned:
        scale = chart.dpi / 25.4
        x, y, width, height = (round(one * scale) for one in chart.layout.laid)
        part = over[y : y + height, x : x + width]
        over[y : y + height, x : x + width] = part[::-1, ::-1].copy()
    return below * over


def photograph(
    chart, inks, sheet=None, *, gain=0.8, noise=0.006, blur=0.0, mirrored=False, turned=0, lens=0.0, seed=0
):
    """A photograph, (H, W, 3) uint8 sRGB, of a sheet of `printed`, or of the empty box; some 4 pixels a mm.

    gain: the light of the empty box in the middle. noise: of a bright pixel. blur: in pixels. turned: by quarters.
    lens: by which share of the radius it moves corners inwards.
    """
    rng = np.random.default_rng(seed)
    width, height = (round(side * 4.6) for side in chart.layout.size)
    if sheet is None:
        light = np.ones((height, width, 3), np.float32)
    else:
        eye = np.asarray(inks.to_eye, np.float32) if inks.planes == 3 else np.ones((3, 1), np.float32)
        light = sheet ** np.float32(reference.GAMMA) @ eye.T
        tall, wide = light.shape[:2]
        corners = np.array([[0.05, 0.06], [0.96, 0.03], [0.93, 0.97], [0.07, 0.95]]) * (width, height)
        edges = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]])
        warp = cv2.getPerspectiveTransform(edges.astype(np.float32), corners.astype(np.float32))
        light = cv2.GaussianBlur(light, (0, 0), 0.6).reshape(tall, wide, 3)
        light = cv2.warpPerspective(light, warp, (width, height), borderValue=(1, 1, 1))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    radius = (x * x + y * y) / 2
    if lens:
        share = 1 + lens * radius
        places = (((one * share + 1) / 2 * (side - 1)) for one, side in ((x, width), (y, height)))
        light = cv2.remap(light, *places, cv2.INTER_LINEAR, borderValue=(1, 1, 1))
    if blur:
        light = cv2.GaussianBlur(light, (0, 0), blur)
    light = light * (1 - 0.3 * radius - 0.08 * x)[..., np.newaxis] * WARM * gain + 0.001
    light = light + noise * np.sqrt(light) * rng.standard_normal(light.shape)
    codes = np.rint(255 * srgb_from_light(np.clip(light, 0, 1))).astype(np.uint8)
    return np.ascontiguousarray(np.rot90(codes[:, ::-1] if mirrored else codes, turned))


@cache
def taken():
    """What a maker has at the end of docs/calibration.md: pictures and a table by the names of their files."""
    chart, inks = make("rgb", "A4", 110, 0), printer()
    sheet = printed(chart, inks)
    pictures = {
        "photo.jpg": photograph(chart, inks, sheet),
        "photo-2.jpg": photograph(chart, inks, sheet, seed=1),
        "stacked.jpg": photograph(chart, inks, stacked(chart, sheet), seed=2),
        "empty.jpg": photograph(chart, inks, seed=3),
        "dark.jpg": np.zeros((*photograph(chart, inks).shape[:2], 3), np.uint8),
    }
    patches = chart.layout.of("main")
    densities = -reference.GAMMA * np.log10(bands_of(np.array([one.codes for one in patches]) / 255, inks))
    rows = [",".join(map(str, (*one.codes, *row.round(3)))) for one, row in zip(patches, densities, strict=True)]
    return pictures, "\n".join(("r,g,b,Dr,Dg,Db", *rows)) + "\n"


def filled(table, layout, inks):
    """The table that mlsolve chart writes, with X, Y and Z of the stacks."""
    adapted = 100 * np.array(XYZ_FROM_SRGB).T * (np.array(D50) / np.array(XYZ_FROM_SRGB).sum(axis=1))
    pairs = [[one.codes for one in layout.of(group)] for group in ("under", "over")]
    lines = table.splitlines()
    for at, xyz in enumerate(light_of(np.array(pairs) / 255, inks) @ adapted, start=1):
        lines[at] = lines[at][:-2] + ",".join(f"{one:.3f}" for one in xyz)
    return "\n".join(lines) + "\n"


def spectral(chart):
    """A table of spectra of the patches of a printer of three dyes, and one of a box."""
    waves = np.arange(400, 701, 10)
    dyes = np.exp(-0.5 * ((waves - np.array([[620], [535], [450]])) / 35) ** 2)
    lines = ["r,g,b," + ",".join(map(str, waves))]
    for one in chart.layout.of("main"):
        through = 10 ** -((1 - np.array(one.codes) / 255) ** 1.5 @ (1.4 * dyes) + 0.04)
        lines.append(",".join(map(str, (*one.codes, *through.round(5)))))
    box = 0.05 + np.exp(-0.5 * ((waves - 450) / 12) ** 2) + 0.7 * np.exp(-0.5 * ((waves - 570) / 55) ** 2)
    power = [f"{wave},{one:.4f}" for wave, one in zip(waves, box, strict=True)]
    return "\n".join(lines) + "\n", "\n".join(["nm,power", *power]) + "\n"


def take(folder):
    """Write the pictures, table.csv, reference.csv, spectra.csv and box.csv into a folder."""
    layout = make("rgb", "A4", 110, 0).layout
    (folder / "reference.csv").write_text(filled(layout.table(), layout, printer()))
    for name, text in zip(("spectra", "box"), spectral(make("rgb", "A4", 110, 0)), strict=True):
        (folder / f"{name}.csv").write_text(text)
    pictures, table = taken()
    for name, picture in pictures.items():
        assert cv2.imwrite(str(folder / name), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])
    (folder / "table.csv").write_text(table)
