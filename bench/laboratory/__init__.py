"""A laboratory for the bench: printers, films, light boxes, eyes, cameras and instruments, simulated in spectra.

It knows nothing of the model that mlsolve solves through, and imports nothing from it, so that it can judge it.
What goes in are device codes as uint8 pictures; what comes out is what an eye, a camera or an instrument reports.
Everything random is a function of a seed.
"""

from .box import LightBox, fluorescent, led
from .camera import Camera
from .eye import from_afar, look, seen
from .films import Film
from .inks import InkSet, dyes, process_inks
from .instruments import Colorimeter, Densitometer, Place, Spectrophotometer
from .printers import ContinuousPrinter, HalftonePrinter
from .screens import Screen
from .sheets import Sheet
from .stacks import transmittance

__all__ = [
    "Camera",
    "Colorimeter",
    "ContinuousPrinter",
    "Densitometer",
    "Film",
    "HalftonePrinter",
    "InkSet",
    "LightBox",
    "Place",
    "Screen",
    "Sheet",
    "Spectrophotometer",
    "dyes",
    "fluorescent",
    "from_afar",
    "led",
    "look",
    "process_inks",
    "seen",
    "transmittance",
]
