"""What loads and compiles everything that a run needs, before memory and time are measured.

Until all kernels are compiled, that is a run of a few pixels from pictures to report. The first process that
compiles nothing writes down which kernels it used. From then on they are loaded by name, and the few pixels are
only solved, in memory: then all memory that the program itself takes is there before that of the run is measured.
"""

import dataclasses
import hashlib
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from mlsolve_kernels.compiled import is_cached, load_remembered, remember
from mlsolve_kernels.control_groups import memory_limit
from mlsolve_kernels.drawing.cpu import average, place
from mlsolve_kernels.iteration.sweep import can_run
from mlsolve_kernels.placement.move import STILL
from mlsolve_kernels.region import Region
from mlsolve_kernels.scoring.cpu import look_up_all, place_between, place_exactly, squared_error
from mlsolve_kernels.terms import TERMS

from ..errors import MlsolveError, OptionError
from ..job.arrangements import Arrangement
from ..job.job import Job
from ..job.options import Options
from ..pictures.code_steps import code_steps
from ..pictures.decoders.vips import pyvips
from ..pictures.picture_files import PngWriter, TiffWriter, load_picture
from ..scoring.codes import tables
from ..scoring.layer_files import Bands
from ..scoring.previews import Preview
from ..solving.backends import CpuBackend
from ..solving.executors.base import Executor
from ..solving.executors.serial import Serial
from ..solving.level_pictures import as_codes, name_of
from ..solving.plan import Limits
from ..solving.spec import BETAS, Spec
from ..solving.store import DiskStore, MemoryStore, Store
from ..solving.store.chunks import CHUNK
from ..system.memory import in_words
from .budget import Shares
from .job_spec import spec_at
from .pipeline import Listener, Solved, solve_in_store, write_result

_SIDE = 24

_LOADING: Final = 45 << 20
"""Bytes needed to load and run everything once, kernels compiled before. Measured, rounded up."""

_COMPILING: Final = 180 << 20
"""Bytes needed to compile the kernels as well."""


def is_compiled(job: Job | None) -> bool:
    """Tell whether most kernels that a run of `job` needs are compiled already."""
    return is_cached("sweep.sweep" if can_run(_small(job).objective) else "cpu.stack_pass")


def check_room(job: Job | None) -> None:
    """Raise OptionError if the control group of this process has too little memory for `precompile`.

    Beyond the limit the kernel kills the process, after minutes of rereading the program's own pages.
    """
    limit = memory_limit()
    needed, what = (_LOADING, "load") if is_compiled(job) else (_COMPILING, "compile")
    if limit is not None and limit.left < needed:
        raise OptionError(
            f"the control group {limit.group} has {in_words(limit.left)} of its {in_words(limit.limit)} of memory "
            f"left: mlsolve takes {in_words(needed)} to {what} its kernels, so raise that limit"
        )


@dataclass(frozen=True)
class _Needs:
    """What decides which kernels a run needs."""

    spec: Spec
    """Of a few pixels."""
    tiff: bool
    """Whether layers are written as TIFF."""
    drawn: bool
    """Whether guides are drawn."""

    @classmethod
    def of(cls, job: Job | None) -> "_Needs":
        """Return what a run of `job` needs; None: any run that the sweep can do, of 8 bits."""
        drawn = job is None or any(isinstance(entry, str) for entry in job.entries)
        return cls(_small(job), job is not None and job.format == "tiff", drawn)

    @property
    def layer_type(self) -> Any:
        """The type of the code values of layers."""
        return np.uint8 if self.spec.bits == 8 else np.uint16


_MOVED: Final = 3
"""Misalignment that is tolerated by the pictures of a few pixels, if the job tolerates any, in pixels."""

_precompiled: Final = set[_Needs]()
"""What this process has precompiled."""


def precompile(job: Job | None = None) -> None:
    """Solve, write and score pictures of a few pixels in a temporary folder, as a run of `job` would.

    Kernels for placed sheets and for leak are compiled only if `job` needs them. If no temporary folder can be
    written, the run itself compiles what is missing. Where all of it was done before on this machine, kernels and
    modules are loaded and the pictures are solved, no more.
    """
    needs = _Needs.of(job)
    if needs in _precompiled:
        return
    name = hashlib.sha256(repr(needs).encode()).hexdigest()[:16]
    with suppress(MlsolveError, OSError), tempfile.TemporaryDirectory() as folder:
        _import_modules(job)
        # What other objectives take of the program itself has not been measured without the whole run.
        if can_run(needs.spec.objective) and load_remembered(name):
            _decode(Path(folder))
            _solve(MemoryStore(), needs.spec)
        else:
            _run(Path(folder), needs)
            remember(name)
        _precompiled.add(needs)


def few_pixels(job: Job) -> Spec:
    """Return a spec of a few pixels that computes as `job` does: the same terms, light, placements and solver."""
    return _small(job)


