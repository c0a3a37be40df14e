"""What NVRTC makes of the kernels before the assembler: arithmetic, asynchronous copies. Needs no GPU."""

import re
from functools import cache

import numpy as np
import pytest

from mlsolve_kernels.cuda import compiler
from mlsolve_kernels.cuda.geometry import COLUMNS, ahead_on
from mlsolve_kernels.cuda.source import KERNELS, USUAL, VARIANTS, source
from mlsolve_kernels.exact import COARSE_BITS, ERROR_BITS, SSIM_BITS, rounder

MARCHES = [name for name in KERNELS if '"ssim/stream.cuh"' in source(name, 1)]

SOME = [name for name, variant in VARIANTS.items() if name == "layer_step" or not (variant.steps or variant.more)]
"""Kernels of which the others are forms: with a further gradient, or with a step of Adam."""

FORMS = [name for name in KERNELS if name not in SOME]


@cache
def ptx_of(text, architecture="compute_80"):
    """What NVRTC makes of `text` with the options of the kernels, before the assembler."""
    from cuda.bindings import nvrtc

    options = [f"--gpu-architecture={architecture}".encode(), *(o.encode() for o in compiler.OPTIONS)]
    _, program = nvrtc.nvrtcCreateProgram(text.encode(), b"k.cu", 0, [], [])
    (result,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    assert result == nvrtc.nvrtcResult.NVRTC_SUCCESS
    _, size = nvrtc.nvrtcGetPTXSize(program)
    ptx = b" " * size
    nvrtc.nvrtcGetPTX(program, ptx)
    return ptx.decode()


def exact_reciprocals(ptx):
    """How many approximate reciprocals are made exact by the step of ssim/partials.cuh, and not used otherwise.

    Registers of PTX are written once: r = rcp(x), then r + r·(1 - x·r), see test_cuda_reciprocal.py.
    """
    code = re.findall(r"^\s*([a-z][\w.]*)\s+(%f\d+), ([^;]*);", ptx, re.M)
    read = [(name, to, operands.split(", ")) for name, to, operands in code]
    is_one = {to for name, to, operands in read if name == "mov.f32" and operands == ["0f3F800000"]} | {
        "0f3F800000"
    }
    minus = {to: operands[0] for name, to, operands in read if name == "neg.f32"}
    found = 0
    for _, near, (x,) in [one for one in read if one[0] == "rcp.approx.ftz.f32"]:
        uses = [(name, to, operands) for name, to, operands in read if near in operands]
        if [name for name, *_ in uses] == ["fma.rn.f32"] * 2:
            (_, error, (turned, *first)), (*_, last) = uses
            step = minus.get(turned) == x and first[0] == near and first[1] in is_one
            found += step and last == [error, near, near]
    return found


def assert_strict(ptx, reciprocals):
    """Nothing is approximated or flushed but as many reciprocals, each followed by its step."""
    assert exact_reciprocals(ptx) == ptx.count("rcp.approx.ftz.f32") == reciprocals
    assert not re.search(r"\.ftz|\.approx|div\.full", ptx.replace("rcp.approx.ftz.f32", ""))


def reciprocals_of(name, chip):
    """A column has one in the loop of the first steps, and one in each of the AHEAD + 1 steps of the main loop."""
    return COLUMNS * (ahead_on(chip, 3) + 2) if name in MARCHES and name != "statistics" else 0


@pytest.mark.parametrize("names", [SOME, pytest.param(FORMS, marks=pytest.mark.slow)], ids=["some", "forms"])
@pytest.mark.usefixtures("nvrtc")
def test_arithmetic_is_strict(names):
    """On that rests that the host gives the device's bytes.

    The step of Adam is not in this PTX. That it leaves the rest as it is, test_cuda_adam.py shows.
    """
    text = 'extern "C" __global__ void k(float* x) { x[0] = x[1] * x[2] + x[3] / x[4]; }'
    ptx = ptx_of(text)
    assert "fma" not in ptx
    for name in names:
        assert_strict(ptx_of(source(name, 3)), reciprocals_of(name, USUAL))
        assert name not in MARCHES or not re.search(r"\bdiv\.\w+\.f32", ptx_of(source(name, 3))), name
    for name in ("stack_pass", "layer_pass"):
        assert_strict(ptx_of(source(name, 3, 80)), reciprocals_of(name, 80))


@pytest.mark.parametrize(
    ("text", "planted"),
    [
        ("fmaf(fmaf(-x, near, 1.0f), near, near)", "near"),
        ("fmaf(fmaf(-x, near, 1.0f), near, near)", "fmaf(fmaf(-x, near, 1.0f), near, x)"),
        ("weight * reciprocal(d1 * d2)", "weight * reciprocal(reciprocal(d1 * d2))"),
        ("weight * reciprocal(d1 * d2)", "__fdividef(weight, d1 * d2)"),
        ("mean_x * mean_x", "__fsqrt_rn(mean_x) * __expf(mean_x)"),
    ],
)
@pytest.mark.usefixtures("nvrtc")
def test_other_approximations_are_noticed(text, planted):
    whole = source("guide_pass", 1)
    assert whole.count(text) == 1
    assert_strict(ptx_of(whole), reciprocals_of("guide_pass", USUAL))
    with pytest.raises(AssertionError):
        assert_strict(ptx_of(whole.replace(text, planted)), reciprocals_of("guide_pass", USUAL))


FILLING = r"cp\.async\.cg\.shared\.global \[%r\d+\], \[%rd\d+\], 16, %r\d+;"
PLAINLY = r"cp\.async\.cg\.shared\.global \[%r\d+\], \[%rd\d+\], 16;"


@pytest.mark.parametrize("chip", [80, 90])
@pytest.mark.usefixtures("nvrtc")
def test_asynchronous_copies_are_as_the_host_has_them(chip):
    """What a GPU does by other lines than the host: sixteen bytes, or zeros instead, or nothing.

    All fetches but those of the last AHEAD - 1 steps have arrived. Of the rows of a step three are read where the
    gradient leaves: there is nothing to fetch outside the image, so no zeros.
    """
    ptx, ahead = ptx_of(source("layer_pass", 3, chip)), ahead_on(chip, 3)
    assert set(re.findall(r"cp\.async\.wait_group (\d+)", ptx)) == {str(ahead - 1)}
    steps = 2 * (ahead + 1)  # before the first, in the loop of the first ones, and in the main loop
    assert len(re.findall(r"cp\.async\.commit_group", ptx)) == steps
    predicate = r"\{\.reg \.pred p; setp\.ne\.s32 p, %r\d+, 0; @p "
    for form, rows in ((FILLING, 4), (PLAINLY, 3)):
        assert len(re.findall(predicate + form, ptx)) == rows * steps
    assert len(re.findall(r"cp\.async\.c[ag]", ptx)) == 7 * steps
    assert re.findall(r"ld\.shared\.\S+", ptx)


@pytest.mark.usefixtures("nvrtc")
def test_a_chip_without_asynchronous_copies_loads_and_stores():
    """sm_75; a thread that fetches nothing stores nothing."""
    ptx = ptx_of(source("layer_pass", 3, 75), "compute_75")
    assert "cp.async" not in ptx
    stores = re.findall(r"@p st\.shared\.v4\.f32", ptx)
    assert len(stores) == 7 * 2 * (ahead_on(75, 3) + 1)


@pytest.mark.parametrize("names", [SOME, pytest.param(FORMS, marks=pytest.mark.slow)], ids=["some", "forms"])
@pytest.mark.usefixtures("nvrtc")
def test_no_float64_and_no_conversions_to_whole_numbers(names):
    """Both are sixty times slower on most chips: sums take the quanta from the bits of a float32."""
    for name in names:
        assert not re.search(r"\.f64|cvt\.rni", ptx_of(source(name, 3))), name


@pytest.mark.usefixtures("nvrtc")
def test_rounding_to_quanta_is_not_folded_away():
    """For two columns the rounder is added, and of squared errors it is taken away again."""
    for name, number in (
        ("layer_pass", rounder(SSIM_BITS)),
        ("stack_pass", rounder(SSIM_BITS)),
        ("stack_pass", rounder(COARSE_BITS)),
        ("stack_pass", -rounder(COARSE_BITS)),
        ("stack_pass", rounder(ERROR_BITS)),
    ):
        pattern = rf"add\.(?:rn\.)?f32 .*, 0f{int(number.view(np.uint32)):08X};"
        assert len(re.findall(pattern, ptx_of(source(name, 3)))) >= COLUMNS, (name, number)
