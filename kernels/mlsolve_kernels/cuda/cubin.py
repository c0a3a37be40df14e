"""The resources that a kernel needs on a multiprocessor, read from its cubin, which is an ELF file of machine code.

The compiler's log has the same figures, but is empty if NVRTC or the driver take the kernel from their own cache.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from .geometry import RESERVED


class Resources(NamedTuple):
    """The resources of one kernel."""

    registers: int
    """Registers per thread."""
    shared: int
    """Bytes of shared memory that a block declares."""
    stack: int
    """Bytes of local memory per thread: spilled registers, and arrays that did not fit into registers."""


class _Section(NamedTuple):
    """A section of the file."""

    name: str
    start: int
    size: int
    link: int


_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_SYMBOL: Final = struct.Struct("<IBBHQQ")

_REGISTERS, _STACK = 0x2F, 0x11
"""Attributes of .nv.info that hold one number per function (EIATTR_REGCOUNT and EIATTR_FRAME_SIZE in cuobjdump)."""

_SIZED: Final = 4
"""Format of an attribute whose size follows in two bytes. Attributes of other formats have four bytes in total."""


def resources_of(cubin: bytes, kernel: str) -> Resources | None:
    """Return the resources of `kernel` according to `cubin`; None if the cubin cannot be parsed."""
    try:
        sections = list(_sections(cubin))
        numbers = dict(_numbers(cubin, sections, kernel))
        declared = sum(section.size for section in sections if section.name == f".nv.shared.{kernel}")
        # From Hopper on, the section of a block begins with bytes that are reserved for the system.
        if declared and any(section.name.startswith(".nv.shared.reserved") for section in sections):
            declared -= RESERVED
        return Resources(numbers[_REGISTERS], declared, numbers.get(_STACK, 0))
    except (KeyError, IndexError, ValueError, struct.error):
        return None


def _sections(cubin: bytes) -> Iterator[_Section]:
    """Yield the sections of an ELF64 file. Raises ValueError or struct.error if it is not one."""
    if cubin[:5] != b"\x7fELF\x02":
        raise ValueError("no ELF64 file")
    (table,) = struct.unpack_from("<Q", cubin, 40)
    count, names = struct.unpack_from("<HH", cubin, 60)
    headers = [_SECTION.unpack_from(cubin, table + _SECTION.size * number) for number in range(count)]
    for name, _, _, _, start, size, link, *_ in headers:
        yield _Section(_text(cubin, headers[names][4] + name), start, size, link)


def _numbers(cubin: bytes, sections: list[_Section], kernel: str) -> Iterator[tuple[int, int]]:
    """Yield (attribute, value) for the attributes of `kernel` in .nv.info that are _REGISTERS or _STACK."""
    named = {section.name: section for section in sections}
    info, symbols = named[".nv.info"], named[".symtab"]
    strings = sections[symbols.link].start
    at, end = info.start, info.start + info.size
    while at < end:
        layout, attribute, size = struct.unpack_from("<BBH", cubin, at)
        at += 4
        if layout != _SIZED:
            continue
        if attribute in (_REGISTERS, _STACK) and size == 8:
            symbol, value = struct.unpack_from("<II", cubin, at)
            (name, *_) = _SYMBOL.unpack_from(cubin, symbols.start + _SYMBOL.size * symbol)
            if _text(cubin, strings + name) == kernel:
                yield attribute, value
        at += size


def _text(cubin: bytes, at: int) -> str:
    return cubin[at : cubin.index(b"\0", at)].decode()
