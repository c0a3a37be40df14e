"""Tiles of large layers, from full size down to what a browser holds whole, made once beside the run.

A level is half as large as the one below; a pixel is the mean light of the four there, or of those that there are.
Tiles of the full size hold the code values of the layers, in eight bits. All of them are in the folder
RUN.light-table, which is there whole or not at all, and is made anew when the layers were written again.
"""

import json
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve.pictures.arrays import code_values
from mlsolve.pictures.colour import srgb_from_light
from mlsolve.pictures.picture_files import open_picture
from mlsolve.scoring.codes import tables
from mlsolve.solving.level_pictures import HIGHEST
from mlsolve.system.files import partial_beside

from .png import png_of
from .stack import PROXY, TILE, Size, Stack

_MADE: Final = "made.json"
_THREADS: Final = 4

FloatArray = npt.NDArray[np.float32]


class Pyramid:
    """The tiles of a stack, in a folder."""

    def __init__(self, folder: Path, levels: list[Size], side: int) -> None:
        """folder: holds them. levels: (width, height) of each level that has tiles, from full size on.

        side: of a tile, in pixels; those at the right and the bottom are smaller.
        """
        self._folder, self.levels, self.side = folder, levels, side

    def tile(self, sheet: int, level: int, row: int, column: int) -> Path:
        """Return the PNG of a tile. Raises KeyError if there is none."""
        return self._file(f"{sheet}-{level}-{row}-{column}.png")

    def sheet(self, sheet: int) -> Path:
        """Return the PNG of a whole sheet at the level that a browser holds whole. Raises KeyError."""
        return self._file(f"{sheet}.png")

    def _file(self, name: str) -> Path:
        path = self._folder / name
        if not path.is_file():
            raise KeyError(name)
        return path


def levels_of(size: Size, longest: int = PROXY) -> list[Size]:
    """Return the sizes that have tiles, for layers of `size`: none if their longer side is at most `longest`."""
    found = []
    while max(size) > longest:
        found.append(size)
        size = _half(size)
    return found


def pyramid_of(
    stack: Stack,
    longest: int = PROXY,
    side: int = TILE,
    progress: Callable[[float], None] = lambda share: None,
) -> Pyramid:
    """Return the tiles of `stack`, which are made if they are not there yet.

    longest: see `levels_of`. side: of a tile. progress: called with the share that is done, in [0, 1]. Where
    nothing can be written beside the run, tiles are in a temporary folder as long as the result exists. Raises
    InputError if a layer is damaged.
    """
    levels, folder = levels_of(stack.size, longest), stack.folder.resolve()
    place = folder.with_name(f"{folder.name}.light-table")
    key = _key(stack, longest, side)
    if _made(place) == key:
        return Pyramid(place, levels, side)
    stage = partial_beside(place)
    try:
        stage.mkdir()
    except OSError:
        stage = Path(tempfile.mkdtemp(prefix="mlsolve-light-table-"))
        pyramid = Pyramid(stage, levels, side)
        weakref.finalize(pyramid, shutil.rmtree, stage, ignore_errors=True)
        _make(stack, pyramid, stage, key, progress)
        return pyramid
    try:
        _make(stack, Pyramid(stage, levels, side), stage, key, progress)
        shutil.rmtree(place, ignore_errors=True)
        stage.rename(place)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    return Pyramid(place, levels, side)


def _key(stack: Stack, longest: int, side: int) -> dict[str, Any]:
    """Return what tells whether tiles are those of these layers."""
    found = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in stack.layers]
    return {"tile": side, "longest": longest, "layers": [list(one) for one in found]}


def _made(place: Path) -> object:
    with suppress(OSError, ValueError):
        return json.loads((place / _MADE).read_text(encoding="utf-8"))
    return None


