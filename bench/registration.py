"""The cost of misalignment: python bench/registration.py FOLDER, a folder that `mlsolve run` wrote.

It shifts every sheet but the first by whole pixels, to the right and down, and scores the stack.
"""

import sys
from pathlib import Path

import numpy as np

from mlsolve import compose, psnr, ssim
from mlsolve.job.job_file import load_job
from mlsolve.pictures.picture_files import load_picture
from mlsolve.scoring.layer_files import layer_files


def main() -> None:
    """Print SSIM and PSNR of the stack for shifts of 0 to 5 pixels."""
    folder = Path(sys.argv[1])
    job = load_job(folder / "job.toml")
    target, _ = job.pictures()
    layers = [load_picture(path) for path in layer_files(folder)]
    for shift in (0, 1, 2, 3, 5):
        moved = [layers[0], *(np.roll(layer, shift, axis=(0, 1)) for layer in layers[1:])]
        stack = compose(moved, job.options.exposure)
        print(f"{shift} pixels  SSIM {ssim(stack, target):.3f}  {psnr(stack, target):.1f} dB")


if __name__ == "__main__":
    main()
