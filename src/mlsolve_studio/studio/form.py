"""The fields of the page's form, from the settings that mlsolve declares."""

from typing import Any, Final

from mlsolve.job import settings
from mlsolve.job.options import Options
from mlsolve.job.settings import Setting, in_digits, settings_of

FILES: Final = {"format": (settings.FORMAT, "png"), "bits": (settings.BITS, 8), "fit": (settings.FIT, "cover")}

_OWN: Final = frozenset(("exposure", "registration", "hide_weight", "seed"))
"""Settings that have a place of their own on the page."""


def fields() -> list[dict[str, Any]]:
    """Return the settings of a job file that the page lists under "more": name, help, range, default."""
    found: dict[str, tuple[Setting, Any]] = {**FILES, **settings_of(Options)}
    return [
        {
            "name": name,
            "label": name.replace("_", " "),
            "help": setting.help,
            "values": "" if setting.choices else setting.values,
            "choices": list(setting.choices),
            "kind": _kind(setting),
            "default": _shown(default) if default is not None else "",
            "otherwise": setting.otherwise or "",
        }
        for name, (setting, default) in found.items()
        if setting.toml != "" and name not in _OWN
    ]


def _kind(setting: Setting) -> str:
    """Return what a value is in a job file: "int", "float" or "text"."""
    if setting.choices:
        return "int" if isinstance(setting.choices[0], int) else "text"
    if setting.as_text or setting.kind is str:
        return "text"
    return "int" if setting.kind is int else "float"


def _shown(value: Any) -> str:
    return in_digits(value) if isinstance(value, int | float) else str(value)
