"""Compile the text of a kernel to machine code for one chip with NVRTC. Needs no GPU.

Arithmetic is strictly IEEE, as on the CPU (compiled.py): no fast-math and no contraction; fused multiply-adds are
written explicitly. So the same sources give the same bits on every chip and on the host.
"""

import hashlib
import os
from pathlib import Path
from typing import Any, Final

from ..compiled import cache_folder
from .source import source

OPTIONS: Final = ("--std=c++17", "--fmad=false", "--diag-suppress=177")
"""177: the warning about a constant that a kernel does not use."""


_DIGEST: Final = hashlib.sha256().digest_size
"""Bytes of the SHA-256 that precedes a cubin on disk."""


class CompilerError(Exception):
    """NVRTC is missing or rejects a source; the message says which, and why."""


def compile_text(text: str, name: str, chip: int) -> bytes:
    """Return the cubin of `text`, which defines kernel `name`, for compute capability `chip` (90 for 9.0).

    Raises CompilerError.
    """
    nvrtc = _nvrtc()
    program = _checked(nvrtc, nvrtc.nvrtcCreateProgram(text.encode(), f"{name}.cu".encode(), 0, [], []))
    options = [option.encode() for option in (f"--gpu-architecture=sm_{chip}", *OPTIONS)]
    (result,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        log = b" " * _checked(nvrtc, nvrtc.nvrtcGetProgramLogSize(program))
        nvrtc.nvrtcGetProgramLog(program, log)
        text_of_log = log.decode(errors="replace").rstrip("\0 \n")
        raise CompilerError(f"NVRTC refuses {name} for sm_{chip}: {text_of_log or result}")
    code: bytes = b" " * _checked(nvrtc, nvrtc.nvrtcGetCUBINSize(program))
    nvrtc.nvrtcGetCUBIN(program, code)
    nvrtc.nvrtcDestroyProgram(program)
    return code


def compile_kernel(name: str, layers: int, chip: int) -> bytes:
    """Return the cubin of kernel `name` (source.KERNELS) for `layers` layers and a chip, from disk if it is cached.

    Raises CompilerError.
    """
    text = source(name, layers, chip)
    file = _cache_file(text, name, layers, chip)
    if file is not None and (code := _read(file)) is not None:
        return code
    code = compile_text(text, name, chip)
    if file is not None:
        _write(file, code)
    return code


def chip_for(capability: int) -> int:
    """Return the chip to compile for, given a device of compute capability `capability` (90 for 9.0).

    Machine code runs on chips of the same generation that are not older. Raises CompilerError if NVRTC supports no
    such chip.
    """
    nvrtc = _nvrtc()
    known = _checked(nvrtc, nvrtc.nvrtcGetSupportedArchs())
    fitting = [chip for chip in known if chip // 10 == capability // 10 and chip <= capability]
    if not fitting:
        raise CompilerError(f"this NVRTC knows no chip of compute capability {capability / 10}")
    return int(max(fitting))


def _nvrtc() -> Any:
    """Return NVRTC's bindings with the library loaded. Raises CompilerError if that fails."""
    try:
        from cuda.bindings import nvrtc

        _checked(nvrtc, nvrtc.nvrtcVersion())
    except ImportError as error:
        raise CompilerError(f"cuda-bindings cannot be imported ({error})") from None
    except RuntimeError as error:  # cuda-pathfinder finds no library
        raise CompilerError(f"NVRTC cannot be loaded ({str(error).splitlines()[0]})") from None
    return nvrtc


def _checked(nvrtc: Any, answer: tuple[Any, ...]) -> Any:
    """Return the first value after the status in `answer` of the bindings. Raises CompilerError for an error."""
    result, *values = answer
    if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise CompilerError(f"NVRTC fails: {result}")
    return values[0]


def _cache_file(text: str, name: str, layers: int, chip: int) -> Path | None:
    folder = cache_folder()
    if folder is None:
        return None
    nvrtc = _nvrtc()
    _, *version = nvrtc.nvrtcVersion()  # a driver may be too old for the code of a newer compiler
    digest = hashlib.sha256("\n".join([*map(str, version), *OPTIONS, text]).encode()).hexdigest()[:16]
    return folder / f"{name}-{layers}-sm{chip}-{digest}.cubin"


def _read(file: Path) -> bytes | None:
    """Return a cubin that `_write` wrote; None if it is missing or incomplete."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(file: Path, code: bytes) -> None:
    """Write `code` to `file` atomically. If that fails, the kernel will be compiled again next time."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        part.write_bytes(hashlib.sha256(code).digest() + code)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
