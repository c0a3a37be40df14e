"""Range checks for numbers that users give; the error message is one line."""

import math
import numbers
from collections.abc import Sequence
from typing import Any, Final

from .errors import OptionError

MIN_EXPOSURE: Final = 1e-4
"""A light box ten thousand times brighter than white: brighter than anyone builds, and well within float32."""


def number(name: str, value: object, low: float, high: float) -> float:
    """Return `value` as a float in [low, high].

    Raises OptionError, which calls it `name`, if `value` is not a real number (bool does not count) or is out of
    range.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise OptionError(f"{name} is {value!r}: it must be a number from {low:g} to {high:g}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not low <= result <= high:
        raise OptionError(f"{name} is {result:g}: it must be from {low:g} to {high:g}")
    return result


def count(name: str, value: object, low: int, high: int) -> int:
    """Return `value` as an int in [low, high].

    Raises OptionError, which calls it `name`, if `value` is not a whole number (bool does not count) or is out of
    range.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise OptionError(f"{name} is {value!r}: it must be a whole number from {low} to {high}")
    number = int(value)
    if not low <= number <= high:
        # Python refuses to print an int of more than 4300 digits.
        shown = number if abs(number) < 10**30 else "beyond all bounds"
        raise OptionError(f"{name} is {shown}: it must be from {low} to {high}")
    return number


def choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return `value` if it is one of `choices`, or raise OptionError."""
    if isinstance(value, bool) or value not in choices:
        raise OptionError(f"{name} is {value!r}: use {one_of(choices)}")
    return value


def one_of(choices: Sequence[Any]) -> str:
    """Return the choices as text: "8 or 16", "auto, cpu or cuda"."""
    *others, last = map(str, choices)
    return f"{', '.join(others)} or {last}" if others else last


def check_exposure(exposure: float) -> None:
    """Raise OptionError unless `exposure` is in [MIN_EXPOSURE, 1]."""
    number("exposure", exposure, MIN_EXPOSURE, 1.0)
