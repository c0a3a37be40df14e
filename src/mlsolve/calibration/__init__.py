"""Calibration: a chart to print, and from photographs or a table of it a media profile (docs/calibration.md).

Knows the chart, how it looks in a photograph, and how a profile is fitted to measurements. Must not know jobs,
solves or runs. Called by the command line and, from Python, by users.
"""

from . import chart
from .calibrating import calibrate
from .fitting import fit

__all__ = ["calibrate", "chart", "fit"]
