"""Options of the command line, made from the settings that `mlsolve.job.settings` declares.

A verb lists the options it takes and gets what was typed as one dictionary, name of a setting → value, without
what was not given. Its `--help`, its part of docs/cli.md and the tests of its examples follow from the same list.
"""

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlsolve.job import settings
from mlsolve.job.options import Options
from mlsolve.job.settings import MAX_LAYERS, Setting, in_digits, settings_of

Given = dict[str, Any]
"""What was typed, by the name of its parameter."""


@dataclass(frozen=True)
class Parameter:
    """An option or argument of a verb."""

    name: str
    """Of the setting, as in Python and in a job file."""
    setting: Setting
    default: Any = None
    """Value of a setting that is not given, None if there is none or `otherwise` tells it."""
    argument: bool = False
    """Whether it is an argument, which has no name on the command line."""
    required: bool = False
    repeated: bool = False
    """Whether it can be given several times; then its value is a list."""
    hidden: bool = False

    @property
    def flag(self) -> str:
        """Its name on the command line, or what stands for an argument."""
        if self.argument:
            return self.setting.metavar
        return self.setting.flag or "--" + self.name.replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """All its names."""
        return (self.flag, self.setting.short) if self.setting.short else (self.flag,)

    @property
    def metavar(self) -> str:
        """What stands for its value, "" for a switch."""
        setting = self.setting
        if setting.kind is bool:
            return ""
        if setting.metavar or setting.choices:
            return setting.metavar or "|".join(map(str, setting.choices))
        return "N" if setting.kind is int else "X"

    @property
    def default_words(self) -> str:
        """The default in words, "" for what must be given."""
        if self.required:
            return ""
        if self.setting.kind is bool and self.setting.otherwise is None:
            return self.flag.split("/")[0] if "/" in self.flag else "off"
        if self.default is not None:
            shown = self.default
            return in_digits(shown) if isinstance(shown, int | float) else str(shown)
        return self.setting.otherwise or ""

    @property
    def help(self) -> str:
        """What `--help` says: meaning, unit, range, default."""
        setting = self.setting
        notes = ["" if setting.choices else setting.values]
        notes.append(f"default: {self.default_words}" if self.default_words not in ("", "off") else "")
        shown = "; ".join(note for note in notes if note)
        return f"{setting.help} [{shown}]" if shown else setting.help

    def otherwise(self, words: str) -> "Parameter":
        """Return it for a verb where it has no default of its own but what these words say."""
        return dataclasses.replace(
            self, default=None, setting=dataclasses.replace(self.setting, otherwise=words or None)
        )

    def signature(self) -> inspect.Parameter:
        """Return it as the parameter of a function, which is what Typer reads."""
        import typer  # here, because a command that `plain` reads needs none of it

        kind = str if self.setting.as_text else self.setting.kind
        missing: Any = ... if self.required else False if kind is bool and "/" not in self.flag else None
        shown: dict[str, Any] = {"help": self.help, "show_default": False, "metavar": self.metavar or None}
        if self.argument:
            info = typer.Argument(missing, **shown)
        else:
            info = typer.Option(missing, *self.flags, hidden=self.hidden, **shown)
        annotation: Any = list[kind] if self.repeated else kind  # type: ignore[valid-type]
        if not self.required and kind is not bool:
            annotation |= None
        elif "/" in self.flag:
            annotation = bool | None
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=annotation)


@dataclass(frozen=True)
class Example:
    """A command that works, and what it does."""

    command: str
    """Without the name of the program."""
    does: str


@dataclass(frozen=True)
class Verb:
    """A command of mlsolve."""

    name: str
    description: str
    """Paragraphs in Markdown; the first sentence says what the verb does."""
    parameters: tuple[Parameter, ...]
    examples: tuple[Example, ...]
    carry_out: Callable[[Given], None]

    @property
    def shown(self) -> tuple[Parameter, ...]:
        """The parameters that the help names."""
        return tuple(one for one in self.parameters if not one.hidden)

    @property
    def help(self) -> str:
        """What `--help` says."""
        return f"{self.description}\n\nExample: **mlsolve {self.examples[0].command}**"

    def callback(self) -> Callable[..., None]:
        """Return the function that Typer makes a command of."""

        def call(**typed: Any) -> None:
            self.carry_out({name: value for name, value in typed.items() if value not in (None, [])})

        call.__signature__ = inspect.Signature([one.signature() for one in self.parameters])  # type: ignore[attr-defined]
        return call


