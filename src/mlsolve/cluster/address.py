"""Where the workers are: behind a Dask scheduler, or on this machine."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from ..errors import ClusterError, OptionError

_LOCAL: Final = re.compile(r"local:(\d+)")
_SCHEDULER: Final = re.compile(r"(?:tcp|tls)://(\S+):(\d+)")
_BARE: Final = re.compile(r"[\w.-]+:\d+|\[[0-9a-fA-F:]+\]:\d+")

MOST_LOCAL: Final = 256
"""Most workers of this machine."""

MOST_PORT: Final = 65535
"""The last port there is."""


@dataclass(frozen=True)
class ClusterAddress:
    """Where the workers of a run are."""

    scheduler: str | None
    """The address of a Dask scheduler, as tcp://host:8786; None: workers of this machine are started."""
    local: int = 0
    """How many are started on this machine."""

    @classmethod
    def parse(cls, text: str) -> "ClusterAddress":
        """Return what `text` stands for, tcp://host:8786 or local:4. Raises OptionError."""
        if match := _LOCAL.fullmatch(text):
            count = int(match[1])
            if not 1 <= count <= MOST_LOCAL:
                raise OptionError(f"cluster is {text}: give local:1 to local:{MOST_LOCAL}")
            return cls(None, count)
        match = _SCHEDULER.fullmatch(text)
        if not match:
            example = f"tcp://{text}" if _BARE.fullmatch(text) else "tcp://host:8786"
            raise OptionError(
                f"cluster is {text!r}: give the address of a Dask scheduler, as in {example}, or local:4"
            )
        if not 1 <= int(match[2]) <= MOST_PORT:
            raise OptionError(f"cluster is {text}: its port must be 1 to {MOST_PORT}, Dask's own is 8786")
        return cls(text)

    @property
    def host(self) -> tuple[str, int] | None:
        """The scheduler's host, without brackets, and its port; None: workers of this machine are started."""
        match = None if self.scheduler is None else _SCHEDULER.fullmatch(self.scheduler)
        return None if match is None else (match[1].strip("[]"), int(match[2]))

    def __str__(self) -> str:
        """As it is typed."""
        return self.scheduler or f"local:{self.local}"


def require_dask() -> None:
    """Raise ClusterError, in one line that says what to install, unless Dask's scheduler is installed."""
    if find_spec("distributed") is None:
        raise ClusterError("distributed is not installed: pip install 'mlsolve[cluster]', here and on every worker")
