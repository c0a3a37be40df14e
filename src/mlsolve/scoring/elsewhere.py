"""Bands that are measured in other processes: what is sent there, and what comes back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.region import Region

from ..errors import InputError, StoreError
from ..pictures import picture_files
from ..solving.decoding import array_for, decode_into
from ..solving.executors.base import Hands
from ..solving.store import Array, Store
from .bands import Band, Scoring
from .codes import Codes, Wanted
from .desk import Desk
from .previews import Preview
from .stack_scoring import PlacedStack


@dataclass(frozen=True)
class Measuring:
    """All that a process needs to measure any band; fields as the arguments of `Scoring`."""

    store: Store
    """Holds the decoded layers."""
    names: tuple[str, ...]
    """Of the arrays of the layers."""
    eight: tuple[bool, ...]
    """Whether each layer has 8 bits."""
    pictures: Callable[[], Wanted]
    """Opens targets, guides and masks."""
    size: tuple[int, int]
    stacks: tuple[PlacedStack, ...]
    previews: bool
    planes: int
    registration: float
    round_sheets: bool
    inks: Inks | None

    def scoring(self) -> Scoring:
        """Return a scoring that measures as the caller's does."""
        sinks = [_ignore] * len(self.stacks) if self.previews else None
        settings = self.planes, self.registration, self.round_sheets, self.inks
        return Scoring(self.size, len(self.names), self.stacks, sinks, *settings)


def decode_layers(
    hands: Hands, store: Store, files: Sequence[Path], names: Sequence[str], progress: Callable[[float], None]
) -> None:
    """Decode the layers in `files` into the arrays `names` of `store`, each in another process."""
    arrays = [
        array_for(picture_files.open_picture(path), store, name) for path, name in zip(files, names, strict=True)
    ]
    for number, _ in enumerate(hands.in_order(_decode_layer, list(zip(arrays, files, strict=True))), start=1):
        progress(number / len(files))


def bands_in_order(
    hands: Hands, measuring: Measuring, heights: Sequence[tuple[int, int]], own: Scoring
) -> Iterator[Band]:
    """Yield the bands of `heights`, (first row, row after the last), measured by `hands`, for `own` to add."""
    previews = _previews(own)
    for band in hands.in_order(_measure_band, [(measuring, *rows) for rows in heights]):
        yield replace(band, parts=[(previews[number], part) for number, part in band.parts])


def stored_codes(array: Array, eight: bool, region: Region) -> Codes:
    """Return a region of a decoded layer as code values of 8 or 16 bits."""
    codes = np.empty((region.height, region.width, array.shape[0]), dtype=np.uint16)
    for plane in range(array.shape[0]):
        array.read((plane,), region, codes[..., plane])
    return (codes >> 8).astype(np.uint8) if eight else codes


def _decode_layer(array: Array, path: Path) -> None:
    """Task: decode a layer file into `array`. Two processes may do it at the same time.

    Raises StoreError if it cannot be read: another host may see it a little later.
    """
    try:
        decode_into(array, picture_files.open_picture(path))
    except InputError as error:
        raise StoreError(str(error)) from None
    finally:
        array.close()


def _measure_band(measuring: Measuring, top: int, bottom: int) -> Band:
    """Task: measure a band. In its parts the previews are numbered as `_previews` lists them."""
    scoring, desk = measuring.scoring(), Desk(measuring.planes, measuring.size[0])
    arrays = [measuring.store.open(name) for name in measuring.names]

    def layer(number: int, region: Region) -> Codes:
        return stored_codes(arrays[number], measuring.eight[number], region)

    band = scoring.measured(top, bottom, layer, measuring.pictures(), desk)
    for array in arrays:
        array.close()
    numbers = {id(preview): number for number, preview in enumerate(_previews(scoring))}
    band.parts = [(numbers[id(preview)], part) for preview, part in band.parts]  # type: ignore[misc]
    return band


def _previews(scoring: Scoring) -> list[Preview]:
    """Return all previews of a scoring, in an order that is the same in every process."""
    found = [*scoring.layers, *scoring.guides]
    for stack in scoring.stacks:
        found += [stack.target, *stack.sheets, *(one for _, previews in stack.composites for one in previews)]
    return found


def _ignore(rows: Codes) -> None:
    """Take no rows of a preview: the caller's scoring makes it."""
