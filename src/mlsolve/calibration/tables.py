"""Tables of measurements as samples: CSV with a line of names, and CGATS, which ArgyllCMS writes as .ti3."""

import csv
import io
import re
import shlex
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from ..errors import InputError
from .samples import Array, Samples
from .spectra import D50, GENERIC_TO_EYE, light_from_spectra, light_from_xyz

Columns = dict[str, list[str]]
"""Texts of a table by the names of its columns."""

_CODES: Final = (
    (("r", "g", "b"), False),
    (("rgb_r", "rgb_g", "rgb_b"), False),
    (("cmy_c", "cmy_m", "cmy_y"), True),
    (("grey",), False),
    (("gray",), False),
    (("k",), False),
    (("gray_w",), False),
    (("w_w",), False),
    (("gray_k",), True),
    (("k_k",), True),
)
"""Columns of device codes, and whether they are amounts of ink, so that the highest is full ink."""
_DENSITIES: Final = (("dr", "dg", "db"), ("d_red", "d_green", "d_blue"), ("d",), ("d_vis",))
_XYZ: Final = (("x", "y", "z"), ("xyz_x", "xyz_y", "xyz_z"), ("y",), ("xyz_y",))
_SPECTRAL: Final = re.compile(r"(?:spec_|spectral_nm|nm)?(\d{3})(?:nm)?")
_FEWEST_WAVES: Final = 8
_NAMES: Final = ("name", "sample_loc", "sample_id", "patch")
_DENSEST: Final = 6.0


class Spectrum(NamedTuple):
    """What a light box emits."""

    wavelengths: Array
    """In nm, ascending, (w,)."""
    power: Array
    """In any unit, (w,)."""

    def at(self, wavelengths: Array) -> Array:
        """Return the power at these wavelengths, (n,), interpolated; 0 beyond its ends."""
        return np.interp(wavelengths, self.wavelengths, self.power, left=0, right=0)


def load_spectrum(path: Path) -> Spectrum:
    """Return the spectrum in the file `path`. Raises InputError, naming the file, for what is none.

    A CSV with the columns nm and power, a row a wavelength; or one row of columns 380, 390, … or SPEC_380, …, as
    ArgyllCMS writes them (.sp, .ti3).
    """
    columns = _table(path)
    if spectral := _spectral(columns):
        waves = np.array(sorted(spectral), dtype=np.float64)
        power = _numbers(columns, tuple(spectral[int(wave)] for wave in waves), path)[0]
    elif "nm" in columns and "power" in columns:
        waves, power = _numbers(columns, ("nm", "power"), path).T
        order = np.argsort(waves, kind="stable")
        waves, power = waves[order], power[order]
    else:
        raise InputError(f"{path} holds no spectrum: name two columns nm and power, or columns 380, 390, … 730")
    if len(waves) < _FEWEST_WAVES or waves[0] > 420 or waves[-1] < 680:
        raise InputError(
            f"{path} has {len(waves)} wavelengths from {waves[0]:g} to {waves[-1]:g} nm: give 400 to 700"
        )
    if power.min() < 0 or power.max() <= 0:
        raise InputError(f"{path} has powers of {power.min():g} to {power.max():g}: give what the box emits")
    return Spectrum(waves, power)


def has_spectra(path: Path) -> bool:
    """Return whether the table in the file `path` holds spectra. Raises InputError if it is no table."""
    return bool(_spectral(_table(path)))


def load_table(path: Path, box: Spectrum | None = None) -> Samples:
    """Return the measurements in the file `path`. Raises InputError, naming the file, for what cannot be used.

    box: spectrum of the light box, for spectra; None: as bright at all wavelengths. Nothing else needs it.

    Device codes are in columns r, g, b or k (or as ArgyllCMS calls them), of 0 to 1, 0 to 100 or 0 to 255 as the
    largest says, the largest without ink; of a second sheet laid on it in r2, g2, b2 or k2, empty where there is
    none. Measured is what sheets let through, relative to the empty box: densities (Dr, Dg, Db; D), XYZ for D50 (X,
    Y, Z), or a spectrum (380, 390, … 730). Rows in which nothing is measured are passed over.
    """
    columns = _measured(_table(path), path)
    sheets = _sheets(columns, path)
    light, bands = _light(columns, sheets.shape[2], path, box)
    names = next((columns[name] for name in _NAMES if name in columns), None)
    count = len(light)
    return Samples(
        sheets,
        light,
        tuple(names) if names else tuple(f"row {at + 1}" for at in range(count)),
        bands if sheets.shape[2] == 3 else np.eye(1),
    )


def _table(path: Path) -> Columns:
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a file, as {path / 'chart.csv'}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give a CSV or .ti3 file") from None
    return _cgats(text, path) if "BEGIN_DATA_FORMAT" in text else _csv(text, path)


def _measured(columns: Columns, path: Path) -> Columns:
    """Return the columns without the rows in which nothing is measured."""
    known = {name for names, _ in _CODES for one in names for name in (one, f"{one}2")} | set(_NAMES)
    cells = [column for name, column in columns.items() if name not in known]
    rows = [at for at, row in enumerate(zip(*cells, strict=True)) if any(row)]
    if cells and not rows:
        raise InputError(f"{path} has no measurements: fill in a row for each patch that you measure")
    return {name: [column[at] for at in rows] for name, column in columns.items()} if cells else columns


