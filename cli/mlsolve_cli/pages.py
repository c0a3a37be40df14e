"""Writes docs/cli.md and docs/options.md from the declared settings and verbs: python -m mlsolve_cli.pages.

Nobody writes these pages by hand; a test compares them with what is written here.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlsolve.job import settings
from mlsolve.job.options import Options
from mlsolve.job.settings import Setting, in_digits

from .options import Parameter, Verb

DOCS: Final = Path(__file__).parents[2] / "docs"

_WRITTEN: Final = "<!-- written by make pages; do not edit -->"


@dataclass(frozen=True)
class Field:
    """A setting as docs/options.md describes it."""

    name: str
    setting: Setting
    default: Any
    owners: tuple[str, ...]
    """Classes in Python that have it as a field."""

    @property
    def typed(self) -> str:
        """How the command line sets it to the example value."""
        if self.name == "target":
            return f"mlsolve run {self.setting.example}"
        return f"{Parameter(self.name, self.setting).flag} {self.setting.example}"

    @property
    def toml(self) -> str:
        """How a job file sets it to the example value; "" if it cannot."""
        setting = self.setting
        value = setting.toml
        if value is None:
            value = setting.example if setting.kind in (int, float) else f'"{setting.example}"'
        return f"{self.name} = {value}" if value else ""

    @property
    def python(self) -> str:
        """How Python sets it to the example value; "" if it cannot."""
        setting = self.setting
        value = setting.python
        if value is None:
            value = setting.example if setting.kind in (int, float) else f'"{setting.example}"'
            value = f"Path({value})" if setting.kind is Path else value
        return f"{self.name}={value}" if value else ""

    @property
    def default_words(self) -> str:
        """The default, in words where it is None."""
        if self.default is None:
            return self.setting.otherwise or "must be given"
        return in_digits(self.default) if isinstance(self.default, int | float) else str(self.default)


def fields() -> dict[str, tuple[Field, ...]]:
    """Return all settings by heading."""
    from mlsolve.job.job import Job
    from mlsolve.run.budget import Budget

    job, solve, budget = _of(Job), _of(Options), _of(Budget)
    solve = {name: one for name, one in solve.items() if name not in budget}
    threads = dataclasses.replace(budget.pop("threads"), owners=("Budget", "Options"))
    guides = dataclasses.replace(settings.GUIDE, flag="--guide")
    pictures = (
        Field("target", settings.TARGET, None, ("Arrangement",)),
        Field("guides", guides, None, ("Job",)),
        Field("mask", settings.MASK, None, ("Arrangement",)),
        job.pop("cmyk_profile"),
    )
    sheets = job.pop("size"), Field("print", settings.PRINT, None, ()), job.pop("dpi"), *job.values()
    return {
        "Pictures": pictures,
        "Sheets and files": sheets,
        "Solve": tuple(solve.values()),
        "Budget": (*budget.values(), threads),
    }


def _of(kind: type) -> dict[str, Field]:
    found = settings.settings_of(kind).items()
    return {name: Field(name, setting, default, (kind.__name__,)) for name, (setting, default) in found}


def options_page() -> str:
    """Return docs/options.md."""
    parts = [
        "# Options",
        _WRITTEN,
        "Every setting of mlsolve: what it does, its values, its default, and how a job file, Python and the "
        "command line set it. [cli.md](cli.md) lists the options by verb.",
        "A job file can hold several pictures for the same sheets: one `[[arrangement]]` each, with `target`, "
        "`mask`, `weight`, `exposure` and `place` (examples/). In Python an `Arrangement` has the same fields.",
    ]
    for heading, found in fields().items():
        parts += [f"## {heading}", *(_described(one) for one in found)]
    return "\n\n".join(parts) + "\n"


def _described(one: Field) -> str:
    setting = one.setting
    text = f"### {one.name}\n\n" + " ".join(part for part in (setting.help, setting.more) if part)
    lines = [
        ("Values", _values(setting)),
        ("Default", one.default_words),
        ("Job file", f"`{one.toml}`" if one.toml else ""),
        ("Python", " or ".join(_called(one, owner) for owner in one.owners)),
        ("Command line", f"`{one.typed}`"),
    ]
    return text + "\n\n" + "\n".join(f"- {name}: {value}" for name, value in lines if value)


def _called(one: Field, owner: str) -> str:
    """Return the call that sets a field in Python."""
    alone = owner in ("Options", "Budget") or one.name == "target"
    return f"`{owner}({'' if alone else '…, '}{one.python})`"


def _values(setting: Setting) -> str:
    if setting.kind is Path and not setting.limits:
        return "a folder" if setting.metavar == "FOLDER" else "a file"
    return setting.values


def cli_page(verbs: Iterable[Verb]) -> str:
    """Return docs/cli.md."""
    verbs = tuple(verbs)
    heads = "verb", "what it does"
    contents = [(f"[{one.name}](#mlsolve-{one.name})", _first(one.description)) for one in verbs]
    parts = [
        "# Command line",
        _WRITTEN,
        "`mlsolve VERB --help` shows the same in a terminal. [options.md](options.md) explains every setting. "
        "A refusal is one line on standard error and exit status 2; Ctrl-C gives status 130.",
        _table(heads, contents),
    ]
    return "\n\n".join([*parts, *(_verb(one) for one in verbs)]) + "\n"


def _first(text: str) -> str:
    """Return the first paragraph of a text in one line."""
    return " ".join(text.split("\n\n")[0].split())


def _verb(one: Verb) -> str:
    arguments = " ".join(_usage(each) for each in one.shown if each.argument)
    parts = [
        f"## mlsolve {one.name}",
        "\n\n".join(" ".join(part.split()) for part in one.description.split("\n\n")),
        f"    mlsolve {one.name} [OPTIONS] {arguments}".rstrip(),
        *(f"{each.does}\n\n    mlsolve {each.command}" for each in one.examples),
        _table(("option", "what it does", "values", "default", "example"), [_row(each) for each in one.shown]),
    ]
    return "\n\n".join(parts)


def _usage(one: Parameter) -> str:
    return (one.flag if one.required else f"[{one.flag}]") + ("..." if one.repeated else "")


def _row(one: Parameter) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in reversed(one.flags))
    default = "must be given" if one.required else one.default_words
    return names, one.setting.help, _values(one.setting), default, f"`{typed(one)}`"


def typed(one: Parameter) -> str:
    """Return an example of a parameter, as typed."""
    if one.setting.kind is bool:
        return one.flag.split("/")[-1]
    return one.setting.example if one.argument else f"{one.flag} {one.setting.example}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def pages() -> Mapping[str, str]:
    """Return the text of every page, by the name of its file."""
    from .verbs import VERBS

    return {"cli.md": cli_page(VERBS), "options.md": options_page()}


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
        print(DOCS / name)


if __name__ == "__main__":
    main()
