"""Adam's step on the host for kernels that call it: step.py, compiled by Numba for the CPU."""

import ctypes
from typing import Any

from numba import cfunc, types

from mlsolve_kernels.adam.step import Rates, adam_step
from mlsolve_kernels.compiled import kernel
from mlsolve_kernels.cuda.compiler import takes_steps

_POINTER = "adam_step_on_host"

_FLOATS = ", ".join(f"float a{number}" for number in range(12))
_NAMES = ", ".join(f"a{number}" for number in range(12))

_DEFINITION = f"""
extern "C" {{
void (*{_POINTER})(float*, {_FLOATS}) = reinterpret_cast<void (*)(float*, {_FLOATS})>(1);  // not in .bss
void adam_step(float* moved, {_FLOATS}) {{ {_POINTER}(moved, {_NAMES}); }}
}}
"""

_step = kernel(adam_step)


@cfunc(types.void(types.CPointer(types.float32), *[types.float32] * 12))
def _on_host(moved, x, first, second, gradient, rate, blend_1, blend_2, correct_1, correct_2, epsilon, low, high):
    now = Rates(rate, blend_1, blend_2, correct_1, correct_2, epsilon, low, high)
    moved[0], moved[1], moved[2] = _step(x, first, second, gradient, now)


def defined(text: str) -> str:
    """The source of a kernel, with a definition of the step if it calls one."""
    return f"{text}\n{_DEFINITION}" if takes_steps(text) else text


def bind(library: Any) -> None:
    """Give a loaded library the step, if it has a place for it."""
    if hasattr(library, _POINTER):
        ctypes.c_void_p.in_dll(library, _POINTER).value = _on_host.address