def _small(job: Job | None) -> Spec:
    """Return a spec of a few pixels that needs the kernels of `job`.

    All that the sweep can run by the same solver need the same.
    """
    options, size = Options(iterations=2, levels=2), (_SIDE, _SIDE)
    if job is not None:
        own = job.options
        options = dataclasses.replace(
            options,
            **{term.weight_option: getattr(own, term.weight_option) for term in TERMS if not term.always},
            # So far that some sheet is moved in these few iterations, whatever the job tolerates.
            registration=_MOVED if own.registration or own.view else 0,
            registration_turn=own.registration_turn,
            # Of a tolerance alone auto would make carriers, of a cone of views it makes none.
            carriers="off" if own.view and own.carriers == "auto" else own.carriers,
            room=own.room,
        )
        options = dataclasses.replace(options, solver=own.solver, learning_rate=own.learning_rate)
        spec = spec_at(job, size, (1,) * len(job.entries), options)
        if not can_run(spec.objective):
            return dataclasses.replace(spec, bits=job.bits)
        options = dataclasses.replace(Options(iterations=2, levels=2), solver=spec.options.solver)
    spec = Spec.resolve([Arrangement(Path("target.png"))], 1, size, (1, 1), options)
    return dataclasses.replace(spec, bits=8 if job is None else job.bits)


def _score_few_pixels(needs: _Needs) -> None:
    """Call the kernels of scoring: for pictures in 16 bits, and for layers, whose misaligned sheets are shifted."""
    spec = needs.spec
    values, shifted = np.zeros((_SIDE, _SIDE, 1), dtype=np.float32), STILL._replace(row_0=1.0)
    for kind in {np.uint16, needs.layer_type}:
        codes, of = np.zeros((_SIDE, _SIDE, 1), dtype=kind), tables(kind)
        look_up_all(of.value, codes, values)
        preview = Preview((_SIDE, _SIDE), _SIDE // 3)
        preview.add(preview.part_of_codes(codes[2:], 1))
        preview.add(preview.part_of_codes(codes[:2], 1))
        if kind == needs.layer_type:
            place_exactly(of.value, codes, (0, 0), shifted, (0, 0), values)
            if any(not one.move((_SIDE, _SIDE)).exact for stack in spec.stacks for one in stack.place or ()):
                place_between(of.encoded, codes, (0, 0), shifted, 0, (0, 1), values)
        else:
            squared_error(values, of.value, codes, None)
            if spec.disc or any(stack.masked for stack in spec.stacks):
                squared_error(values, of.value, codes, np.ones((_SIDE, _SIDE), dtype=np.float32))


def _import_modules(job: Job | None) -> None:
    """Import what a run of `job` imports on its way, and what these modules import in turn."""
    pyvips()
    draws = job is None or any(isinstance(entry, str) for entry in job.entries)
    drawing = ("cv2",) if draws else ()
    for module in ("numpy.ma", "PIL.ImageOps", "PIL.TiffImagePlugin", "email.parser", "psutil", *drawing):
        import_module(module)


def _decode(folder: Path) -> None:
    """Decode pictures of a few pixels that are written into `folder`."""
    for suffix in ("jpg", "tif"):
        Image.new("RGB", (_SIDE, _SIDE)).save(folder / f"other.{suffix}")
        load_picture(folder / f"other.{suffix}")


def _solve(store: Store, spec: Spec) -> Solved:
    """Solve pictures of a few pixels in `store`, on one thread."""
    whole = Region(0, _SIDE, 0, _SIDE)
    codes = as_codes(np.linspace(0.2, 0.8, _SIDE * _SIDE).reshape(_SIDE, _SIDE))

    def make_pictures(making: Executor) -> None:
        for number in range(len(spec.picture_planes)):
            picture = store.create(name_of(spec.levels, number), (1, _SIDE, _SIDE), np.uint16, (_SIDE, _SIDE))
            with picture.tile((), whole) as tile:
                tile.put((0,), codes)

    executor = Serial(CpuBackend(1, BETAS))
    try:
        return solve_in_store(store, spec, executor, Limits(), Listener(), make_pictures, tune=False)
    finally:
        executor.close()


def _run(folder: Path, needs: _Needs) -> None:
    """Solve pictures of a few pixels in `folder`, write and score them, and call kernels in all their forms."""
    store, spec = DiskStore(folder / "store"), needs.spec
    solved = _solve(store, spec)
    arrangements = tuple(Arrangement(Path(f"target-{number}.png")) for number in range(len(spec.stacks)))
    job = Job(arrangements, ("rosette:0",) * spec.layers, (_SIDE, _SIDE), bits=spec.bits or 8)
    parts = Shares(Limits(), CHUNK, 1, Bands())
    write_result(solved, store, job, folder / "result", folder / "result", parts, (None, None), Listener())
    # Codes of resampled pictures, guides of few colours and of many, and a kaleidoscope.
    as_codes(np.zeros((1, 1), dtype=np.float32))
    if needs.drawn:
        picture, palette = np.empty((1, 1, 3), dtype=np.uint8), np.zeros((1, 3), dtype=np.uint8)
        for kind in (np.uint8, np.uint16):
            average(np.zeros((4, 4), dtype=kind), palette, picture)
        across, down = np.empty((2, 1, 1), dtype=np.float32)
        place(0.0, 0.0, np.zeros((2, 2, 1)), np.zeros((1, 1), dtype=np.int64), np.zeros(2), across, down)
    # Layers of a solve that ended before its last round, and whole parts of files.
    codes = np.zeros((CHUNK, CHUNK, 1), dtype=needs.layer_type)
    code_steps(spec.bits or 8).write(np.zeros((CHUNK, CHUNK), dtype=np.float32), codes, 0)
    writer = TiffWriter if needs.tiff else PngWriter
    writer(folder / "codes", (CHUNK, CHUNK), 1, spec.bits or 8).encode(codes, 0)
    _score_few_pixels(needs)
    _decode(folder)
