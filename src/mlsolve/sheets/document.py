"""A PDF/X-4: pages of pictures and outlines in millimetres, without fonts, transparency or spot colours."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from ..pictures.writers.deflating import joined_adler
from ..pictures.writers.png import HEADER, LAST_BLOCK
from ..version import __version__
from .marks import Mark
from .outlines import Contour
from .output_profile import srgb_output_profile
from .pdf import POINTS, Pdf, numbers, text_string
from .plan import Box

_DATE: Final = "2000-01-01T00:00:00Z"
_PDF_DATE: Final = "D:20000101000000Z"
"""A fixed date, so that the same run gives the same bytes."""

BLACK: Final = {"rgb": "0 0 0 rg", "cmyk": "0 0 0 1 k", "grey": "0 g"}
"""Operators that choose solid black for fills; of four inks the black one alone, so that marks have sharp edges."""

_XMP: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"
 xmlns:pdfxid="http://www.npes.org/pdfx/ns/id/">
<dc:format>application/pdf</dc:format>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<xmp:CreateDate>{date}</xmp:CreateDate><xmp:ModifyDate>{date}</xmp:ModifyDate><xmp:MetadataDate>{date}</xmp:MetadataDate>
<xmp:CreatorTool>mlsolve {version}</xmp:CreatorTool><pdf:Producer>mlsolve {version}</pdf:Producer>
<pdf:Trapped>False</pdf:Trapped>{standard}
<xmpMM:DocumentID>uuid:{identity}</xmpMM:DocumentID><xmpMM:InstanceID>uuid:{identity}</xmpMM:InstanceID>
<xmpMM:RenditionClass>default</xmpMM:RenditionClass><xmpMM:VersionID>1</xmpMM:VersionID>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""

_STANDARD: Final = "<pdfxid:GTS_PDFXVersion>PDF/X-4</pdfxid:GTS_PDFXVersion>"


@dataclass(frozen=True)
class OutputColours:
    """What colours a file is in."""

    name: str
    """"rgb", "cmyk" or "grey"."""
    profile: bytes | None
    """The ICC profile that says what the codes mean; None: they are a printer's own, not to be converted."""
    described: str
    """What the profile is called, or whose codes they are."""

    @property
    def planes(self) -> int:
        """Number of channels."""
        return {"grey": 1, "rgb": 3, "cmyk": 4}[self.name]

    @property
    def device(self) -> str:
        """The name of the colour space in a PDF."""
        return {"grey": "/DeviceGray", "rgb": "/DeviceRGB", "cmyk": "/DeviceCMYK"}[self.name]


def srgb() -> OutputColours:
    """Return sRGB."""
    return OutputColours("rgb", srgb_output_profile(), "sRGB IEC61966-2.1")


