"""What a shop's preflight says of a file: boxes, resolution, colours, inks, profile, fonts.

A PDF is read by pikepdf (the extra `shop`), a picture by libvips.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import InputError, OptionError
from ..job.print_size import INCH
from ..pictures.decoders.png_chunks import SIGNATURE, declares_resolution
from ..system.files import read_head
from .findings import EXACT, Report
from .pdf_reading import profile_name, read_pdf
from .shop import LONGEST_PAGE, Shop
from .sizes import read_sizes

LEAST_DPI: Final = 80.0
"""Below this a shop warns, unless its file says otherwise: at arm's length pixels are seen."""

_TABLES: Final = ("csvload", "matrixload")
"""Loaders of libvips that read text with numbers as a picture."""


@dataclass(frozen=True)
class Asked:
    """What the file is to be like."""

    shop: Shop | None = None
    trim: tuple[float, float] | None = None
    """Width and height of the trimmed sheet in mm."""


def inspect_file(path: Path, asked: Asked | None = None) -> Report:
    """Return what is in the file `path`, a PDF or a picture, and what a shop would object to.

    asked: what it is to be like. Raises InputError if it cannot be read, OptionError if pikepdf is missing.
    """
    asked = asked or Asked()
    head = read_head(path)
    report = read_pdf(path) if b"%PDF-" in head else _picture(path, head)
    _compare(report, asked)
    return report


def _picture(path: Path, head: bytes) -> Report:
    """Return what is in a picture file."""
    from ..pictures.decoders.vips import pyvips

    refusal = InputError(f"{path} is neither a PDF nor a picture that can be read: give another file")
    try:
        image = pyvips().Image.new_from_file(str(path))
    except pyvips().Error:
        raise refusal from None  # libvips says no more than that, and the name as Python's bytes
    loader = str(image.get("vips-loader"))
    if loader in _TABLES:
        raise refusal
    fields = image.get_fields()
    report = Report(path.name, loader.removesuffix("load").upper() + " picture")
    names = {"srgb": "RGB", "rgb16": "RGB", "rgb": "RGB", "cmyk": "CMYK", "b-w": "grey", "grey16": "grey"}
    name = names.get(image.interpretation, str(image.interpretation))
    if (
        (name == "CMYK" and image.bands > 5)
        or (name == "grey" and image.bands > 2)
        or (name == "RGB" and image.bands > 4)
    ):
        report.spots.append(f"{image.bands} channels")
    report.colours = [name]
    # For a file that does not say, libvips has one pixel a millimetre, or 72 dpi.
    says = declares_resolution(path) if head.startswith(SIGNATURE) else "resolution-unit" in fields
    dpi = image.xres * INCH if says else 0.0
    report.pictures = [(image.width, image.height, dpi)]
    if dpi:
        report.page = report.trim = (image.width * INCH / dpi, image.height / image.yres)
        if "image-description" in fields:
            _take_sizes(report, str(image.get("image-description")))
        if abs(image.xres / image.yres - 1) > 1e-3:
            report.fail("pixels are not square: save it with one resolution")
    else:
        report.warn("it does not say its resolution, so its size in mm is unknown: save it with its dpi")
    if image.hasalpha():
        report.warn("it is transparent in places: save it without alpha")
    if "icc-profile-data" in fields:
        report.profile = profile_name(image.get("icc-profile-data"))
    elif head.startswith(SIGNATURE) and b"sRGB" in head:
        report.profile = "sRGB, by a tag of PNG"
    return report


def _take_sizes(report: Report, described: str) -> None:
    """Take trim and bleed from the description of a TIFF, where `mlsolve sheets` writes them."""
    sizes = read_sizes(described)
    if sizes is None or report.page is None:
        return
    *trim, bleed = sizes
    # The page is a whole number of pixels. A file that was scaled or cut since does not have the size any more.
    pixel = INCH / max(report.dpi or 1.0, 1.0)
    if any(abs(page - side - 2 * bleed) > pixel for page, side in zip(report.page, trim, strict=True)):
        report.fail(
            f"it is {_size(report.page)} mm and says that it is trimmed to {_size(trim)} with {bleed:g} of bleed: "
            "restore what mlsolve sheets wrote"
        )
        return
    report.trim, report.bleed = (trim[0], trim[1]), bleed


