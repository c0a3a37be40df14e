"""Lights: models of how sheets transmit light, one folder each.

Knows which lights exist. Must not know terms or how an iteration runs, and must not load compiled code. Called by
`iteration`, whose kernels are compiled for one light, and by src wherever it composes pictures.
"""

from importlib import import_module
from typing import Any, Final

from .light import Light
from .power.light import LIGHT as POWER

__all__ = ["LIGHTS", "Light", "declared", "pictures_of", "reference_of"]

LIGHTS: Final[tuple[Light, ...]] = (POWER,)
"""Every light."""


def declared(name: str) -> Light:
    """Return the declaration of the light `name`. Raises ValueError if there is none."""
    for light in LIGHTS:
        if light.name == name:
            return light
    raise ValueError(f"light is {name!r}: use {', '.join(light.name for light in LIGHTS)}")


def reference_of(name: str) -> Any:
    """Return the module with the float64 reference of the light `name`."""
    return import_module(f"{__name__}.{declared(name).name}.reference")


def pictures_of(name: str = LIGHTS[0].name) -> Any:
    """Return the module with which the light `name` composes pictures outside an iteration."""
    return import_module(f"{__name__}.{declared(name).name}.pictures")
