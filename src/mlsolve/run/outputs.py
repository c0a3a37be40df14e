"""Layers from the store into files, and regions of the pictures that they are scored against."""

from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.placement.frames import Frame, disc
from mlsolve_kernels.region import Region

from ..job.job import Job
from ..pictures.colour import decode
from ..pictures.picture_files import PngWriter, TiffWriter
from ..scoring.bands import PlacedStack
from ..scoring.layer_files import Wanted
from ..solving.level_pictures import name_of
from ..solving.spec import Spec
from ..solving.store import DiskStore, Store
from .budget import Shares
from .fitting import WHITE

_LOOKS: Final = 0.2
"""Seconds between progress reports while layers are written."""


class _Stopped(Exception):
    """Another layer could not be written, so this one stops."""


class _Listener(Protocol):
    def stage(self, name: str, share: float) -> None:
        """So much of "writing" is done, 0 to 1."""


def write_layers(store: DiskStore, name: str, job: Job, folder: Path, parts: Shares, listener: _Listener) -> None:
    """Write the layers in the array `name`, (C, 1, N, H, W), into `folder`: layer-1.png …, or .tif."""
    spec = Spec.load(store)
    height, count = spec.shapes[-1][0], spec.layers
    done, stopped = [0] * count, False

    def write(layer: int) -> None:
        for rows in _write_layer(store, spec, name, job, folder, parts.rows, layer):
            done[layer] = rows
            if stopped:
                raise _Stopped

    with ThreadPoolExecutor(parts.writers, "mlsolve-writer") as pool:
        futures = [pool.submit(write, layer) for layer in range(count)]
        try:
            while wait(futures, timeout=_LOOKS, return_when=FIRST_EXCEPTION).not_done:
                if any(future.done() and future.exception() for future in futures):
                    break
                listener.stage("writing", sum(done) / (count * height))
        finally:  # after an error, or when the listener raises, the other writers stop as well
            stopped = True
            for future in futures:
                future.cancel()
    for future in futures:
        if not future.cancelled() and not isinstance(future.exception(), _Stopped):
            future.result()
    listener.stage("writing", 1.0)


def _write_layer(
    store: DiskStore, spec: Spec, name: str, job: Job, folder: Path, rows: int, layer: int
) -> Iterator[int]:
    """Write one layer, whole or not at all; yield the number of rows written so far."""
    (height, width), array = spec.shapes[-1], store.open(name)
    writer, suffix = (TiffWriter, "tif") if job.format == "tiff" else (PngWriter, "png")
    highest, kind = (np.float32(255), np.uint8) if job.bits == 8 else (np.float32(65535), np.uint16)
    whole = np.empty((rows, width, spec.planes), dtype=np.float32)
    path = folder / f"layer-{layer + 1}.{suffix}"
    with writer(path, (width, height), spec.planes, job.bits, job.dpi) as file:
        for top in range(0, height, rows):
            band = whole[: min(rows, height - top)]
            region = Region(top, top + len(band), 0, width)
            for plane in range(spec.planes):
                array.read((plane, 0, layer), region, band[..., plane])
            file.write(np.asarray(np.rint(decode(band) * highest), dtype=kind))
            yield region.bottom
    array.close()


def codes_of(store: Store, spec: Spec) -> Wanted:
    """Return a function that reads a region of a target, a guide or a mask at full size, as codes.

    Outside the circle of round sheets targets and guides are white: only the light box is visible there.
    """
    count = len(spec.stacks) + spec.layers
    arrays = [store.open(name_of(spec.levels, number)) for number in range(len(spec.picture_planes))]

    def codes(number: int, region: Region) -> npt.NDArray[np.uint16]:
        planes = spec.picture_planes[number]
        result = np.empty((region.height, region.width, planes), dtype=np.uint16)
        for plane in range(planes):
            arrays[number].read((plane,), region, result[..., plane])
        if spec.disc and number < count:
            frame = Frame(region.top, region.left)
            result[disc(spec.shapes[-1], frame, (region.height, region.width)) == 0] = WHITE
        return result

    return codes


def placed_stacks(spec: Spec) -> list[PlacedStack]:
    """Return the stacks as scoring takes them."""
    return [
        PlacedStack(stack.placed(spec.layers), spec.exposure(number), spec.mask(number) if stack.masked else None)
        for number, stack in enumerate(spec.stacks)
    ]
