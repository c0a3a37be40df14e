"""Reads a PDF for inspection.py, with pikepdf: boxes, colours, pictures with their resolution, fonts."""

import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from PIL import ImageCms

from ..errors import InputError, OptionError, first_line
from ..job.print_size import INCH
from .findings import EXACT, Report, same

Matrix = tuple[float, float, float, float, float, float]

_UNIT: Final[Matrix] = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_DEEPEST: Final = 12
"""Forms within forms that are followed."""
_CLASS: Final = slice(12, 16)
"""The class of a profile, in its header (ICC.1, 7.2.5)."""
_OPERATORS: Final = {"g": "DeviceGray", "rg": "DeviceRGB", "k": "DeviceCMYK"}
"""Operators that choose a colour to fill with; their capitals are for lines."""


def read_pdf(path: Path) -> Report:
    """Return what is in the PDF `path`.

    Raises InputError if it cannot be read, OptionError, naming what to install, if there is no pikepdf.
    """
    try:
        import pikepdf
    except ImportError:
        raise OptionError("looking into a PDF needs pikepdf: pip install 'mlsolve[shop]'") from None
    try:
        with pikepdf.open(path) as pdf:
            return _report(path, pdf)
    except pikepdf.PasswordError:
        raise InputError(f"{path} is locked with a password: give it without one") from None
    except (pikepdf.PdfError, OSError, ValueError, TypeError, KeyError) as error:
        words = first_line(error).removeprefix(f"{path}: ")
        raise InputError(f"{path} is damaged or no PDF ({words}): make it again") from None


def profile_name(data: bytes) -> str:
    """Return what an ICC profile is called."""
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(data))).strip() or "unnamed"
    except (ImageCms.PyCMSError, OSError):
        return "damaged"


def _report(path: Path, pdf: Any) -> Report:
    """Return what is in an open PDF."""
    standard = _standard(pdf)
    report = Report(path.name, f"PDF {pdf.pdf_version}" + (f", {standard}" if standard else ""), len(pdf.pages))
    if pdf.is_encrypted:
        report.warn("it is encrypted: make it without protection")
    _intents(pdf, report)
    for number, page in enumerate(pdf.pages, start=1):
        _boxes(page.obj, number, report)
        found = _Found()
        _content(page.obj, page.obj.get("/Resources") or {}, _UNIT, found, 0)
        _take(found, report)
        if any(str(one.get("/Subtype")) not in ("/TrapNet", "/PrinterMark") for one in page.obj.get("/Annots", [])):
            report.warn(f"page {number} has comments or form fields: take them out")
    return report


def _standard(pdf: Any) -> str | None:
    """Return which PDF/X it says it is."""
    with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as metadata:
        found = metadata.get("{http://www.npes.org/pdfx/ns/id/}GTS_PDFXVersion")
    return str(found) if found else str(pdf.docinfo.get("/GTS_PDFXVersion", "")) or None


def _intents(pdf: Any, report: Report) -> None:
    """Take the profile of the output intent."""
    for intent in pdf.Root.get("/OutputIntents", []):
        if "/DestOutputProfile" in intent:
            data = intent.DestOutputProfile.read_bytes()
            report.profile = profile_name(data)
            if "PDF/X" in report.kind and data[_CLASS] != b"prtr":
                report.warn(
                    "the profile of its output intent is not that of a printer, which PDF/X asks for: replace it"
                )
        elif "/OutputConditionIdentifier" in intent:
            report.profile = str(intent.OutputConditionIdentifier)


