"""Compile the text of a kernel to machine code for one chip with NVRTC. Needs no GPU.

Arithmetic is strictly IEEE, as on the CPU (compiled.py): no fast-math and no contraction; fused multiply-adds are
written explicitly. So the same sources give the same bits on every chip and on the host. The exception is Adam's
step, which Numba compiles (adam/cuda.py): its root and quotient are approximate.

A kernel that calls this step is compiled to LTO-IR and linked with it by nvJitLink. Where that does not work, NVRTC
compiles the kernel as usual with the step in front of it, as inline assembly. Either way the step is inlined.
"""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

from ..adam.cuda import numba_cuda_version, step_code, step_source
from ..compiled import cache_folder
from . import linker
from .errors import CompilerError
from .source import VARIANTS, source

OPTIONS: Final = ("--std=c++17", "--fmad=false", "--diag-suppress=177")
"""177: the warning about a constant that a kernel does not use."""


_DIGEST: Final = hashlib.sha256().digest_size
"""Bytes of the SHA-256 that precedes a cubin on disk."""


_PROBE: Final = """
extern "C" __device__ void adam_step(float*, float, float, float, float, float, float, float, float, float, float,
                                     float, float);
extern "C" __global__ void probe(float* x) {
    float moved[3];
    adam_step(moved, x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11]);
    x[0] = moved[0] + moved[1] + moved[2];
}
"""
"""The smallest kernel that takes Adam's step."""


def compile_text(text: str, name: str, chip: int) -> bytes:
    """Return the cubin of `text`, which defines kernel `name`, for compute capability `chip` (90 for 9.0).

    Raises CompilerError.
    """
    return _compiled(text, name, chip, OPTIONS, "CUBIN")


def compile_stepping(text: str, name: str, chip: int) -> bytes:
    """Return the cubin of `text` like `compile_text`; the text takes Adam's step (adam/step.cuh), which is inlined.

    Raises CompilerError.
    """
    if link_obstacle(chip) is None:
        return _linked(text, name, chip)
    return compile_text(f"{step_source(chip)}{text}", name, chip)


@cache
def link_obstacle(chip: int) -> str | None:
    """Return why nvJitLink cannot link Adam's step into a kernel for `chip`, in one line; None if it can.

    It tries with a small kernel, which takes about a second, once per process; a success is remembered on disk.
    """
    try:
        file = _cache_file(_PROBE, "probe", 0, chip, steps=True)
        if file is None or _read(file) is None:
            code = _linked(_PROBE, "probe", chip)
            if file is not None:
                _write(file, code)
    except CompilerError as error:
        return str(error)
    return None


def compilation_of_adam(chip: int) -> str:
    """Return how Adam's step is compiled into kernels for `chip`, in a few words."""
    obstacle = link_obstacle(chip)
    if obstacle is None:
        return f"compiled by Numba, inlined by nvJitLink {linker.version()}"
    return f"compiled by Numba, inlined as PTX by NVRTC ({obstacle})"


def compile_kernel(name: str, layers: int, chip: int) -> bytes:
    """Return the cubin of kernel `name` (source.KERNELS) for `layers` layers and a chip, from disk if it is cached.

    Raises CompilerError.
    """
    text = source(name, layers, chip)
    steps = VARIANTS[name].steps
    file = _cache_file(text, name, layers, chip, steps)
    if file is not None and (code := _read(file)) is not None:
        return code
    code = (compile_stepping if steps else compile_text)(text, name, chip)
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


def _linked(text: str, name: str, chip: int) -> bytes:
    """Return the cubin of `text` linked with Adam's step. Raises CompilerError."""
    kernel = _compiled(text, name, chip, (*OPTIONS, "-dlto"), "LTOIR")
    return linker.link((kernel, step_code(chip)), name, chip)


def _compiled(text: str, name: str, chip: int, options: tuple[str, ...], output: str) -> bytes:
    """Return what NVRTC makes of `text`: "CUBIN" or "LTOIR". Raises CompilerError."""
    nvrtc = _nvrtc()
    program = _checked(nvrtc, nvrtc.nvrtcCreateProgram(text.encode(), f"{name}.cu".encode(), 0, [], []))
    encoded = [option.encode() for option in (f"--gpu-architecture=sm_{chip}", *options)]
    (result,) = nvrtc.nvrtcCompileProgram(program, len(encoded), encoded)
    if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        log = b" " * _checked(nvrtc, nvrtc.nvrtcGetProgramLogSize(program))
        nvrtc.nvrtcGetProgramLog(program, log)
        text_of_log = log.decode(errors="replace").rstrip("\0 \n")
        raise CompilerError(f"NVRTC refuses {name} for sm_{chip}: {text_of_log or result}")
    code: bytes = b" " * _checked(nvrtc, getattr(nvrtc, f"nvrtcGet{output}Size")(program))
    getattr(nvrtc, f"nvrtcGet{output}")(program, code)
    nvrtc.nvrtcDestroyProgram(program)
    return code


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


def _cache_file(text: str, name: str, layers: int, chip: int, steps: bool) -> Path | None:
    """Return the file of a kernel, None if there is no cache; steps: whether it takes Adam's step."""
    folder = cache_folder()
    if folder is None:
        return None
    nvrtc = _nvrtc()
    _, *version = nvrtc.nvrtcVersion()  # a driver may be too old for the code of a newer compiler
    parts = [*map(str, version), *OPTIONS, text]
    if steps:  # whose source is in the name of the folder, like all sources
        parts += [*linker.OPTIONS, _linker_version(), numba_cuda_version()]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return folder / f"{name}-{layers}-sm{chip}-{digest}.cubin"


def _linker_version() -> str:
    try:
        return linker.version()
    except CompilerError:
        return "none"


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
