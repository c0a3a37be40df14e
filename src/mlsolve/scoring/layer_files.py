"""The layers in a folder: find the files, decode them, and score stacks from them."""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.region import Region
from mlsolve_kernels.window import RADIUS

from ..errors import InputError
from ..pictures import picture_files
from ..solving.decoding import array_for, decode_into
from ..solving.executors.base import Hands
from ..solving.store import Array, Store
from ..solving.store.chunks import CHUNK
from .bands import Band, Scoring
from .codes import Codes, Passing, Wanted
from .desk import Desk
from .elsewhere import Measuring, bands_in_order, decode_layers, stored_codes
from .previews import Sink, shown
from .stack_scoring import PlacedStack

_LAYER: Final = re.compile(r"layer-(\d+)\.(?:png|tif)")
_DECODED: Final = "decoded"
"""Name in the store under which decoded layers are kept."""
_DECODING: Final = 0.2
"""Approximate share of the time of scoring that decoding the layers into the store takes."""

_FEWEST: Final = 64
"""Rows of a band below which the rows around it, which are only read, cost too much."""


@dataclass(frozen=True)
class Bands:
    """How a print is divided for scoring."""

    rows: int = 256
    """Most rows of a band."""
    workers: int = 1
    """Bands that are measured at the same time."""
    passing: bool = True
    """Whether all layers may be decoded at the same time, as their rows pass by."""

    def heights(self, height: int) -> Iterator[tuple[int, int]]:
        """Yield the first row of every band and the row after its last, so that all workers are busy."""
        even = -(-height // (2 * self.workers))
        rows = min(self.rows, max(even, _FEWEST)) if self.workers > 1 else self.rows
        for top in range(0, height, rows):
            yield top, min(top + rows, height)


def score_layer_files(
    folder: Path,
    stacks: Sequence[PlacedStack],
    pictures: Callable[[], Wanted],
    store: Store,
    bands: Bands | None = None,
    registration: float = 0.0,
    progress: Callable[[float], None] = lambda share: None,
    write: bool = True,
    round_sheets: bool = False,
    inks: Inks | None = None,
    hands: Hands | None = None,
) -> Scoring:
    """Score the layers in `folder` from their files, band by band.

    pictures: returns a reader of the targets, guides and masks; called once for each of them, because each may be
    read in a thread of its own, and once more to find their planes. store: holds the decoded layers if their rows
    cannot pass by: a sheet is rotated or shifted far, or memory is small. bands: None: one at a time. registration:
    the registration tolerance in pixels. progress: called with the share that is done, in [0, 1]. write: whether to
    make previews and to write pictures of the stacks into `folder`. round_sheets: whether only pixels inside the
    circle count. inks: film, inks and room, if the layers are device codes. hands: decode the layers into `store`
    and measure the bands in other processes, to which `pictures` is sent; None: threads of this one do.

    Raises InputError as `layer_files` does, and if a file turns out to be damaged.
    """
    files = [picture_files.open_picture(path) for path in layer_files(folder)]
    for path, file in zip(layer_files(folder), files, strict=True):
        if inks is not None and file.planes != inks.planes:
            raise InputError(
                f"{path} has {file.planes} planes, the media profile {inks.planes} channels: give the profile that "
                "the layers were solved for"
            )
    size, corner, bands = files[0].size, Region(0, 1, 0, 1), bands or Bands()
    compared, read = len(stacks) + len(files), pictures()
    planes = max(*(file.planes for file in files), *(read(number, corner).shape[2] for number in range(compared)))
    with ExitStack() as opened:
        sinks: list[Sink] | None = None
        if write:
            names = stack_names(len(stacks))
            files_of = [picture_files.PngWriter(folder / name, shown(size), planes, 8) for name in names]
            sinks = [opened.enter_context(file).write for file in files_of]
        scoring = Scoring(size, len(files), stacks, sinks, planes, registration, round_sheets, inks)
        opened.callback(store.remove, _DECODED)
        if hands is not None:
            names = [_name(number) for number in range(len(files))]
            decode_layers(hands, store, layer_files(folder), names, lambda share: progress(_DECODING * share))
            eight, placed = tuple(file.eight for file in files), tuple(stacks)
            settings = write, planes, registration, round_sheets, inks
            measuring = Measuring(store, tuple(names), eight, pictures, size, placed, *settings)
            heights = list(bands.heights(size[1]))
            found = bands_in_order(hands, measuring, heights, scoring)
            for (_, bottom), band in zip(heights, found, strict=True):
                scoring.add(band)
                progress(_DECODING + (1 - _DECODING) * bottom / size[1])
            return scoring
        pool = ThreadPoolExecutor(bands.workers, "mlsolve-score")
        opened.callback(pool.shutdown, cancel_futures=True)
        masks = [stack.mask for stack in stacks if stack.mask is not None]
        numbers = [*range(compared), *masks]
        step = CHUNK if bands.rows >= CHUNK else bands.rows
        rows = {number: Passing(_rows_of(pictures(), number, size, step)) for number in numbers}
        reach = scoring.reach if bands.passing else None
        layers: _PassingLayers | _StoredLayers
        if reach is None:
            layers = _StoredLayers(store, files, pool, lambda share: progress(_DECODING * share))
            opened.callback(layers.close)
            # After an error this comes first: bands under way still read the layers.
            opened.callback(pool.shutdown, cancel_futures=True)
            progress_from = _DECODING
        else:
            layers, progress_from = _PassingLayers(files, reach, size[1]), 0.0
        here = threading.local()

        def measured(top: int, bottom: int, layer: Wanted, held: dict[int, tuple[int, Codes]]) -> Band:
            if not hasattr(here, "desk"):
                here.desk = Desk(planes, size[0])

            def wanted(number: int, region: Region) -> Codes:
                first, codes = held[number]
                return codes[region.top - first : region.bottom - first]

            return scoring.measured(top, bottom, layer, wanted, here.desk)

        waiting: deque[tuple[int, Future[Band]]] = deque()

        def add_oldest() -> None:
            bottom, future = waiting.popleft()
            scoring.add(future.result())
            progress(progress_from + (1 - progress_from) * bottom / size[1])

        for top, bottom in bands.heights(size[1]):
            outer = max(0, top - RADIUS), min(size[1], bottom + RADIUS)
            wider = max(0, outer[0] - scoring.target_reach), min(size[1], outer[1] + scoring.target_reach)
            asked = {number: wider if number < len(stacks) else outer for number in rows}
            taken = {number: pool.submit(one.take, *asked[number]) for number, one in rows.items()}
            layer = layers.rows(pool, *outer)
            held = {number: (asked[number][0], future.result()) for number, future in taken.items()}
            while len(waiting) >= bands.workers:
                add_oldest()
            waiting.append((bottom, pool.submit(measured, top, bottom, layer, held)))
        while waiting:
            add_oldest()
        return scoring


class _PassingLayers:
    """Layers whose rows pass by as their files are decoded."""

    def __init__(self, files: Sequence[picture_files.Picture], reach: tuple[int, int], height: int) -> None:
        self._layers = [Passing(file.codes()) for file in files]
        self._reach, self._height = reach, height

    def rows(self, pool: ThreadPoolExecutor, top: int, bottom: int) -> Wanted:
        """Return what gives regions of the layers that rows top … bottom - 1 of a stack show."""
        first, last = max(0, top - self._reach[0]), min(self._height, bottom + self._reach[1])
        futures = [pool.submit(layer.take, first, last) for layer in self._layers]
        held = [future.result() for future in futures]

        def layer(number: int, region: Region) -> Codes:
            rows = held[number][region.top - first : region.bottom - first]
            return rows[:, region.left : region.right]

        return layer


class _StoredLayers:
    """Layers that are decoded into a store before, because their rows are needed in another order."""

    def __init__(
        self,
        store: Store,
        files: Sequence[picture_files.Picture],
        pool: ThreadPoolExecutor,
        progress: Callable[[float], None],
    ) -> None:
        self._store, self._here, self._opened = store, threading.local(), list[Array]()
        self._eight = [file.eight for file in files]
        done = [
            pool.submit(_decoded, array_for(file, store, _name(number)), file) for number, file in enumerate(files)
        ]
        for number, future in enumerate(done, start=1):
            future.result()
            progress(number / len(files))

    def rows(self, pool: ThreadPoolExecutor, top: int, bottom: int) -> Wanted:
        """Return what gives regions of the layers."""
        return self._region

    def close(self) -> None:
        """Close the files that reading opened."""
        for array in self._opened:
            array.close()

    def _region(self, number: int, region: Region) -> Codes:
        if not hasattr(self._here, "arrays"):
            self._here.arrays = {}
        arrays = self._here.arrays
        if number not in arrays:
            arrays[number] = self._store.open(_name(number))
            self._opened.append(arrays[number])
        return stored_codes(arrays[number], self._eight[number], region)


def _decoded(array: Array, file: picture_files.Picture) -> None:
    """Decode a layer to `array`, in a thread."""
    decode_into(array, file)
    array.close()


def _name(layer: int) -> str:
    return f"{_DECODED}/layer-{layer}"


def _rows_of(read: Wanted, number: int, size: tuple[int, int], step: int) -> Iterator[Codes]:
    """Yield the rows of a picture, `step` at a time."""
    for top in range(0, size[1], step):
        yield read(number, Region(top, min(top + step, size[1]), 0, size[0]))


def stack_names(stacks: int) -> list[str]:
    """Return the file names of the pictures of `stacks` stacks."""
    return ["stack.png"] if stacks == 1 else [f"stack-{number}.png" for number in range(1, stacks + 1)]


def layer_files(folder: Path) -> list[Path]:
    """Return the files layer-1, layer-2, … in `folder`, PNG or TIFF, in this order.

    Raises InputError if there are none, if a number is missing or occurs twice, or if sizes differ.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the folder that mlsolve run wrote")
    found: dict[int, Path] = {}
    for entry in sorted(folder.iterdir()):
        if match := _LAYER.fullmatch(entry.name):
            other = found.setdefault(int(match[1]), entry)
            if other != entry:
                raise InputError(f"{folder} contains {other.name} and {entry.name}: remove one of them")
    if not found:
        raise InputError(f"{folder} contains no layer-1.png: give the folder that mlsolve run wrote")
    for expected, number in enumerate(sorted(found), start=1):
        if number != expected:
            name = f"layer-{expected}{found[number].suffix}"
            raise InputError(f"{folder} contains {found[number].name} but no {name}: restore it")
    files = [found[number] for number in sorted(found)]
    sizes = [picture_files.open_picture(path).size for path in files]
    for path, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise InputError(
                f"{path} is {size[0]}×{size[1]}, {files[0].name} is {sizes[0][0]}×{sizes[0][1]}: "
                "make them the same size"
            )
    return files
