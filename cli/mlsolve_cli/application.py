"""The Typer application: help, and what was typed wrong in words."""

import itertools
import re
from typing import Annotated, Any, Final

import typer

from mlsolve import __version__
from mlsolve.errors import OptionError

from .echo import echo
from .verbs import VERBS

# Typer carries its own copy of Click or uses the installed one, depending on its version; either way
# these are the classes it raises.
_USAGE_ERROR: Final[Any] = typer.BadParameter.__mro__[1]

_app = typer.Typer(
    name="mlsolve",
    help="Layers to print on film, acrylic or glass: laid over each other on a light box they multiply to a "
    "picture, while each sheet alone looks like its guide.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for _verb in VERBS:
    _app.command(_verb.name, help=_verb.help)(_verb.callback())


def _version(wanted: bool) -> None:
    if wanted:
        echo(f"mlsolve {__version__}")
        raise typer.Exit


@_app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def interpret(typed: list[str]) -> object:
    """Carry out what was typed; return its status, if there is one.

    Raises OptionError for what cannot be read, KeyboardInterrupt where Typer turned one into its own exception.
    """
    try:
        return _app(args=typed, prog_name="mlsolve", standalone_mode=False)
    except _USAGE_ERROR as error:
        # Without any argument Typer prints the help and raises an error without words.
        if not error.format_message():
            return 2
        raise OptionError(_in_words(error.format_message(), typed)) from None
    except typer.Abort:
        raise KeyboardInterrupt from None


def _in_words(message: str, typed: list[str]) -> str:
    """Return what Typer says, or for a number that cannot be read the line that a number out of range gets."""
    wrong = re.match(r"Invalid value for '(--[a-z-]+)'", message)
    verb = next((one for one in VERBS if typed[:1] == [one.name]), None)
    if wrong is None or verb is None:
        return message
    flag = wrong[1]
    one = next((one for one in verb.parameters if flag in one.flags and one.setting.kind in (int, float)), None)
    given = [
        *(text for before, text in itertools.pairwise(typed) if before == flag),
        *(text.removeprefix(f"{flag}=") for text in typed if text.startswith(f"{flag}=")),
    ]
    if one is None or len(given) != 1:
        return message
    kind = "a whole number" if one.setting.kind is int else "a number"
    must = f"it must be {kind}{', ' if one.setting.range else ''}{one.setting.range}"
    return f"{one.name} is {given[0]!r}: {must}"