def _compare(report: Report, asked: Asked) -> None:
    """Add what differs from what is asked, and what any shop objects to."""
    white = [one for one in report.spots if any(word in one.lower() for word in _WHITE)]
    for one in white:
        report.fail(f"spot colour {one!r} may be printed as white, which spoils a stack: take it out")
    for one in report.spots:
        if one not in white:
            report.warn(f"spot colour {one!r}: a shop may convert or refuse it, use RGB or CMYK")
    if report.profile is None:
        report.warn("there is no profile, so its colours are up to the shop: embed one, or add an OutputIntent")
    for name in report.fonts:
        report.fail(f"font {name} is not embedded: embed it, or turn text into outlines")
    if report.page is not None and max(report.page) > LONGEST_PAGE + 0.5:
        report.fail(f"the page is {_size(report.page)} mm, more than 5.08 m: split it")
    if report.pages > 1 and (asked.shop is None or asked.shop.paper is None):
        report.warn(f"it has {report.pages} pages: give one file a sheet")
    _compare_size(report, asked)
    _compare_shop(report, asked.shop)


_WHITE: Final = ("white", "blanc", "weiss", "weiß", "bianco", "underbase", "flood", "rdg_", "spot 1", "primer")
"""Parts of the names that shops give to white inks."""


def _compare_size(report: Report, asked: Asked) -> None:
    """Add what is wrong with sizes."""
    if asked.trim is None or report.trim is None:
        return
    if any(abs(a - b) > EXACT for a, b in zip(report.trim, asked.trim, strict=True)):
        turned = report.trim[::-1]
        lying = all(abs(a - b) <= EXACT for a, b in zip(turned, asked.trim, strict=True))
        report.fail(
            f"it is {_size(report.trim)} mm trimmed, {_size(asked.trim)} is asked: "
            + ("turn it by 90°" if lying else "make it again in that size")
        )


def _compare_shop(report: Report, shop: Shop | None) -> None:
    """Add what `shop` does not take."""
    dpi, least = report.dpi, LEAST_DPI if shop is None else shop.least_dpi
    if dpi is not None and dpi < least - 0.05:
        report.warn(
            f"a picture has {dpi:.1f} dpi, less than {least:g}: print it smaller, or solve again at more dpi"
        )
    if shop is None:
        return
    if dpi is not None and dpi > (shop.device_dpi if shop.colour == "films" else shop.most_dpi) + 0.5:
        report.warn(
            f"a picture has {dpi:.0f} dpi, {shop.name} takes {shop.most_dpi:g} at most: solve again at that"
        )
    pdf = report.kind.startswith("PDF")
    if pdf != (shop.kind == "pdf"):
        report.fail(f"it is a {report.kind}, {shop.name} takes {shop.kind}: make it again for this shop")
    if shop.bleed and (report.bleed is None or report.bleed < shop.bleed - EXACT):
        have = 0.0 if report.bleed is None else report.bleed
        report.fail(
            f"bleed is {have:.1f} mm, {shop.name} asks for {shop.bleed:g}: make it with --bleed {shop.bleed:g}"
        )
    if shop.colour == "cmyk" and any("RGB" in one for one in report.colours):
        report.fail(f"it is RGB, {shop.name} takes CMYK: make it with --profile, the shop's ICC profile")
    if shop.colour == "rgb" and any("CMYK" in one for one in report.colours):
        report.warn(f"it is CMYK, {shop.name} takes RGB: make it without --profile")
    if shop.colour == "films" and any("1 bit" not in one for one in report.colours):
        report.fail(
            f"it is not binary ({', '.join(report.colours)}), {shop.name} takes films: make it again for it"
        )
    if report.page is not None and shop.paper is None:
        try:
            shop.check_page(report.page)
        except OptionError as error:
            report.fail(str(error))


def _size(size: Iterable[float]) -> str:
    """Return a size in words."""
    return "×".join(f"{side:.1f}" for side in size)