def _make(
    stack: Stack, pyramid: Pyramid, folder: Path, key: dict[str, Any], progress: Callable[[float], None]
) -> None:
    with ThreadPoolExecutor(_THREADS, "mlsolve-tiles") as pool:
        for number, path in enumerate(stack.layers, start=1):
            for share in _cut(path, number, folder, pyramid, pool):
                progress((number - 1 + share) / len(stack.layers))
    (folder / _MADE).write_text(json.dumps(key), encoding="utf-8")


def _cut(path: Path, number: int, folder: Path, pyramid: Pyramid, pool: ThreadPoolExecutor) -> Iterator[float]:
    """Write the tiles of a layer, which is read once, from the top; yield the share that is done."""
    picture, count, side = open_picture(path), len(pyramid.levels), pyramid.side
    whole: list[npt.NDArray[np.uint8]] = []
    waiting: deque[Future[None]] = deque()

    def write(level: int, row: int, codes: npt.NDArray[np.uint8]) -> None:
        if level == count:
            whole.append(codes)
            return
        for column, left in enumerate(range(0, codes.shape[1], side)):
            name = f"{number}-{level}-{row}-{column}.png"
            waiting.append(pool.submit(_write, folder / name, codes[:, left : left + side]))
        while len(waiting) > 4 * _THREADS:
            waiting.popleft().result()

    light, done = tables(np.uint16).light, 0
    levels = [_Rows(level, side, write) for level in range(count + 1)]
    for band in picture.bands(side):
        done += len(band)
        levels[0].take_codes(code_values(np.asarray(band / HIGHEST, dtype=np.float32), picture.planes))
        rows = np.take(light, band)
        for level in levels[1:]:
            rows = level.halved(rows, last=done == picture.size[1])
            level.take_light(rows)
        yield done / picture.size[1]
    for level in levels:
        level.close()
    while waiting:
        waiting.popleft().result()
    _write(folder / f"{number}.png", np.concatenate(whole))


class _Rows:
    """Rows of a level, gathered until they make a row of tiles."""

    def __init__(self, level: int, side: int, write: Callable[[int, int, npt.NDArray[np.uint8]], None]) -> None:
        self._level, self._side, self._write = level, side, write
        self._held: list[npt.NDArray[np.uint8]] = []
        self._odd: FloatArray | None = None
        self._row = 0

    def halved(self, rows: FloatArray, last: bool) -> FloatArray:
        """Return rows of this level for `rows` (h, w, C) of the level below; a row without a pair waits for it."""
        if self._odd is not None:
            rows, self._odd = np.concatenate([self._odd, rows]), None
        if len(rows) % 2 and not last:
            rows, self._odd = rows[:-1], rows[-1:]
        if len(rows) % 2:
            rows = np.concatenate([rows, rows[-1:]])
        if rows.shape[1] % 2:
            rows = np.concatenate([rows, rows[:, -1:]], axis=1)
        down = (rows[0::2] + rows[1::2]) * np.float32(0.5)
        return np.asarray((down[:, 0::2] + down[:, 1::2]) * np.float32(0.5), dtype=np.float32)

    def take_light(self, rows: FloatArray) -> None:
        """Take the next rows as linear light."""
        if len(rows):
            shown = np.asarray(srgb_from_light(np.clip(rows, 0, 1)), dtype=np.float32)
            self.take_codes(code_values(shown, shown.shape[2]))

    def take_codes(self, codes: npt.NDArray[np.uint8]) -> None:
        """Take the next rows as code values."""
        self._held.append(codes)
        while sum(map(len, self._held)) >= self._side:
            rows = np.concatenate(self._held)
            self._write(self._level, self._row, rows[: self._side])
            self._held, self._row = [rows[self._side :]], self._row + 1

    def close(self) -> None:
        """Write what is left."""
        if sum(map(len, self._held)):
            self._write(self._level, self._row, np.concatenate(self._held))


def _write(path: Path, codes: npt.NDArray[np.uint8]) -> None:
    path.write_bytes(png_of(codes))


def _half(size: Size) -> Size:
    return (size[0] + 1) // 2, (size[1] + 1) // 2
