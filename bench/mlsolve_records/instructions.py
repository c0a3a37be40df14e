"""What a step of every marching kernel takes, read from its machine code: python -m mlsolve_records.instructions.

Compiles the kernels for all chips and disassembles them, which needs no GPU and takes some three minutes the first
time. Writes bench/results/instructions.json and prints the tables that `python -m mlsolve_records.pages` puts into
docs/gpu.md.

A step is one row of a strip: every thread computes COLUMNS pixels of each result.
"""

import json
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from mlsolve_kernels.cuda.compiler import compile_kernel
from mlsolve_kernels.cuda.cubin import resources_of
from mlsolve_kernels.cuda.geometry import THREADS, resident_blocks, shared_on

from .disassembly import BYTES, CLASSES, DisassemblyError, disassemble, main_loop
from .record import RESULTS

FILE: Final = "instructions.json"


class March(NamedTuple):
    """A kernel that marches down strips (ssim/stream.cuh)."""

    layers: int
    """Layers that it is compiled for: 1 if its code does not depend on them."""
    stores: int = 1
    """Results that a thread stores in a step, each by one instruction."""
    dynamic: int = 0
    """Bytes of shared memory that a launch adds to those that the kernel declares."""


MARCHES: Final = {
    "stack_pass": March(3),
    "stack_pass_weighted": March(3),
    "layer_step": March(3, stores=3),
    "layer_step_weighted": March(3, stores=3),
    "layer_more_step": March(3, stores=3),
    "layer_more_step_weighted": March(3, stores=3),
    "layer_pass": March(3),
    "layer_pass_weighted": March(3),
    "layer_more_pass": March(3),
    "layer_more_pass_weighted": March(3),
    "guide_step": March(1, stores=3),
    "guide_step_weighted": March(1, stores=3),
    "guide_pass": March(1),
    "guide_pass_weighted": March(1),
    "leak_pass": March(1),
    "leak_pass_weighted": March(1),
    "statistics": March(1, stores=2),
}
"""The kernels that are counted, by name."""

CHIPS: Final = (75, 80, 86, 89, 90, 100, 120)
"""The chips for which the kernels are counted."""

CHOSEN: Final = 90
"""The chip of which the page shows everything."""

_WARP: Final = 32
_SCHEDULERS: Final = 4

KINDS: Final = ("arithmetic", "shared", "global", "integer", "moves", "waits", "branches")
"""The classes of instructions in the order of the table. "local", which is spilled registers, must not occur."""

assert {*KINDS, "local"} == {*CLASSES, "integer"}, "every class is in the table"


class Reading(NamedTuple):
    """What the machine code of a kernel says. Everything "a step" may be a half: loops are unrolled."""

    instructions: float
    """Instructions a step: those of the longest way through the main loop. A warp issues as many if its threads do
    not diverge."""
    kinds: dict[str, float]
    """The same by class."""
    barriers: float
    """Barriers of the block a step."""
    branches: int
    """Jumps and calls in the main loop, other than the one that closes it."""
    steps: int
    """Steps of one pass through the main loop."""
    bytes: int
    """Size of the main loop."""
    registers: int
    stack: int
    """Bytes of local memory per thread; 0 if no register is spilled."""
    shared: int
    """Bytes of shared memory per block."""
    warps: float
    """Warps that a scheduler has at a time."""


