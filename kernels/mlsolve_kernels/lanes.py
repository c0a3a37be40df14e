"""Vectors of sixteen float32, `Lanes`, in which the CPU kernels are written.

The inner loop of a kernel calls `load`, computes with the usual operators, and calls `store`. LLVM turns each
operation into one 512-bit, two 256-bit or four 128-bit instructions, depending on the machine. Nothing depends on
the auto-vectoriser: there are no alias checks and no scalar tails, and every machine gives the same bytes. The
scalar maths of ssim/partials.py and adam/step.py compiles for `Lanes` unchanged.

A `Row` is the bare address of a value in an array, so that taking or passing a row costs nothing. Numba counts
references to an array whenever it is sliced or passed to a function, and threads that share a counter wait for each
other. So only the outermost kernel handles arrays; inside it there are Rows. A Row keeps no array alive: the arrays
belong to the caller of the kernel.
"""

import math
import operator
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

LANES: Final = 16
"""float32 values in a vector: one cache line, and the widest registers that exist."""

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)
_INDEX = ir.IntType(32)
_FLOAT_BYTES: Final = 4


class LanesType(types.Type):  # type: ignore[misc, unused-ignore]
    """The Numba type of sixteen float32."""

    def __init__(self) -> None:
        """Name the type; there is only one."""
        super().__init__(name="Lanes")


class RowType(types.Type):  # type: ignore[misc, unused-ignore]
    """The Numba type of the address of a value in an array."""

    def __init__(self, value: Any) -> None:
        """`value`: the Numba type of that value."""
        self.value = value
        super().__init__(name=f"Row({value})")


Lanes = Any
Row = Any
_lanes = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc, unused-ignore]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


@register_model(RowType)
class _RowModel(models.PrimitiveModel):  # type: ignore[misc, unused-ignore]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, manager.lookup(kind.value).get_data_type().as_pointer())


def _widen(builder: Any, value: Any, kind: Any) -> Any:
    """Return `value` as a vector; a scalar fills all lanes."""
    if kind == _lanes:
        return value
    start = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(start, value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, start, ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES))


def _call(builder: Any, name: str, *vectors: Any) -> Any:
    """Call an LLVM intrinsic that maps vectors to a vector."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(vectors))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), vectors)


def _define(function: Any, build: Callable[..., Any], arity: int) -> None:
    """Allow kernels to apply `function` to Lanes, or to Lanes and float32; `build` emits the instruction."""

    class Typing(AbstractTemplate):  # type: ignore[misc, unused-ignore]
        key = function

        def generic(self, kinds: Any, keywords: Any) -> Any:
            known = all(kind in (_lanes, types.float32) for kind in kinds)
            return signature(_lanes, *kinds) if len(kinds) == arity and known and _lanes in kinds else None

    # With the type given, Numba does not look the function up by module and name, which ufuncs of older NumPy lack.
    infer_global(function, types.Function(Typing))

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pairs = zip(values, signature.args, strict=True)
        return build(builder, *(_widen(builder, value, kind) for value, kind in pairs))

    kinds = [(_lanes,)] if arity == 1 else [(_lanes, _lanes), (_lanes, types.float32), (types.float32, _lanes)]
    for kind in kinds:
        lower_builtin(function, *kind)(lower)


def _second_if(relation: str) -> Callable[..., Any]:
    """Return a builder of `y if y <relation> x else x`, Python's max and min; a NaN in x stays."""

    def build(builder: Any, x: Any, y: Any) -> Any:
        return builder.select(builder.fcmp_ordered(relation, y, x), y, x)

    return build


