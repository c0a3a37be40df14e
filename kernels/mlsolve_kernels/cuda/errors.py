"""The error of everything that compiles kernels for a GPU, and how errors of libraries are told in one line."""


class CompilerError(Exception):
    """A compiler or linker is missing, too old, or rejects a source; the message says which, and why."""


def first_line(error: BaseException) -> str:
    """Return the first line of the message of an error, or the name of its type."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
