"""Adam on a GPU: the scalar step that the CPU uses too (step.py), compiled by Numba for CUDA kernels that call it.

The CUDA sources declare it in adam/step.cuh. Both forms below are inlined into the kernel: LTO-IR by nvJitLink,
PTX as inline assembly by NVRTC, which needs nothing else.

The root and the quotient of the step are approximate: sqrt.approx.ftz and div.approx.ftz, three instructions.
Exact ones take about 150 more, with calls, and more registers. NVIDIA bounds the error of the root by 2^-23 of its
value and that of the quotient by 2 units in the last place. So the distance that a step moves a pixel differs from
that of an exact step by less than 10·2^-24 = 6e-7 of itself: for a step of 0.1 by 6e-8, the distance of two float32
just below 1.

Both instructions take numbers below 2^-126 = 1.2e-38 for 0 (ftz). Such a second moment has a root below 1.1e-19,
which vanishes when epsilon, 1e-8, is added to it. Such a numerator moves x by less than 1.2e-30, which vanishes
too. The other operations of a linked step are exact: from the same gradients come the CPU's moments, to the bit.
As inline assembly all operations flush such numbers, with no more effect, and multiply-adds are contracted.

numba-cuda passes fast-math on only as a whole, and only as options of its compiler: for root, quotient, ftz and
contraction. No instruction is marked as free of NaNs. A NaN in the gradient stays in the moments. But the
instructions max and min, fast or strict, return the operand that is a number: x becomes `low`, where the CPU keeps
the NaN.
"""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np

from ..cuda.errors import CompilerError, first_line
from ..cuda.geometry import CARRYING
from .step import Rates, adam_step

NAME: Final = "adam_step"
"""Name of the step in CUDA sources."""

_PIXELS: Final = 4
"""Pixels of a row that a thread of `update` has."""

_MOST_BLOCKS: Final = 65535
"""Most blocks of a grid in its second dimension."""

_ARGUMENTS: Final = ("x", "first", "second", "gradient", *Rates._fields)


