"""Writes a PDF of one page that is one picture, at its exact size, with device values unaltered (ISO 32000-1)."""

import zlib
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ...system.files import write_bytes

_POINTS: Final = 72
"""To the inch."""


def write_pdf(path: Path, codes: npt.NDArray[np.uint8], dpi: float) -> None:
    """Write `codes`, (H, W, 1) DeviceGray or (H, W, 3) DeviceRGB, as a page of W / dpi × H / dpi inches.

    The page is the picture, without a margin. The same picture gives the same bytes. Raises OutputError if the file
    cannot be written.
    """
    height, width, planes = codes.shape
    across, down = (f"{side / dpi * _POINTS:.4f}" for side in (width, height))
    image = zlib.compress(np.ascontiguousarray(codes).tobytes(), 6)
    drawn = f"q {across} 0 0 {down} 0 0 cm /P Do Q".encode()
    space = "DeviceGray" if planes == 1 else "DeviceRGB"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R /ViewerPreferences << /PrintScaling /None >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {across} {down}] /Contents 4 0 R "
        f"/Resources << /XObject << /P 5 0 R >> >> >>".encode(),
        _stream("", drawn),
        _stream(
            f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /{space} "
            "/BitsPerComponent 8 /Interpolate false /Filter /FlateDecode ",
            image,
        ),
    )
    data, places = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(data))
    write_bytes(path, data + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + end)


def _stream(entries: str, content: bytes) -> bytes:
    return f"<< {entries}/Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream"
