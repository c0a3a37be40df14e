"""The folder a run leaves: all of it or nothing."""

import itertools
import json
import math
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region
from mlsolve_kernels.threads import Team

from . import __version__, images
from .balance import Balance
from .errors import InputError, OutputError
from .history import History
from .job import Job, relative_name
from .proof import Laid, Proof, Sink, shown
from .rounds.pictures import HIGHEST, as_codes
from .scores import StackScores
from .sheet import sheet_bands, sheet_size
from .spool import spool
from .store import MemoryStore, Store

if TYPE_CHECKING:
    from .solution import Solution

_LAYER: Final = re.compile(r"layer-(\d+)\.(?:png|tif)")
_SPOOL: Final = "proof"
"""Where in a store layers are decoded to."""
_DECODING: Final = 0.1
"""Which share of scoring decoding the layers is, about."""
_OURS: Final = re.compile(
    r"layer-\d+\.(?:png|tif)|stack(?:-\d+)?\.png|sheet\.png|history\.csv|job\.toml|result\.json"
)
"""Names of the files mlsolve writes into a folder."""


@dataclass(frozen=True)
class Summary:
    """What result.json tells besides the scores."""

    balance: Balance
    registration: float
    history: History
    stop: str
    seconds: float
    backend: str
    device: str | None
    disc: bool = False
    """Whether the sheets are round."""


def write_solution(solution: "Solution", folder: Path, overwrite: bool = False) -> Path:
    """Write everything that belongs to `solution` into `folder` and return it; see `Solution.save`."""
    options = solution.options
    summary = Summary(
        solution.balance,
        options.registration,
        solution.history,
        solution.stop,
        solution.seconds,
        solution.backend,
        solution.device,
        solution.shape == "disc",
    )
    masks = [mask for mask in solution.masks if mask is not None]
    pictures = [as_codes(picture) for picture in (*solution.targets, *solution.guides, *masks)]
    numbers = itertools.count(len(solution.targets) + len(solution.guides))
    of_stacks = zip(solution.arrangements, solution.exposures, solution.masks, strict=True)
    stacks = [Laid(place, e, None if mask is None else next(numbers)) for place, e, mask in of_stacks]
    with staged(folder, overwrite) as stage:
        for number, layer in enumerate(solution.printed, start=1):
            images.save_png(stage / f"layer-{number}.png", layer)

        def wanted(number: int, region: Region) -> npt.NDArray[np.uint16]:
            return pictures[number][region.top : region.bottom, region.left : region.right]

        store, disc = MemoryStore(), solution.shape == "disc"
        proof = prove(stage, stacks, wanted, store, registration=options.registration, round_sheets=disc)
        write_report(stage, folder, summary, proof)
    return folder


Wanted = Callable[[int, Region], npt.NDArray[np.uint16]]
"""Gives a region of a target, a guide or a mask, as counted in `rounds.problem`: codes (h, w, C) uint16."""


def prove(
    folder: Path,
    stacks: Sequence[Laid],
    wanted: Wanted,
    store: Store,
    threads: int | None = None,
    rows: int = 128,
    registration: float = 0.0,
    tell: Callable[[float], None] = lambda share: None,
    write: bool = True,
    round_sheets: bool = False,
) -> Proof:
    """Score the layers in `folder` from their files, `rows` rows at a time.

    store: takes the layers as they are decoded, for sheets that lie turned are not seen in the files' order.
    write: whether pictures of the stacks are written beside the layers. round_sheets: whether only the circle
    counts. tell: hears which share is done.
    """
    files = [images.open_picture(path) for path in layer_files(folder)]
    size, corner = files[0].size, Region(0, 1, 0, 1)
    compared = (wanted(number, corner).shape[2] for number in range(len(stacks) + len(files)))
    planes = max(*(file.planes for file in files), *compared)
    team = Team(threads)
    with ExitStack() as writers:
        writers.callback(team.close)
        arrays = []
        for number, file in enumerate(files):
            arrays.append(spool(store, f"{_SPOOL}/layer-{number}", file))
            tell(_DECODING * (number + 1) / len(files))
        sinks: list[Sink] = [lambda _: None] * len(stacks)
        if write:
            names = stack_names(len(stacks))
            files_of = [images.PngWriter(folder / name, shown(size), planes, 8) for name in names]
            sinks = [writers.enter_context(file).write for file in files_of]

        def layer(number: int, region: Region) -> npt.NDArray[np.float32]:
            shape = arrays[number].shape[0], region.height, region.width
            codes = np.empty(shape, dtype=np.uint16)
            for plane, out in enumerate(codes):
                arrays[number].read((plane,), region, out)
            return _values(np.moveaxis(codes, 0, -1), planes)

        proof = Proof(size, len(files), stacks, team, sinks, registration, round_sheets)
        for top in range(0, size[1], rows):
            proof.feed(layer, lambda number, region: _values(wanted(number, region), planes), rows)
            tell(_DECODING + (1 - _DECODING) * min(1.0, (top + rows) / size[1]))
        for array in arrays:
            array.close()
        store.remove(_SPOOL)
        return proof


