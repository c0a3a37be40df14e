"""Light by the power law on the CPU, sixteen pixels at a time: the overloads of light/rows.py for Power."""

from typing import Any

import numba
from numba.extending import overload

from ...lanes import load
from ..rows import by_sheet, transmitted
from .light import Power


def _is_power(light: Any) -> bool:
    return isinstance(light, numba.types.BaseNamedTuple) and light.instance_class is Power


# Inlined by Numba: LLVM would leave a call for every sixteen pixels, which costs 4 % of an iteration.
@overload(transmitted, strict=False, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _transmitted(light: Any, sheets: Any, stride: Any, count: Any, planes: Any, at: Any) -> Any:
    """Return inverse_scale · (product of `count` sheets) at `at`."""
    if not _is_power(light):
        return None

    def product(light: Any, sheets: Any, stride: Any, count: Any, planes: Any, at: Any) -> Any:
        result = light.inverse_scale * load(sheets, at)
        for k in range(1, count):
            result = result * load(sheets, k * stride + at)
        return result

    return product


@overload(by_sheet, strict=False, inline="always")  # type: ignore[untyped-decorator, unused-ignore]
def _by_sheet(
    light: Any, by_composite: Any, sheets: Any, stride: Any, count: Any, k: Any, planes: Any, at: Any
) -> Any:
    """Return by_composite · inverse_scale · (product of the other sheets), never as product / sheet."""
    if not _is_power(light):
        return None

    def product(
        light: Any, by_composite: Any, sheets: Any, stride: Any, count: Any, k: Any, planes: Any, at: Any
    ) -> Any:
        result = light.inverse_scale * load(by_composite, at)
        for other in range(count):
            if other != k:
                result = result * load(sheets, other * stride + at)
        return result

    return product
