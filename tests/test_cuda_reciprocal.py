"""A reciprocal by the GPU's approximation and one Newton step has IEEE's bits wherever SSIM's denominator can be.

The approximation MUFU.RCP is not specified to the bit, so no host can compute it. The proof is in the machine code.
What the compiler makes of 1.0f / d under strict arithmetic is this very approximation and this very step for all d
with an exponent from -126 to 125. Only outside of that range, where d or 1 / d may not be a normal number, it calls
a subroutine. Inside, the step alone gives the bits of 1.0f / d, whatever MUFU.RCP returns, without the check of the
exponent and its branch.
"""

import re
from fractions import Fraction

import numpy as np
import pytest

from mlsolve_kernels.cuda.compiler import chip_for, compile_text
from mlsolve_kernels.cuda.source import PACKAGE
from mlsolve_kernels.window import C1, C2, taps
from mlsolve_records.disassembly import disassemble
from mlsolve_records.instructions import CHIPS

LOWEST, HIGHEST = -126, 125
"""The exponents of d from which the compiler's division takes no subroutine: 2^-126 <= |d| < 2^126."""

PARTIALS = (PACKAGE / "ssim" / "partials.cuh").read_text(encoding="utf-8")

(RECIPROCAL,) = re.findall(
    r"^__device__ __forceinline__ float reciprocal\(float x\) \{\n.*?^\}\n", PARTIALS, re.M | re.S
)
"""What the kernels divide by: the function as it stands in their header."""

STEP = f'{RECIPROCAL} extern "C" __global__ void k(float* x) {{ x[0] = reciprocal(x[1]); }}'
DIVISION = 'extern "C" __global__ void k(float* x) { x[0] = 1.0f / x[1]; }'

ALL = f"""{RECIPROCAL}
// The reciprocals of all 2^23 numbers of one sign and exponent; bits: those of the first. Launch: 2^23 threads.
extern "C" __global__ void reciprocals(float* to, unsigned bits) {{
    const unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
    to[at] = reciprocal(__uint_as_float(bits | at));
}}"""


def code_of(text, chip):
    """The machine code of kernel `k`: (predicate, opcode, operands) of every instruction before the subroutines."""
    code = []
    for one in disassemble(compile_text(text, "k", chip), "k"):
        code.append((one.predicate, one.opcode, [word.removesuffix(".reuse") for word in one.operands]))
        if one.name == "EXIT" and not one.predicate:
            break
    return code


def index_of(code, opcode):
    (found,) = [number for number, (_, name, _) in enumerate(code) if name == opcode]
    return found


def factors(operands):
    """The two factors of a multiply-add, which have no order."""
    return set(operands[1:3])


def assert_newton_step(code, start, negated):
    """The instructions from `start` on are the approximation and the step. Returns the registers of d and result.

    negated: as the compiler writes it, r + r·-(d·r - 1), with the sign turned by an instruction of its own.
    """
    _, _, (r, d) = code[start]
    if negated:
        (first, one, (error, *_)), (second, two, turning), (third, three, last) = code[start + 1 : start + 4]
        assert (first, second, third) == ("",) * 3
        assert (one, two, three) == ("FFMA", "FADD.FTZ", "FFMA")
        assert factors(code[start + 1][2]) == {d, r}
        assert code[start + 1][2][3] == "-1"
        assert turning[1:] == [f"-{error}", "-RZ"]
        correction = turning[0]
    else:
        (first, one, (correction, *_)), (second, two, last) = code[start + 1 : start + 3]
        assert (first, second) == ("",) * 2
        assert (one, two) == ("FFMA", "FFMA")
        assert factors(code[start + 1][2]) in ({f"-{d}", r}, {d, f"-{r}"})
        assert code[start + 1][2][3] == "1"
    assert factors(last) == {r, correction}
    assert last[3] == r
    return d, last[0]


