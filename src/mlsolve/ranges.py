"""Ranges of the numbers users give, and the one line that refuses a number out of its range."""

import math
import numbers
from collections.abc import Sequence
from typing import Any, Final

from .errors import OptionError

MIN_EXPOSURE: Final = 1e-4
"""A light box ten thousand times brighter than white: beyond what anybody builds, well within float32."""


def number(name: str, value: object, low: float, high: float) -> float:
    """Return `value` as a float from `low` to `high`, or raise OptionError."""
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
    """Return `value` as a whole number from `low` to `high`, or raise OptionError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise OptionError(f"{name} is {value!r}: it must be a whole number from {low} to {high}")
    number = int(value)
    if not low <= number <= high:
        # Python writes no whole number of more than 4300 digits.
        shown = number if abs(number) < 10**30 else "beyond all bounds"
        raise OptionError(f"{name} is {shown}: it must be from {low} to {high}")
    return number


def choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return `value` if it is one of `choices`, or raise OptionError."""
    if isinstance(value, bool) or value not in choices:
        raise OptionError(f"{name} is {value!r}: use {one_of(choices)}")
    return value


def one_of(choices: Sequence[Any]) -> str:
    """Return choices in words: "8 or 16", "auto, cpu or cuda"."""
    *others, last = map(str, choices)
    return f"{', '.join(others)} or {last}" if others else last


def check_exposure(exposure: float) -> None:
    """Raise OptionError unless `exposure` is from MIN_EXPOSURE to 1."""
    number("exposure", exposure, MIN_EXPOSURE, 1.0)
