"""A film of the sheets: they come together on the light box, show one picture after the other, and go apart.

script.py says what happens when, table.py where things lie and what the camera sees of them, poses.py how a
sheet gets from place to place; projector.py turns a scene into a frame, captions.py writes below it, files.py makes
a film of the frames, by mp4.py, webp.py or gif.py, and folder.py finds all of it in the folder of a run.

Knows the folder of a finished run and how placed sheets look, and nothing of the solve. Called by the command
line.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, OptionError
from ..job.arrangements import Arrangement
from ..pictures.arrays import code_values, same_planes
from ..ranges import check_exposure
from .captions import captions
from .files import check_film, usual_suffix, write_film
from .projector import Projector
from .script import Script
from .table import Size, Table, frame_size, picture_size

__all__ = ["Film", "check_film", "frame_size", "frames", "picture_size", "usual_suffix", "write_film"]

Frame = npt.NDArray[np.uint8]


class Film:
    """The frames of a film, made one by one as they are asked for."""

    def __init__(
        self,
        layers: "Sequence[npt.ArrayLike]",
        arrangements: Sequence[Arrangement],
        exposures: Sequence[float],
        names: Sequence[str] | None = None,
        *,
        fps: float = 25.0,
        seconds: float | None = None,
        size: Size | None = None,
        scale: float = 1.0,
        stacks: "Sequence[npt.ArrayLike] | None" = None,
        outline: str = "sheet",
    ) -> None:
        """Take what `frames` takes."""
        sheets = _pictures(layers, "layer")
        _check(len(sheets), arrangements, exposures, names, stacks)
        composite = None if stacks is None else _pictures(stacks, "stack")
        picture = (sheets[0].shape[1], sheets[0].shape[0])
        if composite is not None and composite[0].shape != sheets[0].shape:
            raise InputError(
                f"stack 1 is {composite[0].shape[1]}×{composite[0].shape[0]}, "
                f"layer 1 is {picture[0]}×{picture[1]}: make them one size"
            )
        self.size = _frame_around(picture) if size is None else size
        """Width and height of a frame in pixels, both even."""
        if picture[0] > self.size[0] or picture[1] > self.size[1]:
            raise OptionError(
                f"size is {self.size[0]}×{self.size[1]}, the layers are {picture[0]}×{picture[1]}: "
                "give a larger size or smaller layers"
            )
        self.table = Table(picture, self.size, len(sheets), names is not None, outline)
        """Where the sheets lie, and what the camera sees of them."""
        self.script = Script(self.table, arrangements, exposures, scale, fps, seconds)
        """What happens when."""
        self._projector = Projector(self.table, sheets, exposures, composite)
        self._captions = None if names is None else captions(self.table, arrangements, names)

    def __len__(self) -> int:
        """Return how many frames there are."""
        return self.script.frames

    def __iter__(self) -> Iterator[Frame]:
        """Give all frames, (h, w, 3) uint8 sRGB; those of a hold are one array, which must not be written to."""
        before: Any = None
        for number in range(len(self)):
            scene = self.script.at(number)
            if scene is not before:
                frame = self._frame(number)
            before = scene
            yield frame

    def __getitem__(self, number: int) -> Frame:
        """Return the frame of this number, from 0."""
        return self._frame(range(len(self))[number])

    def rest(self, scene: int) -> range:
        """Return the numbers of the frames in which all lies still: 0 and the last apart, k at arrangement k."""
        return self.script.rest(scene)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of a frame in which the picture is seen, pixel for pixel, where all lies still."""
        (left, top), (width, height) = self.table.corner, self.table.picture
        return slice(top, top + height), slice(left, left + width)

    def _frame(self, number: int) -> Frame:
        scene = self.script.at(number)
        frame = self._projector.frame(scene)
        if self._captions is not None and scene.caption[1] > 0:
            for caption in self._captions[scene.caption[0] % len(self._captions)]:
                caption.lay(frame, scene.caption[1])
        frame.flags.writeable = False
        return frame


def frames(
    layers: "Sequence[npt.ArrayLike]",
    arrangements: Sequence[Arrangement],
    exposures: Sequence[float],
    names: Sequence[str] | None = None,
    **settings: Any,
) -> Iterator[Frame]:
    """Give the frames of a film, each (h, w, 3) uint8 sRGB with even h and w; the last is like the first.

    layers: the sheets as they are to be seen, N pictures of one size, as `mlsolve.compose` takes them; exposures:
    one of every arrangement. names: what stands below each picture; None: nothing does.

    settings: fps, frames a second, 25. seconds: how long the film lasts; None: as long as looks well. size: (width,
    height) of a frame, even; None: what suits the layers. scale: pixels of these layers for one at full size, in
    which shifts count. stacks: what each stack shows, of the layers' size, where these were made smaller: averages
    multiply to something else; None: what they multiply to. outline: "sheet" or "disc".

    The same arguments give the same bytes. Raises InputError and OptionError.
    """
    return iter(Film(layers, arrangements, exposures, names, **settings))


def _pictures(pictures: "Sequence[npt.ArrayLike]", name: str) -> list[Frame]:
    """Return pictures of one size as (H, W, 3) uint8 sRGB."""
    return [code_values(image) for image in same_planes(list(pictures), name)]


def _frame_around(picture: Size) -> Size:
    """Return the size of the smallest frame with room for a `picture`, both (width, height)."""
    longest = max(picture)
    while max(picture_size(picture, frame_size(picture, longest))) < max(picture):
        longest += 2
    return frame_size(picture, longest)


def _check(
    layers: int,
    arrangements: Sequence[Arrangement],
    exposures: Sequence[float],
    names: Sequence[str] | None,
    stacks: "Sequence[npt.ArrayLike] | None",
) -> None:
    """Raise OptionError unless there is one of everything for each arrangement, and every layer that lies there."""
    if not arrangements:
        raise OptionError("there is no arrangement: give one or more")
    for name, given in (("exposures", exposures), ("names", names), ("stacks", stacks)):
        if given is not None and len(given) != len(arrangements):
            raise OptionError(f"{name} are {len(given)}, arrangements {len(arrangements)}: give one for each")
    for exposure in exposures:
        check_exposure(exposure)
    for number, arrangement in enumerate(arrangements, start=1):
        for one in arrangement.placed(layers):
            if one.layer > layers:
                raise OptionError(f"arrangement {number} lays layer {one.layer}: there are {layers} layers")
