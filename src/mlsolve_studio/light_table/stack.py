"""A finished run as the light table shows it: sheets, placements, exposures, targets, inks."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve.errors import InputError
from mlsolve.job.arrangements import Placement
from mlsolve.job.job import Job
from mlsolve.job.job_file import load_job
from mlsolve.pictures.arrays import code_values
from mlsolve.pictures.picture_files import load_picture, open_picture
from mlsolve.pictures.resize import fit_image, resize
from mlsolve.report.folder import MEDIA_FILE, inks_in
from mlsolve.report.result import exposures_in
from mlsolve.run.unfinished import is_run, unfinished
from mlsolve.scoring.codes import tables
from mlsolve.scoring.layer_files import layer_files
from mlsolve.scoring.previews import Preview
from mlsolve.solving.level_pictures import HIGHEST
from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.light.ink.pictures import film_of
from mlsolve_kernels.light.ink.reference import GAMMA
from mlsolve_kernels.placement.frames import Frame, disc

PROXY: Final = 2048
"""Longest side in pixels of sheets that a browser holds whole; of larger ones it holds tiles, too."""

TILE: Final = 512
"""Side in pixels of the tiles of larger sheets; those at the right and the bottom are smaller."""

SCORED: Final = 1024
"""Longest side in pixels of stacks that the page scores as they are; larger ones it reduces first."""

_LARGE: Final = 1 << 24
"""Pixels of a target above which it is reduced while it is read."""
_BAND_BYTES: Final = 4 << 20

Size = tuple[int, int]
"""(width, height) in pixels."""


@dataclass(frozen=True)
class Stack:
    """The sheets of a finished run."""

    folder: Path
    job: Job
    layers: tuple[Path, ...]
    """The files of the layers."""
    size: Size
    """Of the layers."""
    planes: int
    """Planes of the layers: 1 or 3."""
    exposures: tuple[float, ...]
    """One for each arrangement."""
    inks: Inks | None
    """Film, inks and room, if the layers are device codes."""
    report: dict[str, Any]
    """What result.json says."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    def proxy_size(self, longest: int = PROXY) -> Size:
        """Return the size of sheets whose longer side is at most `longest`: whole halves of the layers.

        Halving keeps the places of pixels simple: pixel (y, x) there is the mean of four of the level below.
        """
        size = self.size
        while max(size) > longest:
            size = (size[0] + 1) // 2, (size[1] + 1) // 2
        return size

    def manifest(
        self, size: Size, address: Callable[[str], str], side: int = 0, levels: Sequence[Size] = ()
    ) -> dict[str, Any]:
        """Return what a page must know, as values for JSON.

        size: of the sheets that the page holds whole. address: where a page finds a picture, by its name as in
        `picture`. side, levels: of tiles; sizes of larger sheets that have tiles, from full size on by halves.
        """
        options, gap = self.job.options, self.job.options.gap or ()
        scale = 2.0 ** -len(levels) if levels else size[0] / self.size[0]
        scales = [(size, scale), *((one, 2.0**-level) for level, one in enumerate(levels))]
        return {
            "name": self.name,
            "size": list(size),
            "full": list(self.size),
            "shape": self.job.shape,
            "planes": self.planes,
            "dpi": self.job.dpi,
            "sheets": [
                {"name": _guide_name(guide), "picture": address(f"sheet-{number}")}
                for number, guide in enumerate(self.job.guides, start=1)
            ],
            "arrangements": [
                self._arrangement(number, scales, address) for number in range(1, len(self.exposures) + 1)
            ],
            # Lengths are in pixels of the layers.
            "gap": [round(length, 4) for length in gap],
            "index": options.refraction,
            "view": options.view or 0,
            "registration": options.registration,
            "scale": scale,
            "tiles": {"side": side, "levels": [list(one) for one in levels]} if levels else None,
            "inks": None if self.inks is None else inks_of_pages(self.inks),
        }

    def _arrangement(
        self, number: int, scales: Sequence[tuple[Size, float]], address: Callable[[str], str]
    ) -> dict[str, Any]:
        one = self.job.arrangements[number - 1]
        names = [f"{kind}-{number}" for kind in ("target", "fine", "mask")]
        there = self.picture_names(scales[0][0])
        return {
            "name": Path(str(one.target)).stem,
            "exposure": self.exposures[number - 1],
            "place": [placed(place, scales) for place in one.placed(len(self.layers))],
            **dict.fromkeys(("target", "fine", "mask")),
            **{name.partition("-")[0]: address(name) for name in names if name in there},
            "ssim": self.ssim(number),
        }

    def ssim(self, number: int) -> float | None:
        """Return the score of arrangement `number` in result.json, None if there is none."""
        stacks = self.report.get("arrangements", [])
        found = stacks[number - 1] if isinstance(stacks, list) and len(stacks) >= number else None
        score = found.get("ssim") if isinstance(found, dict) else None
        return float(score) if isinstance(score, int | float) else None

    def target_file(self, number: int) -> Path | None:
        """Return the file of the target of arrangement `number`; None if it is no longer there."""
        path = self.job.targets[number - 1]
        return path if path.is_file() else None

    def picture_names(self, size: Size) -> list[str]:
        """Return the names of all pictures of this stack for sheets of `size`.

        "sheet-1" …; "target-1" …, as code values; "fine-1" …, what the target has beyond its code values, where
        the stack is scored as it is; "mask-1" …, how much each pixel counts.
        """
        targets = [number for number in range(1, len(self.exposures) + 1) if self.target_file(number) is not None]
        masks = [number for number in targets if self._mask_file(number) is not None]
        fine = targets if size == self.size and max(size) <= SCORED else []
        sheets = range(1, len(self.layers) + 1)
        kinds = {"sheet": sheets, "target": targets, "fine": fine, "mask": masks}
        return [f"{kind}-{number}" for kind, numbers in kinds.items() for number in numbers]

    def _mask_file(self, number: int) -> Path | None:
        mask = self.job.arrangements[number - 1].mask
        return mask if isinstance(mask, Path) and mask.is_file() else None

    def picture(self, name: str, size: Size) -> npt.NDArray[np.uint8] | Path:
        """Return the picture `name` at `size`, (h, w, C) uint8 code values, or a PNG that holds just these.

        name: one of `picture_names`. Raises KeyError for another, InputError if a file cannot be read.
        """
        if name not in self.picture_names(size):
            raise KeyError(name)
        kind, _, digits = name.partition("-")
        number = int(digits)
        if kind == "mask":
            mask = self._mask_file(number)
            assert mask is not None
            grey = self._fitted(mask, size).mean(axis=2, keepdims=True, dtype=np.float32)
            return code_values(np.asarray(grey, dtype=np.float32), 1)
        if kind != "sheet":
            target = self._target(number, size)
            codes = code_values(target, target.shape[2])
            return codes if kind == "target" else beyond_codes(target, codes)
        path = self.layers[number - 1]
        file = open_picture(path)
        if size == self.size and file.eight and path.suffix == ".png":
            return path
        return _reduced(path, size)

    def _target(self, number: int, size: Size) -> npt.NDArray[np.float32]:
        fitted = self._fitted(self.job.targets[number - 1], size)
        if self.job.shape == "disc":
            # Beyond the circle sheets are clear, and the stack is compared with white.
            shape = size[1], size[0]
            fitted = np.where(disc(shape, Frame(0, 0), shape)[..., np.newaxis] > 0, fitted, np.float32(1))
        return fitted

    def _fitted(self, path: Path, size: Size) -> npt.NDArray[np.float32]:
        """Return the picture in the file `path`, a target or a mask, as the job fits it to `size`."""
        file = open_picture(path, self.job.cmyk_profile)
        if file.size[0] * file.size[1] <= _LARGE or file.orientation != 1:
            image = load_picture(path, self.job.cmyk_profile)
        else:
            preview = Preview(file.size, 2 * max(size))
            for band in file.bands(_band_rows(file.size[0], file.planes)):
                preview.feed(np.asarray(band / HIGHEST, dtype=np.float32))
            image = np.asarray(preview.image / np.float32(255), dtype=np.float32)
        return fit_image(image, size, self.job.fit)


