"""The layers in a folder: find the files, decode them, and score stacks from them."""

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
from .bands import PlacedStack, Scoring
from .previews import Sink, shown

_LAYER: Final = re.compile(r"layer-(\d+)\.(?:png|tif)")
_DECODED: Final = "proof"
"""Name in the store under which decoded layers are kept."""
_DECODING: Final = 0.1
"""Approximate share of the time of scoring that decoding the layers takes."""

Wanted = Callable[[int, Region], npt.NDArray[np.uint16]]
"""Returns a region of a target, guide or mask, numbered as in `solving.spec`: (h, w, C) uint16 sRGB codes."""


def score_layer_files(
    folder: Path,
    stacks: Sequence[PlacedStack],
    wanted: Wanted,
    store: Store,
    threads: int | None = None,
    rows: int = 128,
    registration: float = 0.0,
    progress: Callable[[float], None] = lambda share: None,
    write: bool = True,
    round_sheets: bool = False,
) -> Scoring:
    """Score the layers in `folder` from their files, `rows` rows at a time.

    wanted: gives the targets, guides and masks. store: holds the decoded layers, because a rotated sheet needs rows
    in another order than its file has them. threads: None for all cores. registration: the registration tolerance
    in pixels. progress: called with the share that is done, in [0, 1]. write: whether to write pictures of the
    stacks into `folder`. round_sheets: whether only pixels inside the circle count.

    Raises InputError as `layer_files` does, and if a file turns out to be damaged.
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
            arrays.append(decode_into(store, f"{_DECODED}/layer-{number}", file))
            progress(_DECODING * (number + 1) / len(files))
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
            progress(_DECODING + (1 - _DECODING) * min(1.0, (top + rows) / size[1]))
        for array in arrays:
            array.close()
        store.remove(_DECODED)
        return scoring


def _values(codes: npt.NDArray[np.uint16], planes: int) -> npt.NDArray[np.float32]:
    """Return `codes` (h, w, C) as values in [0, 1], (h, w, planes); grey is repeated in every plane."""
    values = codes / HIGHEST
    return np.asarray(np.repeat(values, planes // values.shape[2], axis=2), dtype=np.float32)


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
