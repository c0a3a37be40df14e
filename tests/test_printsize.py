"""Sizes as printers write them."""

import pytest

from mlsolve.errors import OptionError
from mlsolve.job.print_size import FINEST_DPI, MAX_SIDE, PrintSize, parse_print_size, pixel_pitch


@pytest.mark.parametrize(
    ("text", "width", "height"),
    [
        ("600x900mm", 600, 900),
        ("600×900 mm", 600, 900),
        (" 60 X 90CM ", 600, 900),
        ("0.6x.9m", 600, 900),
        ("24x36in", 609.6, 914.4),
        ('8.5"x11"', 215.9, 279.4),
        ("10cm x 4in", 100, 101.6),
        # ISO 216, as every shop lists them; each is the one before halved and rounded down.
        ("A0", 841, 1189),
        ("a1", 594, 841),
        ("A2-landscape", 594, 420),
        ("A3 Portrait", 297, 420),
        ("A4", 210, 297),
        ("A7", 74, 105),
        ("A10", 26, 37),
    ],
)
def test_sizes(text, width, height):
    size = parse_print_size(text)
    assert (size.width, size.height) == pytest.approx((width, height))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("600x900", "print is '600x900': add its unit, mm, cm, m or in, as in 600x900mm"),
        ("600mmx900", "add its unit"),
        ("600mm", "give WIDTHxHEIGHT and its unit, as in 600x900mm or 24x36in, or A3"),
        ("big", "print is 'big': give WIDTHxHEIGHT"),
        ("", "print is ''"),
        ("A11", "print is 'A11'"),
        ("600x900px", "print is '600x900px'"),
        # A comma may stand for a point or for thousands: nobody shall find out at the print shop.
        ("1,000x2,000mm", "print is '1,000x2,000mm'"),
        ("-60x90cm", "print is '-60x90cm'"),
        ("0x90cm", "both sides must be more than 0 and at most 1 km"),
        ("9" * 400 + "x1mm", "both sides must be more than 0 and at most 1 km"),
    ],
)
def test_what_is_no_size(text, words):
    with pytest.raises(OptionError) as refusal:
        parse_print_size(text)
    assert words in str(refusal.value)


def test_pixels():
    assert parse_print_size("600x900mm").pixels(300) == (7087, 10630)
    assert parse_print_size("8.5x11in").pixels(100) == (850, 1100)
    assert PrintSize(25.4, 50.8).pixels(72.5) == (72, 145)
    assert pixel_pitch(FINEST_DPI) == pytest.approx(0.2)
    assert str(PrintSize(609.6, 900)) == "609.6×900 mm"


@pytest.mark.parametrize("dpi", [0, -300, 10_001, float("nan")])
def test_dpi_out_of_range(dpi):
    with pytest.raises(OptionError, match=rf"dpi is {dpi:g}: it must be from 1 to 10000"):
        PrintSize(600, 900).pixels(dpi)


def test_what_cannot_be_solved_is_told_what_could():
    """The remedy in the message works, and the next whole dpi beyond it does not."""
    small, large = PrintSize(5, 900), PrintSize(60_000, 90_000)
    with pytest.raises(OptionError, match=r"5×900 mm, at 30 dpi 6×1063 pixels: .* use 56 dpi or a larger print"):
        small.pixels(30)
    assert small.pixels(56)[0] == 11
    with pytest.raises(OptionError, match="11 pixels or more"):
        small.pixels(50)
    with pytest.raises(OptionError, match=r"1062992 pixels: the largest side may be 1000000 pixels, use 282 dpi"):
        large.pixels(300)
    assert large.pixels(282)[1] <= MAX_SIDE
    with pytest.raises(OptionError, match=f"{MAX_SIDE}"):
        large.pixels(283)


def test_what_no_dpi_can_mend_is_told_to_change_size():
    with pytest.raises(OptionError, match=r"11 pixels or more, use a larger print$"):
        PrintSize(0.02, 900).pixels(300)
    with pytest.raises(OptionError, match=r"1000000 pixels, use a smaller print$"):
        PrintSize(1e8, 1e8).pixels(1)


def test_what_is_too_large_for_memory_has_pixels_all_the_same():
    """A print that needs tiles is no error here."""
    assert parse_print_size("3x3m").pixels(300) == (35433, 35433)
