"""The picture of the carriers of a stack: which sheet carries the detail of which region, in colours."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from .lettering import TEXT, font

_SIDE: Final = 600
"""Longest side of the picture in pixels, if the masks can be enlarged to it by a whole factor."""
_CELL: Final = 150, 34
"""Width and height of an entry of the legend, in pixels."""
_WHITE: Final = 255, 255, 255
_INK: Final = 30, 30, 30


@dataclass(frozen=True)
class StackCarriers:
    """The carriers of a stack."""

    regions: int
    masks: npt.NDArray[np.float32]
    """(K, h, w) in [0, 1]: where each of its sheets is the carrier."""
    layers: tuple[int, ...]
    """The numbers of its layers, from 1."""

    @property
    def shares(self) -> list[float]:
        """The share of the picture that each sheet carries."""
        return [float(mask.mean(dtype=np.float64)) for mask in self.masks]

    def report(self, name: str) -> dict[str, Any]:
        """Return what result.json says of them; name: of the picture."""
        return {"regions": self.regions, "shares": [round(share, 4) for share in self.shares], "picture": name}


def picture_name(number: int, stacks: int) -> str:
    """Return the name of the picture of stack `number`, counted from 0, of so many."""
    return "carriers.png" if stacks == 1 else f"carriers-{number + 1}.png"


def carriers_picture(carriers: StackCarriers) -> npt.NDArray[np.uint8]:
    """Return (H, W, 3) uint8: a colour for each sheet, mixed where sheets overlap, and a legend below."""
    colours = _colours(len(carriers.masks))
    weights = np.moveaxis(carriers.masks, 0, 2).astype(np.float64)
    mixed = weights @ colours / np.maximum(weights.sum(axis=2, keepdims=True), 1e-6)
    factor = max(1, _SIDE // max(mixed.shape[:2]))
    shown = np.rint(mixed).astype(np.uint8).repeat(factor, axis=0).repeat(factor, axis=1)
    legend = _legend(carriers, colours, max(shown.shape[1], _CELL[0]))
    shown = np.pad(shown, ((0, 0), (0, legend.shape[1] - shown.shape[1]), (0, 0)), constant_values=255)
    return np.concatenate([shown, legend])


def _colours(count: int) -> npt.NDArray[np.float64]:
    """Return colours that are easily told apart, (count, 3), 0 to 255: neighbouring hues differ in value."""
    hues: Sequence[tuple[float, float, float]] = [
        colorsys.hsv_to_rgb(0.58 + k / count, 0.65, (0.95, 0.7)[k % 2]) for k in range(count)
    ]
    return 255 * np.array(hues)


def _legend(carriers: StackCarriers, colours: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.uint8]:
    """Return the names of the sheets beside their colours, as wide as asked for, (h, width, 3) uint8."""
    across, height = max(1, width // _CELL[0]), _CELL[1]
    image = Image.new("RGB", (width, -(-len(colours) // across) * height + 8), _WHITE)
    pen = ImageDraw.Draw(image)
    for k, (layer, share, colour) in enumerate(zip(carriers.layers, carriers.shares, colours, strict=True)):
        left, top = k % across * _CELL[0], k // across * height + 8
        pen.rectangle((left + 4, top, left + 27, top + 23), fill=tuple(int(value) for value in np.rint(colour)))
        pen.text((left + 34, top), f"layer {layer}: {100 * share:.0f} %", fill=_INK, font=font(min(TEXT, 15)))
    return np.asarray(image)
