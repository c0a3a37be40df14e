"""Finished runs for tests of sheets, without solving, and pages of their files as pixels."""

import json

import numpy as np
import pypdfium2

from mlsolve.pictures.decoders.vips import image_of
from mlsolve.pictures.picture_files import PngWriter

NOISE = np.random.default_rng(20261128)


def write_layer(path, codes, dpi=None):
    """Write (H, W, C) uint8 or uint16 codes as a layer."""
    height, width, planes = codes.shape
    with PngWriter(path, (width, height), planes, 8 * codes.itemsize, dpi) as writer:
        writer.write(codes)


def finished_run(folder, layers, dpi=100.0, job="", arrangements='target = "t.png"', count=1):
    """Write the folder of a run with these layers, (H, W, C) each, and return it."""
    folder.mkdir(parents=True)
    for number, codes in enumerate(layers, start=1):
        write_layer(folder / f"layer-{number}.png", codes, dpi)
    height, width = layers[0].shape[:2]
    guides = ", ".join(f'"rosette:{number}"' for number in range(len(layers)))
    dpi_line = "" if dpi is None else f"dpi = {dpi}"
    first, _, rest = arrangements.partition("[[")
    text = f"guides = [{guides}]\nsize = [{width}, {height}]\n{dpi_line}\n{job}\n{first}\n"
    (folder / "job.toml").write_text(text + ("[[" + rest if rest else ""), encoding="utf-8")
    found = {"exposure": 0.1, "ssim": 0.9, "misaligned": [{"pixels": 1, "ssim": 0.5}]}
    (folder / "result.json").write_text(json.dumps({"arrangements": [found] * count}), encoding="utf-8")
    return folder


def noise(height, width, planes=3, kind=np.uint8):
    """Return codes without any order."""
    return NOISE.integers(0, np.iinfo(kind).max + 1, (height, width, planes)).astype(kind)


def cmyk_profile(path):
    """Write a profile of a CMYK printer, the one that libvips carries, and return its path."""
    lab = image_of(np.zeros((2, 2, 3), np.uint8)).copy(interpretation="srgb").colourspace("lab")
    path.write_bytes(lab.icc_export(output_profile="cmyk").get("icc-profile-data"))
    return path


def rendered(path, dpi, page=0):
    """Return a page of a PDF as light, (H, W) float from 0 (black) to 1."""
    with pypdfium2.PdfDocument(path) as document:
        picture = document[page].render(scale=dpi / 72, grayscale=True).to_numpy()
    return np.asarray(picture, dtype=np.float64).reshape(picture.shape[:2]) / 255


def centre(picture, dpi, x, y, radius):
    """Return the centre of what is dark within `radius` mm of (x, y) mm, in mm from the upper left corner."""
    pixel = 25.4 / dpi
    top, left = int((y - radius) / pixel), int((x - radius) / pixel)
    size = int(2 * radius / pixel)
    dark = 1 - picture[top : top + size, left : left + size]
    rows, columns = np.indices(dark.shape)
    down, across = (rows + top + 0.5) * pixel, (columns + left + 0.5) * pixel
    within = np.hypot(across - x, down - y) <= radius
    dark = dark * within
    return (across * dark).sum() / dark.sum(), (down * dark).sum() / dark.sum()
