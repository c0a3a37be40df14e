"""What a step of the marching kernels takes, counted in their machine code, must not grow; the counting itself."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import pytest

from mlsolve_kernels.cuda.compiler import compile_text
from mlsolve_kernels.cuda.source import KERNELS, source
from mlsolve_records import disassembly, instructions, pages
from mlsolve_records.disassembly import DisassemblyError, Instruction, disassemble, loops, main_loop
from mlsolve_records.instructions import CHIPS, MARCHES, March, Reading, measure, read, recorded


class Bound(NamedTuple):
    """The most that a kernel may take."""

    on_90: float
    """Instructions a step on sm_90."""
    on_80: float
    on_any: float
    """The same on any chip."""
    barriers: float
    """A step."""
    jumps: int
    """In the main loop, other than the one that closes it."""
    registers: int
    warps: float
    """The fewest that a scheduler may have on sm_90."""


BOUNDS = {
    "stack_pass": Bound(495, 497, 515, 1, 0, 243, 3),
    "stack_pass_weighted": Bound(516, 519, 535, 1, 0, 233, 3),
    "layer_step": Bound(518, 520, 527, 1, 0, 233, 3),
    "layer_step_weighted": Bound(538, 540, 550, 1, 0, 240, 3),
    "layer_more_step": Bound(524, 526, 533, 1, 0, 240, 3),
    "layer_more_step_weighted": Bound(544, 546, 555, 1, 0, 242, 3),
    "layer_pass": Bound(466, 467, 475, 1, 0, 228, 3),
    "layer_pass_weighted": Bound(486, 487, 495, 1, 0, 229, 3),
    "layer_more_pass": Bound(472, 473, 481, 1, 0, 234, 3),
    "layer_more_pass_weighted": Bound(491, 493, 502, 1, 0, 221, 3),
    "guide_step": Bound(504, 506, 513, 1, 0, 228, 3),
    "guide_step_weighted": Bound(524, 526, 535, 1, 0, 240, 3),
    "guide_pass": Bound(452, 456, 462, 1, 0, 230, 3),
    "guide_pass_weighted": Bound(472, 473, 482, 1, 0, 225, 3),
    "leak_pass": Bound(462, 463, 472, 1, 0, 214, 3),
    "leak_pass_weighted": Bound(473, 475, 485, 1, 0, 211, 3),
    "statistics": Bound(141, 140, 151, 1, 0, 78, 6),
}
"""Readings of compiler 13.5.37, rounded up. Whoever makes a kernel leaner lowers its line.

