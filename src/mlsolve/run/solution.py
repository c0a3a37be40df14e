"""The result of `mlsolve.solve`."""

import itertools
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.placement.frames import Frame, disc
from mlsolve_kernels.region import Region
from mlsolve_kernels.threads import available_cores

from ..job.arrangements import Outline, Placement
from ..job.depths import print_scales, views_of
from ..job.options import Options
from ..media import Media
from ..pictures import picture_files
from ..report.carriers import StackCarriers
from ..report.folder import MEDIA_FILE, staged
from ..report.result import Summary, write_report
from ..scoring.developing import bands_of, composite_placed, looks_of
from ..scoring.layer_files import Bands, score_layer_files
from ..scoring.placed import place_sheet
from ..scoring.scores import Scores, StackScores, decibels, similarity
from ..scoring.stack_scoring import PlacedStack
from ..solving.balance import Balance
from ..solving.history import History
from ..solving.level_pictures import as_codes
from ..solving.rounds import Stop
from ..solving.spec import inks_of
from ..solving.store import MemoryStore

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Solution:
    """Layers, with everything they were solved from. Pictures are float32 sRGB code values in [0, 1]."""

    layers: FloatArray
    """The layers to print, (N, H, W, C); C is 1 or 3."""
    targets: FloatArray
    """The pictures the stacks should show, (M, H, W, C); white outside the circle of round sheets."""
    guides: FloatArray
    """The picture each layer should look like, (N, H, W, C); white outside the circle of round sheets."""
    arrangements: tuple[tuple[Placement, ...], ...]
    """The placements of the sheets of each stack."""
    masks: tuple[FloatArray | None, ...]
    """Weights of each target's pixels, (H, W, 1) in [0, 1]; None where all count the same."""
    balance: Balance
    """The exposures of the stacks, and the colour cast that must remain."""
    options: Options
    """The settings."""
    history: History
    """The loss and its terms at every iteration."""
    backend: Literal["cpu", "cuda"]
    """The backend that computed it."""
    stop: Stop
    """Why it ended: all iterations done, the target SSIM reached, patience exhausted, or the callback."""
    seconds: float
    """Wall-clock time of the solve, including compilation."""
    shape: Outline = "sheet"
    """Outline of the sheets: "sheet", or "disc" for round ones."""
    device: str | None = None
    """Name of the GPU; None if there was none."""
    adam: str | None = None
    """How Adam's step was compiled for the GPU; None if there was none."""
    carriers: tuple[StackCarriers | None, ...] = ()
    """The carriers of every stack, None for a stack without; (): no stack has any."""
    media: Media | None = None
    """The printer and film of the layers, which are then device codes; None: ideal inks."""
    solver: str | None = None
    """What moved the layers: "newton" or "adam"; None: unknown."""

    @property
    def target(self) -> FloatArray:
        """The first target, (H, W, C)."""
        return np.asarray(self.targets[0])

    @property
    def exposures(self) -> tuple[float, ...]:
        """The exposure of every stack."""
        return self.balance.exposures

    @property
    def print_scale(self) -> tuple[float, ...]:
        """How much larger than the first each layer is to be printed, so that all look as large to the viewer."""
        return print_scales(self.options, self.arrangements, len(self.layers))

    @cached_property
    def printed(self) -> npt.NDArray[np.uint8]:
        """The layers as written to files: (N, H, W, C) uint8, rounded to the nearest code value."""
        return np.asarray(np.rint(self.layers * np.float32(255)), dtype=np.uint8)

    @cached_property
    def stacks(self) -> FloatArray:
        """The written layers stacked, as seen on the light box: (M, H, W, C) sRGB in [0, 1]."""
        sheets, inks = self._sheets, self._inks
        both = zip(self.arrangements, self.exposures, strict=True)
        return np.stack([composite_placed(sheets, place, exposure, inks) for place, exposure in both])

    @cached_property
    def looks(self) -> FloatArray:
        """How each written layer looks alone, (N, H, W, C) sRGB in [0, 1]: itself, without a media profile."""
        layers, inks = np.stack(self._written), self._inks
        return layers if inks is None else looks_of(layers, inks, inks.room * self.exposures[0])

    @property
    def stack(self) -> FloatArray:
        """The first stack, (H, W, C)."""
        return np.asarray(self.stacks[0])

    @cached_property
    def scores(self) -> Scores:
        """Scores of the written layers, including 8-bit rounding.

        Round sheets are scored inside the circle only; stacks by the weights of their target's pixels. With a media
        profile sheets and stacks are compared as they look; colour differences are in result.json.
        """
        layers, shape = list(self.looks), self.layers.shape[1:3]
        counted = disc(shape, Frame(0, 0), shape) if self.shape == "disc" else None
        stacks = []
        of_stacks = zip(self.arrangements, self.targets, self.exposures, self.masks, strict=True)
        for place, target, exposure, mask in of_stacks:
            weights = counted
            if mask is not None:
                weights = np.ascontiguousarray(mask[..., 0] if counted is None else mask[..., 0] * counted)
            sheets = [place_sheet(layers[one.layer - 1], one) for one in place]
            stack = composite_placed(self._sheets, place, exposure, self._inks)
            away = tuple(similarity(sheet, target, weights) for sheet in sheets)
            found = similarity(stack, target, weights), decibels(stack, target, weights)
            stacks.append(StackScores(*found, away))
        guides = zip(layers, self.guides, strict=True)
        return Scores(tuple(stacks), tuple(similarity(layer, guide, counted) for layer, guide in guides))

    @property
    def _inks(self) -> Inks | None:
        return inks_of(self.options, self.media)

    @cached_property
    def _sheets(self) -> list[FloatArray]:
        """What the written layers let through, as sRGB of the light: in bands, with a media profile."""
        inks, layers = self._inks, self._written
        return layers if inks is None else [bands_of(layer, inks) for layer in layers]

    @property
    def _written(self) -> list[FloatArray]:
        return [np.asarray(layer / np.float32(255)) for layer in self.printed]

    def save(self, folder: str | PathLike[str], overwrite: bool = False) -> Path:
        """Write the layers and their report into `folder`, whole or not at all; return the folder.

        layer-1.png … layer-N.png, stack.png (of several arrangements stack-1.png …), sheet.png, history.csv,
        result.json, whose scores are taken from the files as written, if a stack has carriers, carriers.png
        (carriers-1.png …), and media.toml with a media profile. Raises OutputError if the folder exists (unless
        `overwrite`, and then only if mlsolve wrote all that is in it), cannot be written to, or the disk is full.
        """
        return _write(self, Path(folder), overwrite=overwrite)