@pytest.mark.parametrize("chip", CHIPS)
def test_a_division_is_the_step_and_a_check_of_the_exponent(nvrtc, chip):
    """And nothing else: the result of the step is what is stored."""
    code = code_of(DIVISION, chip)
    start = index_of(code, "MUFU.RCP")
    d, result = assert_newton_step(code, start, negated=True)
    (stored,) = [operands for _, name, operands in code if name.startswith("STG")]
    assert stored[1] == result
    jump = next(
        n for n, (_, name, operands) in enumerate(code) if name == "BRA" and int(operands[0], 16) == 16 * start
    )
    (_, adding, added), (_, masking, masked), (_, comparing, compared) = code[jump - 3 : jump]
    assert adding in {"IADD3", "VIADD", "IADD"}
    assert added[1] == d
    assert masking == "LOP3.LUT"
    assert masked[1] == added[0]
    assert masked[3:5] == ["RZ", "0xc0"]  # and
    assert comparing == "ISETP.GT.U32.AND"
    assert compared[2] == masked[0]
    assert code[jump][0] == f"@{compared[0]}"
    addend, mask, limit = (int(text, 16) for text in (added[2], masked[2], compared[3]))
    bits = np.arange(2**9, dtype=np.uint32) << np.uint32(
        23
    )  # every sign and exponent; the mantissa does not matter
    taken = ((bits + np.uint32(addend)) & np.uint32(mask)) > limit
    exponents = (np.arange(2**9) & 255) - 127
    np.testing.assert_array_equal(taken, (exponents >= LOWEST) & (exponents <= HIGHEST))
    carried = ((bits + np.uint32(2**23 - 1) + np.uint32(addend)) & np.uint32(mask)) > limit
    np.testing.assert_array_equal(carried, taken)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_step_is_three_instructions(nvrtc, chip):
    code = code_of(STEP, chip)
    _, result = assert_newton_step(code, index_of(code, "MUFU.RCP"), negated=False)
    (stored,) = [operands for _, name, operands in code if name.startswith("STG")]
    assert stored[1] == result
    names = [name for _, name, _ in code]
    assert not [name for name in names if name.startswith(("BRA", "CALL", "ISETP", "FSETP"))]
    assert len([name for name in names if name.startswith(("F", "MUFU"))]) == 3


def test_another_step_is_noticed(nvrtc):
    """What the two tests above compare tells wrong operands and roles apart."""
    for wrong in (
        RECIPROCAL.replace("-x, near, 1.0f", "-x, near, 1.5f"),
        RECIPROCAL.replace("near, near);", "x, near);"),
        RECIPROCAL.replace("near, near);", "near, x);"),
        RECIPROCAL.replace("-x, near", "x, near"),
        RECIPROCAL.replace("fmaf(fmaf(-x, near, 1.0f), near, near)", "fmaf(1.0f - x * near, near, near)"),
    ):
        assert wrong != RECIPROCAL
        code = code_of(STEP.replace(RECIPROCAL, wrong), 90)
        with pytest.raises(AssertionError):
            assert_newton_step(code, index_of(code, "MUFU.RCP"), negated=False)


def fused(a, b, c):
    """float32 a·b + c, rounded once: the sum in float64 is rounded to odd, so that rounding it again is right."""
    product, addend = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)  # the product is exact
    total = product + addend
    second = total - product
    rest = (product - (total - second)) + (addend - second)
    bits = total.view(np.int64)
    odd = np.where((rest != 0) & (bits % 2 == 0), bits + np.where((rest > 0) == (total > 0), 1, -1), bits)
    return odd.view(np.float64).astype(np.float32)


ONE = np.float32(1)


def all_mantissas(first):
    """The 2^23 float32 of one sign and exponent; first: the bits of the first of them."""
    return (np.arange(2**23, dtype=np.uint32) | np.uint32(first)).view(np.float32)


def newton(d, r):
    """The step as it is written."""
    return fused(fused(-d, r, np.full_like(d, 1)), r, r)


def by_compiler(d, r):
    """The step as the compiler writes it; turning the sign of zero, and flushing it, leaves the sum as it is."""
    error = fused(d, r, np.full_like(d, -1))
    turned = -error
    assert not np.any((turned != 0) & (np.abs(turned) < np.finfo(np.float32).tiny))
    return fused(r, turned, r)