def _csv(text: str, path: Path) -> Columns:
    """Return the columns of a CSV: comma, semicolon or tab between cells."""
    first = text.partition("\n")[0]
    between = max(",;\t", key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=between) if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise InputError(f"{path} has no rows: give a line of names and a line for every patch")
    names = [name.strip().lower() for name in rows[0]]
    return _columns(names, rows[1:], path)


def _cgats(text: str, path: Path) -> Columns:
    """Return the columns of the first table of a CGATS file (CGATS.17)."""
    names, rows, where = [], [], ""
    for line in text.splitlines():
        word = line.strip()
        if word in ("BEGIN_DATA_FORMAT", "BEGIN_DATA"):
            where = word
        elif word == "END_DATA":
            break
        elif word.startswith("END_"):
            where = ""
        elif where == "BEGIN_DATA_FORMAT":
            names += word.lower().split()
        elif where and word and not word.startswith("#"):
            rows.append(shlex.split(word))
    return _columns(names, rows, path)


def _columns(names: list[str], rows: list[list[str]], path: Path) -> Columns:
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise InputError(f"{path} has {len(row)} cells in row {number} of {len(names)} columns: complete it")
    return {name: [row[at].strip() for row in rows] for at, name in enumerate(names)}


def _numbers(columns: Columns, names: tuple[str, ...], path: Path, empty: bool = False) -> Array:
    """Return columns as numbers, (n, len(names)); empty cells as NaN if they may be."""
    found = np.empty((len(columns[names[0]]), len(names)))
    for at, name in enumerate(names):
        for row, cell in enumerate(columns[name]):
            try:
                found[row, at] = np.nan if empty and not cell else float(cell)
            except ValueError:
                how = "write decimals with a point" if "," in cell else "give a number in each of its cells"
                raise InputError(f"{path} has {cell!r} in row {row + 1}, column {name}: {how}") from None
    if np.isinf(found).any() or (not empty and np.isnan(found).any()):
        raise InputError(f"{path} has a number in {', '.join(names)} that is not finite: correct it")
    return found


def _sheets(columns: Columns, path: Path) -> Array:
    """Return the device codes, (2, n, C), 1 without ink."""
    known = next((one for one in _CODES if all(name in columns for name in one[0])), None)
    if known is None:
        raise InputError(f"{path} has no device codes: name their columns r, g, b, or k for one channel")
    names, inked = known
    first = _numbers(columns, names, path)
    others = tuple(f"{name}2" for name in names)
    second = np.full_like(first, np.nan)
    if all(name in columns for name in others):
        second = _numbers(columns, others, path, empty=True)
        second[np.isnan(second).any(axis=1)] = np.nan
    sheets = np.stack([first, second])
    largest = float(np.nanmax(sheets))
    scale = 1.0 if largest <= 1 else 100.0 if largest <= 100 else 255.0
    sheets /= scale
    if np.nanmin(sheets) < 0 or np.nanmax(sheets) > 1:
        raise InputError(f"{path} has device codes up to {largest:g}: give 0 to 1, 0 to 100 or 0 to 255")
    return 1 - sheets if inked else sheets


def _light(columns: Columns, channels: int, path: Path, box: Spectrum | None) -> tuple[Array, Array | None]:
    """Return the light, (n, P), and the matrix from bands to it where it is fixed."""
    if spectral := _spectral(columns):
        waves = np.array(sorted(spectral), dtype=np.float64)
        if not np.allclose(np.diff(waves), waves[1] - waves[0]):
            raise InputError(f"{path} has unequally spaced wavelengths: give all from {waves[0]:g} nm on")
        spectra = _of_one(_numbers(columns, tuple(spectral[int(wave)] for wave in waves), path))
        found = light_from_spectra(spectra, waves, None if box is None else box.at(waves))
        return (found, None) if channels == 3 else (_luminance(found), None)
    for names in _XYZ:
        if all(name in columns for name in names) and len(names) in (3, channels):
            xyz = _of_one(_numbers(columns, names, path))
            if channels == 3:
                return light_from_xyz(xyz, D50), None
            return xyz[:, len(names) // 2 :][:, :1], None
    for names in _DENSITIES:
        if all(name in columns for name in names) and len(names) in (3, channels):
            densities = _numbers(columns, names, path)
            if densities.min() < -0.05 or densities.max() > _DENSEST:
                raise InputError(
                    f"{path} has densities from {densities.min():g} to {densities.max():g}: "
                    f"give what is seen relative to the empty box, 0 to {_DENSEST:g}"
                )
            bands = 10**-densities
            if channels == 1:
                return bands[:, len(names) // 2 :][:, :1], None
            eye = np.array(GENERIC_TO_EYE)
            return bands @ eye.T, eye
    raise InputError(
        f"{path} has no measurements of {channels} channels: name columns Dr, Dg, Db (D for one), X, Y, Z, "
        "or 380, 390, … 730"
    )


def _spectral(columns: Columns) -> dict[int, str]:
    """Return the columns of spectra by their wavelengths in nm, none if they are too few to be spectra."""
    found = {int(match[1]): name for name in columns if (match := _SPECTRAL.fullmatch(name))}
    return found if len(found) >= _FEWEST_WAVES else {}


def _of_one(values: Array) -> Array:
    """Return transmittances of 0 to 1, which a file may hold in per cent."""
    return values / 100 if values.max() > 1.5 else values


def _luminance(light: Array) -> Array:
    return np.asarray(light @ np.array([[0.2126], [0.7152], [0.0722]]), dtype=np.float64)