def verb(
    *parameters: Parameter, examples: tuple[tuple[str, str], ...]
) -> Callable[[Callable[[Given], None]], Verb]:
    """Return a decorator that makes a verb of a function: its name, its docstring, these parameters and examples.

    examples: command and what it does, the first of them for `--help`.
    """

    def decorate(function: Callable[[Given], None]) -> Verb:
        text = inspect.cleandoc(function.__doc__ or "")
        return Verb(function.__name__, text, parameters, tuple(Example(*one) for one in examples), function)

    return decorate


def switch(name: str, words: str, flag: str = "") -> Parameter:
    """Return an option that is on or off; flag: both names of it, if it is on unless it is switched off."""
    return Parameter(name, Setting(help=words, kind=bool, flag=flag, example=" "))


def folder(words: str) -> Parameter:
    """Return the argument FOLDER."""
    declared = Setting(help=words, kind=Path, metavar="FOLDER", example="prints")
    return Parameter("folder", declared, argument=True, required=True)


SOLVE: Final = tuple(
    Parameter(name, setting, default)
    for name, (setting, default) in settings_of(Options).items()
    if setting.toml != ""
)
"""The options of a solve."""

EXPOSURE: Final = next(one for one in SOLVE if one.name == "exposure")

JOB: Final = Parameter(
    "job",
    Setting(
        help="Job file to take pictures and settings from; options override it.",
        kind=Path,
        metavar="FILE.toml",
        otherwise="none",
        example="job.toml",
    ),
)
TARGET: Final = Parameter(
    "target",
    dataclasses.replace(
        settings.TARGET,
        help="Picture that the stack shows on the light box, or a job file.",
        otherwise="as in --job",
    ),
    argument=True,
)
GUIDE: Final = Parameter("guide", settings.GUIDE, repeated=True)
LAYERS: Final = Parameter(
    "layers",
    Setting(
        help="Number of layers to generate guides for, where no guides are given.",
        kind=int,
        unit="layers",
        low=1,
        high=MAX_LAYERS,
        example="4",
    ),
    3,
)
MASK: Final = Parameter("mask", settings.MASK)
MEDIA: Final = Parameter("media", settings.MEDIA)
CMYK_PROFILE: Final = Parameter("cmyk_profile", settings.CMYK_PROFILE)
PICTURES: Final = (TARGET, GUIDE, JOB, LAYERS, MASK, CMYK_PROFILE)
"""What is solved."""

SHEETS: Final = (
    Parameter("size", settings.SIZE),
    Parameter("print", settings.PRINT),
    Parameter("dpi", settings.DPI),
    Parameter("fit", settings.FIT, "cover"),
    Parameter("shape", settings.SHAPE, "sheet"),
    MEDIA,
)
FILES: Final = (Parameter("format", settings.FORMAT, "png"), Parameter("bits", settings.BITS, 8))
BUDGET: Final = (
    Parameter("memory", settings.MEMORY),
    Parameter("processes", settings.PROCESSES, 1),
    Parameter("threads", settings.THREADS),
    Parameter("devices", settings.DEVICES),
    Parameter("cluster", settings.CLUSTER),
)
JOB_OPTIONS: Final = (*PICTURES, *SHEETS, *FILES, *SOLVE)
"""All that makes a job; `request.job_of` reads them."""

OUT: Final = Parameter(
    "out",
    Setting(
        help="Folder to write.",
        kind=Path,
        short="-o",
        metavar="FOLDER",
        otherwise="TARGET-layers",
        example="prints",
    ),
)
OVERWRITE: Final = switch("overwrite", "Replace what an earlier run wrote into the folder.")
JSON: Final = switch("json", "Print the result as JSON.")
JSON_PROGRESS: Final = switch("json", "Print the result as JSON, and progress as JSON lines on standard error.")
COLOUR: Final = switch(
    "colour", "Assume three planes per layer, or one, where there are no pictures.", "--colour/--grey"
)