Those of steps have Numba's step of Adam linked into them.
"""


measured = cache(measure)


def excesses(found: Reading, bound: Bound, chip: int) -> list[str]:
    """What a kernel takes too much of, or has too few of."""
    most = {90: bound.on_90, 80: bound.on_80}.get(chip, bound.on_any)
    pairs = {
        "instructions": (found.instructions, most),
        "barriers": (found.barriers, bound.barriers),
        "jumps": (found.branches, bound.jumps),
        "registers": (found.registers, bound.registers),
        "stack": (found.stack, 0),
        "local": (found.kinds.get("local", 0), 0),
    }
    few = ["warps"] if chip == 90 and found.warps < bound.warps else []
    return [name for name, (taken, allowed) in pairs.items() if taken > allowed] + few


pytestmark = pytest.mark.usefixtures("nvrtc")


def test_every_marching_kernel_is_bounded():
    """Every kernel that marches is counted, and has a bound."""
    marching = {name for name in KERNELS if '"ssim/stream.cuh"' in source(name, 1)}
    assert marching == set(MARCHES) == set(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_step_takes_no_more_than_it_did(name):
    found = measured(name, 90)
    assert excesses(found, BOUNDS[name], 90) == [], found


@pytest.mark.slow
@pytest.mark.parametrize("chip", CHIPS)
def test_a_step_takes_no_more_than_it_did_on_any_chip(chip):
    with ThreadPoolExecutor(2) as pool:
        for name, found in zip(BOUNDS, pool.map(lambda name: measured(name, chip), BOUNDS), strict=True):
            assert excesses(found, BOUNDS[name], chip) == [], (name, found)


def differing(chips) -> list[tuple[str, int]]:
    """Where bench/results/instructions.json differs from the machine code; nowhere if another compiler made it."""
    known = recorded()
    assert known is not None
    assert set(known["kernels"]) == set(MARCHES)
    if known["compiler"] != instructions.this_compiler():
        return []
    pairs = [(name, chip) for name in MARCHES for chip in chips]
    return [
        (name, chip) for name, chip in pairs if known["kernels"][name][str(chip)] != measured(name, chip)._asdict()
    ]


def test_what_is_recorded_is_so():
    """If this fails: `python -m mlsolve_records.instructions`, then `python -m mlsolve_records.pages`."""
    assert differing([90]) == []


@pytest.mark.slow
def test_what_is_recorded_is_so_on_every_chip():
    assert differing(CHIPS) == []


def test_the_page_shows_what_is_recorded(tmp_path):
    known = recorded()
    text = instructions.tables(known)
    for name, chips in known["kernels"].items():
        line = f"| {name.replace('_', ' ')} | **{round(chips['90']['instructions'], 1):g}** | "
        assert line in text
    assert text in pages.GPU_PAGE.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"python -m mlsolve_records\.instructions writes it"):
        pages.gpu_page_of(pages.GPU_PAGE.read_text(encoding="utf-8"), tmp_path)


def as_bound(found: Reading) -> Bound:
    """A bound that allows just what was found."""
    return Bound(*(found.instructions,) * 3, found.barriers, found.branches, found.registers, found.warps)


HERE = "    const float d1 = "
"""Where faults are planted in a kernel: once per column, in the middle of a step (ssim/partials.cuh)."""

FAR = "__device__ __noinline__ float far(float x) { return x + __expf(x); }\n"


@pytest.mark.parametrize(
    ("planted", "before", "noticed"),
    [
        ("    const float d1 = 1.25f * square_x + ", "", {"instructions"}),
        ("    __syncthreads();\n    const float d1 = ", "", {"instructions", "barriers"}),
        ("    if (mean_x > 9.0f) variance_y = far(mean_x);\n    const float d1 = ", FAR, {"jumps"}),
        ("    volatile float there = mean_x;\n    const float d1 = there + ", "", {"stack", "local"}),
    ],
    ids=["arithmetic", "barrier", "branch", "local memory"],
)
def test_what_is_planted_in_a_kernel_is_noticed(planted, before, noticed):
    name, march = "guide_pass", MARCHES["guide_pass"]
    text = source(name, 1)
    assert text.count(HERE) == 1
    base, grown = (
        read(compile_text(one, name, 90), name, march, 90) for one in (text, before + text.replace(HERE, planted))
    )
    assert noticed <= set(excesses(grown, as_bound(base), 90)), (base, grown)
    assert excesses(base, as_bound(base), 90) == []


def rows(work: str) -> str:
    """A kernel whose loop has a barrier and stores one result in a step; `work` is done on `x`."""
    return f"""extern "C" __global__ void __launch_bounds__(64) rows(float* to, const float* from, int count) {{
        __shared__ float shared[64];
    #pragma unroll 1
        for (int row = 0; row < count; ++row) {{
            float x = from[64 * row + threadIdx.x];
            shared[threadIdx.x] = x;
            __syncthreads();
            x = x + shared[threadIdx.x ^ 1];
            {work}
            to[64 * row + threadIdx.x] = x;
        }}
    }}"""


def test_a_single_instruction_is_noticed():
    """Arithmetic that grows by one, two and three instructions is counted as just that."""
    counted = []
    for number in range(4):
        text = rows("x = x * from[0];" * number)
        counted.append(read(compile_text(text, "rows", 90), "rows", March(1), 90))
    base = counted[0]
    assert base.kinds["arithmetic"] == 1
    assert (base.steps, base.barriers, base.branches, base.stack) == (1, 1, 0, 0)
    arithmetic = [one.kinds["arithmetic"] for one in counted]
    assert arithmetic == [1, 2, 3, 4]
    assert [one.instructions - counted[1].instructions for one in counted[2:]] == [1, 2]


def test_a_loop_that_is_unrolled_has_more_steps():
    once, twice = (
        read(compile_text(rows("").replace("unroll 1", f"unroll {n}"), "rows", 90), "rows", March(1), 90)
        for n in (1, 2)
    )
    assert (once.steps, twice.steps) == (1, 2)
    assert twice.barriers == once.barriers == 1
    assert twice.bytes > once.bytes


def test_a_loop_that_cannot_be_counted_in_steps():
    cubin = compile_text(rows(""), "rows", 90)
    with pytest.raises(DisassemblyError, match="stores 1 times, and a step 2 times"):
        read(cubin, "rows", March(1, stores=2), 90)
    with pytest.raises(DisassemblyError, match="the cubin has no kernel columns"):
        disassemble(cubin, "columns")
    with pytest.raises(DisassemblyError, match="nvdisasm refuses rows"):
        disassemble(b"no cubin", "rows")
    inner = rows("\n#pragma unroll 1\nfor (int k = 0; k < row; ++k) x = x * x + shared[k & 63];\n")
    with pytest.raises(DisassemblyError, match="loops inside"):
        read(compile_text(inner, "rows", 90), "rows", March(1), 90)


def test_dynamic_shared_memory_counts():
    cubin = compile_text(rows(""), "rows", 90)
    plain, large = (read(cubin, "rows", March(1, dynamic=more), 90) for more in (0, 100_000))
    assert large.shared == plain.shared + 100_000
    assert large.warps < plain.warps
    assert excesses(large, as_bound(plain), 90) == ["warps"]


def listing(text: str) -> list[Instruction]:
    """Instructions from lines like "@P0 BRA 0x10"."""
    found = []
    for number, line in enumerate(text.strip().splitlines()):
        words = line.split()
        predicate = words.pop(0) if words[0].startswith("@") else ""
        operands = tuple(words[1].split(",")) if len(words) > 1 else ()
        found.append(Instruction(16 * number, predicate, words[0], operands))
    return found


def test_loops_are_found_in_the_graph_of_jumps():
    """The longer of two ways is counted; what is rare stands behind the end; the pair that closes is no branch."""
    code = listing("""
        MOV R0,RZ
        BAR.SYNC 0x0
        @P0 BRA 0x60
        FADD R1,R1,R2
        FMUL R1,R1,R2
        @P2 BRA 0xb0
        FFMA R1,R1,R2,R3
        @P1 CALL.REL.NOINC 0x90
        BRA 0x10
        STG R1,R2
        EXIT
        FMUL R1,R1,R3
        FMUL R1,R1,R4
        BRA 0x60
        BRA 0xe0
    """)
    loop = main_loop(code)
    assert [one.address for one in loop.body] == [*range(0x10, 0x90, 16), 0xB0, 0xC0, 0xD0]
    addresses = [0x10, 0x20, 0x30, 0x40, 0x50, 0xB0, 0xC0, 0xD0, 0x60, 0x70, 0x80]
    assert [one.address for one in loop.path] == addresses
    assert loop.branches == 3
    assert loop.by_class() == {"waits": 1, "branches": 5, "arithmetic": 5}
    assert len(loops(code)) == 1  # what stands behind all ends is not reached


def test_the_innermost_loop_with_a_barrier_is_the_main_one():
    """Of two, the one with more arithmetic; jumps by a uniform predicate may fall through."""
    code = listing("""
        MOV R0,RZ
        BAR.SYNC 0x0
        FADD R1,R1,R2
        @P0 BRA 0x10
        BAR.SYNC 0x0
        FADD R1,R1,R2
        FADD R1,R1,R2
        BRA.U UP0,0x40
        FADD R1,R1,R2
        FADD R1,R1,R2
        FADD R1,R1,R2
        @P1 BRA 0x0
        EXIT
    """)
    assert [loop.inner for loop in loops(code)] == [2, 0, 0]
    loop = main_loop(code)
    assert (loop.body[0].address, loop.body[-1].address, loop.branches) == (0x40, 0x70, 0)


def test_code_that_cannot_be_followed():
    with pytest.raises(DisassemblyError, match="BRX at 0x10 jumps to a computed address"):
        main_loop(listing("MOV R0,RZ\nBRX R2,-0x40\nEXIT"))
    with pytest.raises(DisassemblyError, match="no loop has a barrier"):
        main_loop(listing("FADD R1,R1,R2\n@P0 BRA 0x0\nEXIT"))


def test_nvdisasm_may_be_on_the_path(monkeypatch, tmp_path):
    """Where the package is not installed; and if it is nowhere, one line says what to install."""
    disassembly.nvdisasm.cache_clear()
    monkeypatch.setattr(disassembly.metadata, "files", lambda name: None)
    found = tmp_path / "nvdisasm"
    monkeypatch.setattr(disassembly.shutil, "which", lambda name: str(found))
    assert disassembly.nvdisasm() == found
    disassembly.nvdisasm.cache_clear()
    monkeypatch.setattr(disassembly.shutil, "which", lambda name: None)
    with pytest.raises(DisassemblyError, match="pip install nvidia-cuda-nvdisasm"):
        disassembly.nvdisasm()
    disassembly.nvdisasm.cache_clear()
