"""Errors that the user can fix. Every message is one line: the argument, the value found and the remedy."""


class MlsolveError(Exception):
    """Base class of every error that mlsolve raises deliberately."""


class InputError(MlsolveError, ValueError):
    """A picture or an array that cannot be used."""


class OptionError(MlsolveError, ValueError):
    """An option that is unknown or out of range."""


class BackendError(MlsolveError, RuntimeError):
    """A backend that is not available on this machine."""

    mendable = False
    """Whether installing something would make it available: there is, or may be, a GPU, but software is missing."""


class DeviceMemoryError(BackendError):
    """The GPU does not have enough memory for the picture."""


class OutputError(MlsolveError, OSError):
    """A file or folder that cannot be written."""


class ProcessError(MlsolveError):
    """A worker process that ended before its work was done."""


class ClusterError(MlsolveError):
    """A cluster that cannot be reached, or has no worker that can do the work."""


class StoreError(MlsolveError):
    """An unfinished run that is damaged, was not written by mlsolve, or was changed while in use."""


def first_line(error: BaseException | str) -> str:
    """Return the first line of the message of `error`, or the name of its class if the message is empty."""
    text = str(getattr(error, "strerror", None) or error).strip() or type(error).__name__
    return text.splitlines()[0]
