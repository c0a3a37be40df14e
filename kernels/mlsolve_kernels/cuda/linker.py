"""Link LTO-IR, the intermediate code of NVRTC and Numba, to machine code for one chip with nvJitLink. Needs no GPU.

All parts are optimised together, so a function of one part is inlined into the kernel of another. Multiplications
and additions are not fused (-fma=0). Roots and quotients are correctly rounded, which is nvJitLink's default,
except those that a part already has as approximate instructions.
"""

from collections.abc import Sequence
from typing import Any, Final

from .errors import CompilerError, first_line

OPTIONS: Final = ("-lto", "-fma=0")


def link(parts: Sequence[bytes], name: str, chip: int) -> bytes:
    """Return the cubin of kernel `name` from its `parts`, LTO-IR, for compute capability `chip` (90 for 9.0).

    Raises CompilerError.
    """
    library = _library()
    options = [f"-arch=sm_{chip}", *OPTIONS]
    try:
        linker = library.create(len(options), options)
    except library.nvJitLinkError as error:
        raise CompilerError(f"nvJitLink cannot link for sm_{chip} ({error})") from None
    try:
        for number, part in enumerate(parts):
            library.add_data(linker, library.InputType.LTOIR, part, len(part), f"{name}.{number}")
        library.complete(linker)
        code = bytearray(library.get_linked_cubin_size(linker))
        library.get_linked_cubin(linker, code)
    except library.nvJitLinkError as error:
        raise CompilerError(
            f"nvJitLink {version()} cannot link {name}: {_reason(library, linker, error)}"
        ) from None
    finally:
        library.destroy(linker)
    return bytes(code)


def version() -> str:
    """Return the version of nvJitLink, such as "13.5". Raises CompilerError."""
    major, minor = _library().version()
    return f"{major}.{minor}"


def _library() -> Any:
    """Return the bindings of nvJitLink with the library loaded. Raises CompilerError if that fails."""
    try:
        from cuda.bindings import nvjitlink

        nvjitlink.version()
    except ImportError as error:
        raise CompilerError(f"cuda-bindings cannot be imported ({error})") from None
    except Exception as error:  # no library, or one from before 12.3, which has no version
        raise CompilerError(f"nvJitLink cannot be loaded ({first_line(error)})") from None
    return nvjitlink


def _reason(library: Any, linker: Any, error: Exception) -> str:
    """Return the first line of the linker's log, or of `error` if the log is empty."""
    log = bytearray(library.get_error_log_size(linker))
    if log:
        library.get_error_log(linker, log)
    lines = log.decode(errors="replace").strip("\0 \n").splitlines()
    return lines[0] if lines else first_line(error)
