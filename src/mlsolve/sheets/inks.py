"""RGB rows to the inks of a shop: CMYK by an ICC profile, or how much of each ink a film is to cover."""

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import ImageCms

from ..errors import InputError, first_line
from ..pictures.colour import light_from_srgb
from ..pictures.decoders.vips import image_of, pyvips
from ..pictures.writers.srgb_profile import srgb_profile
from .document import OutputColours
from .rows import Rows

Intent = Literal["perceptual", "relative", "saturation"]
"""Rendering intents that leave clear film clear; the absolute one would print the colour of paper."""

SOLID: Final = 65535
"""The coverage of a film that is all ink; 0 is clear."""

_SPACE: Final = slice(16, 20)
_CLASS: Final = slice(12, 16)
"""Header fields of a profile (ICC.1, 7.2): the colours that it is for, and what kind of device."""


@dataclass(frozen=True)
class CmykProfile:
    """A shop's profile for CMYK."""

    path: Path
    data: bytes
    described: str
    intent: Intent = "relative"

    def rows(self, rows: Rows, bits: int) -> Rows:
        """Return RGB `rows` (h, w, 3) uint16 as CMYK (h, w, 4) uint8 or uint16: 0 is no ink.

        The conversion is in 16 bits; `bits` are those of the result.
        """
        image = image_of(rows).copy(interpretation="rgb16")
        image.set_type(pyvips().GValue.blob_type, "icc-profile-data", srgb_profile())
        lab = image.icc_import(embedded=True, intent=self.intent, pcs="lab")
        inks = lab.icc_export(output_profile=str(self.path), intent=self.intent, depth=16)
        found: Rows = np.frombuffer(inks.write_to_memory(), np.uint16).reshape(*rows.shape[:2], 4)
        return found if bits == 16 else ((found.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)

    @property
    def colours(self) -> OutputColours:
        """The colours of a file in these inks."""
        return OutputColours("cmyk", self.data, self.described)


def load_profile(path: Path, intent: Intent = "relative") -> CmykProfile:
    """Return the ICC profile for CMYK printers in the file `path`.

    Raises InputError if it is none, or if it puts ink where there is to be clear film.
    """
    if not path.is_file():
        raise InputError(f"profile is {path}, which is not a file: check the name")
    data = path.read_bytes()
    if len(data) < 128 or data[_SPACE] != b"CMYK" or data[_CLASS] != b"prtr":
        raise InputError(
            f"profile is {path}, which is not an ICC profile of a CMYK printer: give the shop's .icc file"
        )
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(data))
        described = ImageCms.getProfileDescription(opened).strip()
        found = CmykProfile(path, data, described or path.stem, intent)
        white = found.rows(np.full((1, 1, 3), 65535, np.uint16), 8)
    except (ImageCms.PyCMSError, OSError, ValueError, struct.error, pyvips().Error) as error:
        raise InputError(f"profile is {path}, which cannot be used ({first_line(error)}): ask the shop") from None
    if white.max() > 2:
        inks = ", ".join(f"{round(value / 2.55)} %" for value in white.ravel())
        raise InputError(
            f"profile is {path}, which prints clear film with {inks} of its inks: use another --intent or profile"
        )
    return found


@dataclass(frozen=True)
class FilmInks:
    """The inks that a layer is printed with through films."""

    names: tuple[str, ...]
    profile: CmykProfile | None = None
    """None: cyan, magenta and yellow that hold back red, green and blue."""
    device: bool = False
    """Whether layers are device codes: then a code is a coverage as it stands."""

    def coverage(self, rows: Rows) -> npt.NDArray[np.uint16]:
        """Return how much each ink covers, (h, w, inks) from 0 to SOLID, for `rows` (h, w, 3) uint16 RGB.

        Ideal ink lets through none of its light and bare film all: covering a share holds back that share of the
        light (Murray and Davies, 1936).
        """
        if self.profile is not None:
            return np.asarray(self.profile.rows(rows, 16), dtype=np.uint16)
        wanted = rows[..., :1] if len(self.names) == 1 else rows
        if self.device:
            return np.asarray(SOLID - wanted, dtype=np.uint16)
        return np.asarray(_table()[wanted])


def film_inks(grey: bool, profile: CmykProfile | None, device: bool) -> FilmInks:
    """Return the inks of films. grey: whether the layers are. device: whether they are device codes."""
    if profile is not None:
        return FilmInks(("cyan", "magenta", "yellow", "black"), profile)
    return FilmInks(("black",) if grey else ("cyan", "magenta", "yellow"), None, device)


def _table() -> Any:
    """Return the coverage for every 16-bit code."""
    light = light_from_srgb(np.arange(65536) / 65535)
    return np.rint((1 - light) * SOLID).astype(np.uint16)
