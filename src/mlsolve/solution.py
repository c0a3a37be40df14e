"""What a solve gives back."""

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from .colour import compose
from .history import History
from .options import Options
from .rounds.advance import Stop
from .scores import Scores, score

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Solution:
    """Layers, and all that led to them. Pictures are float32 sRGB code values in [0, 1]."""

    layers: FloatArray
    """(N, H, W, C), what to print; C is 1 or 3."""
    target: FloatArray
    """(H, W, C), what the stack shall show."""
    guides: FloatArray
    """(N, H, W, C), what each layer shall look like."""
    options: Options
    """The settings."""
    history: History
    """Every term of the loss at every iteration."""
    backend: Literal["cpu", "cuda"]
    """What computed it."""
    stop: Stop
    """Why it ended: all iterations done, the wanted SSIM reached, patience run out, or the callback."""
    seconds: float
    """Wall-clock time of the solve, compiling included."""
    device: str | None = None
    """What the GPU is called, None if there was none."""

    @cached_property
    def printed(self) -> npt.NDArray[np.uint8]:
        """The layers as they are written: (N, H, W, C) uint8, rounded to the nearest code value."""
        return np.asarray(np.rint(self.layers * np.float32(255)), dtype=np.uint8)

    @cached_property
    def stack(self) -> FloatArray:
        """The written layers laid over each other as seen on the light box, (H, W, C) sRGB in [0, 1]."""
        return compose(self.printed, self.options.exposure)

    @cached_property
    def scores(self) -> Scores:
        """What the written layers score: 8-bit rounding included."""
        return score(self.printed, self.target, self.guides, self.options.exposure)

    def save(self, folder: str | PathLike[str], overwrite: bool = False) -> Path:
        """Write the layers and what belongs to them into `folder`, all of it or nothing; return the folder.

        layer-1.png … layer-N.png, stack.png, sheet.png, history.csv and result.json, whose scores are
        taken from the files as written. Raises OutputError if the folder exists (unless `overwrite`, and
        then only if mlsolve wrote all that is in it), cannot be written to, or the disk is full.
        """
        from .folder import write_solution

        return write_solution(self, Path(folder), overwrite=overwrite)