def read(cubin: bytes, kernel: str, march: March, chip: int) -> Reading:
    """Return what `cubin` says of `kernel` on a chip, one of CHIPS. Raises DisassemblyError."""
    loop = main_loop(disassemble(cubin, kernel))
    if loop.inner:
        raise DisassemblyError(f"the main loop of {kernel} has loops inside: its steps cannot be counted")
    stored = loop.count("STG", "ST")
    steps = stored // march.stores
    if steps == 0 or stored % march.stores:
        raise DisassemblyError(f"the main loop of {kernel} stores {stored} times, and a step {march.stores} times")
    found = resources_of(cubin, kernel)
    if found is None:
        raise DisassemblyError(f"the cubin does not tell the resources of {kernel}")
    shared = found.shared + march.dynamic
    blocks = resident_blocks(found.registers, shared, THREADS, shared_on(chip))
    return Reading(
        len(loop.path) / steps,
        {kind: count / steps for kind, count in sorted(loop.by_class().items())},
        loop.count("BAR") / steps,
        loop.branches,
        steps,
        len(loop.body) * BYTES,
        found.registers,
        found.stack,
        shared,
        blocks * THREADS / _WARP / _SCHEDULERS,
    )


def measure(kernel: str, chip: int) -> Reading:
    """Return what a kernel, one of MARCHES, takes on a chip. Raises CompilerError, DisassemblyError."""
    march = MARCHES[kernel]
    return read(compile_kernel(kernel, march.layers, chip), kernel, march, chip)


def compiler_of(cubin: bytes) -> str:
    """Return the version of the assembler that made `cubin`, as "13.5.37"; "" if it does not say."""
    found = re.search(rb"release [\d.]+, V([\d.]+)", cubin)
    return found[1].decode() if found else ""


def this_compiler() -> str:
    """Return the version of the assembler that compiles kernels here. Raises CompilerError."""
    return compiler_of(compile_kernel("statistics", 1, CHOSEN))


def everything() -> dict[str, Any]:
    """Return the readings of all kernels on all chips, as recorded. Raises CompilerError, DisassemblyError."""
    pairs = [(kernel, chip) for kernel in MARCHES for chip in CHIPS]
    with ThreadPoolExecutor() as pool:
        readings = pool.map(lambda pair: measure(*pair), pairs)
        found = {kernel: dict[str, Any]() for kernel in MARCHES}
        for (kernel, chip), reading in zip(pairs, readings, strict=True):
            found[kernel][str(chip)] = reading._asdict()
    return {"compiler": this_compiler(), "kernels": found}


def recorded(folder: Path = RESULTS) -> dict[str, Any] | None:
    """Return what `everything` once returned; None if it is not in `folder`."""
    path = folder / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def tables(found: dict[str, Any]) -> str:
    """Return the tables of the page for what `everything` returned."""
    kernels = found["kernels"]
    lines = []
    for name, chips in kernels.items():
        one = chips[str(CHOSEN)]
        kinds = [one["kinds"].get(kind, 0) for kind in KINDS]
        figures = map(_number, (*kinds, one["barriers"], one["branches"]))
        lines.append([_name(name), f"**{_number(one['instructions'])}**", *figures])
    chosen = f"{CHOSEN // 10}.{CHOSEN % 10}"
    said = (
        f"Compute capability {chosen}, three layers, compiler {found['compiler']}: instructions that a warp issues "
        f"in a step, of which each kind, and barriers; jumps in the whole loop."
    )
    head = ["kernel", "a step", *KINDS, "barriers", "jumps"]
    over = [
        [
            _name(name),
            *(
                f"{_number(one['instructions'])} · {one['registers']}{'!' if one['stack'] else ''} · "
                f"{_number(one['warps'])}"
                for one in (chips[str(chip)] for chip in CHIPS)
            ),
        ]
        for name, chips in kernels.items()
    ]
    both = "On every chip: instructions a step · registers (! if some are spilled) · warps that a scheduler has."
    names = [f"{chip // 10}.{chip % 10}" for chip in CHIPS]
    return "\n\n".join([said, _table(head, lines), both, _table(["kernel", *names], over)])


def _name(kernel: str) -> str:
    return kernel.replace("_", " ")


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def _table(head: list[str], lines: Iterable[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines))


def main() -> None:
    """Record what all kernels take and print the tables."""
    found = everything()
    (RESULTS / FILE).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(tables(found), file=sys.stdout)


if __name__ == "__main__":
    main()
