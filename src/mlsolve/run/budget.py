"""The memory, processes and threads a run may use, divided among its stages, and the minimum it needs."""

from dataclasses import dataclass, replace
from typing import Final

from mlsolve_kernels.control_groups import memory_limit
from mlsolve_kernels.threads import available_cores
from mlsolve_kernels.window import RADIUS

from ..cluster.address import ClusterAddress
from ..errors import OptionError
from ..guides import drawing_bytes
from ..job.depths import views_of
from ..job.job import Job, parse_generated
from ..job.settings import CLUSTER, DEVICES, MEMORY, PROCESSES, THREADS, check_fields, option, settings_of
from ..pictures.picture_files import Picture, PngWriter, TiffWriter
from ..report.contact_sheet import COLUMNS
from ..scoring.bands import moved_target_bytes, previews_bytes
from ..scoring.desk import desk_bytes
from ..scoring.layer_files import Bands
from ..scoring.placed import ACROSS
from ..scoring.previews import CELL, STACK, shown
from ..solving.carriers import carriers_bytes
from ..solving.executors.gpu import Devices
from ..solving.plan import LevelPlan, Limits, least_memory, plan_level
from ..solving.spec import Spec
from ..solving.store.chunks import CHUNK, RUN_BYTES
from ..solving.tile_coupling import coupling_at
from ..solving.trial import trial_bytes
from ..system.memory import as_size, available_memory, in_words
from .gpus import Gpu, checked_devices

_RESERVE: Final = 8 << 20
"""Bytes for everything that is not an image: history, progress, documents, chunks in transit."""

_REPORT: Final = 4 << 20
"""Bytes for encoding the contact sheet and the previews, in addition to the pictures on them."""

PROGRAM: Final = 90 << 20
"""Bytes that each of several processes holds before its first tile: the loaded program. Measured."""

_STACK: Final = 3 << 19
"""Bytes for writing the picture of a stack, in addition to its rows."""

_ENCODING: Final = 3 << 20
"""Bytes with which a thread reads from the store and deflates, in addition to a part of a layer."""

AHEAD: Final = 2
"""Parts of layers for each thread that may be in progress, or encoded and waiting for those before them."""

_USABLE: Final = 0.95
"""Share of a GPU's free memory that a run plans with; the rest allows for what the allocator wastes."""

_TIFF_ROWS: Final = 256


_SIDES: Final = (1024, 512, 256, CHUNK)
"""Sides of the tiles of pictures that can be chosen, in pixels."""

_HELD: Final = 256 << 20
"""Bytes for decoded pictures, if the system does not report its memory."""