def beyond_codes(image: npt.NDArray[np.float32], codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return what `image`, sRGB in [0, 1], has beyond its code values `codes`, both (h, w, C).

    0 to 255 stand for -0.5 to 0.5 of a code value: SSIM in flat parts of a picture sees code values' rounding.
    """
    return np.asarray(np.rint((np.clip(image * 255.0 - codes, -0.5, 0.5) + 0.5) * 255), dtype=np.uint8)


def open_stack(folder: Path) -> Stack:
    """Return the stack in `folder`, which `mlsolve run` wrote.

    Raises InputError for files that are missing, damaged or inconsistent.
    """
    if is_run(unfinished(folder)) and not (folder / "result.json").is_file():
        raise InputError(f"{folder} is not finished: mlsolve resume {folder}")
    layers = layer_files(folder)
    if not (folder / "job.toml").is_file():
        raise InputError(f"{folder} contains no job.toml: give the folder that mlsolve run wrote")
    job = load_job(folder / "job.toml")
    exposures = exposures_in(folder, len(job.arrangements))
    if exposures is None:
        raise InputError(f"{folder} contains no result.json: give the folder that mlsolve run wrote")
    if len(layers) != len(job.guides):
        raise InputError(
            f"{folder} contains {len(layers)} layers, its job.toml {len(job.guides)} guides: restore what mlsolve "
            "run wrote"
        )
    files = [open_picture(path) for path in layers]
    inks, planes = inks_in(folder, job), max(file.planes for file in files)
    if inks is not None and any(file.planes != inks.planes for file in files):
        raise InputError(
            f"{folder} has layers of {planes} colour planes, {MEDIA_FILE} is for {inks.planes}: restore what "
            "mlsolve run wrote"
        )
    report = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return Stack(folder, job, tuple(layers), files[0].size, planes, tuple(exposures), inks, report)


def placed(one: Placement, scales: Sequence[tuple[Size, float]]) -> dict[str, Any]:
    """Return a placement as values for JSON, with its maps for sheets of several sizes, which are the solver's own.

    scales: (width, height) of these sheets, and their pixels a pixel of the layers, in which shifts are counted.
    """
    maps = [list(one.move((height, width), scale)) for (width, height), scale in scales]
    return {
        "layer": one.layer,
        "rotate": one.rotate,
        "flip": one.flip,
        "shift": list(one.shift),
        "map": maps[0],
        "maps": maps[1:],
    }


def inks_of_pages(inks: Inks) -> dict[str, Any]:
    """Return film and inks as tables for pages: factors of light by code value, 0 to 255.

    `curves[channel][code]` are the factors in every band; `base` is that of the clear sheet; `eye` has a row for
    each plane of linear sRGB. See docs/maths.md §12.
    """
    film = film_of(inks, tables(np.uint8).encoded)
    factors = np.exp(GAMMA * film.curves)
    return {
        "base": np.exp(GAMMA * film.base).tolist(),
        "curves": np.moveaxis(factors, 0, -1).tolist(),
        "eye": [list(row) for row in inks.to_eye],
        "reflectance": inks.reflectance,
        "room": inks.room,
    }


def _reduced(path: Path, size: Size) -> npt.NDArray[np.uint8]:
    """Return the picture in the file `path` at `size`, by averages of light; (h, w, C) uint8 code values."""
    file = open_picture(path)
    preview = Preview(file.size, max(size))
    for band in file.bands(_band_rows(file.size[0], file.planes)):
        preview.feed(np.asarray(band / HIGHEST, dtype=np.float32))
    small = preview.image
    if small.shape[1::-1] == size:
        return small
    return code_values(resize(np.asarray(small / np.float32(255), dtype=np.float32), size), small.shape[2])


def _band_rows(width: int, planes: int) -> int:
    return max(1, _BAND_BYTES // (2 * width * planes))


def _guide_name(guide: Path | str) -> str:
    return guide if isinstance(guide, str) else guide.stem