def _boxes(page: Any, number: int, report: Report) -> None:
    """Check the boxes of a page, and take those of the first."""
    media = _box(page, "/MediaBox")
    if media is None:
        raise ValueError(f"page {number} has no MediaBox")
    unit = float(page.get("/UserUnit", 1)) * INCH / 72
    crop, trim, bleed = (_box(page, name) for name in ("/CropBox", "/TrimBox", "/BleedBox"))
    turned = int(_inherited(page, "/Rotate") or 0) % 360
    if turned:
        report.warn(f"page {number} is turned by {turned}°: a shop may print it as it is stored, make it upright")
    if trim is None:
        report.warn(f"page {number} has no TrimBox: say where it is cut")
    inside = trim if trim is not None else crop if crop is not None else media
    if crop is not None and not same(crop, media):
        words = "cuts into what is printed" if not _holds(crop, bleed or inside) else "hides part of the page"
        report.fail(f"page {number}: its CropBox {words}: take it out")
    if bleed is not None and not (_holds(media, bleed) and _holds(bleed, inside)):
        report.fail(f"page {number}: its boxes do not lie within each other (media, bleed, trim): make it again")
    elif not _holds(media, inside):
        report.fail(f"page {number}: its TrimBox is larger than the page: make it again")
    if number == 1:
        report.page, report.trim = (((box[2] - box[0]) * unit, (box[3] - box[1]) * unit) for box in (media, inside))
        if turned % 180:
            report.page, report.trim = report.page[::-1], report.trim[::-1]
        if bleed is not None and trim is not None:
            edges = (trim[0] - bleed[0], trim[1] - bleed[1], bleed[2] - trim[2], bleed[3] - trim[3])
            report.bleed = round(min(edges) * unit, 3)


def _box(page: Any, name: str) -> tuple[float, ...] | None:
    """Return a box in points, left, bottom, right, top; None if there is none."""
    found = _inherited(page, name) if name in ("/MediaBox", "/CropBox") else page.get(name)
    if found is None:
        return None
    x, y, other_x, other_y = (float(value) for value in found)
    return min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)


def _inherited(page: Any, name: str) -> Any:
    """Return an entry of a page or of the nodes above it."""
    node: Any = page
    for _ in range(64):
        if node is None or name in node:
            break
        node = node.get("/Parent")
    return None if node is None else node.get(name)


def _holds(outer: tuple[float, ...], inner: tuple[float, ...]) -> bool:
    """Tell whether a box lies within another, to a tenth of a millimetre."""
    by = EXACT * 72 / INCH
    low = all(a <= b + by for a, b in zip(outer[:2], inner[:2], strict=True))
    return low and all(a >= b - by for a, b in zip(outer[2:], inner[2:], strict=True))


@dataclass
class _Found:
    """What the content of a page uses."""

    pictures: list[tuple[int, int, float]] = field(default_factory=list)
    colours: dict[str, None] = field(default_factory=dict)
    spots: dict[str, None] = field(default_factory=dict)
    fonts: dict[str, None] = field(default_factory=dict)
    transparent: bool = False
    stretched: bool = False
    optional: bool = False


def _take(found: _Found, report: Report) -> None:
    """Add what a page uses to the report."""
    report.pictures += found.pictures
    for name in found.colours:
        if name not in report.colours:
            report.colours.append(name)
    for name in found.spots:
        if name not in report.spots:
            report.spots.append(name)
    for name in found.fonts:
        if name not in report.fonts:
            report.fonts.append(name)
    if found.transparent:
        report.warn("it has transparency: flatten it")
    if found.stretched:
        report.warn("a picture is stretched: its pixels are not square on paper")


def _content(holder: Any, resources: Any, matrix: Matrix, found: _Found, depth: int) -> None:
    """Follow the content of a page or a form, and all that it draws."""
    import pikepdf

    if depth > _DEEPEST:
        return
    _declared(resources, found)
    stack: list[Matrix] = []
    spaces = resources.get("/ColorSpace", {})
    for operands, operator in pikepdf.parse_content_stream(holder):
        name = str(operator)
        if name == "q":
            stack.append(matrix)
        elif name == "Q" and stack:
            matrix = stack.pop()
        elif name == "cm":
            matrix = _product(tuple(float(value) for value in operands), matrix)  # type: ignore[arg-type]
        elif name.lower() in _OPERATORS and name in ("g", "G", "rg", "RG", "k", "K"):
            found.colours[_OPERATORS[name.lower()]] = None
        elif name in ("cs", "CS"):
            key = str(operands[0])
            _space(spaces.get(key, operands[0]), found)
        elif name == "INLINE IMAGE":
            image = operands[0]
            _drawn(int(image.width), int(image.height), matrix, found)
        elif name == "Do":
            drawn = resources.get("/XObject", {}).get(str(operands[0]))
            if drawn is not None:
                _object(drawn, resources, matrix, found, depth)


