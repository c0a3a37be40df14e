"""NVRTC and numba-cuda compile the kernels for every chip, without a GPU; what they became is checked."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest

from mlsolve_kernels.adam import reference
from mlsolve_kernels.adam.step import Rates, adam_step
from mlsolve_kernels.compiled import cache_folder
from mlsolve_kernels.cuda import compiler
from mlsolve_kernels.cuda.compiler import CompilerError, chip_for, compile_kernel, compile_text
from mlsolve_kernels.cuda.cubin import Resources, resources_of
from mlsolve_kernels.cuda.geometry import (
    CARRYING,
    COLUMNS,
    LONGEST_PIECE,
    OLDEST,
    THREADS,
    ahead_on,
    blocks_on,
    pitch_of,
    resident_blocks,
    shared_on,
)
from mlsolve_kernels.cuda.source import KERNELS, PACKAGE, USUAL, VARIANTS, source
from mlsolve_kernels.exact import COARSE_BITS, ERROR_BITS, SSIM_BITS, rounder
from mlsolve_kernels.window import C1, C2, REACH, taps

CHIPS = (75, 80, 86, 89, 90, 100, 120)
SOME = (75, 80, 90)
LAYERS = (1, 3, 16)

SHARED = 48 * 1024
"""Bytes of shared memory that a block has on every chip without asking for more."""


def layers_of(name):
    """The numbers of layers that a kernel is compiled for: one, if its code does not depend on it."""
    body = source(name, 1).split("#line 1 ", 1)[1]
    return LAYERS if re.search(r"\bLAYERS\b", body) else LAYERS[:1]


PLAIN = ("stack_pass", "layer_step")
"""The passes of one stack of all layers; what arrangements need beside them is compiled for fewer chips."""

MARCHES = [name for name in KERNELS if '"ssim/stream.cuh"' in source(name, 1)]
"""The kernels that move down strips (ssim/stream.cuh). Those with a step of Adam have Numba's linked into them."""


@cache
def taken_by(name, layers, chip):
    """What a kernel takes on a chip; compiled once, or never where it is on disk (compile_kernel)."""
    return resources_of(compile_kernel(name, layers, chip), name)


def layers_on(name, chip):
    """The numbers of layers that a kernel is checked for on a chip."""
    if layers_of(name) == LAYERS[:1]:
        return LAYERS[:1]
    several = [*LAYERS, 4] if chip == USUAL and name in MARCHES else LAYERS
    if name not in PLAIN:
        return [n for n in several if n == 3 or chip in SOME]
    return [*several, *((2, 5, 8, 12) if chip == USUAL else ())]


def spilled(name, layers, chip):
    """Most bytes of registers that a thread may spill: a few on 7.5, where 255 are not enough for many layers."""
    return 24 if (chip, layers) == (OLDEST, 16) and name in MARCHES and VARIANTS[name].steps else 0


def assert_it_fits(name, layers, chip):
    """No register is spilled, and shared memory keeps within what every chip has."""
    taken = taken_by(name, layers, chip)
    assert taken.stack <= spilled(name, layers, chip)
    assert 0 < taken.registers <= 255
    assert taken.shared <= SHARED


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.usefixtures("nvrtc")
def test_no_spills_and_within_the_budget(name):
    """On one chip, for the usual layers."""
    assert_it_fits(name, layers_of(name)[-1 if len(layers_of(name)) == 1 else 1], 90)


@pytest.mark.slow
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.usefixtures("nvrtc")
def test_no_spills_on_any_chip(name, chip):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda layers: assert_it_fits(name, layers, chip), layers_on(name, chip)))


def test_no_offset_of_a_plane_is_computed_in_32_bits():
    """A plane of 30000×20000 has more bytes than 32 bits count, and so have nine planes of 7087×7087 floats.

    Only the bytes from a row to the next are, and their sums over a piece.
    """
    for path in [*PACKAGE.rglob("*.cu"), *PACKAGE.rglob("*.cuh")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"\* *(\w+\.)*pitch|row\) \*|blockIdx\.x \* plane", line):
                assert re.search(r"size_t|\(long long\)|\bdown = 4 \* (strip\.)?pitch;$", line), (path, line)


def test_offsets_of_a_piece_fit_32_bits():
    """A march adds up the bytes of all rows that it fetches: of its piece, and of those above and below it."""
    rows = LONGEST_PIECE + 2 * REACH + 1 + REACH + 2 * (ahead_on(USUAL, 1) + 1)
    assert rows * 4 * pitch_of(1_000_000) < 2**32


SIX = (80, 90, 100)
"""The chips on which six blocks of a march are to run at a time.

Each scheduler has three warps then, of at most 168 registers. Others have no room for the rows of six blocks, which
are 20 KiB and more: 8.6, 8.9 and 12.0 have 100 KiB, which is four blocks, and 7.5 has 64 KiB, two.
"""

FIVE = {("layer_step_weighted", 3), ("layer_more_step_weighted", 2), ("layer_more_step_weighted", 3)}
"""Passes, and their layers, whose rows fit into the 164 KiB of 8.0 five times only."""


