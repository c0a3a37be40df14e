"""What a workshop is told about a run, as numbers and words: read from its folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light.ink.pictures import Film, develop_codes, film_of
from mlsolve_kernels.light.ink.reference import GAMMA, look
from mlsolve_kernels.window import SIZE

from ..errors import InputError
from ..job.arrangements import Placement
from ..job.depths import depths_of
from ..job.job import Job
from ..job.print_size import INCH
from ..media import Media, load_media
from ..pictures.arrays import code_values
from ..pictures.colour import encode, srgb_from_light
from ..pictures.picture_files import open_picture
from ..report.result import exposures_in
from ..scoring.codes import tables
from ..scoring.developing import compose
from ..scoring.layer_files import layer_files, stack_names
from ..scoring.placed import place_sheet
from ..scoring.previews import Preview

_HIGHEST: Final = 65535
_THUMB: Final = 360
"""Longer side of a thumbnail in pixels."""
_BAND: Final = 64

Thumb = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 sRGB."""


@dataclass(frozen=True)
class Tolerance:
    """What a misalignment costs."""

    millimetres: float
    ssim: float


@dataclass(frozen=True)
class Stack:
    """One arrangement."""

    name: str
    place: tuple[Placement, ...]
    """From the top to the bottom."""
    exposure: float
    ssim: float
    tolerance: tuple[Tolerance, ...]
    depths: tuple[float, ...]
    """How deep the sheets lie, in mm."""
    sheets: tuple[Thumb, ...]
    """As they lie, in the codes of the layers."""
    looks: tuple[Thumb, ...]
    """The same, as they look alone on the light box."""
    shows: Thumb
    turned_over: Thumb
    upside_down: Thumb
    """What the stack shows; what it shows where its first sheet was turned over, or put upside down."""


@dataclass(frozen=True)
class Workshop:
    """A run."""

    layers: tuple[Thumb, ...]
    """In the codes of their files."""
    looks: tuple[Thumb, ...]
    """As they look alone on the light box: as layers, unless these are codes for a printer and film."""
    stacks: tuple[Stack, ...]
    white: float
    """What the white of the stack is to have, in cd/m²."""
    registration: float
    """The misalignment that it tolerates, in mm."""
    material: str
    """What fills the gaps, "" where there are none."""
    viewer: float | None
    """Distance of the viewer in mm."""
    view: float
    """Half-angle of the directions in which it holds, in degrees."""
    disc: bool
    pixel: float
    """Width of a pixel of the print in mm."""


def workshop_of(folder: Path, job: Job, dpi: float) -> Workshop:
    """Return what is to be said about the run in `folder`. dpi: of the first layer. Raises InputError."""
    layers = [_thumb(path) for path in layer_files(folder)]
    exposures = exposures_in(folder, len(job.arrangements))
    if exposures is None:
        raise InputError(f"{folder} contains no result.json: give the folder that mlsolve run wrote")
    report: Any = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    media = None if job.media is None else _media(folder, job)
    width = open_picture(layer_files(folder)[0]).size[0]
    options = job.options
    looks = _looks(layer_files(folder), layers, media, options.room * exposures[0])
    stacks = []
    for number, (lain, exposure, found, picture) in enumerate(
        zip(job.arrangements, exposures, report["arrangements"], stack_names(len(exposures)), strict=True)
    ):
        place = lain.placed(len(layers))
        scale = layers[0].shape[1] / width
        seen = [_placed(layers[one.layer - 1], one, scale) for one in place]
        alone = [_placed(looks[one.layer - 1], one, scale) for one in place]
        path = folder / picture
        shows = _thumb(path) if path.exists() else _stack(seen, exposure, media, options.room)
        stacks.append(
            Stack(
                Path(str(lain.target)).stem or f"picture {number + 1}",
                place,
                exposure,
                float(found["ssim"]),
                tuple(
                    Tolerance(float(one["pixels"]) * INCH / dpi, float(one["ssim"]))
                    for one in found.get("misaligned", [])
                ),
                tuple(depth * INCH / dpi for depth in depths_of(options, len(place))),
                tuple(seen),
                tuple(alone),
                shows,
                _stack([seen[0][:, ::-1], *seen[1:]], exposure, media, options.room),
                _stack([seen[0][::-1, ::-1], *seen[1:]], exposure, media, options.room),
            )
        )
    return Workshop(
        tuple(layers),
        tuple(looks),
        tuple(stacks),
        options.white,
        options.registration * INCH / dpi,
        "" if options.gap is None else str(options.material),
        None if options.viewer is None else options.viewer * INCH / dpi,
        options.view,
        job.shape == "disc",
        INCH / dpi,
    )


def _media(folder: Path, job: Job) -> Media:
    """Return the profile of the run: the copy that lies in its folder, or else what the job names."""
    copy = folder / "media.toml"
    return load_media(copy if copy.exists() else cast("str | Path", job.media))


def _looks(files: Sequence[Path], layers: list[Thumb], media: Media | None, room: float) -> list[Thumb]:
    """Return how sheets look alone. room: light of the room, as a share of the white of a sheet alone."""
    if media is None:
        return layers
    inks = media.inks._replace(room=room)
    film = film_of(inks, tables(np.uint16).encoded)
    found = []
    for path in files:
        bands = _thumb(path, film)[..., : inks.planes] / 255.0
        seen = look(np.moveaxis(encode(np.asarray(bands, dtype=np.float32)), -1, 0), inks, room=room)
        light = np.clip(np.moveaxis(seen, 0, -1) ** GAMMA, 0, 1)
        found.append(code_values(np.asarray(srgb_from_light(light), dtype=np.float32), 3))
    return found


def _thumb(path: Path, film: Film | None = None) -> Thumb:
    """Return the picture in the file `path`, reduced, as colour.

    film: if it is a layer of device codes, and wanted is what its sheet lets through in bands.
    """
    picture = open_picture(path)
    longest = max(_THUMB, -(-SIZE * max(picture.size) // min(picture.size)))
    preview = Preview(picture.size, min(longest, max(picture.size)))
    for band in picture.bands(_BAND):
        if film is not None:
            codes, band = np.ascontiguousarray(band), np.empty(band.shape, dtype=np.uint16)
            develop_codes(film, codes, band)
        preview.feed(np.asarray(band / np.float32(_HIGHEST), dtype=np.float32))
    small = preview.image
    return np.repeat(small, 3, axis=2) if small.shape[2] == 1 else small


def _placed(thumb: Thumb, placement: Placement, scale: float) -> Thumb:
    """Return a thumbnail as its sheet lies; scale: its pixels per pixel of the sheet."""
    if placement.still:
        return thumb
    moved = Placement(
        placement.layer,
        placement.rotate,
        placement.flip,
        (float(round(placement.shift[0] * scale)), float(round(placement.shift[1] * scale))),
    )
    return code_values(place_sheet(np.asarray(thumb / np.float32(255), dtype=np.float32), moved), 3)


def _stack(sheets: list[Thumb], exposure: float, media: Media | None, room: float) -> Thumb:
    """Return what thumbnails of sheets show."""
    if media is not None and media.planes == 1:
        found = compose([one[..., :1] for one in sheets], exposure, media, room)
    else:
        found = compose(sheets, exposure, media, room)
    return code_values(found, 3)
