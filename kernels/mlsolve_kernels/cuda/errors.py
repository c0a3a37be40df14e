"""The error of everything that compiles kernels for a GPU."""


class CompilerError(Exception):
    """A compiler or linker is missing, too old, or rejects a source; the message says which, and why."""
