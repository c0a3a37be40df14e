"""The carriers of all stacks on a GPU: their masks, what these make of the leak, and the target that has moved."""

from typing import Any

import numpy as np

from ..cuda.device import Device
from ..cuda.geometry import CARRYING, pitch_of, tiles_for
from .objective import Objective, Shape


class CudaCarriers:
    """The masks of the stacks that have carriers, and what depends on them. It is allocated once."""

    def __init__(self, device: Device, objective: Objective, shape: Shape, windows: int) -> None:
        """Allocate it; shape.planes: the planes of all windows together. Raises OutOfDeviceMemory."""
        self._device, self._windows, self._planes = device, windows, shape.planes
        pitch = pitch_of(shape.width)
        self._size, sizes = (shape.height, shape.width, pitch), (shape.height, pitch)
        counts = carrying(objective, shape.layers)
        self.masks: list[Any] = [device.zeros(count, windows, *sizes) if count else None for count in counts]
        """For every stack (sheets, windows, H, pitch) on the device; None: it has no carriers."""
        self.leak_weights: list[Any] = [
            device.zeros(count, windows, *sizes) if count and stack.weight("leak") else None
            for count, stack in zip(counts, objective.stacks, strict=True)
        ]
        """Pixel weights of the leak of each sheet, like the masks; None: there is none, or the target's count."""
        self.moved: tuple[Any, ...] = ()
        """The target of a stack that has moved, and room for its statistics, (planes, H, pitch) each."""
        if any(counts):
            self.moved = tuple(device.zeros(shape.planes, *sizes) for _ in range(3))

    def prepare(self, number: int, pixel_weights: Any, disc: Any) -> None:
        """Set the pixel weights of the leak to where sheets are not the carrier; clear the masks off the disc.

        pixel_weights: of the target; disc: 1 inside, 0 outside; (windows, H, pitch) on the device; None: 1.
        """
        masks, leaks = self.masks[number], self.leak_weights[number]
        if masks is None:
            return
        given = [masks if one is None else one for one in (leaks, pixel_weights, disc)]
        flags = (int(one is not None) for one in (leaks, pixel_weights, disc))
        tiles = tiles_for(len(masks) * self._windows, *self._size[:2])
        self._device.launch(
            "carrier_weights", 1, tiles, CARRYING, masks, *given, *flags, self._windows, *self._size
        )

    def move(self, number: int, target: Any, off: Any, turns: Any, where: tuple[int, int]) -> None:
        """Put the target of a stack, (planes, H, pitch), together from itself as its misaligned sheets take it.

        off: the table of all misalignments. where: the first sheet of the stack in it, and their number.
        """
        masks, (first, every) = self.masks[number], where
        tiles, sizes = tiles_for(self._planes, *self._size[:2]), (self._windows, self._planes, *self._size)
        arguments = target, masks, off, turns, self.moved[0], first, len(masks), every
        self._device.launch("move_target", 1, tiles, CARRYING, *arguments, *sizes)


def carrying(objective: Objective, layers: int) -> list[int]:
    """Return the number of sheets of each stack that has carriers, 0 for others."""
    return [len(stack.sheets(layers)) if stack.carriers else 0 for stack in objective.stacks]


def carriers_bytes(objective: Objective, shape: Shape, windows: int) -> int:
    """Return the bytes of device memory of a `CudaCarriers`."""
    counts = carrying(objective, shape.layers)
    kinds = [2 if stack.weight("leak") else 1 for stack in objective.stacks]
    planes = 3 * shape.planes * any(counts) + windows * int(np.dot(counts, kinds))
    return 4 * shape.height * pitch_of(shape.width) * planes
