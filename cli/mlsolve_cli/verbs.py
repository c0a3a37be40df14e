"""The verbs of the command line."""

from typing import Final

from .animate import animate
from .bench import bench
from .calibrate import calibrate
from .chart import chart
from .estimate import estimate
from .guide import guide
from .info import info
from .inspect import inspect
from .media import media
from .resume import resume
from .run import run
from .sheets import sheets
from .studio import studio
from .suggest import suggest
from .verify import verify
from .view import view

VERBS: Final = (
    *(run, resume, estimate, suggest, verify, animate, view, studio),
    *(sheets, inspect, guide, chart, calibrate, media, info, bench),
)
"""In the order of the help and of docs/cli.md."""
