"""Picture files and generated guides, at the size of the print, as codes in the store."""

import hashlib
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

import numpy as np

from mlsolve_kernels.region import Region

from ..errors import InputError, MlsolveError
from ..guides import Drawing, Kept, generated, opencv_alone
from ..job.job import Job, parse_generated
from ..pictures.picture_files import Picture, open_picture
from ..solving.decoding import array_for, decode_in_tiles, decode_into, decode_to_memory
from ..solving.executors.base import Executor
from ..solving.executors.threads import Threads
from ..solving.level_pictures import name_of
from ..solving.spec import Spec
from ..solving.store import Array, Store
from ..solving.tiles import tiles_of
from .fitting import Decoded, fit_tile, grey_codes

_OF_EIGHT_BITS: Final = np.uint16(257)
"""Factor from 8-bit to 16-bit code values."""

_SPOOL: Final = "pictures/file"
_DONE: Final = "pictures/picture-{}-done"

SPOOLED: Final = 8
"""Most decoded pictures that a run on a cluster keeps in the store at the same time."""

DECODING: Final = 0.3
"""Approximate share of a picture's time that decoding it takes."""

_BETWEEN: Final = 2.0
"""Seconds between two times that pictures are recorded as done: the work that a power cut may cost."""

_MOST_ACROSS: Final = 32
"""Most tiles beside each other whose files are written at the same time."""


def make_pictures(
    store: Store,
    job: Job,
    files: dict[Path, Picture],
    executor: Executor,
    side: int,
    held: int,
    tell: Callable[[float], None],
    digests: dict[str, Any] | None = None,
) -> None:
    """Put targets, guides and masks at full size into `store`, which holds the spec; skip those already there.

    files: the opened pictures of `job`. side: of the tiles, in pixels. held: bytes for decoded pictures in memory;
    larger ones are decoded to the store, one at a time. tell: called with the share of all pictures that is done.
    digests: `digest_of` every input by its absolute path. With them, up to SPOOLED pictures at a time are decoded
    by the tasks of `executor`, and by this process only those that are not the same where a task runs.

    Pictures are made side by side. Those that are done are recorded once they are on the disk: at intervals, and
    when an error ends it. Others are made again by `resume`.
    """
    drawn = any(isinstance(entry, str) for entry in job.entries)
    with _Making(store, job, executor, side, tell) as making, opencv_alone() if drawn else nullcontext():
        by_file: dict[Path, list[int]] = {}
        decodings, drawings = list[_Call](), list[_Call]()
        for number in making.missing:
            entry = job.entries[number]
            if isinstance(entry, Path):
                by_file.setdefault(entry, []).append(number)
            else:
                drawings += making.drawings(number, entry)
        in_memory, large = list[tuple[Picture, list[int]]](), list[tuple[Picture, list[int]]]()
        shared = isinstance(executor, Threads)  # its tasks can be given what is open and in memory
        for path, numbers in by_file.items():
            picture = files[path]
            if shared and making.can_copy(picture, numbers):
                decodings += [_Call({n: 1.0}, decode_in_tiles, (making.arrays[n], picture, side)) for n in numbers]
            elif shared and picture.decoded_bytes <= held:
                held -= picture.decoded_bytes
                in_memory.append((picture, numbers))
            else:
                large.append((picture, numbers))
        copied = len(decodings)
        decodings += [_Call(dict.fromkeys(them, DECODING), decode_to_memory, (file,)) for file, them in in_memory]
        decoded = making.carry_out([*decodings, *drawings])[copied : len(decodings)]
        fittings = [making.fittings(*file, array) for file, array in zip(in_memory, decoded, strict=True)]
        making.carry_out([call for calls in fittings for call in calls])
        at_once = 1 if digests is None else SPOOLED
        for first in range(0, len(large), at_once):
            making.through_store(large[first : first + at_once], digests)


def draw_tile(target: Array, drawing: Callable[[], Drawing], region: Region) -> None:
    """Task: draw `region` of a generated guide into `target`, (3 or 1, H, W) uint16; drawing: returns the guide."""
    drawn = drawing().region(*region)
    planes = [np.multiply(drawn[..., plane], _OF_EIGHT_BITS, dtype=np.uint16) for plane in range(drawn.shape[2])]
    if target.shape[0] == 1:
        planes = [grey_codes(planes)]
    with target.tile((), region) as tile:
        for plane, codes in enumerate(planes):
            tile.put((plane,), codes)


def decode_if_seen(array: Array, files: list[Path], digests: list[Any]) -> bool:
    """Task: decode a picture to `array` if this host sees the same files as the caller; return whether it does.

    files: as `Picture.files`, all absolute. digests: `digest_of` each.
    """
    try:
        if [digest_of(file) for file in files] != digests:
            return False
    except InputError:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the caller has opened the picture, and warned
        picture = open_picture(*files)
    decode_into(array, picture)
    return True


@lru_cache(1)
def _drawing(family: str, size: tuple[int, int], seed: int, palette: str | None) -> Drawing:
    """Return a generated guide; a process keeps the last one for its next tile."""
    return generated(family, size, seed, palette)


class _Call(NamedTuple):
    """A call of a task, and what share of which pictures is done then."""

    shares: dict[int, float]
    task: Callable[..., Any]
    arguments: tuple[Any, ...]


def _run(task: Callable[..., Any], *arguments: Any) -> Any:
    """Task: run another one, so that different ones are carried out side by side."""
    return task(*arguments)


