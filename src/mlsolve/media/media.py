"""A media profile: a printer, its inks and a film, in a small TOML file (docs/calibration.md)."""

import hashlib
import itertools
import json
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tomli_w

from mlsolve_kernels.light.ink.inks import DEGREE, Inks

from ..errors import InputError
from ..pictures.colour import GAMMA

FORMAT: Final = 1
CHANNELS: Final = {1: ("grey",), 3: ("red", "green", "blue")}
"""Names of the channels of device codes, and of the bands, by their number."""
INCLUDED: Final = Path(__file__).parent / "profiles"
"""The folder of the profiles that come with mlsolve."""
MAX_DENSITY: Final = 6.0
_KNOWN: Final = ("format", "name", "about", "base", "curves", "to_eye", "index", "fit")
_FIT_KEYS: Final = ("patches", "left_out", "median", "percentile95", "worst")


@dataclass(frozen=True)
class Fit:
    """How well a profile predicts patches that were left out when it was fitted (leave one out)."""

    patches: int
    """Patches it was fitted to."""
    median: float
    percentile95: float
    worst: float
    """Colour differences ΔE00 of the predictions."""
    left_out: int = 0
    """Patches that were found to be spoiled and did not count."""


@dataclass(frozen=True)
class Media:
    """A printer, its inks and a film."""

    name: str
    inks: Inks
    """Its numbers, without light of the room."""
    about: str = ""
    """Where it came from: printer, film, date, instrument; or the source of its figures."""
    index: float | None = None
    """Refractive index of the sheets; None: light reflected between sheets does not count."""
    fit: Fit | None = None

    def __post_init__(self) -> None:
        """Check the numbers. Raises InputError that names the key, the value and the remedy."""
        _check(self.inks)
        if self.index is not None and not 1 <= self.index <= 3:
            raise InputError(f"index is {self.index:g}: give a refractive index from 1 to 3, as 1.49 of acrylic")
        reflectance = 0.0 if self.index is None else ((self.index - 1) / (self.index + 1)) ** 2
        object.__setattr__(self, "inks", self.inks._replace(reflectance=reflectance))

    @property
    def planes(self) -> int:
        """Number of channels and of bands: 1 (grey) or 3."""
        return self.inks.planes

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of its numbers; its names and texts do not count."""
        curves = sum((sum(band, ()) for band in self.inks.curves), ())
        numbers = [_density(one) for one in (*self.inks.base, *curves)], self.inks.to_eye, self.index
        return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()[:16]

    def toml(self) -> str:
        """Return the text of its file."""
        names = CHANNELS[self.planes]
        found: dict[str, Any] = {"format": FORMAT, "name": self.name, "about": self.about}
        if self.index is not None:
            found["index"] = self.index
        found["base"] = [_density(value) for value in self.inks.base]
        found["to_eye"] = [list(row) for row in self.inks.to_eye]
        found["curves"] = {
            band: {name: [_density(value) for value in curve] for name, curve in zip(names, curves, strict=True)}
            for band, curves in zip(names, self.inks.curves, strict=True)
        }
        if self.fit is not None:
            found["fit"] = {key: getattr(self.fit, key) for key in _FIT_KEYS}
        return tomli_w.dumps(found)

    @classmethod
    def parse(cls, text: str, named: str) -> "Media":
        """Return the profile in the text of a file `named` so. Raises InputError for what cannot be used."""
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{named} is not TOML ({error}): mend it, or write it anew") from None
        for key in found:
            if key not in _KNOWN:
                raise InputError(f"{named} has {key!r}: use {', '.join(_KNOWN)}")
        for key in ("format", "name", "base", "curves", "to_eye"):
            if key not in found:
                raise InputError(f"{named} has no {key!r}: a media profile needs it")
        if found["format"] != FORMAT:
            raise InputError(f"{named} has format {found['format']!r}: this mlsolve reads {FORMAT}")
        try:
            return cls(
                str(found["name"]),
                _inks(found),
                str(found.get("about", "")),
                None if found.get("index") is None else float(found["index"]),
                Fit(**found["fit"]) if "fit" in found else None,
            )
        except InputError as error:
            raise InputError(f"{named}: {error}") from None
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise InputError(f"{named} has values of the wrong kind ({error}): see docs/calibration.md") from None


def load_media(name: str | Path) -> Media:
    """Return the profile in the file `name`, or the included one of that name. Raises InputError."""
    path = Path(name)
    if str(name) in media_names():
        path = INCLUDED / f"{name}.toml"
    elif not path.is_file():
        raise InputError(f"media is {name}: give the file of a profile, or one of {', '.join(media_names())}")
    try:
        return Media.parse(path.read_text(encoding="utf-8"), str(name))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} cannot be read ({error}): give a TOML file") from None


def media_names() -> tuple[str, ...]:
    """Return the names of the included profiles, in order."""
    return tuple(sorted(path.stem for path in INCLUDED.glob("*.toml")))


def _inks(found: dict[str, Any]) -> Inks:
    """Return the numbers of a parsed file."""
    base = tuple(_encoded(density) for density in found["base"])
    names = CHANNELS.get(len(base))
    if names is None:
        raise InputError(f"base has {len(base)} densities: give 1 (grey) or 3 (red, green, blue)")
    bands = found["curves"]
    for named, one in (("curves", bands), *((f"curves.{band}", bands.get(band, {})) for band in names)):
        if sorted(one) != sorted(names):
            raise InputError(f"{named} has {', '.join(one) or 'none'}: use {', '.join(names)}")
    curves = tuple(
        tuple(tuple(_encoded(density) for density in bands[band][name]) for name in names) for band in names
    )
    return Inks(base, curves, tuple(tuple(map(float, row)) for row in found["to_eye"]))


def _check(inks: Inks) -> None:
    """Raise InputError for numbers that are no printer's."""
    planes = inks.planes
    if planes not in CHANNELS:
        raise InputError(f"base has {planes} densities: give 1 (grey) or 3 (red, green, blue)")
    if len(inks.to_eye) != planes or any(len(row) != planes for row in inks.to_eye):
        raise InputError(f"to_eye is not {planes}×{planes}: give {planes} rows of {planes} numbers")
    curves = sum((sum(band, ()) for band in inks.curves), ())
    numbers = [*inks.base, *curves, *sum(inks.to_eye, ())]
    if not all(math.isfinite(one) for one in numbers):
        raise InputError("a number is not finite: give finite numbers")
    for value in inks.base:
        if not _encoded(MAX_DENSITY) <= value <= 1:
            raise InputError(f"base has density {_density(value):g}: give 0 to {MAX_DENSITY:g}")
    names = CHANNELS[planes]
    for (b, band), (i, name) in itertools.product(enumerate(names), enumerate(names)):
        curve = inks.curves[b][i]
        falls = any(one > other for one, other in itertools.pairwise(curve))
        if len(curve) != DEGREE + 1 or falls or curve[-1] != 1 or curve[0] < _encoded(MAX_DENSITY):
            raise InputError(
                f"curves.{band} has {name} = {[_density(one) for one in curve]}: give {DEGREE + 1} densities "
                f"that fall from at most {MAX_DENSITY:g} to 0"
            )
        if b == i and curve[0] == 1:
            raise InputError(f"curves.{band} has {name} = 0 throughout: a channel needs ink that its band sees")
    for row in inks.to_eye:
        if abs(math.fsum(row) - 1) > 1e-3:
            raise InputError(f"to_eye has the row {list(row)}, which adds up to {math.fsum(row):g}: make it 1")


def _density(encoded: float) -> float:
    """Return the optical density of an encoded transmittance, rounded as files hold it."""
    return round(-GAMMA * math.log10(encoded), 6) + 0.0


def _encoded(density: float) -> float:
    """Return the encoded transmittance of an optical density."""
    return float(10 ** (-float(density) / GAMMA))
