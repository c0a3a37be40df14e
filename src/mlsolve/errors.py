"""What can go wrong in a way the user can mend. Every message is one line: what, which value, what to do."""


class MlsolveError(Exception):
    """Base of all errors mlsolve raises on purpose."""


class InputError(MlsolveError, ValueError):
    """A picture or an array that cannot be used."""


class OptionError(MlsolveError, ValueError):
    """A setting out of its range, or unknown."""


class BackendError(MlsolveError, RuntimeError):
    """A backend that this machine does not have."""

    mendable = False
    """Whether a GPU is here, or may be, and something that can be installed is missing."""


class DeviceMemoryError(BackendError):
    """A GPU without room for the picture."""


class OutputError(MlsolveError, OSError):
    """A place that cannot be written to."""


class ProcessError(MlsolveError):
    """A process of several that ended before its work did."""


class StoreError(MlsolveError):
    """An unfinished run that is damaged, foreign, or changed under our hands."""


def first_line(error: BaseException | str) -> str:
    """Return what `error` says in its first line, or its name if it says nothing."""
    text = str(getattr(error, "strerror", None) or error).strip() or type(error).__name__
    return text.splitlines()[0]