@dataclass(frozen=True)
class Budget:
    """The memory, processes and threads a run may use. Raises OptionError for values out of range."""

    memory: int | None = option(None, MEMORY)
    processes: int = option(1, PROCESSES)
    threads: int | None = option(None, THREADS)
    devices: tuple[int, ...] | None = option(None, DEVICES)
    device: int | None = None
    """Free bytes on the GPU with the least, if the run uses any."""
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs that it uses."""
    cluster: str | None = option(None, CLUSTER)

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_fields(self)
        if self.cluster is not None:
            ClusterAddress.parse(self.cluster)
            if self.processes != 1:
                raise OptionError(
                    f"processes is {self.processes} beside cluster {self.cluster}: leave processes out, each "
                    "worker of a cluster is a process"
                )
        if self.devices is not None:
            object.__setattr__(self, "devices", checked_devices(self.devices, self.cluster))

    def on(self, gpu: Gpu) -> "Budget":
        """Return the budget of a run that uses this GPU, or these."""
        return replace(self, device=gpu.memory, gpus=gpu.numbers)

    @property
    def options(self) -> str:
        """The options that give this budget on the command line, each after a space; "" if all are left out."""
        written = {
            "memory": None if self.memory is None else as_size(self.memory),
            "devices": None if self.devices is None else ",".join(map(str, self.devices)),
        }
        return "".join(
            f" --{name} {written.get(name, getattr(self, name))}"
            for name, (_, default) in settings_of(Budget).items()
            if getattr(self, name) != default
        )

    @property
    def total(self) -> int | None:
        """Bytes that the run may use now; None where the system does not report free memory."""
        free = available_memory()
        if self.memory is not None or free is None:
            return self.memory
        return max(0, free - self._programs) // 2

    @property
    def _programs(self) -> int:
        """Bytes that the other processes need for the program itself."""
        alone = self.processes == 1 or self.device is not None
        return 0 if alone else self.processes * PROGRAM

    @property
    def workers(self) -> int:
        """Tiles in progress at a time: one per process, two on a GPU, which alternates between them."""
        return self.processes if self.device is None else Devices.streams * self.at_once

    @property
    def at_once(self) -> int:
        """Tiles for which levels are cut, so that all GPUs have one.

        Levels that fit the memory are not cut for several processes: one with all threads is faster (bench/LOG.md).
        """
        return max(1, len(self.gpus))

    @property
    def all_threads(self) -> int:
        """Threads of the whole run."""
        return self.threads or available_cores()

    @property
    def threads_each(self) -> int:
        """Threads of a process."""
        return max(1, self.all_threads // self.processes)


@dataclass(frozen=True)
class Shares:
    """What each stage of a run may use."""

    limits: Limits
    """Of the rounds of tiles."""
    side: int
    """Side of the tiles of pictures, in pixels."""
    writers: int
    """Threads that write layers."""
    bands: Bands
    """How the print is divided for scoring."""
    painters: int = 1
    """Threads that make pictures, if the run has one process."""
    held: int = 0
    """Bytes for decoded pictures in memory."""


def shares(
    budget: Budget, spec: Spec, job: Job, files: list[Picture], disk: int | None, passing: bool = True
) -> Shares:
    """Return what each stage may use; disk: bytes available for the states of the solve.

    passing: whether scoring may decode layers as their rows pass by; workers of a cluster cannot. Raises
    OptionError if there is too little memory; its message reports the minimum.
    """
    if budget.cluster is None:  # it is not this process that takes the memory
        _check_group(budget)
    memory, device = budget.total, _device_share(budget, spec)
    if memory is None:
        limits = Limits(None, budget.threads_each, disk, device, budget.at_once)
        writers, threads = _writers(budget, spec, job, None), budget.threads_each
        return Shares(
            limits, _SIDES[0], writers, Bands(workers=budget.all_threads, passing=passing), threads, _HELD
        )
    least = _least(budget, spec, job, files, disk)
    if memory < least:
        # Rounded up, so that the figure is enough.
        advice = -(-least // 2**20)
        raise OptionError(
            f"memory is {in_words(memory)}{_whence(budget)}: this print needs {advice}MiB at least"
            f"{_why_whole(spec)}"
        )
    left = memory - _RESERVE
    side, painters, held = _painting(left, budget, spec, job, files)
    writers = _writers(budget, spec, job, left)
    limits = Limits(left // budget.workers, budget.threads_each, disk, device, budget.at_once)
    bands = _bands(left, budget.all_threads, spec, job, passing)
    return Shares(limits, side, writers, bands, painters, held)


def _writers(budget: Budget, spec: Spec, job: Job, left: int | None) -> int:
    """Return how many threads write layers within `left` bytes; the processes of a solve are idle then."""
    parts = spec.layers * -(-spec.shapes[-1][0] // PngWriter.part_rows)
    threads = min(budget.all_threads, parts)
    return threads if left is None else max(1, min(threads, left // _writer_bytes(spec, job)))


def _painting(left: int, budget: Budget, spec: Spec, job: Job, files: list[Picture]) -> tuple[int, int, int]:
    """Return how pictures are made in `left` bytes: side of their tiles, threads, bytes for decoded ones.

    Tiles are as large as they can be with all threads. If not all threads fit, small tiles are worth less: they
    share more of what surrounds them.
    """
    processes, most = budget.workers, 1
    if budget.processes == 1 or budget.device is not None:
        processes, most = 1, budget.threads_each
    decoding = max((file.peak_memory(CHUNK) for file in files), default=0)
    found = []
    for side, worth in zip(_SIDES, (1.0, 0.95, 0.85, 0.6), strict=True):
        each = max(_side_bytes(side, spec, job, files) * processes, decoding)
        painters = min(most, left // each)
        found.append((worth * painters if painters < most else most, side, painters, left - painters * each))
    _, side, painters, held = max(found, key=lambda one: one[:2])
    return (side, painters, held) if painters else (CHUNK, 1, 0)


def _check_group(budget: Budget) -> None:
    """Raise OptionError if the budget exceeds what the control group of this process has left.

    The kernel would kill the run in the middle.
    """
    limit = memory_limit()
    if budget.memory is None or limit is None or budget.memory <= limit.left:
        return
    raise OptionError(
        f"memory is {in_words(budget.memory)}: the control group {limit.group} has {in_words(limit.left)} left of "
        f"its {in_words(limit.limit)}, give less, or leave --memory out"
    )


def _whence(budget: Budget) -> str:
    """Return where the figure comes from, if the user did not give it."""
    if budget.memory is not None:
        return ""
    return ", half of what is free" + (f" beside {budget.processes} processes" if budget.processes > 1 else "")


def _why_whole(spec: Spec) -> str:
    """Return why a print cannot be solved in tiles; an empty text if it can."""
    if not any(one.rotate % 90 for stack in spec.stacks for one in stack.place or ()):
        return ""
    return ", because sheets rotated by other than quarter turns are solved whole"


def _device_share(budget: Budget, spec: Spec) -> int | None:
    """Return the bytes of GPU memory for a tile: all free memory if one GPU holds the whole image, else half."""
    if budget.device is None:
        return None
    usable = int(budget.device * _USABLE)
    coupling = coupling_at(spec, spec.levels).whole
    whole = coupling.device_need(spec.layers, spec.planes, spec.shapes[-1])
    alone = len(budget.gpus) < 2 and whole <= usable
    return usable if alone else usable // Devices.streams


def plans(spec: Spec, limits: Limits) -> list[LevelPlan]:
    """Return how each level will be solved, from the coarsest on."""
    stack, iterations = (spec.layers, spec.planes), spec.iterations
    return [
        plan_level(shape, stack, iterations, limits, coupling_at(spec, level))
        for level, shape in enumerate(spec.shapes, start=1)
    ]


def _least(budget: Budget, spec: Spec, job: Job, files: list[Picture], disk: int | None) -> int:
    """Return the minimum memory with which the run can be done."""
    stack, iterations = (spec.layers, spec.planes), spec.iterations
    limits = Limits(None, budget.threads_each, disk, budget.device)
    tile = max(
        least_memory(shape, stack, iterations, limits, coupling_at(spec, level))
        for level, shape in enumerate(spec.shapes, start=1)
    )
    return _RESERVE + max(
        tile * budget.workers,
        max((file.peak_memory(CHUNK) for file in files), default=0),
        _side_bytes(CHUNK, spec, job, files) * (1 if budget.device is not None else budget.processes),
        scoring_bytes(_SMALLEST, spec, job),
        _writer_bytes(spec, job),
        trial_bytes(spec) if len(spec.stacks) > 1 else 0,
        carriers_bytes(spec),
    )


def _side_bytes(side: int, spec: Spec, job: Job, files: list[Picture]) -> int:
    """Return the memory needed to make one tile of a picture, from a file or by drawing a generated guide.

    Of a file, the part that covers the tile is held as well. Halving a tile takes less.
    """
    height, width = spec.shapes[-1]
    pixels = min(side, height) * min(side, width)
    shrunk = max((max(1.0, p.size[0] / width, p.size[1] / height) for p in files), default=1.0)
    families = {parse_generated(guide)[0] for guide in job.guides if isinstance(guide, str)}
    drawn = max((drawing_bytes(family, (width, height), side) for family in families), default=0)
    return max(int((side * shrunk + 8) ** 2 * 12), drawn) + 16 * pixels + RUN_BYTES


_SMALLEST: Final = Bands(8, 1, passing=False)
"""The bands that take the least memory."""


def _bands(left: int, threads: int, spec: Spec, job: Job, passing: bool) -> Bands:
    """Return the bands that keep most threads busy within `left` bytes."""
    workers = {threads, *(threads >> halvings for halvings in range(1, threads.bit_length()))}
    sizes = [(rows, each) for each in sorted(workers, reverse=True) for rows in (256, 128, 64)]
    for rows, each in [*sizes, (32, 1), (16, 1), (8, 1)]:
        for passes in (True, False) if passing else (False,):
            bands = Bands(rows, each, passes)
            if scoring_bytes(bands, spec, job) <= left:
                return bands
    return _SMALLEST


def scoring_bytes(bands: Bands, spec: Spec, job: Job) -> int:
    """Return the memory needed to score a print in `bands`, including contact sheet and previews."""
    (height, width), planes, stacks = spec.shapes[-1], spec.planes, spec.stacks
    moves = [one.move((height, width)) for stack in stacks for one in stack.placed(spec.layers)]
    sheets = [len(stack.placed(spec.layers)) for stack in stacks]
    outer = min(height, bands.rows + 2 * RADIUS)
    row, pixel = width * planes, job.bits // 8
    # Rows of the pictures, of all bands that are measured and of the next one, and those read ahead.
    pictures = width * 2 * sum(spec.picture_planes)
    ahead = CHUNK if bands.rows >= CHUNK else bands.rows
    passing = pictures * ((bands.workers + 1) * outer + ahead)
    moved, sums, more = moved_target_bytes((width, height), planes, sheets, spec.options.registration, bands.rows)
    passing += width * 2 * sum(spec.picture_planes[: len(stacks)]) * more * (bands.workers + 1)
    # A decoder's own rows, and what becomes of them.
    decoder = 3 * _TIFF_ROWS if job.format == "tiff" else 2 * CHUNK
    masked = any(stack.masked for stack in stacks)
    desk = desk_bytes(planes, outer, width, spec.disc or masked) + moved + 2 * sums
    if spec.disc or masked:
        desk += outer * width * 24
    if bands.passing:
        passing += spec.layers * row * pixel * ((bands.workers + 1) * outer + decoder)
        decoded = 0
    else:
        # The rows of one sheet after the other, as 16-bit codes and as they are kept.
        desk += max(sheets) * outer * row * pixel + 2 * outer * row + RUN_BYTES
        decoded = bands.workers * ((4 * CHUNK + decoder * pixel) * row + RUN_BYTES)
    if any(not move.exact for move in moves):
        # The sheets of a stack, interpolated; one of them while it is decoded, and the part that it comes from.
        side = min(width, ACROSS) + outer
        desk += (max(sheets) + 2) * outer * row * 4 + side * side * planes * 6
    # Rows on their way to the previews: light where they are reduced, else codes.
    longest = (STACK, *(CELL,) * 2 * (2 + spec.layers))
    reduced = [shown((width, height), side)[0] for side in longest if side < max(width, height)]
    parts = bands.workers * bands.rows * planes * (4 * sum(reduced) + (len(longest) - len(reduced)) * width)
    # All pictures of the contact sheet; then one row of it again while it is drawn: round sheets on coloured paper.
    views = len(views_of(spec.options, max(sheets)))
    kept = previews_bytes((width, height), planes, spec.layers, sheets, spec.options.registration, views)
    drawn = (COLUMNS + 1) * (3 if spec.disc else planes) * CELL * CELL
    measured = passing + bands.workers * desk + parts + len(stacks) * _STACK
    return max(decoded, measured + kept, kept + drawn + _REPORT)


def _writer_bytes(spec: Spec, job: Job) -> int:
    """Return the memory that a thread needs to write layers: its part, as values, codes and bytes of the file."""
    width = spec.shapes[-1][1]
    row = width * spec.planes * job.bits // 8
    rows = (TiffWriter if job.format == "tiff" else PngWriter).part_rows
    return 4 * CHUNK * width + (1 + AHEAD) * rows * row + 3 * row + _ENCODING
