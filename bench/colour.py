"""The picture of docs/gallery/colour.png: python bench/colour.py PICTURE; `make gallery` does it.

A picture from three patterns, solved without the colour term and with `--colour-weight`. Lines from the top: guides
and target; layers and stack without the term; layers and stack with it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import mlsolve
from mlsolve.guides import generate
from mlsolve.pictures.picture_files import load_picture
from mlsolve.pictures.resize import fit_image

EXAMPLES = Path(__file__).parents[1] / "examples"
SIDE, SHOWN, GAP = 300, 168, 8
WEIGHT = 3.0
GUIDES = (("rosette", 1, "ember"), ("mosaic", 4, "lagoon"), ("kaleidoscope", 3, "dusk"))
PAPER = (246, 245, 241)
COLOURS = 192
"""Of the picture: a PNG of a palette, to be small."""


def main() -> None:
    """Solve, write the picture, and say what was measured."""
    target = fit_image(load_picture(EXAMPLES / "chelsea.jpg"), (SIDE, SIDE))
    guides = [generate(family, (SIDE, SIDE), seed, palette) for family, seed, palette in GUIDES]
    lines = [[*guides, target]]
    for weight in (0.0, WEIGHT):
        options = mlsolve.Options(exposure=0.05, colour_weight=weight)
        solution = mlsolve.solve(target, guides, options)
        lines.append([*solution.layers, solution.stacks[0]])
        scores = solution.scores
        print(f"weight {weight:g}: {scores.target_psnr:.1f} dB, guides {scores.mean_guide_ssim:.3f}")
    path = Path(sys.argv[1])
    picture_of(lines).quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"look at {path}, {path.stat().st_size / 1000:.0f} kB")


def picture_of(lines: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """Return `lines` of pictures below each other."""
    step = SHOWN + GAP
    whole = Image.new("RGB", (step * len(lines[0]) + GAP, step * len(lines) + GAP), PAPER)
    for row, line in enumerate(lines):
        for column, image in enumerate(line):
            pixels = np.asarray(image)
            codes = pixels if pixels.dtype == np.uint8 else np.rint(255 * pixels).astype(np.uint8)
            small = Image.fromarray(codes).resize((SHOWN, SHOWN), Image.Resampling.LANCZOS)
            whole.paste(small, (GAP + column * step, GAP + row * step))
    return whole


if __name__ == "__main__":
    main()