def march_layers():
    """Every march and the numbers of layers, up to three, for which it is compiled."""
    return [(name, layers) for name in MARCHES for layers in ((1, 2, 3) if len(layers_of(name)) > 1 else (1,))]


@pytest.mark.parametrize(
    ("chip", "pairs"),
    [
        (90, [(name, layers) for name, layers in march_layers() if layers == max(layers_of(name)[:2])]),
        *(pytest.param(chip, march_layers(), marks=pytest.mark.slow, id=f"{chip} all") for chip in SIX),
    ],
)
@pytest.mark.usefixtures("nvrtc")
def test_six_blocks_fit_a_multiprocessor(chip, pairs):
    """Of at most 168 registers, so that each scheduler has three warps to choose from; up to three layers."""
    with ThreadPoolExecutor(2) as pool:
        for (name, layers), taken in zip(pairs, pool.map(lambda pair: taken_by(*pair, chip), pairs), strict=True):
            assert taken.registers <= 168, (name, layers)
            blocks = resident_blocks(taken.registers, taken.shared, THREADS, shared_on(chip))
            least = 5 if chip == 80 and (name, layers) in FIVE else 6
            assert blocks >= least, (name, layers)
            assert name == "statistics" or blocks == least, (name, layers)


@pytest.mark.usefixtures("nvrtc")
def test_several_blocks_fit_a_multiprocessor_of_other_chips():
    """Of three layers four, three with weights; on the oldest two. More would need more shared memory."""
    for chip, least in ((75, 2), (86, 3), (120, 3)):
        for name in PLAIN if chip != 86 else ("stack_pass",):
            taken = taken_by(name, 3, chip)
            assert resident_blocks(taken.registers, taken.shared, THREADS, shared_on(chip)) >= least, (name, chip)
            assert resident_blocks(168, taken.shared, THREADS, shared_on(chip)) < 6


