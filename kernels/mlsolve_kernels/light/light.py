"""What a light declares about itself: everything that is not arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Light:
    """One way in which sheets let light through. Its folder holds the arithmetic, `light/<name>/`."""

    name: str
    """The name of its folder."""
    constants: Callable[[float], Any]
    """Returns, for the encoded exposure, the NamedTuple of float32 by whose type CPU kernels know this light. Its
    first value is what the CUDA kernels take."""
    couples_planes: bool = False
    """Whether a plane of the composite depends on other planes of the sheets: then tiles hold all planes."""