class Document:
    """A PDF/X-4 that is written from its beginning to its end.

    Without a profile it is a plain PDF: PDF/X needs an output intent, by which colours are converted.
    """

    def __init__(self, file: BinaryIO, title: str, colours: OutputColours) -> None:
        """file: empty; title: what readers show."""
        self._pdf = Pdf(file)
        self._title = title
        self.colours = colours
        self._identity = hashlib.sha256(title.encode()).hexdigest()[:32]
        self._pages: list[int] = []
        self._tree = self._pdf.reserve()

    def picture(self, size: tuple[int, int], bits: int, parts: Iterable[tuple[bytes, tuple[int, int]]]) -> int:
        """Write a picture of `size` = (width, height) pixels in the colours of the file, and return its number.

        parts: its rows, as `pictures.writers.png.compressed_rows` returns them.
        """
        sums: list[tuple[int, int]] = []

        def stream() -> Iterable[bytes]:
            yield HEADER
            for data, checked in parts:
                sums.append(checked)
                yield data
            yield LAST_BLOCK + joined_adler(sums).to_bytes(4, "big")

        width, planes = size[0], self.colours.planes
        parms = f"/DecodeParms << /Predictor 15 /Colors {planes} /BitsPerComponent {bits} /Columns {width} >>"
        return self._pdf.long_stream(self._entries(size, bits) + " /Filter /FlateDecode " + parms, stream())

    def bitmap(self, size: tuple[int, int], parts: Iterable[bytes]) -> int:
        """Write a binary picture of `size` = (width, height) and return its number; parts: its stream, deflated."""
        return self._pdf.long_stream(self._entries(size, 1) + " /Filter /FlateDecode", parts)

    def _entries(self, size: tuple[int, int], bits: int) -> str:
        return (
            f"/Type /XObject /Subtype /Image /Width {size[0]} /Height {size[1]} "
            f"/ColorSpace {self.colours.device} /BitsPerComponent {bits}"
        )

    def page(self, size: tuple[float, float], trim: Box, content: "Canvas") -> None:
        """Add a page of `size` = (width, height) mm, all of which is bleed; trim: where it is cut, in mm."""
        drawn = self._pdf.stream("", content.text().encode("ascii"))
        width, height = (side * POINTS for side in size)
        cut = (trim.x, size[1] - trim.y - trim.height, trim.x + trim.width, size[1] - trim.y)
        names = " ".join(f"/P{number} {number} 0 R" for number in content.pictures)
        self._pages.append(
            self._pdf.add(
                f"<< /Type /Page /Parent {self._tree} 0 R /MediaBox [0 0 {numbers(width, height)}] "
                f"/BleedBox [0 0 {numbers(width, height)}] "
                f"/TrimBox [{numbers(*(side * POINTS for side in cut))}] "
                f"/Resources << /XObject << {names} >> >> /Contents {drawn} 0 R >>"
            )
        )

    def finish(self) -> None:
        """Write what is at the end of the file."""
        pdf, colours = self._pdf, self.colours
        kids = " ".join(f"{page} 0 R" for page in self._pages)
        pdf.add(f"<< /Type /Pages /Count {len(self._pages)} /Kids [{kids}] >>", self._tree)
        intents = ""
        if colours.profile is not None:
            profile = pdf.stream(f"/N {colours.planes}", colours.profile)
            named = text_string(colours.described)
            intent = pdf.add(
                f"<< /Type /OutputIntent /S /GTS_PDFX /OutputConditionIdentifier {named} /Info {named} "
                f"/DestOutputProfile {profile} 0 R >>"
            )
            intents = f"/OutputIntents [{intent} 0 R]"
        one = self._identity
        xmp = _XMP.format(
            title=escape(self._title),
            date=_DATE,
            version=__version__,
            standard=_STANDARD if colours.profile is not None else "",
            identity="-".join((one[:8], one[8:12], one[12:16], one[16:20], one[20:])),
        )
        metadata = pdf.stream("/Type /Metadata /Subtype /XML", xmp.encode("utf-8"), compress=False)
        root = pdf.add(f"<< /Type /Catalog /Pages {self._tree} 0 R /Metadata {metadata} 0 R {intents} >>")
        by = text_string(f"mlsolve {__version__}")
        info = pdf.add(
            f"<< /Title {text_string(self._title)} /Creator {by} /Producer {by} /CreationDate ({_PDF_DATE}) "
            f"/ModDate ({_PDF_DATE}) /Trapped /False >>"
        )
        pdf.finish(root, info, one)


class Canvas:
    """What is drawn on a page, in mm from its upper left corner."""

    def __init__(
        self,
        size: tuple[float, float],
        origin: tuple[float, float] = (0.0, 0.0),
        mirrored: bool = False,
        black: str = BLACK["rgb"],
    ) -> None:
        """size: of the page. origin: the place of (0, 0) on it, as its viewer sees it. mirrored: left is right."""
        x = size[0] - origin[0] if mirrored else origin[0]
        matrix = (-POINTS if mirrored else POINTS, 0, 0, -POINTS, x * POINTS, (size[1] - origin[1]) * POINTS)
        self._lines = [" ".join(f"{value:.7g}" for value in matrix) + " cm", black]
        self.pictures: list[int] = []

    def picture(self, number: int, box: Box, within: Box | None = None) -> None:
        """Draw a picture that was written, in `box`; within: what is seen of it."""
        if number not in self.pictures:
            self.pictures.append(number)
        clip = "" if within is None else f"{numbers(within.x, within.y, within.width, within.height)} re W n "
        place = f"{box.width:.7g} 0 0 {-box.height:.7g} {box.x:.7g} {box.y + box.height:.7g} cm"
        self._lines.append(f"q {clip}{place} /P{number} Do Q")

    def within(self, box: Box) -> None:
        """Begin to draw in `box` only; `all_over` ends it."""
        self._lines.append(f"q {numbers(box.x, box.y, box.width, box.height)} re W n")

    def all_over(self) -> None:
        """End what `within` began."""
        self._lines.append("Q")

    def moved(self, x: float, y: float) -> None:
        """Begin to draw with (0, 0) at (x, y); `all_over` ends it."""
        self._lines.append(f"q 1 0 0 1 {numbers(x, y)} cm")

    def fill(self, contours: Sequence[Contour], colour: str = "") -> None:
        """Fill contours by the even-odd rule; colour: an operator that chooses another one."""
        paths = []
        for contour in contours:
            points: npt.NDArray[np.float64] = contour
            first, *others = (numbers(x, y) for x, y in points)
            paths.append(f"{first} m " + " ".join(f"{one} l" for one in others) + " h")
        if paths:
            path = "\n".join(paths) + " f*"
            self._lines.append(f"q {colour} {path} Q" if colour else path)

    def marks(self, marks: Iterable[Mark]) -> None:
        """Fill marks."""
        for mark in marks:
            self.fill(mark.contours)

    def text(self) -> str:
        """Return the content of the page."""
        return "\n".join(self._lines) + "\n"