@pytest.fixture(scope="module")
def stepped():
    """All mantissas, whose results other exponents only shift; and for the float32 so many ulps from the rounded
    reciprocal: these float32, and the step from them."""
    d = all_mantissas(0x3F800000)
    starts = {ulps: ((ONE / d).view(np.int32) + ulps).view(np.float32) for ulps in (-1, 0, 1)}
    return d, starts, {ulps: newton(d, r) for ulps, r in starts.items()}


def test_a_multiply_add_is_rounded_once(rng):
    """Against whole numbers, where float64 alone is wrong, too."""
    a, b, c = (rng.standard_normal(300).astype(np.float32) for _ in range(3))
    c[::2] = -(a * b)[::2]
    c[1::4] = np.float32(2.0**26) * a[1::4]
    for x, y, z, found in zip(a, b, c, fused(a, b, c), strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        ulp = Fraction(float(np.spacing(np.abs(found))))
        assert abs(Fraction(float(found)) - exact) <= ulp / 2
    a, b, c = (np.array([value], np.float32) for value in (1 + 2.0**-12, 1 + 2.0**-12, 2.0**-60))
    halfway = a.astype(np.float64) ** 2
    assert float(np.float32(halfway + c)[0]) < float(fused(a, b, c)[0])


def test_both_ways_of_writing_the_step_give_the_same_bits(stepped):
    """For all mantissas, whichever of the nearest approximations the GPU has."""
    d, starts, found = stepped
    for ulps, r in starts.items():
        assert found[ulps].tobytes() == by_compiler(d, r).tobytes()


def test_how_good_the_approximation_must_be(stepped):
    """The PTX ISA promises one ulp. Then the step is wrong for one mantissa at the most: all ones, rounded down.

    The compiler divides by the same step and divides right, so MUFU.RCP does not round that one down.
    """
    d, starts, found = stepped
    right, exact = ONE / d, 1 / d.astype(np.float64)
    wrong = {ulps: one != right for ulps, one in found.items()}
    assert {ulps: np.count_nonzero(failing) for ulps, failing in wrong.items()} == {-1: 1, 0: 0, 1: 32}
    within = {ulps: failing & (np.abs(starts[ulps] - exact) <= 2.0**-24) for ulps, failing in wrong.items()}
    bits = {ulps: d[failing].view(np.uint32).tolist() for ulps, failing in within.items()}
    assert bits == {-1: [0x3FFFFFFF], 0: [], 1: []}


EPSILON = 2.0**-24
"""Largest relative error of one rounding."""

WINDOW_SUM = float(np.sum(taps().astype(np.float32).astype(np.float64))) ** 2
"""The sum of the window, which float32 taps make differ from 1."""


def grown(roundings):
    """The largest factor by which so many roundings increase a number."""
    return (1 + EPSILON) ** roundings


def lost(largest):
    """How far below zero rounding can bring the variance of an image with values in [0, largest].

    A blur has eleven roundings along the row and eleven down the columns, squares one more. Without rounding, the
    mean of the squares is at least the square of the mean over the sum of the window.
    """
    mean = largest * WINDOW_SUM
    squares, square_of_mean = (2 - grown(23)) / WINDOW_SUM, grown(22) ** 2 * grown(1)
    return mean**2 * (square_of_mean - squares) * grown(1)


def denominators(largest):
    """The least and the largest d = d1·d2 (ssim/partials.cuh) for values in [0, largest] beside some in [0, 1].

    d1 = mx² + my² + C1, d2 = vx + vy + C2. The least is None if rounding may bring d2 to zero.
    """
    c1, c2 = float(np.float32(C1)), float(np.float32(C2))
    least2 = (c2 - (lost(largest) + lost(1.0)) * grown(1)) / grown(2)
    squares = (largest**2 + 1) * WINDOW_SUM**2
    most = (squares + c1) * (squares + c2) * grown(100)
    return (c1 * least2 / grown(4) if least2 > 0 else None), most


def test_it_is_taken_of_the_denominator():
    """Of the product whose range is shown below. That nothing else is divided by, test_cuda_ptx.py shows."""
    assert re.findall(r"reciprocal\(.*?\)", PARTIALS.replace(RECIPROCAL, "")) == ["reciprocal(d1 * d2)"]


def test_the_denominator_of_pictures_is_far_inside():
    """Of pictures in [0, 1]: 8.9e-8 <= d <= 4.01, which are the exponents -24 to 2 of -126 to 125."""
    least, most = denominators(1.0)
    assert 8.9e-8 < least < C1 * C2
    assert 4 < most < 4.01
    assert np.floor(np.log2(least)) == -24
    assert np.floor(np.log2(most)) == 2
    assert np.log2(least) > LOWEST + 100
    assert np.log2(most) < HIGHEST - 100


def test_the_denominator_of_bright_stacks_is_inside():
    """A composite may be brighter than white: 1 / the encoded exposure, 66 at the lowest exposure, 1e-4.

    Down to an exposure of 0.0028 d is positive. Below, where a composite without detail may be more than 14 times
    as bright as white, this bound does not exclude that d2 is rounded to zero or less, on the CPU too. Then |d2| is
    a multiple of 2^-35 or at least half of C2, because it is the sum of two float32 of which one is C2. So d is in
    the range of the step, or it is zero: then the division gives infinity and the step NaN.
    """
    from mlsolve.pictures.colour import exposure_scale
    from mlsolve.ranges import MIN_EXPOSURE

    least, most = denominators(1 / exposure_scale(0.0028))
    assert least > 0
    assert denominators(1 / exposure_scale(0.002))[0] is None
    c2 = np.float32(C2)
    near = np.spacing(np.nextafter(c2 / 2, np.float32(0)))
    assert near == 2.0**-35
    _, most = denominators(1 / exposure_scale(MIN_EXPOSURE))
    assert np.log2(C1 * float(near)) > LOWEST + 70
    assert np.log2(most) < HIGHEST - 90


def test_variances_lose_no_more_than_the_bound(rng):
    """Images without detail have the worst variances: their windows as the kernels sum them."""
    weights = taps().astype(np.float32)
    flat = rng.random(100_000).astype(np.float32)
    windows = np.tile(flat, (11, 11, 1))
    rough = windows[:, :, :20_000] + rng.integers(-1, 2, (11, 11, 20_000)).astype(np.float32) * np.float32(2.0**-24)

    def blurred(values):
        for _ in range(2):  # along the rows, then down
            total = weights[0] * values[0]
            for tap, value in zip(weights[1:], values[1:], strict=True):
                total = fused(np.full_like(value, tap), value, total)
            values = total
        return values

    for values in (windows, rough):
        mean, square = blurred(values), blurred(values * values)
        found = float(np.min(square - mean * mean))
        assert -lost(1.0) <= found < -lost(1.0) / 100


@pytest.mark.parametrize("chip", [75, 90, 120])
def test_what_a_gpu_is_asked_compiles(nvrtc, chip):
    assert compile_text(ALL, "reciprocals", chip)


@pytest.mark.gpu
def test_the_step_has_the_bits_of_ieee_on_a_gpu(tmp_path):
    """All mantissas, all exponents that the denominator can have and the outermost of the range, both signs."""
    import cupy

    file = tmp_path / "reciprocals.cubin"
    file.write_bytes(compile_text(ALL, "reciprocals", chip_for(int(cupy.cuda.Device().compute_capability))))
    reciprocals = cupy.RawModule(path=str(file)).get_function("reciprocals")
    found = cupy.empty(2**23, dtype=cupy.float32)
    for exponent in (LOWEST, LOWEST + 1, *range(-50, 30), HIGHEST - 1, HIGHEST):
        for sign in (0, 1):
            first = np.uint32(sign << 31 | (exponent + 127) << 23)
            reciprocals((2**15,), (256,), (found, first))
            expected = ONE / all_mantissas(first)
            assert cupy.asnumpy(found).tobytes() == expected.tobytes(), (exponent, sign)
