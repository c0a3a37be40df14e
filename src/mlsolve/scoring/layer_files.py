"""The layers in a folder: finding the files, decoding them, scoring stacks from them."""

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region
from mlsolve_kernels.threads import Team

from ..errors import InputError
from ..pictures import picture_files
from ..solving.decoding import decode_into
from ..solving.level_pictures import HIGHEST
from ..solving.store import Store
from .bands import PlacedStack, Scoring, Sink, shown

_LAYER: Final = re.compile(r"layer-(\d+)\.(?:png|tif)")
_SPOOL: Final = "proof"
"""Where in a store layers are decoded to."""
_DECODING: Final = 0.1
"""Which share of scoring decoding the layers is, about."""

Wanted = Callable[[int, Region], npt.NDArray[np.uint16]]
"""Gives a region of a target, a guide or a mask, as counted in `solving.spec`: codes (h, w, C) uint16."""


def score_layer_files(
    folder: Path,
    stacks: Sequence[PlacedStack],
    wanted: Wanted,
    store: Store,
    threads: int | None = None,
    rows: int = 128,
    registration: float = 0.0,
    tell: Callable[[float], None] = lambda share: None,
    write: bool = True,
    round_sheets: bool = False,
) -> Scoring:
    """Score the layers in `folder` from their files, `rows` rows at a time.

    store: takes the layers as they are decoded, for sheets that lie turned are not seen in the files' order.
    write: whether pictures of the stacks are written beside the layers. round_sheets: whether only the circle
    counts. tell: hears which share is done.
    """
    files = [picture_files.open_picture(path) for path in layer_files(folder)]
    size, corner = files[0].size, Region(0, 1, 0, 1)
    compared = (wanted(number, corner).shape[2] for number in range(len(stacks) + len(files)))
    planes = max(*(file.planes for file in files), *compared)
    team = Team(threads)
    with ExitStack() as writers:
        writers.callback(team.close)
        arrays = []
        for number, file in enumerate(files):
            arrays.append(decode_into(store, f"{_SPOOL}/layer-{number}", file))
            tell(_DECODING * (number + 1) / len(files))
        sinks: list[Sink] = [lambda _: None] * len(stacks)
        if write:
            names = stack_names(len(stacks))
            files_of = [picture_files.PngWriter(folder / name, shown(size), planes, 8) for name in names]
            sinks = [writers.enter_context(file).write for file in files_of]

        def layer(number: int, region: Region) -> npt.NDArray[np.float32]:
            shape = arrays[number].shape[0], region.height, region.width
            codes = np.empty(shape, dtype=np.uint16)
            for plane, out in enumerate(codes):
                arrays[number].read((plane,), region, out)
            return _values(np.moveaxis(codes, 0, -1), planes)

        scoring = Scoring(size, len(files), stacks, team, sinks, registration, round_sheets)
        for top in range(0, size[1], rows):
            scoring.feed(layer, lambda number, region: _values(wanted(number, region), planes), rows)
            tell(_DECODING + (1 - _DECODING) * min(1.0, (top + rows) / size[1]))
        for array in arrays:
            array.close()
        store.remove(_SPOOL)
        return scoring


def _values(codes: npt.NDArray[np.uint16], planes: int) -> npt.NDArray[np.float32]:
    """Return codes (h, w, C) as values in [0, 1] with so many planes."""
    values = codes / HIGHEST
    return np.asarray(np.repeat(values, planes // values.shape[2], axis=2), dtype=np.float32)


def stack_names(stacks: int) -> list[str]:
    """Return what the pictures of so many stacks are called."""
    return ["stack.png"] if stacks == 1 else [f"stack-{number}.png" for number in range(1, stacks + 1)]


def layer_files(folder: Path) -> list[Path]:
    """Return layer-1, layer-2, … of `folder`, PNG or TIFF.

    Raises InputError if there are none, one is missing in between, or there twice, or they differ in size.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give the folder that mlsolve run wrote")
    found: dict[int, Path] = {}
    for entry in sorted(folder.iterdir()):
        if match := _LAYER.fullmatch(entry.name):
            other = found.setdefault(int(match[1]), entry)
            if other != entry:
                raise InputError(f"{folder} holds {other.name} and {entry.name}: remove one of them")
    if not found:
        raise InputError(f"{folder} holds no layer-1.png: give the folder that mlsolve run wrote")
    for expected, number in enumerate(sorted(found), start=1):
        if number != expected:
            name = f"layer-{expected}{found[number].suffix}"
            raise InputError(f"{folder} holds {found[number].name} but no {name}: restore it")
    files = [found[number] for number in sorted(found)]
    sizes = [picture_files.open_picture(path).size for path in files]
    for path, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise InputError(
                f"{path} is {size[0]}×{size[1]}, {files[0].name} is {sizes[0][0]}×{sizes[0][1]}: make them one size"
            )
    return files