_define(operator.add, lambda builder, x, y: builder.fadd(x, y), 2)
_define(operator.sub, lambda builder, x, y: builder.fsub(x, y), 2)
_define(operator.mul, lambda builder, x, y: builder.fmul(x, y), 2)
_define(operator.truediv, lambda builder, x, y: builder.fdiv(x, y), 2)
_define(operator.neg, lambda builder, x: builder.fneg(x), 1)
_define(math.sqrt, lambda builder, x: _call(builder, "sqrt", x), 1)
_define(max, _second_if(">"), 2)
_define(min, _second_if("<"), 2)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Fused multiply-add a·b + c of Lanes or float32, at least one of them Lanes, rounded once (IEEE 754-2008)."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pairs = zip(values, signature.args, strict=True)
        return _call(builder, "fma", *(_widen(builder, value, kind) for value, kind in pairs))

    return _lanes(a, b, c), build


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def masked(typing_context: Any, mask: Any, value: Any) -> Any:
    """`value` where `mask` is not zero, and zero elsewhere, even where `value` is not a number."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        nothing = ir.Constant(_VECTOR, [0.0] * LANES)
        return builder.select(builder.fcmp_unordered("!=", arguments[0], nothing), arguments[1], nothing)

    return _lanes(mask, value), build


_WHOLE = ir.VectorType(_INDEX, LANES)
_SQUARE_ROOT_OF_HALF: Final = 0x3F3504F3
"""The bits of √½."""
_FRACTION_BITS: Final = 23


def _whole(value: int) -> Any:
    """Return sixteen times an integer."""
    return ir.Constant(_WHOLE, [value] * LANES)


def _exponents(builder: Any, vector: Any) -> tuple[Any, Any]:
    """Return the bits of positive values, and the exponents e of x = m·2^e with m in [√½, √2), as integers."""
    bits = builder.bitcast(vector, _WHOLE)
    above = builder.sub(bits, _whole(_SQUARE_ROOT_OF_HALF))
    return bits, builder.ashr(above, _whole(_FRACTION_BITS))


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def exponent(typing_context: Any, value: Any) -> Any:
    """The e of value = m·2^e with m in [√½, √2), of positive Lanes that are not subnormal."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.sitofp(_exponents(builder, arguments[0])[1], _VECTOR)

    return _lanes(value), build


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def mantissa(typing_context: Any, value: Any) -> Any:
    """The m in [√½, √2) of value = m·2^e, of positive Lanes that are not subnormal."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits, found = _exponents(builder, arguments[0])
        shifted = builder.shl(found, _whole(_FRACTION_BITS))
        return builder.bitcast(builder.sub(bits, shifted), _VECTOR)

    return _lanes(value), build


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def power_of_two(typing_context: Any, shifted: Any) -> Any:
    """2^n of Lanes n + 1.5·2^23, for integers n from -126 to 127: the sum has n in its lowest bits."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.shl(builder.bitcast(arguments[0], _WHOLE), _whole(_FRACTION_BITS))
        return builder.bitcast(builder.add(bits, _whole(127 << _FRACTION_BITS)), _VECTOR)

    return _lanes(shifted), build