class _Making:
    """The pictures that are being made: their arrays, what is left to do, and who records that they are done."""

    def __init__(
        self, store: Store, job: Job, executor: Executor, side: int, tell: Callable[[float], None]
    ) -> None:
        """Create the arrays of the pictures that are missing; arguments as of `make_pictures`."""
        spec = Spec.load(store)
        self._store, self._executor, self._tell = store, executor, tell
        self._shape, self._fit, self._count = spec.shapes[-1], job.fit, len(job.entries)
        self._masks = len(job.targets) + len(job.guides)
        self._side, self._regions = side, list(tiles_of(self._shape, (side, side)))
        self.missing = [number for number in range(self._count) if not store.has(_DONE.format(number))]
        """The numbers of the pictures that are to be made."""
        self._left = dict.fromkeys(self.missing, 1.0)
        self._drawings: dict[int, Kept[Drawing]] = {}
        sides = min(side, self._shape[0]), min(side, self._shape[1])
        self.arrays = {
            number: store.create(
                name_of(spec.levels, number), (spec.picture_planes[number], *self._shape), np.uint16, sides
            )
            for number in self.missing
        }
        """The array of each."""
        self._pool = ThreadPoolExecutor(1, "mlsolve-recorder")
        self._made: list[int] = []
        self._recording: Future[None] | None = None
        self._recorded = time.monotonic()

    def __enter__(self) -> "_Making":
        """Tell what is done already."""
        self.did({})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the recording: nothing is written after this.

        After an error, what was made last is recorded, so that `resume` goes on from there; after an InputError the
        run cannot go on. Without an error the caller soon records that all pictures are done.
        """
        self._pool.shutdown()
        if kind is None and self._recording is not None:
            self._recording.result()
        elif kind is not None and self._made and not issubclass(kind, InputError):
            with suppress(MlsolveError):  # the earlier error is the one to report
                self._record(self._made)

    def can_copy(self, picture: Picture, numbers: list[int]) -> bool:
        """Return whether the codes of `picture` are those of the print, pixel by pixel."""
        return (
            picture.orientation == 1
            and picture.size == self._shape[::-1]
            and all(self.arrays[number].shape[0] == picture.planes for number in numbers)
            and -(-self._shape[1] // self._side) <= _MOST_ACROSS
        )

    def drawings(self, number: int, guide: str) -> list[_Call]:
        """Return the calls that draw a generated guide, "FAMILY:SEED:PALETTE"."""
        family, seed, palette = parse_generated(guide)
        drawing: Callable[[], Drawing] = partial(_drawing, family, self._shape[::-1], seed, palette)
        if isinstance(self._executor, Threads):  # they share it
            drawing = self._drawings[number] = Kept(partial(generated, family, self._shape[::-1], seed, palette), 1)
        share = {number: 1 / len(self._regions)}
        return [_Call(share, draw_tile, (self.arrays[number], drawing, region)) for region in self._regions]

    def fittings(self, picture: Picture, numbers: list[int], array: Array) -> list[_Call]:
        """Return the calls that fit a decoded picture to the size of the print; array: the decoded picture."""
        decoded = Decoded(array, picture.planes, picture.stored_size, picture.orientation)
        share, first = (1 - DECODING) / len(self._regions), self._masks
        return [
            _Call({number: share}, fit_tile, (decoded, self.arrays[number], self._fit, region, number >= first))
            for number in numbers
            for region in self._regions
        ]

    def carry_out(self, calls: list[_Call]) -> list[Any]:
        """Carry out `calls`; return their results."""
        results: list[Any] = [None] * len(calls)
        for number, result in self._executor.map(_run, [(call.task, *call.arguments) for call in calls]):
            results[number] = result
            self.did(calls[number].shares)
        return results

    def through_store(self, pictures: list[tuple[Picture, list[int]]], digests: dict[str, Any] | None) -> None:
        """Decode files to the store, and fit each to the pictures of its numbers; digests: see `make_pictures`."""
        arrays = [array_for(file, self._store, f"{_SPOOL}/{at}") for at, (file, _) in enumerate(pictures)]
        left = dict(enumerate(pictures))
        if digests is not None:
            calls = list[tuple[Any, ...]]()
            for array, (file, _) in zip(arrays, pictures, strict=True):
                files = [path.absolute() for path in file.files]  # tasks run in other folders
                calls.append((array, files, [digests[str(path)] for path in files]))
            for at, seen in self._executor.map(decode_if_seen, calls):
                if seen:
                    self.did(dict.fromkeys(left.pop(at)[1], DECODING))
        for at, (file, numbers) in left.items():
            decode_into(arrays[at], file)
            self.did(dict.fromkeys(numbers, DECODING))
        fittings = [self.fittings(*one, array) for array, one in zip(arrays, pictures, strict=True)]
        self.carry_out([call for calls in fittings for call in calls])
        self._store.remove(_SPOOL)

    def did(self, shares: dict[int, float]) -> None:
        """Count shares of pictures as done; tell it, and record pictures that are done."""
        for number, share in shares.items():
            self._left[number] -= share
            if self._left[number] < share / 2:  # less than one call is left, whatever was lost by rounding
                del self._left[number]
                if number in self._drawings:
                    self._drawings.pop(number).clear()
                self._made.append(number)
        self._tell(1 - sum(self._left.values()) / self._count)
        recording = self._recording is not None and not self._recording.done()
        if self._made and not recording and time.monotonic() - self._recorded >= _BETWEEN:
            if self._recording is not None:
                self._recording.result()
            made, self._made, self._recorded = self._made, [], time.monotonic()
            self._recording = self._pool.submit(self._record, made)

    def _record(self, made: list[int]) -> None:
        self._store.flush()
        for number in made:
            self._store.save(_DONE.format(number), {})


def digest_of(path: Path) -> dict[str, Any]:
    """Return what identifies the content of a file: its size in bytes and its SHA-256."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return {"bytes": file.tell(), "sha256": digest.hexdigest()}
    except FileNotFoundError:
        raise InputError(f"{path} no longer exists: restore it, or run again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
