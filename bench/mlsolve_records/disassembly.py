"""The machine code of a kernel, instruction by instruction, and what its main loop consists of.

nvdisasm, of the package nvidia-cuda-nvdisasm, disassembles a cubin. No GPU is needed. Loops are found in the graph
of jumps and not by address, because the assembler may put what is rarely executed behind everything else.
"""

import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

BYTES: Final = 16
"""Size of an instruction, on every chip since Volta."""

CLASSES: Final = {
    "arithmetic": "FFMA FMUL FADD FFMA2 FMUL2 FADD2 MUFU FMNMX FMNMX3",
    "shared": "LDS STS LDSM STSM ATOMS",
    "global": "LDG STG LDGSTS LD ST ATOMG RED UBLKCP UTMALDG UTMASTG",
    "local": "LDL STL",
    "waits": "BAR DEPBAR LDGDEPBAR ARRIVES SYNCS WARPSYNC MEMBAR ERRBAR FENCE CCTL",
    "branches": "BRA BRX BRXU JMP JMX JMXU CALL RET EXIT BSSY BSYNC BREAK BMOV KILL BPT",
    "moves": "MOV UMOV SEL USEL FSEL R2UR S2R S2UR CS2R CS2UR LDC ULDC LDCU PRMT UPRMT SHFL VOTE VOTEU NOP",
}
"""The classes of instructions, by the first part of their names. All others are "integer": addresses, indices,
masks, comparisons. So are unknown ones."""

_CLASS_OF: Final = {name: kind for kind, names in CLASSES.items() for name in names.split()}

ARITHMETIC: Final = "arithmetic"
_ENDS: Final = {"EXIT", "RET", "KILL"}
_JUMPS: Final = {"BRA", "JMP", "CALL"}
_INDIRECT: Final = {"BRX", "BRXU", "JMX", "JMXU"}


class DisassemblyError(Exception):
    """nvdisasm is missing or fails, or a kernel has no such loop; the message says which."""


class Instruction(NamedTuple):
    """One instruction."""

    address: int
    """In bytes from the beginning of the kernel."""
    predicate: str
    """As "@P0" or "@!UP1"; "" if the instruction is always executed."""
    opcode: str
    """Its name with all suffixes, as "LDGSTS.E.BYPASS.128"."""
    operands: tuple[str, ...]
    """As "R4", "-R5.reuse", "c[0x0][0x28]"; addresses of jumps as "0x600"."""

    @property
    def name(self) -> str:
        """The first part of the opcode."""
        return self.opcode.split(".")[0]

    @property
    def kind(self) -> str:
        """Its class: one of CLASSES, or "integer"."""
        if self.opcode.startswith("IMAD.MOV"):
            return "moves"
        if self.name in {"HFMA2", "HADD2"}:  # how the compiler writes constants without the units for integers
            return "moves"
        return _CLASS_OF.get(self.name, "integer")

    @property
    def target(self) -> int | None:
        """The address to which it may jump; None if it does not jump, or calls a subroutine by its name.

        On some chips the assembler leaves loops by a call of the address behind them, which never returns.
        """
        found = [int(one, 16) for one in self.operands if re.fullmatch(r"0x[0-9a-f]+", one)]
        return found[-1] if self.name in _JUMPS and found else None

    @property
    def always_jumps(self) -> bool:
        """Whether it jumps whatever a predicate says; that of a uniform jump is one of the operands."""
        return self.name in _JUMPS - {"CALL"} and not self.predicate and len(self.operands) == 1


class Loop(NamedTuple):
    """A loop of a kernel."""

    body: tuple[Instruction, ...]
    """All its instructions, by address."""
    path: tuple[Instruction, ...]
    """The instructions of the longest way through the loop, once around: what a warp issues if its threads do not
    diverge and no subroutine is called."""
    inner: int
    """Loops inside it. `path` goes through each of them once."""

    @property
    def branches(self) -> int:
        """Jumps and calls in the body without what closes the loop: one jump, or one that leaves and one back."""
        head = self.path[0].address
        back = [one for one in self.body if one.target == head]
        leaving = bool(back) and all(one.always_jumps for one in back)
        return sum(one.name in _JUMPS for one in self.body) - len(back) - leaving

    def count(self, *names: str) -> int:
        """Return how many instructions of `path` have one of these names (the first part of the opcode)."""
        return sum(one.name in names for one in self.path)

    def by_class(self) -> dict[str, int]:
        """Return the number of instructions of `path` in each class that occurs."""
        return dict(Counter(one.kind for one in self.path))