def _add_up(builder: Any, vector: Any) -> Any:
    """Return the sum of a vector: its halves are added until one value is left."""
    count = LANES
    while count > 1:
        count //= 2
        nothing = ir.Constant(vector.type, ir.Undefined)
        halves = (
            builder.shuffle_vector(
                vector, nothing, ir.Constant(ir.VectorType(_INDEX, count), list(range(start, start + count)))
            )
            for start in (0, count)
        )
        vector = builder.fadd(*halves)
    return builder.extract_element(vector, ir.Constant(_INDEX, 0))


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def total(typing_context: Any, values: Any) -> Any:
    """Sum of the sixteen values, a float64."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _add_up(builder, builder.fpext(arguments[0], _DOUBLES))

    return types.float64(values), build


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def rounded_total(typing_context: Any, values: Any, rounder: Any) -> Any:
    """Sum of the sixteen values, a float64; each is rounded by adding and then subtracting `rounder` (float64)."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = builder.fpext(arguments[0], _DOUBLES)
        start = ir.Constant(_DOUBLES, ir.Undefined)
        first = builder.insert_element(start, arguments[1], ir.Constant(_INDEX, 0))
        everywhere = builder.shuffle_vector(first, start, ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES))
        return _add_up(builder, builder.fsub(builder.fadd(wide, everywhere), everywhere))

    return types.float64(values, types.float64), build


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def row(typing_context: Any, array: Any, index: Any) -> Any:
    """Address of array[*index], all further indices 0; the array's last axis must be contiguous."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind, index_kind = signature.args
        source = context.make_array(kind)(context, builder, values[0])
        strides = cgutils.unpack_tuple(builder, source.strides)
        offset = context.get_constant(types.intp, 0)
        numbers = cgutils.unpack_tuple(builder, values[1])
        for number, number_kind, stride in zip(numbers, index_kind, strides, strict=False):
            step = context.cast(builder, number, number_kind, types.intp)
            offset = builder.add(offset, builder.mul(step, stride))
        return cgutils.pointer_add(builder, source.data, offset)

    return RowType(array.dtype)(array, index), build


def _address(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Return the address `values[1]` values after the Row `values[0]`."""
    step = context.cast(builder, values[1], signature.args[1], types.intp)
    return builder.gep(values[0], [step])


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def ahead(typing_context: Any, place: Any, offset: Any) -> Any:
    """The Row that begins `offset` values after the Row `place`."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _address(context, builder, signature, values)

    return place(place, offset), build


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def load(typing_context: Any, place: Any, offset: Any) -> Any:
    """The Lanes that begin `offset` float32 after the Row `place`."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address = builder.bitcast(_address(context, builder, signature, values), _VECTOR.as_pointer())
        return builder.load(address, align=_FLOAT_BYTES)

    return _lanes(place, offset), build


def _load_alternate(start: int) -> Callable[..., Any]:
    """Return a builder of the Lanes with every second value, from `start` on, of 2·LANES float32."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address = builder.bitcast(_address(context, builder, signature, values), _VECTOR.as_pointer())
        pair = [
            builder.load(builder.gep(address, [ir.Constant(_INDEX, half)]), align=_FLOAT_BYTES) for half in (0, 1)
        ]
        places = list(range(start, 2 * LANES, 2))
        return builder.shuffle_vector(*pair, ir.Constant(ir.VectorType(_INDEX, LANES), places))

    return build


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def load_even(typing_context: Any, place: Any, offset: Any) -> Any:
    """The 1st, 3rd, 5th … of the 2·LANES float32 that begin `offset` after the Row `place`."""
    return _lanes(place, offset), _load_alternate(0)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def load_odd(typing_context: Any, place: Any, offset: Any) -> Any:
    """The 2nd, 4th, 6th … of the 2·LANES float32 that begin `offset` after the Row `place`."""
    return _lanes(place, offset), _load_alternate(1)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def store(typing_context: Any, place: Any, offset: Any, value: Any) -> Any:
    """Store Lanes, or a float32 sixteen times, `offset` float32 after the Row `place`."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address = builder.bitcast(_address(context, builder, signature, values), _VECTOR.as_pointer())
        builder.store(_widen(builder, values[2], signature.args[2]), address, align=_FLOAT_BYTES)
        return context.get_dummy_value()

    return types.void(place, offset, value), build


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def load_one(typing_context: Any, place: Any, offset: Any) -> Any:
    """The single value `offset` values after the Row `place`."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(_address(context, builder, signature, values))

    return place.value(place, offset), build


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def store_one(typing_context: Any, place: Any, offset: Any, value: Any) -> Any:
    """Store the single `value`, `offset` values after the Row `place`."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], _address(context, builder, signature, values))
        return context.get_dummy_value()

    return types.void(place, offset, place.value), build


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def prefetch(typing_context: Any, place: Any, offset: Any) -> Any:
    """Prefetch the cache line `offset` values after the Row `place`; the address need not be valid."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address = builder.bitcast(_address(context, builder, signature, values), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, _INDEX, _INDEX, _INDEX])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        reading, second_level, data = (ir.Constant(_INDEX, value) for value in (0, 2, 1))
        builder.call(function, [address, reading, second_level, data])
        return context.get_dummy_value()

    return types.void(place, offset), build
