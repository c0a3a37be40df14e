"""Layers from the store into files, and regions of the pictures that they are scored against."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from copy import copy
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.placement.frames import Frame, disc
from mlsolve_kernels.region import Region

from ..job.depths import print_scales, views_of
from ..job.job import Job
from ..pictures.code_steps import code_steps
from ..pictures.picture_files import Encoded, PngWriter, RowWriter, TiffWriter
from ..report.carriers import StackCarriers
from ..scoring.codes import Wanted
from ..scoring.stack_scoring import PlacedStack
from ..solving.carriers import whole_masks
from ..solving.executors.base import Hands
from ..solving.level_pictures import name_of
from ..solving.spec import Spec
from ..solving.store import Array, DiskStore, Store
from ..solving.store.chunks import CHUNK
from .budget import AHEAD, Shares
from .fitting import WHITE

_READ_ROWS: Final = CHUNK
"""Rows of a plane that are read at a time."""


class _Listener(Protocol):
    def stage(self, name: str, share: float) -> None:
        """So much of "writing" is done, 0 to 1."""


def write_layers(
    store: DiskStore,
    name: str,
    job: Job,
    folder: Path,
    parts: Shares,
    listener: _Listener,
    hands: Hands | None = None,
) -> None:
    """Write the layers in the array `name`, (C, 1, N, H, W), into `folder`: layer-1.png …, or .tif.

    The array holds encoded transmittance, or code values of the job's depth.

    hands: encode the parts of the layers; None: threads of this process do. This thread writes the parts in order,
    and another one flushes complete files to disk meanwhile. After an error, or if the listener raises, incomplete
    files are removed.
    """
    spec = Spec.load(store)
    (height, width), count = spec.shapes[-1], spec.layers
    writer, suffix = (TiffWriter, "tif") if job.format == "tiff" else (PngWriter, "png")
    # A sheet that is printed larger for the viewer has fewer pixels to the inch.
    scales = print_scales(job.options, job.arrangements, count)
    files = [
        writer(
            folder / f"layer-{layer + 1}.{suffix}",
            (width, height),
            spec.planes,
            job.bits,
            None if job.dpi is None else job.dpi / scale,
            spec.inks is None,
        )
        for layer, scale in enumerate(scales)
    ]
    tops = range(0, height, writer.part_rows)
    places = [(layer, top) for layer in range(count) for top in tops]
    with ExitStack() as stack:
        if hands is None:
            readers: SimpleQueue[_Reader] = SimpleQueue()
            for _ in range(parts.writers):
                reader = _Reader(store, spec, name, job.bits, writer.part_rows)
                stack.callback(reader.close)
                readers.put(reader)

            def encoded(layer: int, top: int) -> Encoded:
                reader = readers.get()
                try:
                    return files[layer].encode(reader.codes(layer, top), top)
                finally:
                    readers.put(reader)

            found = stack.enter_context(_encoded_by_threads(encoded, places, parts.writers))
        else:
            unopened = [copy(file) for file in files]
            calls = [(store, spec, name, job.bits, unopened[layer], layer, top) for layer, top in places]
            found = hands.in_order(encoded_part, calls)
        _write_parts(files, len(tops), found, lambda share: listener.stage("writing", share))


def encoded_part(
    store: DiskStore, spec: Spec, name: str, bits: int, file: RowWriter, layer: int, top: int
) -> Encoded:
    """Task: encode the part of `layer` that begins with row `top`; file: the file it is for, not begun."""
    reader = _Reader(store, spec, name, bits, file.part_rows)
    try:
        return file.encode(reader.codes(layer, top), top)
    finally:
        reader.close()


@contextmanager
def _encoded_by_threads(
    encoded: Callable[[int, int], Encoded], places: Sequence[tuple[int, int]], threads: int
) -> Iterator[Iterator[Encoded]]:
    """Yield what yields encoded(layer, top) of all `places` in order, called by several threads, a little ahead."""
    waiting, left = deque[Future[Encoded]](), iter(places)
    with ThreadPoolExecutor(threads, "mlsolve-writer") as pool:

        def parts() -> Iterator[Encoded]:
            for _ in places:
                for place in islice(left, threads * AHEAD - len(waiting)):
                    waiting.append(pool.submit(encoded, *place))
                yield waiting.popleft().result()

        try:
            yield parts()
        finally:
            for part in waiting:
                part.cancel()


def _write_parts(
    files: Sequence[RowWriter], count: int, encoded: Iterator[Encoded], progress: Callable[[float], None]
) -> None:
    """Write `files`, each of `count` parts; encoded: yields the parts of one after the other."""
    finished: list[Future[None]] = []
    with ThreadPoolExecutor(1, "mlsolve-finish") as finisher:
        for number, file in enumerate(files):
            with ExitStack() as stack:
                stack.enter_context(file)
                for done in range(number * count, (number + 1) * count):
                    file.add(next(encoded))
                    progress(done / (len(files) * count))
                finished.append(finisher.submit(stack.pop_all().close))
            for one in finished:
                if one.done():
                    one.result()
    for one in finished:
        one.result()
    progress(1.0)


class _Reader:
    """Reads parts of layers as codes. Its arrays are used again for the next part."""

    def __init__(self, store: DiskStore, spec: Spec, name: str, bits: int, rows: int) -> None:
        (height, width), self._steps = spec.shapes[-1], code_steps(bits)
        # An array of its own: arrays keep open files, which two threads must not share.
        self._array = store.open(name)
        self._plane = np.empty((min(_READ_ROWS, height), width), np.float32)
        kind = np.uint8 if bits == 8 else np.uint16
        self._codes = np.empty((min(rows, height), width, spec.planes), kind)
        self._height = height

    def codes(self, layer: int, top: int) -> npt.NDArray[Any]:
        """Return the codes of a part of `layer` from row `top` on, (h, W, planes), until the next call."""
        codes = self._codes[: self._height - top]
        for start in range(0, len(codes), _READ_ROWS):
            part = codes[start : start + _READ_ROWS]
            rows = self._plane[: len(part)]
            region = Region(top + start, top + start + len(part), 0, rows.shape[1])
            for plane in range(codes.shape[2]):
                if self._array.dtype == codes.dtype:
                    self._array.read((plane, 0, layer), region, part[..., plane])
                else:  # float32: the solve ended before its last round
                    self._array.read((plane, 0, layer), region, rows)
                    self._steps.write(rows, part, plane)
        return codes

    def close(self) -> None:
        """Close the files of the array."""
        self._array.close()


def codes_of(store: Store, spec: Spec) -> Wanted:
    """Return a function that reads a region of a target, a guide or a mask at full size, as codes.

    Outside the circle of round sheets targets and guides are white: only the light box is visible there.
    """
    count = len(spec.stacks) + spec.layers
    arrays: dict[int, Array] = {}

    def codes(number: int, region: Region) -> npt.NDArray[np.uint16]:
        if number not in arrays:
            arrays[number] = store.open(name_of(spec.levels, number))
        planes = spec.picture_planes[number]
        result = np.empty((region.height, region.width, planes), dtype=np.uint16)
        for plane in range(planes):
            arrays[number].read((plane,), region, result[..., plane])
        if spec.disc and number < count:
            frame = Frame(region.top, region.left)
            result[disc(spec.shapes[-1], frame, (region.height, region.width)) == 0] = WHITE
        return result

    return codes


def carriers_of(store: Store, spec: Spec) -> tuple[StackCarriers | None, ...]:
    """Return the carriers of every stack, as they are in `store`."""
    return tuple(
        StackCarriers(
            stack.carriers, whole_masks(store, number), tuple(one.layer for one in stack.placed(spec.layers))
        )
        if stack.carriers
        else None
        for number, stack in enumerate(spec.stacks)
    )


def placed_stacks(spec: Spec) -> list[PlacedStack]:
    """Return the stacks as scoring takes them."""
    return [
        PlacedStack(
            place,
            spec.exposure(number),
            spec.mask(number) if stack.masked else None,
            views_of(spec.options, len(place)),
        )
        for number, stack in enumerate(spec.stacks)
        for place in [stack.placed(spec.layers)]
    ]