def _object(drawn: Any, resources: Any, matrix: Matrix, found: _Found, depth: int) -> None:
    """Follow a picture or a form."""
    if str(drawn.get("/Subtype")) == "/Form":
        group = drawn.get("/Group")
        if group is not None and str(group.get("/S")) == "/Transparency":
            found.transparent = True
        own = drawn.get("/Matrix")
        inner = matrix if own is None else _product(tuple(float(one) for one in own), matrix)  # type: ignore[arg-type]
        _content(drawn, drawn.get("/Resources", resources), inner, found, depth + 1)
        return
    if str(drawn.get("/Subtype")) != "/Image":
        return
    _drawn(int(drawn.Width), int(drawn.Height), matrix, found)
    if "/SMask" in drawn:
        found.transparent = True
    if not bool(drawn.get("/ImageMask", False)) and "/ColorSpace" in drawn:
        bits = int(drawn.get("/BitsPerComponent", 8))
        _space(drawn.ColorSpace, found, ", 1 bit" if bits == 1 else "")


def _drawn(width: int, height: int, matrix: Matrix, found: _Found) -> None:
    """Note a picture that fills the unit square of `matrix`."""
    across, down = math.hypot(matrix[0], matrix[1]) / 72, math.hypot(matrix[2], matrix[3]) / 72
    if across and down:
        found.pictures.append((width, height, min(width / across, height / down)))
        if abs(width / across / (height / down) - 1) > 0.01:
            found.stretched = True


def _declared(resources: Any, found: _Found) -> None:
    """Take fonts and transparency from resources."""
    for font in dict(resources.get("/Font", {})).values():
        name = str(font.get("/BaseFont", "/unnamed")).removeprefix("/")
        if not _embedded(font):
            found.fonts[name] = None
    for state in dict(resources.get("/ExtGState", {})).values():
        faint = any(float(state.get(key, 1)) < 1 for key in ("/ca", "/CA"))
        masked = str(state.get("/SMask", "/None")) != "/None"
        blended = str(state.get("/BM", "/Normal")) not in ("/Normal", "/Compatible")
        found.transparent |= faint or masked or blended


def _embedded(font: Any) -> bool:
    """Tell whether a font is in the file."""
    if str(font.get("/Subtype")) == "/Type3":
        return True
    holders = font.get("/DescendantFonts", [font])
    descriptors = [one.get("/FontDescriptor") for one in holders]
    files = ("/FontFile", "/FontFile2", "/FontFile3")
    return all(one is not None and any(key in one for key in files) for one in descriptors)


def _space(space: Any, found: _Found, bits: str = "") -> None:
    """Take a colour space, and the inks in it."""
    import pikepdf

    if isinstance(space, pikepdf.Name):
        found.colours[str(space).removeprefix("/") + bits] = None
        return
    if not isinstance(space, pikepdf.Array):
        return
    kind = str(space[0])
    if kind == "/ICCBased":
        planes = int(space[1].get("/N", 0))
        named = {1: "ICC grey", 3: "ICC RGB", 4: "ICC CMYK"}
        found.colours[named.get(planes, f"ICC of {planes} channels") + bits] = None
    elif kind in ("/Separation", "/DeviceN"):
        names = [space[1]] if kind == "/Separation" else list(space[1])
        for one in names:
            name = str(one).removeprefix("/")
            if name not in ("None", "Cyan", "Magenta", "Yellow", "Black"):
                found.spots[name] = None
        _space(space[2], found, bits)
    elif kind in ("/Indexed", "/Pattern") and len(space) > 1:
        _space(space[1], found, bits)
    else:
        found.colours[kind.removeprefix("/") + bits] = None


def _product(first: Matrix, then: Matrix) -> Matrix:
    """Return the matrix that does `first` and `then` (ISO 32000-1, 8.3.4)."""
    a, b, c, d, e, f = first
    g, h, i, j, k, m = then
    return (
        *(a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j),
        *(e * g + f * i + k, e * h + f * j + m),
    )
