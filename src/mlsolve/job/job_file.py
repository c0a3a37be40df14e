"""job.toml → Job, whether a person wrote it or `Job.toml`."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..errors import InputError, OptionError
from ..media import media_names
from .arrangements import Arrangement, Placement
from .job import OPTION_KEYS, Job, parse_generated, parse_size
from .options import Options
from .print_size import DEFAULT_DPI, parse_dpi, parse_length, parse_print_size
from .viewing import with_lengths

_BACKSLASHES: Final = r"write paths of Windows in single quotes, 'C:\Users\me\cat.png', or with forward slashes"

_KEYS: Final = (
    *("target", "mask", "arrangement", "guides", "shape", "size", "print", "dpi", "fit", "format", "bits"),
    "cmyk_profile",
    "media",
    *OPTION_KEYS,
)
_OF_THE_COMMAND: Final = ("memory", "processes", "threads", "devices", "cluster", "out", "overwrite")
"""Options of `mlsolve run` that say where and how a job is done, not what."""


def load_job(path: str | Path, dpi: float | None = None) -> Job:
    """Return the job in the TOML file `path`; the files it names are relative to its folder.

    dpi: replaces the one in the file; it converts lengths in millimetres to pixels.

    Raises InputError if the file cannot be read, OptionError for unknown keys and values out of range.
    """
    path = Path(path)
    return _job(read_settings(path), path, dpi)


def parse_job(text: str, folder: Path) -> Job:
    """Return the job in the text of a job file in `folder`; raises the same errors as `load_job`."""
    path = folder / "job.toml"
    return _job(_settings(text, path), path)


def _job(settings: dict[str, Any], path: Path, dpi: float | None = None) -> Job:
    """Return the job of these settings, which `path` holds."""
    try:
        guides = settings["guides"]
        if not isinstance(guides, list) or not all(isinstance(entry, str) for entry in guides):
            raise OptionError(f"guides is {guides!r}: give a list of names of picture files")
        size = parse_size(settings["size"]) if "size" in settings else None
        dpi = settings.get("dpi") if dpi is None else dpi
        if "print" in settings:
            if size is not None:
                raise OptionError("size and print are both given: leave one of them out")
            dpi = DEFAULT_DPI if dpi is None else dpi
            size = parse_print_size(str(settings["print"])).pixels(parse_dpi(dpi))
        options = Options(**with_lengths({key: settings[key] for key in OPTION_KEYS if key in settings}, dpi))
        return Job(
            _arrangements(settings, path.parent, dpi),
            tuple(guide_entry(entry, path.parent) for entry in guides),
            size,
            settings.get("fit", "cover"),
            options,
            dpi,
            settings.get("format", "png"),
            settings.get("bits", 8),
            settings.get("shape", "sheet"),
            _profile(settings, path.parent),
            media_entry(settings["media"], path.parent) if "media" in settings else None,
        )
    except KeyError as error:
        raise OptionError(f"{path}: {error.args[0]} is missing: add it") from None
    except (OptionError, InputError) as error:
        raise type(error)(f"{path}: {error}") from None


def _file(name: object, key: str, folder: Path, what: str = "a picture file") -> Path:
    """Return the file that `key` of a job file names, relative to `folder`."""
    if not isinstance(name, str):
        raise OptionError(f"{key} is {name!r}: give the name of {what}")
    path = folder / name
    if any(character < " " for character in name) and not path.exists():
        # "C:\new\tree.png" is TOML, but not what was meant.
        raise OptionError(f"{key} is {name!r}, where backslashes became other characters: {_BACKSLASHES}")
    return path


def _profile(settings: dict[str, Any], folder: Path) -> Path | None:
    """Return the CMYK profile that a job file names, if any."""
    name = settings.get("cmyk_profile")
    return None if name is None else _file(name, "cmyk_profile", folder, "an ICC profile")


_TABLE_KEYS: Final = ("target", "place", "weight", "exposure", "mask")
_PLACE_KEYS: Final = ("layer", "rotate", "flip", "shift")


def _arrangements(settings: dict[str, Any], folder: Path, dpi: float | None) -> tuple[Arrangement, ...]:
    """Return the arrangements in the settings of a job file."""
    tables = settings.get("arrangement")
    if tables is None:
        tables = [{key: settings[key] for key in ("target", "mask") if key in settings}]
    elif "target" in settings or "mask" in settings:
        raise OptionError("target and [[arrangement]] are both given: put the target into an arrangement")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise OptionError(f"arrangement is {tables!r}: write [[arrangement]] above each of them")
    found = []
    for number, table in enumerate(tables, start=1):
        name = f"arrangement {number}: " if "arrangement" in settings else ""
        for key in table:
            if key not in _TABLE_KEYS:
                near = _nearest(key, _TABLE_KEYS)
                raise OptionError(f"{name}unknown key {key!r}: did you mean {near!r}?")
        if "target" not in table:
            raise KeyError(f"{name}target")
        try:
            target = _file(table["target"], "target", folder)
            mask = _file(table["mask"], "mask", folder) if "mask" in table else None
            place = None if "place" not in table else _placements(table["place"], dpi)
            lain = Arrangement(target, place, table.get("weight", 1.0), table.get("exposure"), mask)
        except OptionError as error:
            raise OptionError(f"{name}{error}") from None
        found.append(lain)
    return tuple(found)


def _placements(entries: object, dpi: float | None) -> tuple[Placement, ...]:
    """Return the placements in `place` of an arrangement: a list of layer numbers or of tables."""
    if not isinstance(entries, list):
        raise OptionError(f"place is {entries!r}: give a list, as in [{{layer = 1}}, {{layer = 2, rotate = 90}}]")
    found = []
    for entry in entries:
        table = {"layer": entry} if isinstance(entry, int) else entry
        if not isinstance(table, dict) or "layer" not in table:
            raise OptionError(f"place holds {entry!r}: give a layer, as in {{layer = 2, rotate = 90}}")
        for key in table:
            if key not in _PLACE_KEYS:
                near = _nearest(key, _PLACE_KEYS)
                raise OptionError(f"place: unknown key {key!r}: did you mean {near!r}?")
        shift = table.get("shift", (0.0, 0.0))
        if isinstance(shift, list) and len(shift) == 2:
            # Millimetres to the nearest pixel, for whole pixels are exact.
            ways = [parse_length(way, "shift", dpi) for way in shift]
            shift = tuple(
                float(round(length)) if isinstance(way, str) else length
                for way, length in zip(shift, ways, strict=True)
            )
        found.append(Placement(table["layer"], table.get("rotate", 0.0), table.get("flip"), shift))
    return tuple(found)


def _nearest(key: str, known: Sequence[str]) -> str:
    """Return the `known` key that was probably meant: one that contains `key`, else one with similar spelling."""
    holding = [name for name in known if key in name]
    return min(holding, key=len) if holding else difflib.get_close_matches(key, known, n=1, cutoff=0)[0]


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings in the job file `path`, unconverted; all keys are known."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the name") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: give the job.toml in it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    return _settings(text, path)


def _settings(text: str, path: Path) -> dict[str, Any]:
    """Return the settings in `text`, the content of `path`; all keys are known."""
    try:
        settings = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, numbers of thousands of digits
        remedy = f": {_BACKSLASHES}" if "\\" in text else ""
        raise InputError(f"{path} is not a TOML file: {str(error).splitlines()[0]}{remedy}") from None
    for key in settings:
        if key in _OF_THE_COMMAND:
            raise OptionError(f"{path}: {key} is no part of a job: give --{key} on the command line")
        if key not in _KEYS:
            near = _nearest(key, _KEYS)
            raise OptionError(f"{path}: unknown key {key!r}: did you mean {near!r}?")
    return settings


def media_entry(text: object, folder: Path) -> Path | str:
    """Return the media profile that `text` names: an included one, or else a file in `folder`."""
    if isinstance(text, str) and text in media_names() and not (folder / text).exists():
        return text
    return _file(text, "media", folder, "a media profile")


def guide_entry(text: str, folder: Path) -> Path | str:
    """Return the guide that `text` names: a generated guide, or else a file in `folder`."""
    from ..guides import FAMILIES

    if text.split(":")[0] in FAMILIES and not (folder / text).exists():
        parse_generated(text)
        return text
    return _file(text, "guides", folder)
