"""What the page asks for, as a job.toml, and a job.toml as what the page asks for.

The page sends a wish:

    {"pictures": [{"picture": NAME, "place": [{"layer": 1, "rotate": 90, "flip": "h", "shift": [0, 0]}, …]}, …],
     "guides": ["rosette:7:ember", NAME, …],
     "settings": {"print": "A3", "dpi": 100, "exposure": 0.1, "registration": "0.3mm", "media": "inkjet-film", …}}

NAME is a file that was dropped. Settings are those of a job file, under the same keys and in the same form. So the
text that is made here is read by the reader of `mlsolve run`, and refused in its words.
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import tomli_w

from mlsolve.errors import InputError, MlsolveError, OptionError
from mlsolve.guides import FAMILIES
from mlsolve.job.arrangements import MAX_ARRANGEMENTS, check_arrangements, check_registration
from mlsolve.job.job import Job
from mlsolve.job.job_file import parse_job
from mlsolve.job.settings import MAX_LAYERS
from mlsolve.media import media_names
from mlsolve.pictures.arrays import check_size

from .folder import UP, StudioFolder, last_name, shown
from .uploads import Kind, Uploads

Wish = dict[str, Any]
"""What the page asks for, unchecked."""

LONGEST: Final = 200_000
"""Characters that a job may have."""

_PICTURE: Final = ("picture", "mask", "place", "weight", "exposure")
_FILES: Final = frozenset(("target", "mask", "arrangement", "guides", "cmyk_profile"))
"""Keys of a job file that name files or hold other keys: a wish has its own for them, or none."""


@dataclass(frozen=True)
class Checked:
    """A wish as a job."""

    toml: str
    job: Job
    size: tuple[int, int]
    """(width, height) of the sheets in pixels."""
    name: str
    """Of the first picture, to be shown."""
    titles: tuple[str, ...] = field(default=())
    """Of all pictures."""


class Jobs:
    """Turns wishes into jobs and back."""

    def __init__(self, folder: StudioFolder, uploads: Uploads) -> None:
        """uploads: the files that a job may name."""
        self._folder, self._uploads = folder, uploads

    def toml(self, wish: Any) -> str:
        """Return the job.toml for a wish, whose file names are relative to the folder of a run.

        Raises InputError or OptionError for what is no wish; what the settings are worth is for `checked`.
        """
        wish = _of(wish, dict, "the job")
        pictures = _of(wish.get("pictures"), list, "pictures")
        guides = _of(wish.get("guides"), list, "guides")
        if not pictures:
            raise InputError("there is no target: give a picture")
        if len(pictures) > MAX_ARRANGEMENTS:
            raise OptionError(f"there are {len(pictures)} arrangements: give 1 to {MAX_ARRANGEMENTS}")
        if len(guides) > MAX_LAYERS:
            raise InputError(f"there are {len(guides)} guides: give 1 to {MAX_LAYERS}, one per layer")
        tables = [self._table(one) for one in pictures]
        found: dict[str, Any] = {}
        if len(tables) == 1 and tables[0].keys() <= {"target", "mask"}:
            found |= tables[0]
        found["guides"] = [self._guide(one) for one in guides]
        for key, value in _of(wish.get("settings", {}), dict, "settings").items():
            if key in _FILES or not re.fullmatch(r"[a-z_]{1,40}", key):
                raise OptionError(f"settings has {shown(key)}: give it as the page does")
            found[key] = self._media(value) if key == "media" else _plain(value, key)
        if "target" not in found:
            found["arrangement"] = tables
        text = tomli_w.dumps(found)
        if len(text) > LONGEST:
            raise OptionError(f"the job has {len(text)} characters: it may have {LONGEST}")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise OptionError("the job holds characters that are not Unicode: leave them out") from None
        return text

    def checked(self, wish: object) -> Checked:
        """Return a wish as a job. Raises InputError and OptionError with the lines of `mlsolve run job.toml`."""
        text = self.toml(wish)
        base = self._folder.runs / "job"
        try:
            job = parse_job(text, base)
            known = [self._uploads.known(one.name) for one in job.targets]
            titles = tuple(
                path.name if one is None else one.title for path, one in zip(job.targets, known, strict=True)
            )
            size = job.size
            if size is None:
                first = known[0]
                size = (0, 0) if first is None else (first.width, first.height)
                check_size(size, str(job.target))
                check_arrangements(job.arrangements, len(job.guides), size, job.shape)
            check_registration(job.options.registration, (size[1], size[0]))
        except MlsolveError as error:
            raise type(error)(self._folder.relative(str(error), base)) from None
        return Checked(text, job, size, titles[0], titles)

    def wish(self, text: str) -> Wish:
        """Return what a job file asks for, for the page to show. No file that it names is opened.

        A file that it names must have been dropped on the page: the last part of its name is looked up there.
        Raises InputError and OptionError with the lines of `mlsolve run job.toml`, and for a file that is missing.
        """
        if len(text) > LONGEST:
            raise InputError(f"job.toml has {len(text)} characters: it may have {LONGEST}")
        base = self._folder.runs / "job"
        try:
            parse_job(text, base)
        except MlsolveError as error:
            raise type(error)(self._folder.relative(str(error), base)) from None
        except RecursionError:
            raise InputError("job.toml is not a TOML file: it is nested too deep") from None
        settings = tomllib.loads(text)
        if settings.pop("cmyk_profile", None) is not None:
            raise OptionError("job.toml has cmyk_profile, which the studio cannot use: use mlsolve run")
        titles, profiles = self._titles("pictures"), self._titles("media")
        guides = settings.pop("guides")
        found: Wish = {"guides": [_looked_up(one, titles, _is_generated) for one in guides]}
        tables = settings.pop("arrangement", None)
        if tables is None:
            tables = [{key: settings.pop(key) for key in ("target", "mask") if key in settings}]
        pictures = []
        for one in tables:
            for key in ("target", "mask"):
                if key in one:
                    one[key] = _looked_up(one[key], titles)
            if "target" in one:
                one["picture"] = one.pop("target")
            if "place" in one:
                place = one["place"]
                one["place"] = [{"layer": entry} if isinstance(entry, int) else entry for entry in place]
            pictures.append(one)
        found["pictures"] = pictures
        if "media" in settings:
            settings["media"] = _looked_up(settings["media"], profiles, lambda name: name in media_names())
        found["settings"] = settings
        self.toml(found)
        return found

    def _titles(self, kind: Kind) -> dict[str, str]:
        """Return the files of a kind by their titles, the newest where several have the same, and by our paths."""
        place = self._folder.path / kind
        newest_last = sorted(self._uploads.all(kind), key=lambda one: (place / one.name).stat().st_mtime_ns)
        titles = {one.title: one.name for one in newest_last}
        return titles | {f"/{kind}/{one.name}": one.name for one in newest_last}

    def _table(self, one: Any) -> dict[str, Any]:
        """Return the table of an arrangement for a picture of a wish."""
        one = _of(one, dict, "a picture")
        for key in one:
            if key not in _PICTURE:
                raise OptionError(f"a picture has {shown(key)}: give it as the page does")
        table: dict[str, Any] = {"target": self._own(one.get("picture"))}
        if one.get("mask") is not None:
            table["mask"] = self._own(one["mask"])
        for key in ("weight", "exposure"):
            if one.get(key) is not None:
                table[key] = _plain(one[key], key)
        if one.get("place") is not None:
            table["place"] = [_placement(entry) for entry in _of(one["place"], list, "place")]
        return table

    def _guide(self, one: object) -> str:
        """Return a guide of a wish as a job file names it."""
        return str(one) if _is_generated(one) else self._own(one)

    def _own(self, name: object) -> str:
        return f"{UP}/pictures/{self._folder.own('pictures', name).name}"

    def _media(self, name: object) -> str:
        if name in media_names():
            return str(name)
        return f"{UP}/media/{self._folder.own('media', name).name}"


def _placement(entry: object) -> dict[str, Any]:
    """Return the table of a placed sheet, without what is as it would be anyway."""
    table = {key: _plain(value, key) for key, value in _of(entry, dict, "place").items() if value is not None}
    if table.get("rotate") == 0:
        del table["rotate"]
    if table.get("shift") in ([0, 0], [0.0, 0.0]):
        del table["shift"]
    return table


def _of(value: object, kind: type, name: str) -> Any:
    """Return `value`, or raise OptionError if it is not of this kind."""
    if not isinstance(value, kind):
        raise OptionError(f"{name} is {shown(value)}: give it as the page does")
    return value


def _plain(value: object, key: str) -> Any:
    """Return a value that a job file can hold: text, a number, yes or no, or a short list of them."""
    if isinstance(value, list) and len(value) <= MAX_LAYERS and not any(isinstance(one, list) for one in value):
        return [_plain(one, key) for one in value]
    if isinstance(value, str | int | float) and len(str(value)[:300]) < 300:
        return value
    raise OptionError(f"{key} is {shown(value)}: give it as the page does")


def _is_generated(name: object) -> bool:
    return isinstance(name, str) and name.split(":")[0] in FAMILIES


def _looked_up(name: object, titles: dict[str, str], known: Callable[[str], bool] = lambda name: False) -> object:
    """Return the name here of the file that a job calls `name`. Raises InputError if it was not dropped."""
    if not isinstance(name, str) or known(name):
        return name
    if re.match(r"(\.\./){2,3}(pictures|media)/[^/]+$", name):  # as jobs of a studio name them
        ours = name[name.rindex("../") + 2 :]
        if ours in titles:
            return titles[ours]
    last = last_name(name)
    if last not in titles:
        raise InputError(f"job.toml names {shown(last)}, which is not here: drop that file on the page as well")
    return titles[last]