def _values(codes: npt.NDArray[np.uint16], planes: int) -> npt.NDArray[np.float32]:
    """Return codes (h, w, C) as values in [0, 1] with so many planes."""
    values = codes / HIGHEST
    return np.asarray(np.repeat(values, planes // values.shape[2], axis=2), dtype=np.float32)


def stack_names(stacks: int) -> list[str]:
    """Return what the pictures of so many stacks are called."""
    return ["stack.png"] if stacks == 1 else [f"stack-{number}.png" for number in range(1, stacks + 1)]


def write_report(stage: Path, folder: Path, summary: Summary, proof: Proof, job: Job | None = None) -> None:
    """Write all but layers and stacks into `stage`, which is to become `folder`; job: what it came from."""
    names = None if job is None else [path.name for path in job.targets]
    with images.PngWriter(stage / "sheet.png", sheet_size(proof), 3, 8) as writer:
        for band in sheet_bands(proof, names, summary.disc):
            writer.write(band)
    images.write_bytes(stage / "history.csv", summary.history.csv().encode())
    if job is not None:
        images.write_bytes(stage / "job.toml", job.toml(folder).encode())
    report = json.dumps(result(summary, proof, folder, job), indent=2, ensure_ascii=False)
    images.write_bytes(stage / "result.json", (report + "\n").encode())


def result(summary: Summary, proof: Proof, folder: Path, job: Job | None) -> dict[str, Any]:
    """Return what result.json holds."""
    scores, balance = proof.scores, summary.balance
    nobody: list[str | None] = [None] * len(scores.stacks)
    names, masks = nobody, nobody
    if job is not None:
        names = [relative_name(path, folder) for path in job.targets]
        of_masks = [one.mask for one in job.arrangements]
        masks = [None if mask is None else relative_name(Path(str(mask)), folder) for mask in of_masks]
    return {
        "arrangements": [
            {
                "target": name,
                "exposure": stack.laid.exposure,
                "mask": mask,
                "layers": [one.words() for one in stack.laid.place],
                **stack_report(found),
                "cast": [round(value, 4) for value in cast],
            }
            for name, mask, stack, found, cast in zip(
                names, masks, proof.stacks, scores.stacks, balance.cast, strict=True
            )
        ],
        "guides": [round(value, 6) for value in scores.guide_ssim],
        "registration": summary.registration,
        "size": list(proof.size),
        "iterations": len(summary.history),
        "stopped_by": summary.stop,
        "seconds": round(summary.seconds, 3),
        "backend": summary.backend,
        "device": summary.device,
        "versions": versions(),
    }


def stack_report(scores: StackScores) -> dict[str, Any]:
    """Return what a stack scores as plain values; the infinite PSNR of an exact stack is null in JSON."""
    return {
        "ssim": round(scores.ssim, 6),
        "psnr": _plain(scores.psnr),
        "gives_away": [round(value, 6) for value in scores.gives_away],
        "off": [{"pixels": off.pixels, "ssim": round(off.ssim, 6), "psnr": _plain(off.psnr)} for off in scores.off],
    }


def _plain(psnr: float) -> float | None:
    return None if math.isinf(psnr) else round(psnr, 3)


def versions() -> dict[str, str]:
    """Return the versions of everything that has a say in the result."""
    found = {"mlsolve": __version__, "python": platform.python_version()}
    for package in ("numpy", "numba", "opencv-python-headless", "pillow", "pyvips-binary", "pi-heif"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


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
    sizes = [images.open_picture(path).size for path in files]
    for path, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise InputError(
                f"{path} is {size[0]}×{size[1]}, {files[0].name} is {sizes[0][0]}×{sizes[0][1]}: make them one size"
            )
    return files


def check_output(folder: Path, overwrite: bool) -> None:
    """Raise OutputError if `folder` may not or cannot be written, before any work is done; leaves nothing."""
    with _guarded(folder):
        _check_replaceable(folder, overwrite)
        created = _make_parents(folder)
        try:
            stage = _stage_name(folder)
            stage.mkdir()
            stage.rmdir()
        finally:
            _remove_empty(created)


def replace_folder(stage: Path, folder: Path, overwrite: bool) -> None:
    """Put `stage` in the place of `folder`, in one step if there is none; raises OutputError as `check_output`."""
    with _guarded(folder):
        _check_replaceable(folder, overwrite)
        _swap(stage, folder)


@contextmanager
def staged(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder beside `folder` to write into; it takes its place at the end, or vanishes on an error."""
    check_output(folder, overwrite)
    with _guarded(folder):
        created = _make_parents(folder)
        stage = _stage_name(folder)
        try:
            stage.mkdir()
            yield stage
            # Somebody may have come in between: what they wrote is not ours to replace.
            _check_replaceable(folder, overwrite)
            _swap(stage, folder)
        except BaseException as error:
            shutil.rmtree(stage, ignore_errors=True)
            _remove_empty(created)
            if isinstance(error, OutputError):
                raise OutputError(str(error).replace(str(stage), str(folder))) from None
            raise


def _check_replaceable(folder: Path, overwrite: bool) -> None:
    """Raise OutputError unless nothing is at `folder`, or `overwrite` is set and all in it is ours."""
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise OutputError(f"{folder} exists already: choose another --out or add --overwrite")
    if not folder.is_dir() or folder.is_symlink():
        raise OutputError(f"{folder} is no folder: choose another --out")
    for entry in sorted(folder.iterdir()):
        if not _OURS.fullmatch(entry.name):
            raise OutputError(f"{folder} holds {entry.name}, which mlsolve did not write: choose another --out")


@contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from None


def _swap(stage: Path, folder: Path) -> None:
    """Put `stage` in the place of `folder`; what was there goes once the new is there."""
    if not folder.exists():
        stage.rename(folder)
        return
    old = stage.with_name(stage.name + "-old")
    folder.rename(old)
    try:
        stage.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _stage_name(folder: Path) -> Path:
    absolute = folder.absolute()
    # Cut short, for a name may be as long as the file system allows.
    return absolute.with_name(f".{absolute.name[:40]}.partial-{os.getpid()}")


def _make_parents(folder: Path) -> list[Path]:
    """Create what is missing above `folder`; return what was created, the innermost first."""
    missing = [parent for parent in folder.absolute().parents if not parent.exists()]
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for empty in folders:
        try:
            empty.rmdir()
        except OSError:
            return