@cache
def nvdisasm() -> Path:
    """Return the path of nvdisasm: that of the Python package, or the one on PATH. Raises DisassemblyError."""
    try:
        files = metadata.files("nvidia-cuda-nvdisasm") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if path.stem == "nvdisasm" and "bin" in path.parts and path.exists():
            return path
    if found := shutil.which("nvdisasm"):
        return Path(found)
    raise DisassemblyError("there is no nvdisasm: pip install nvidia-cuda-nvdisasm")


def disassemble(cubin: bytes, kernel: str) -> list[Instruction]:
    """Return the instructions of `kernel` in `cubin`, with those of the subroutines behind it.

    Raises DisassemblyError.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        done = subprocess.run([nvdisasm(), "-json", file], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DisassemblyError(f"nvdisasm refuses {kernel}: {done.stderr.strip()}")
    _, functions = json.loads(done.stdout)
    for function in functions:
        if function["function-name"] == kernel:
            return list(_instructions(function["sass-instructions"]))
    raise DisassemblyError(f"the cubin has no kernel {kernel}")


def _instructions(listed: Iterable[dict[str, str]]) -> Iterator[Instruction]:
    """Yield the instructions that nvdisasm lists."""
    for number, one in enumerate(listed):
        operands = tuple(word for word in one.get("operands", "").split(",") if word)
        yield Instruction(number * BYTES, one.get("predicate", ""), one["opcode"], operands)


def loops(code: list[Instruction]) -> list[Loop]:
    """Return the loops of a kernel, by address. Raises DisassemblyError if it jumps to computed addresses."""
    after = [_successors(code, at) for at in range(len(code))]
    order, back = _depth_first(after)
    before: list[list[int]] = [[] for _ in code]
    for at in order:
        for to in after[at]:
            before[to].append(at)
    bodies = {head: _body(head, [tail for tail, to in back if to == head], before) for _, head in back}
    found = []
    for head, body in sorted(bodies.items()):
        inner = sum(other != head and other in body for other in bodies)
        path = _longest(head, body, after, [at for at in order if at in body], back)
        found.append(Loop(tuple(code[at] for at in sorted(body)), tuple(code[at] for at in path), inner))
    return found


def main_loop(code: list[Instruction]) -> Loop:
    """Return the loop that does the work: of the innermost ones with a barrier, that with the most arithmetic.

    Raises DisassemblyError if there is none.
    """
    waiting = [loop for loop in loops(code) if any(one.name == "BAR" for one in loop.body)]
    innermost = [
        loop for loop in waiting if not any(set(other.body) < set(loop.body) for other in waiting if other != loop)
    ]
    if not innermost:
        raise DisassemblyError("no loop has a barrier")
    return max(innermost, key=lambda loop: sum(one.kind == ARITHMETIC for one in loop.path))


def _successors(code: list[Instruction], at: int) -> list[int]:
    """Return the numbers of the instructions that may follow number `at`."""
    one = code[at]
    if one.name in _INDIRECT:
        raise DisassemblyError(f"{one.opcode} at {one.address:#x} jumps to a computed address")
    target = one.target
    ends = one.always_jumps or (one.name in _ENDS and not one.predicate)
    following = [] if ends or at + 1 == len(code) else [at + 1]
    return following if target is None else [*following, target // BYTES]


def _depth_first(after: list[list[int]]) -> tuple[list[int], set[tuple[int, int]]]:
    """Return what is reached from the first instruction, so that none comes before what leads to it, and the jumps
    back that close loops."""
    open_, done, back = {0}, set[int](), set[tuple[int, int]]()
    order: list[int] = []
    stack = [(0, iter(after[0]))]
    while stack:
        at, rest = stack[-1]
        for to in rest:
            if to in open_:
                back.add((at, to))
            elif to not in done:
                open_.add(to)
                stack.append((to, iter(after[to])))
                break
        else:
            stack.pop()
            open_.remove(at)
            done.add(at)
            order.append(at)
    return order[::-1], back


def _body(head: int, tails: list[int], before: list[list[int]]) -> set[int]:
    """Return the loop that begins at `head`: what reaches one of the `tails` without passing `head`."""
    body, waiting = {head, *tails}, [tail for tail in tails if tail != head]
    while waiting:
        for at in before[waiting.pop()]:
            if at not in body:
                body.add(at)
                waiting.append(at)
    return body


def _longest(
    head: int, body: set[int], after: list[list[int]], order: list[int], back: set[tuple[int, int]]
) -> list[int]:
    """Return the longest way from `head` to a jump back to it. `order`: the body, what leads to others first."""
    length, came_from = {head: 1}, dict[int, int]()
    for at in order:
        for to in after[at]:
            if to in body and (at, to) not in back and length[at] + 1 > length.get(to, 0):
                length[to], came_from[to] = length[at] + 1, at
    at = max((tail for tail, to in back if to == head), key=lambda tail: length[tail])
    way = [at]
    while at != head:
        at = came_from[at]
        way.append(at)
    return way[::-1]