def test_what_a_chip_is_compiled_for():
    """Six blocks and two steps ahead where there is room: how many layers that is."""
    assert [shared_on(chip) // 1024 for chip in CHIPS] == [64, 164, 100, 100, 228, 228, 100]
    assert [blocks_on(90, layers) for layers in (1, 3, 4, 16)] == [6, 6, 4, 4]
    assert [ahead_on(90, layers) for layers in (1, 8, 9, 16)] == [2, 2, 1, 1]
    assert [(blocks_on(chip, 3), ahead_on(chip, 3)) for chip in CHIPS] == [
        (2, 1),
        (6, 1),
        (4, 1),
        (4, 1),
        (6, 2),
        (6, 2),
        (4, 1),
    ]
    relatives = {87: 80, 88: 86, 103: 100, 110: 100, 121: 120}
    for chip, like in relatives.items():
        assert blocks_on(chip, 3) == blocks_on(like, 3)
        assert ahead_on(chip, 3) == ahead_on(like, 3)
    assert source("layer_pass", 3, 80) != source("layer_pass", 3, 90) == source("layer_pass", 3, 100)
    assert source("gather", 3, 75) == source("gather", 3, 90)


def log_of(text, name, chip, monkeypatch):
    """What the assembler tells of a kernel; the text must be new, for a cache has no log."""
    from cuda.bindings import nvrtc

    told, destroy = [], nvrtc.nvrtcDestroyProgram

    def read(program):
        _, size = nvrtc.nvrtcGetProgramLogSize(program)
        log = b" " * size
        nvrtc.nvrtcGetProgramLog(program, log)
        told.append(log.decode())
        return destroy(program)

    with monkeypatch.context() as patch:
        patch.setattr(nvrtc, "nvrtcDestroyProgram", read)
        patch.setattr(compiler, "OPTIONS", (*compiler.OPTIONS, "--ptxas-options=-v"))
        return compile_text(text, name, chip), told[0]


@pytest.mark.parametrize("chip", [pytest.param(chip, marks=[pytest.mark.slow] * (chip != 90)) for chip in CHIPS])
@pytest.mark.usefixtures("nvrtc")
def test_a_cubin_tells_what_the_assembler_tells(chip, monkeypatch):
    """Registers and shared memory to the number, and no stack."""
    for name in ("codes", "chain_scatter", "gather"):
        text = f"{source(name, 3)}\n// {time.time_ns()}\n"
        cubin, log = log_of(text, name, chip, monkeypatch)
        (registers,) = map(int, re.findall(r"Used (\d+) registers", log))
        shared = sum(map(int, re.findall(r"(\d+) bytes smem", log)))
        assert resources_of(cubin, name) == Resources(registers, shared, 0)


@pytest.mark.usefixtures("nvrtc")
def test_a_compiler_whose_log_is_empty(monkeypatch):
    """As NVRTC's is where it has the kernel in a cache of its own (CUDA 12.8 and later)."""
    from cuda.bindings import nvrtc

    success = nvrtc.nvrtcResult.NVRTC_SUCCESS
    expected = resources_of(compile_text(source("colour_pass", 2), "colour_pass", 90), "colour_pass")
    monkeypatch.setattr(nvrtc, "nvrtcGetProgramLogSize", lambda program: (success, 1))
    monkeypatch.setattr(nvrtc, "nvrtcGetProgramLog", lambda program, log: (success,))
    assert expected is not None
    assert resources_of(compile_text(source("colour_pass", 2), "colour_pass", 90), "colour_pass") == expected


@pytest.mark.usefixtures("nvrtc")
def test_a_cubin_that_says_nothing_is_no_error():
    cubin = compile_text(source("colour_pass", 2), "colour_pass", 90)
    assert resources_of(cubin, "another") is None
    for spoiled in (
        b"",
        b"PTX",
        cubin[:100],
        cubin[: len(cubin) // 2],
        cubin.replace(b".nv.info\0", b".nv.none\0"),
    ):
        assert resources_of(spoiled, "colour_pass") is None


@pytest.mark.usefixtures("nvrtc")
def test_a_spill_is_noticed():
    """More accumulators than there are registers: what the tests above rely on says so."""
    text = """extern "C" __global__ void __launch_bounds__(1024) many(float* x) {
        float a[200];
        for (int k = 0; k < 200; ++k) a[k] = x[k];
        for (int n = 0; n < 100; ++n)
        #pragma unroll
            for (int k = 0; k < 200; ++k) a[k] = a[k] * a[(k + 1) % 200] + x[n];
        #pragma unroll
        for (int k = 0; k < 200; ++k) x[k] = a[k];
    }"""
    assert resources_of(compile_text(text, "many", 90), "many").stack > 0


def test_sums_of_a_thread_fit_32_bits():
    """As geometry.py asserts: no value counts more than 2^22 quanta, of which float32 has 23 bits."""
    for bits in (SSIM_BITS, COARSE_BITS, ERROR_BITS):
        highest = np.nextafter(np.float32(2.0 ** (24 - bits)), np.float32(0))
        assert int(highest.view(np.uint32)) - int(rounder(bits).view(np.uint32)) < 2**22
    assert COLUMNS * LONGEST_PIECE * 2**22 <= 2**31


def test_constants_are_those_of_the_window():
    text = source("layer_pass", 3)
    (literals,) = re.findall(r"TAPS\[\] = \{(.*)\}", text)
    found = [float.fromhex(literal.rstrip("f")) for literal in literals.split(", ")]
    np.testing.assert_array_equal(found, taps().astype(np.float32))
    for name, value in (("C1", C1), ("C2", C2)):
        (literal,) = re.findall(rf"constexpr float {name} = (\S+)f;", text)
        assert float.fromhex(literal) == np.float32(value)


@pytest.mark.usefixtures("nvrtc")
def test_headers_stand_in_place_once_and_errors_name_the_file():
    text = source("layer_pass", 2)
    assert "#include" not in text
    assert "#pragma once" not in text
    assert text.count("struct Down {") == 1
    broken = text.replace("        tally.clear();", "        tally.clean();")
    line = (PACKAGE / "ssim" / "stream.cuh").read_text().splitlines().index("        tally.clear();") + 1
    with pytest.raises(CompilerError, match=rf"ssim/stream\.cuh\({line}\): error"):
        compile_text(broken, "layer_pass", 90)


def test_every_source_says_what_it_is():
    for path in KERNELS.values():
        head = (PACKAGE / path).read_text(encoding="utf-8").split("#include")[0]
        assert head.startswith("// ")
        assert "Launch:" in head, path
        assert "Layout:" in head, path
        assert "Shared memory:" in head, path


@pytest.mark.usefixtures("nvrtc")
def test_compiled_kernels_are_cached_on_disk(monkeypatch):
    first = compile_kernel("colour_pass", 5, 90)
    monkeypatch.setattr(compiler, "compile_text", lambda *_: pytest.fail("compiled again"))
    assert compile_kernel("colour_pass", 5, 90) == first
    (file,) = cache_folder().glob("colour_pass-5-sm90-*.cubin")
    monkeypatch.undo()
    for spoiled in (file.read_bytes()[:-100], b"", bytes(32) + first):
        file.write_bytes(spoiled)
        assert compile_kernel("colour_pass", 5, 90) == first


@pytest.mark.usefixtures("nvrtc")
def test_a_chip_newer_than_the_compiler_runs_what_is_made_for_its_generation():
    assert chip_for(90) == 90
    assert chip_for(85) == 80
    with pytest.raises(CompilerError, match=r"compute capability 3\.0"):
        chip_for(30)


def test_one_scalar_step_for_all_backends():
    """Called as plain Python, as numba-cuda takes it."""
    rates = Rates.at(1, 0.03, (0.1, 0.9), (0.8, 0.95))
    x, first, second, gradient = np.float32(0.5), np.float32(0.0), np.float32(0.0), np.float32(2.0)
    moved, moments = reference.step(*map(np.float64, (x,)), (0.0, 0.0), 2.0, 1, 0.03, (0.1, 0.9), (0.8, 0.95))
    found = adam_step(x, first, second, gradient, rates)
    np.testing.assert_allclose(found, (moved, *moments), rtol=1e-6)


def test_the_sum_of_a_block_takes_whole_warps():
    assert CARRYING % 32 == THREADS % 32 == 0
