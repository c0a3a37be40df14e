"""Reads a command line that asks for nothing special, without Typer.

Typer, and Pydantic with which it converts what was typed, take a sixth of a second to load. So they are loaded for
help and for what they must explain: whatever is not read here with certainty is left to them.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .options import Given, Parameter, Verb

_NUMBERS: Final = {int: re.compile(r"[0-9]{1,18}"), float: re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")}


def read(arguments: Sequence[str], verb: Verb) -> Given | None:
    """Return what was typed after the name of `verb`, as `Verb.carry_out` takes it; None: Typer must read it."""
    flags, left = _flags(verb), [one for one in verb.parameters if one.argument]
    given: Given = {one.name: False for one in verb.parameters if _is_switch(one)}
    words = iter(arguments)
    for word in words:
        value: Any
        if not word.startswith("-"):
            if not left:
                return None
            one, value = (left[0] if left[0].repeated else left.pop(0)), word
        elif word not in flags:
            return None
        else:
            one, value = flags[word]
            if value is None:
                value = next(words, "-")
                if value.startswith("-"):
                    return None
        if not isinstance(value, bool):
            value = _converted(value, one)
            if value is None:
                return None
        if one.repeated:
            given.setdefault(one.name, []).append(value)
        elif given.get(one.name):  # given twice
            return None
        else:
            given[one.name] = value
    return None if any(one.required and one.name not in given for one in verb.parameters) else given


def _is_switch(one: Parameter) -> bool:
    """Tell whether it is off unless it is given; other switches are on or off, or not given."""
    return one.setting.kind is bool and "/" not in one.flag


def _flags(verb: Verb) -> dict[str, tuple[Parameter, bool | None]]:
    """Return the options of a verb by what is typed, with the value of a switch."""
    found: dict[str, tuple[Parameter, bool | None]] = {}
    for one in verb.parameters:
        if one.argument:
            continue
        if one.setting.kind is bool:
            names = one.flag.split("/")
            found |= {name: (one, number == 0) for number, name in enumerate(names)}
        else:
            found |= dict.fromkeys(one.flags, (one, None))
    return found


def _converted(text: str, one: Parameter) -> Any:
    """Return the value that `text` stands for, None if that is not certain."""
    kind = str if one.setting.as_text else one.setting.kind
    if kind in _NUMBERS:
        return kind(text) if _NUMBERS[kind].fullmatch(text) else None
    if kind not in (str, Path) or not text:
        return None
    return kind(text)
