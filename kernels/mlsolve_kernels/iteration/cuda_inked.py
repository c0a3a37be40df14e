"""An iteration whose layers are device codes, on a GPU: twin of inked.py."""

from typing import Any

from ..cuda.device import Device
from ..cuda.geometry import CARRYING, pitch_of, tiles_for
from ..cuda.source import kernel_of
from ..light import declared
from ..light.ink.inks import Inks
from ..light.ink.numbers import Numbers, is_plain, numbers_of, packed
from ..light.ink.reference import GAMMA
from .objective import Objective, Shape


class CudaInked:
    """The sheets of a workspace on a GPU, developed from its layers, and the way back (light/ink)."""

    def __init__(self, inks: Inks, device: Device, objective: Objective, shape: Shape, windows: int) -> None:
        """Allocate it; shape.planes: the planes of all windows together.

        Raises ValueError if a window has another number of planes than the inks have channels, or if the light
        couples planes, OutOfDeviceMemory.
        """
        of_window = shape.planes // windows
        if of_window != inks.planes or of_window not in (1, 3):
            raise ValueError(f"inks have {inks.planes} channels, layers {of_window} planes: give 1 or 3 of both")
        if declared(objective.light).couples_planes:
            raise ValueError(f"light is {objective.light!r}, which couples planes: on a GPU inks take power")
        self._device, self._light, self._windows, self._of_window = device, objective.light, windows, of_window
        (count, planes), self._size = shape[:2], (shape.height, shape.width, pitch_of(shape.width))
        self._counts = [len(one.sheets(count)) for one in objective.stacks]
        exposures = [one.scale**GAMMA for one in objective.stacks]
        # The same box: a sheet alone is 1 / exposure times as bright as the stack, the room is not.
        self._alone = self._upload(numbers_of(inks, room=inks.room * exposures[0]))
        of_stacks = [
            numbers_of(inks, sheets, exposure) for sheets, exposure in zip(self._counts, exposures, strict=True)
        ]
        self._reflects = [int(one.reflects) for one in of_stacks]
        self._of_stacks = [self._upload(one) for one in of_stacks]
        self.sees = not is_plain(inks)
        """Whether the eye sees something else than the bands; if not, looks are the sheets."""
        plane = self._size[0], self._size[2]
        self.sheets = device.zeros(count, planes, *plane)
        """What the sheets let through in bands, encoded, (N, planes, H, pitch) on the device."""
        self._looks, self._by_look = (device.zeros(count, planes, *plane) if self.sees else None for _ in range(2))
        self._composite, self._seen = (device.zeros(planes, *plane) if self.sees else None for _ in range(2))

    @property
    def looks(self) -> Any:
        """How every sheet looks alone, encoded, (N, planes, H, pitch) on the device."""
        return self._looks if self.sees else self.sheets

    def by_looks(self, gradient: Any) -> Any:
        """Return where the gradient by the looks is added up; gradient: that by the sheets."""
        return self._by_look if self.sees else gradient

    def develop(self, layers: Any) -> None:
        """Develop the layers, (N, planes, H, pitch) on the device."""
        to = self.sheets, self.looks, int(self.sees)
        self._launch("develop", 1, len(layers), layers, self._alone, *to)

    def give_back(self, layers: Any, disc: Any, gradient: Any) -> None:
        """Turn the gradient by the sheets, and that by the looks, into that by the layers, in place.

        disc: (windows, H, pitch) on the device, 0 where a layer must not change, or None.
        """
        anything = self.sheets if disc is None else disc
        known = layers, self._alone, self.sheets, self.looks, self.by_looks(gradient), anything
        flags = int(self.sees), int(disc is not None), self._windows
        self._launch("develop_back", 1, len(layers), *known, gradient, *flags)

    def see(self, stack: int, placed: Any, constant: float) -> Any:
        """Return how the eye sees the stack of the sheets `placed`, (planes, H, pitch) on the device.

        Only if it `sees` something else than their bands. constant: of the light.
        """
        name, numbers = kernel_of("see", self._light), self._of_stacks[stack]
        to = self._composite, self._seen, constant, self._reflects[stack]
        self._launch(name, self._counts[stack], 1, placed, numbers, *to)
        return self._seen

    def see_back(self, stack: int, gradient: Any) -> None:
        """Turn the gradient by what the eye sees of a stack into that by its composite, in place.

        The stack must be the last one that was seen.
        """
        if self.sees:
            known = self._composite, self._of_stacks[stack], self._seen
            self._launch("see_back", 1, 1, *known, gradient, self._reflects[stack])

    def _upload(self, numbers: Numbers) -> Any:
        """Return `numbers` on the device."""
        host = packed(numbers)
        array = self._device.zeros(len(host))
        self._device.upload(host, array)
        return array

    def _launch(self, kernel: str, sheets: int, images: int, *arguments: Any) -> None:
        """Launch a kernel over `images` images of all windows; sheets: the number for which it is compiled."""
        tiles = tiles_for(images * self._windows, *self._size[:2])
        self._device.launch(kernel, sheets, tiles, CARRYING, *arguments, self._of_window, *self._size)


def inked_device_bytes(inks: Inks | None, shape: Shape) -> int:
    """Return the bytes of device memory of a `CudaInked` for layers of `shape`, without its numbers; or 0."""
    if inks is None:
        return 0
    images = shape.layers if is_plain(inks) else 3 * shape.layers + 2
    return 4 * images * shape.planes * shape.height * pitch_of(shape.width)
