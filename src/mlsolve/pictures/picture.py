"""Picture files that are read in bands of rows, whatever their size."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import UnidentifiedImageError

from ..errors import InputError, first_line
from ..system.files import damaged, read_head
from .conversion import conversion_of
from .decoders import heif, jpeg, pillow, png_chunks, pnm, vips
from .decoders.stored import Stored, rows_at_a_time
from .white import over_white

FORMATS: Final = ("PNG", "JPEG", "TIFF", "WEBP", "AVIF", "HEIC", "GIF", "JXL", "BMP", "PPM")
"""Formats that can be read. They are recognised by content, not by file name."""

_NAMES: Final = "PNG, JPEG, TIFF, WebP, AVIF, HEIC, GIF, JPEG XL, BMP or PPM"

_BRANDS: Final = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC"),
}
"""Brands of the container format of HEIC and AVIF (ISO/IEC 14496-12, 4.3)."""

_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\xff\n", "JXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
    (b"BM", "BMP"),
    *((b"P%d" % number, "PPM") for number in range(1, 8)),
)


class Picture:
    """A picture file whose header has been read.

    size: (width, height) in pixels of the upright picture. stored_size: the same before the EXIF `orientation`, 1
    to 8, is applied. planes: 1 for grey, 3 for colour. bits: 8 or 16, the precision of the values from `bands`.
    """

    def __init__(self, path: Path, stored: Stored, cmyk_profile: Path | None = None) -> None:
        """stored: the contents of the file `path`. Use `open_picture` to create a Picture."""
        self.path, self.cmyk_profile = path, cmyk_profile
        self._stored = stored
        self._conversion = conversion_of(stored, path, cmyk_profile)
        self.stored_size = stored.size
        self.orientation = stored.orientation if stored.orientation in range(1, 9) else 1
        self.size = stored.size[::-1] if self.orientation >= 5 else stored.size
        self.planes: Literal[1, 3] = 1 if stored.mode == "L" else 3
        self._converted_rows = rows_at_a_time(stored.size[0] * self.planes, 1, stored.size[1])
        self.bits: Literal[8, 16] = stored.bits if self._conversion is None else 16
        self.eight = self.bits == 8 and not stored.alpha
        """Whether its code values are those of 8 bits: those from `bands` are then multiples of 257."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files from which it is decoded: its own, and that of the profile for CMYK, if one was given."""
        return (self.path,) if self.cmyk_profile is None else (self.path, self.cmyk_profile)

    @property
    def decoded_bytes(self) -> int:
        """Bytes of the decoded picture, 16 bits a value."""
        return 2 * self.planes * self.size[0] * self.size[1]

    def bands(self, rows: int) -> Iterator[npt.NDArray[np.uint16]]:
        """Yield the picture in its stored orientation, from the top, in bands of (rows, width, planes) uint16 sRGB.

        Code values are 0 to 65535; those of 8-bit files are multiplied by 257. Profiles and CMYK are converted,
        palettes are expanded, alpha is composited over white. Only the last band may have fewer rows. Raises
        InputError, naming the file, if it turns out to be damaged, and ValueError if `rows` is below 1.
        """
        if rows < 1:
            raise ValueError(f"rows is {rows}: give 1 or more")
        height = left = self.stored_size[1]
        band, filled = self._empty(min(rows, left)), 0
        for chunk in self._chunks():
            start = 0
            while start < len(chunk):
                part = chunk[start : start + len(band) - filled]
                band[filled : filled + len(part)] = part
                filled += len(part)
                start += len(part)
                if filled == len(band):
                    left -= filled
                    yield band
                    # A new array, because the old one now belongs to the caller.
                    band, filled = self._empty(min(rows, left)), 0
        if left:
            raise damaged(self.path, f"rows from {height - left} on are missing")

    def codes(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the picture in its stored orientation, from the top, a few rows at a time: (h, width, planes).

        As `bands`, but where all code values are those of 8 bits (`eight`), they are uint8. Raises InputError as
        `bands` does.
        """
        left = self.stored_size[1]
        for chunk in self._chunks(as_stored=self.eight):
            left -= len(chunk)
            yield chunk
        if left:
            raise damaged(self.path, f"rows from {self.stored_size[1] - left} on are missing")

    def peak_memory(self, rows: int) -> int:
        """Return the peak memory in bytes of reading in bands of `rows` rows, including the caller's band.

        This is an upper estimate for image data only; the first file also loads about 16 MB of code and tables.
        Pages of a memory-mapped file do not count, because the operating system can reclaim them at any time.
        """
        width, height = self.stored_size
        # Conversion makes copies in 16 bits and, for light and for compositing over white, in 32 bits.
        each = (20 if self._stored.alpha else 8) + (0 if self._conversion is None else 32)
        working = self._converted_rows * width * self.planes * each
        # The caller holds one band while the next is filled.
        bands = 2 * min(rows, height) * width * self.planes * 2
        return self._stored.held + working + bands

    def _empty(self, rows: int) -> npt.NDArray[np.uint16]:
        return np.empty((rows, self.stored_size[0], self.planes), np.uint16)

    def _chunks(self, as_stored: bool = False) -> Iterator[npt.NDArray[Any]]:
        """Yield the rows in sRGB, a few at a time, (h, width, planes) uint16; as_stored: as the file has them."""
        try:
            step = None if self._conversion is None else self._conversion.in_pipeline
            for chunk in self._stored.chunks(step):
                # A chunk may be a row of tiles, and converting it takes two to eight times its bytes.
                for top in range(0, len(chunk), self._converted_rows):
                    part = chunk[top : top + self._converted_rows]
                    yield part if as_stored else over_white(part, self._stored.alpha, self._conversion)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            # Decoders raise all kinds of exceptions (pyvips.Error, OSError, SyntaxError, struct.error, …).
            raise damaged(self.path, _reason(error)) from None


def open_picture(path: Path, cmyk_profile: Path | None = None) -> Picture:
    """Return the picture in the file `path`; only its header is read.

    The format is one of FORMATS, recognised by content. Of several pages or frames the first is read, and of HEIC
    the primary picture, with a warning. cmyk_profile: an ICC profile for CMYK files that contain none. Raises
    InputError, naming the file, if it is none of FORMATS, if its header is damaged, or if its content is not
    supported.
    """
    kind = _kind(read_head(path))
    if kind is None:
        raise _not_a_picture(path)
    try:
        stored = _described(path, kind)
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        # The two-letter signatures of BMP and PPM may occur in other files.
        raise _not_a_picture(path) from None
    except Exception as error:
        raise damaged(path, _reason(error)) from None
    if stored.frames > 1:
        which = "the primary one" if kind == "HEIC" else "the first"
        warnings.warn(f"{path} contains {stored.frames} pictures: only {which} is read", stacklevel=3)
    return Picture(path, stored, cmyk_profile)


def _described(path: Path, kind: str) -> Stored:
    """Return the description of the file `path` from the decoder for its `kind`, one of FORMATS."""
    if kind == "PPM" and read_head(path)[:2] in (b"P4", b"P5", b"P6"):
        return pnm.describe(path)
    if kind == "HEIC":
        return heif.describe(path)
    if kind not in vips.KINDS:
        return pillow.describe(path, kind)
    if kind == "JPEG":
        jpeg.check(path)
    if kind == "AVIF":
        heif.check_sides(path)
    stored = vips.describe(path, kind)
    if kind == "PNG":
        orientation, colours, frames = png_chunks.facts(path, stored.mode == "L", stored.bits)
        return replace(stored, orientation=orientation, colours=colours, frames=frames)
    if kind == "AVIF":
        return replace(stored, colours=heif.colours_of(path, stored.mode == "L"))
    return stored


def _kind(head: bytes) -> str | None:
    """Return which of FORMATS a file that begins with `head` has; None if it has none of them."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        # The major brand, a version, and the compatible brands.
        length = int.from_bytes(head[:4], "big")
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(length, len(head)), 4))]
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)


def _not_a_picture(path: Path) -> InputError:
    return InputError(f"{path} is not a picture that mlsolve can read: give {_NAMES}")


def _reason(error: Exception) -> str:
    """Return a decoder's message. That of libvips is in `detail`; its first line only names the operation."""
    detail = str(getattr(error, "detail", "")).strip()
    return detail or first_line(error)
