"""The declaration of a light: everything about it that is not arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Light:
    """One model of how sheets transmit light. The folder `light/<name>/` holds the arithmetic."""

    name: str
    """The name of its folder."""
    constants: Callable[[float], Any]
    """Takes the encoded exposure; returns a NamedTuple of float32, whose type selects this light in CPU kernels.
    CUDA kernels take its first value."""
    couples_planes: bool = False
    """Whether a plane of the composite depends on other planes of the sheets. Tiles then hold all planes."""