def _write(solution: Solution, folder: Path, overwrite: bool = False) -> Path:
    """Write everything that belongs to `solution` into `folder` and return it; see `Solution.save`."""
    options = solution.options
    summary = Summary(
        solution.balance,
        options.registration,
        solution.history,
        solution.stop,
        solution.seconds,
        solution.backend,
        solution.device,
        solution.shape == "disc",
        solution.adam,
        solution.carriers,
        solution.media,
        options,
        solution.print_scale,
        solution.solver,
    )
    masks = [mask for mask in solution.masks if mask is not None]
    pictures = [as_codes(picture) for picture in (*solution.targets, *solution.guides, *masks)]
    numbers = itertools.count(len(solution.targets) + len(solution.guides))
    of_stacks = zip(solution.arrangements, solution.exposures, solution.masks, strict=True)
    stacks = [
        PlacedStack(place, e, None if mask is None else next(numbers), views_of(options, len(place)))
        for place, e, mask in of_stacks
    ]
    with staged(folder, overwrite) as stage:
        for number, layer in enumerate(solution.printed, start=1):
            picture_files.save_png(stage / f"layer-{number}.png", layer, solution.media is None)

        def wanted(number: int, region: Region) -> npt.NDArray[np.uint16]:
            return pictures[number][region.top : region.bottom, region.left : region.right]

        store, disc = MemoryStore(), solution.shape == "disc"
        scoring = score_layer_files(
            stage,
            stacks,
            lambda: wanted,
            store,
            Bands(workers=options.threads or available_cores()),
            options.registration,
            round_sheets=disc,
            inks=solution._inks,
        )
        if solution.media is not None:
            (stage / MEDIA_FILE).write_text(solution.media.toml(), encoding="utf-8")
        write_report(stage, folder, summary, scoring)
    return folder
