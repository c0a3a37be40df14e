"""The pictures of README.md: python bench/gallery.py RUNS PICTURES, folders; `make gallery` does it.

Of every run in RUNS a picture goes into PICTURES: a line for every arrangement, its sheets as they lie there, and
what their stack shows. Sheets and stacks are the files of the run.
"""

import json
import math
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mlsolve.job.job import Job
from mlsolve.job.job_file import load_job
from mlsolve.pictures.picture_files import load_picture
from mlsolve.scoring.layer_files import layer_files, stack_names
from mlsolve.scoring.placed import place_sheet

WIDTH = 880
"""Size of a picture, in pixels."""
GAP = 28
"""Distance between sheets, where the × and = are, and around everything, in pixels."""
NARROW = 8
"""Distance between the sheets of a square, in pixels."""
IN_A_LINE = 4
"""Most sheets that are shown in one line; more are shown in a square."""
BYTES = 115_000
"""Most that a picture may take."""
PAPER, INK = (246, 245, 241), (112, 113, 118)

Place = tuple[int, int]


def main() -> None:
    """Write a picture of every run, and print what to check."""
    runs, pictures = Path(sys.argv[1]), Path(sys.argv[2])
    pictures.mkdir(parents=True, exist_ok=True)
    for folder in sorted(path.parent for path in runs.glob("*/result.json")):
        path = pictures / f"{folder.name}.jpg"
        path.write_bytes(jpeg(picture_of(folder)))
        report = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        for found in report["arrangements"]:
            name = Path(found["target"]).name
            print(f"{folder.name:<16} {name:<18} SSIM {found['ssim']:.3f}  {found['psnr']:.1f} dB")
        film = folder.with_suffix(".mp4")
        print(f"{'look at':<16} {path}, {folder / 'sheet.png'}{f', {film}' if film.exists() else ''}")


def picture_of(folder: Path) -> Image.Image:
    """Return the picture of the run in `folder`."""
    job = load_job(folder / "job.toml")
    layers = [load_picture(path) for path in layer_files(folder)]
    lines = []
    for arrangement, name in zip(job.arrangements, stack_names(len(job.arrangements)), strict=True):
        sheets = [place_sheet(layers[one.layer - 1], one) for one in arrangement.placed(len(layers))]
        lines.append(line_of([image_of(sheet) for sheet in sheets], image_of(load_picture(folder / name)), job))
    whole = Image.new("RGB", (WIDTH, GAP + sum(line.height + GAP for line in lines)), PAPER)
    top = GAP
    for line in lines:
        whole.paste(line, (0, top))
        top += line.height + GAP
    return whole


def line_of(sheets: Sequence[Image.Image], stack: Image.Image, job: Job) -> Image.Image:
    """Return the sheets, followed by the stack; all have the same size."""
    across = len(sheets) if len(sheets) <= IN_A_LINE else math.ceil(math.sqrt(len(sheets)))
    down, tall = math.ceil(len(sheets) / across), stack.height / stack.width
    if down == 1:
        gap, side = GAP, (WIDTH - (across + 2) * GAP) // (across + 1)
        large = side
    else:
        # The stack is as tall as the square.
        gap = NARROW
        large = round((WIDTH - 3 * GAP) / 2)
        side = (large - (across - 1) * NARROW) // across
    height = round(large * tall)
    line = Image.new("RGB", (WIDTH, height), PAPER)
    for number, sheet in enumerate(sheets):
        row, column = divmod(number, across)
        corner = (GAP + column * (side + gap), round(row * (side + gap) * tall))
        put(line, sheet, corner, (side, round(side * tall)), job)
        if down == 1 and column:
            sign(line, (corner[0] - GAP // 2, height // 2), "×")
    put(line, stack, (WIDTH - GAP - large, 0), (large, height), job)
    sign(line, (WIDTH - GAP - large - GAP // 2, height // 2), "=")
    return line


def put(line: Image.Image, picture: Image.Image, corner: Place, size: Place, job: Job) -> None:
    """Paste a picture into the line; a round one without its corners."""
    mask = Image.new("L", (size[0] * 4, size[1] * 4), 255)
    if job.shape == "disc":
        mask.paste(0, (0, 0, *mask.size))
        ImageDraw.Draw(mask).ellipse((0, 0, mask.width - 1, mask.height - 1), fill=255)
    small = picture.resize(size, Image.Resampling.LANCZOS)
    line.paste(small, corner, mask.resize(size, Image.Resampling.BOX))


def sign(line: Image.Image, middle: Place, which: str) -> None:
    """Draw × or =, centred on a point."""
    x, y = middle
    strokes = {"×": ((-4, -4, 4, 4), (-4, 4, 4, -4)), "=": ((-5, -3, 5, -3), (-5, 3, 5, 3))}[which]
    for x_0, y_0, x_1, y_1 in strokes:
        ImageDraw.Draw(line).line((x + x_0, y + y_0, x + x_1, y + y_1), fill=INK, width=2)


def image_of(values: "np.ndarray") -> Image.Image:
    """Return (H, W, C), float32 sRGB in [0, 1], as a picture in colour."""
    codes = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.repeat(codes, 3 // codes.shape[2], axis=2))


def jpeg(picture: Image.Image) -> bytes:
    """Return a JPEG with the highest quality that is small enough."""
    for quality in range(92, 30, -2):
        file = BytesIO()
        picture.save(file, "JPEG", quality=quality, optimize=True, progressive=True)
        if file.tell() <= BYTES:
            break
    return file.getvalue()


if __name__ == "__main__":
    main()