def grid_for(rows: int, width: int) -> tuple[int, int]:
    """Return the grid of the kernel `update` for arrays of `rows` rows and `width` columns."""
    return -(-width // (CARRYING * _PIXELS)), min(rows, _MOST_BLOCKS)


def step_code(chip: int) -> bytes:
    """Return the step as LTO-IR for compute capability `chip` (90 for 9.0).

    Raises CompilerError if numba-cuda or a part of CUDA that it needs is missing or too old.
    """
    return bytes(_compiled(chip, "ltoir"))


def step_source(chip: int) -> str:
    """Return the step as CUDA C++: inline assembly, Numba's PTX for compute capability `chip`.

    Raises CompilerError, also if the PTX is not what this function understands.
    """
    ptx = _compiled(chip, "ptx")
    ptx = ptx.decode() if isinstance(ptx, bytes) else ptx
    return _as_assembly(ptx)


def numba_cuda_version() -> str:
    """Return the version of numba-cuda, "none" if it is not installed."""
    try:
        return version("numba-cuda")
    except PackageNotFoundError:
        return "none"


def _compiled(chip: int, output: str) -> Any:
    """Return the step as `output`, "ltoir" or "ptx". Raises CompilerError."""
    try:
        cuda, function, kinds = _step_with_c_arguments()
        code, _ = cuda.compile(
            function,
            kinds,
            device=True,
            fastmath=True,
            cc=divmod(chip, 10),
            abi="c",
            abi_info={"abi_name": NAME},
            output=output,
            forceinline=output == "ltoir",
        )
    except ImportError as error:
        raise CompilerError(f"numba-cuda cannot be imported ({error})") from None
    except Exception as error:  # an old numba-cuda does not know an argument, or finds no library
        message = f"numba-cuda {numba_cuda_version()} cannot compile Adam's step to {output} for sm_{chip}"
        raise CompilerError(f"{message} ({first_line(error)})") from None
    return code


@cache
def _step_with_c_arguments() -> tuple[Any, Any, Any]:
    """Return numba.cuda, the step as a function of C arguments, and the types of these."""
    # numba-cuda (0.30) uses this name when it is first imported; NumPy 2.5 has removed it.
    vars(np).setdefault("row_stack", np.vstack)
    from numba import cuda, types

    step = cuda.jit(device=True, inline="always")(adam_step)

    def function(
        moved: Any,
        x: Any,
        first: Any,
        second: Any,
        gradient: Any,
        rate: Any,
        blend_first: Any,
        blend_second: Any,
        correct_first: Any,
        correct_second: Any,
        epsilon: Any,
        low: Any,
        high: Any,
    ) -> None:
        now = Rates(rate, blend_first, blend_second, correct_first, correct_second, epsilon, low, high)
        moved[0], moved[1], moved[2] = step(x, first, second, gradient, now)

    return cuda, function, types.void(types.CPointer(types.float32), *[types.float32] * len(_ARGUMENTS))


_BODY: Final = re.compile(r"^\{(.*)^\}", re.S | re.M)
_READS: Final = re.compile(rf"ld\.param\.\w+ (%\w+), \[{NAME}_param_(\d+)\]")
_WRITES: Final = re.compile(r"st\.\w+ \[%rd\d+(?:\+(\d+))?\], (%\w+)")
_RETURNS: Final = re.compile(r"ret|st\.param\.\w+ \[func_retval0(\+0)?\], (%\w+|0)|mov\.\w+ %rd\d+, 0")
_COMPUTES: Final = re.compile(r"\.reg \.\w+ %\w+<\d+>|[a-z]+(\.\w+)* (%[fr]\d+(, )?|0[fF][0-9A-Fa-f]{8}(, )?)+")


def _as_assembly(ptx: str) -> str:
    """Return the function in `ptx` as a function of CUDA C++. Raises CompilerError if it is not straight code."""
    body = _BODY.search(ptx)
    text = "" if body is None else re.sub(r"//.*", "", body[1])
    lines = [" ".join(line.split()) for line in text.split(";")]
    code, written = [], set()
    for line in filter(None, lines):
        if found := _READS.fullmatch(line):
            number = int(found[2])
            if number > 0:  # the first is the address of the results, which are operands 0 to 2 here
                code.append(f"mov.b32 {found[1]}, %{number + 2}")
        elif found := _WRITES.fullmatch(line):
            number = int(found[1] or 0) // 4
            written.add(number)
            code.append(f"mov.b32 %{number}, {found[2]}")
        elif _COMPUTES.fullmatch(line):
            code.append(line)
        elif not _RETURNS.fullmatch(line):
            raise CompilerError(f"numba-cuda {numba_cuda_version()} compiles Adam's step to unknown PTX: {line}")
    if written != {0, 1, 2}:
        raise CompilerError(f"numba-cuda {numba_cuda_version()} compiles Adam's step to unknown PTX")
    assembly = "".join(f'        "{_escaped(line)};\\n"\n' for line in code)
    results = ", ".join(f'"=f"(moved[{number}])' for number in range(3))
    operands = ", ".join(f'"f"({name})' for name in _ARGUMENTS)
    return (
        f'extern "C" __device__ __forceinline__ void {NAME}(float* moved, '
        f"{', '.join(f'float {name}' for name in _ARGUMENTS)}) {{\n"
        f'    asm("{{\\n"\n{assembly}        "}}"\n        : {results}\n        : {operands});\n}}\n'
    )


def _escaped(line: str) -> str:
    """Return a line of PTX as inline assembly has it: each register with two percent signs and a name of its own.

    The registers of the surrounding kernel have the names that Numba's have; those of a block hide them.
    """
    return re.sub(r"%(?=[a-z])", "%%adam_", line)
