"""A film of the sheets: they come together on the light box, show one picture after another, and part again.

script.py decides what happens when; table.py holds the positions of sheets, light box and camera; poses.py moves a
sheet from one position to another. projector.py renders a scene as a frame, eye.py knows how light looks that has
passed film and inks, and captions.py writes text on the frame.
files.py writes the frames to a film, through mp4.py, webp.py or gif.py. folder.py collects all of this from the
output folder of a run.

Knows the output folder of a finished run and how placed sheets look, and nothing about the solve. Called by the
command line.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light.ink.inks import Inks

from ..errors import InputError, OptionError
from ..job.arrangements import Arrangement
from ..media import Media
from ..pictures.arrays import FloatArray, code_values, same_planes
from ..pictures.colour import as_planes
from ..ranges import check_exposure
from ..scoring.developing import bands_of
from .captions import captions
from .files import check_film, usual_suffix, write_film
from .projector import Projector
from .script import Script
from .table import Size, Table, frame_size, picture_size

__all__ = ["Film", "check_film", "frame_size", "frames", "picture_size", "usual_suffix", "write_film"]

Frame = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 sRGB."""


class Film:
    """The frames of a film, rendered one by one on demand."""

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
        inks: Inks | None = None,
    ) -> None:
        """Arguments and errors are those of `frames`, except for the profile.

        inks: film, inks and room. The layers are then what the sheets let through in bands, as sRGB of the light,
        and the stacks are as they look. None: the layers are what the eye sees.
        """
        sheets = _pictures(layers, "layer") if inks is None else _images(layers, "layer")
        _check(len(sheets), arrangements, exposures, names, stacks)
        composites = None if stacks is None else _pictures(stacks, "stack")
        picture = (sheets[0].shape[1], sheets[0].shape[0])
        if composites is not None and composites[0].shape != sheets[0].shape:
            raise InputError(
                f"stack 1 is {composites[0].shape[1]}×{composites[0].shape[0]}, "
                f"layer 1 is {picture[0]}×{picture[1]}: make them the same size"
            )
        self.size = _frame_around(picture) if size is None else size
        """(width, height) of a frame in pixels, both even."""
        if picture[0] > self.size[0] or picture[1] > self.size[1]:
            raise OptionError(
                f"size is {self.size[0]}×{self.size[1]}, the layers are {picture[0]}×{picture[1]}: "
                "give a larger size or smaller layers"
            )
        self.table = Table(picture, self.size, len(sheets), names is not None, outline)
        """Where the sheets are on the table, and what the camera sees of them."""
        self.script = Script(self.table, arrangements, exposures, scale, fps, seconds)
        """What happens when."""
        self._projector = Projector(self.table, sheets, exposures, composites, inks)
        self._captions = None if names is None else captions(self.table, arrangements, names)

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.script.frames

    def __iter__(self) -> Iterator[Frame]:
        """Yield all frames, (h, w, 3) uint8 sRGB, read-only. While nothing moves, all are the same array."""
        before: Any = None
        for number in range(len(self)):
            scene = self.script.at(number)
            if scene is not before:
                frame = self._frame(number)
            before = scene
            yield frame

    def __getitem__(self, number: int) -> Frame:
        """Return frame `number`, counted from 0, (h, w, 3) uint8 sRGB, read-only."""
        return self._frame(range(len(self))[number])

    def rest(self, scene: int) -> range:
        """Return the numbers of the frames in which `scene` is still.

        In scene 0 and the last scene the sheets lie apart; scene k shows arrangement k.
        """
        return self.script.rest(scene)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of a frame that show the stack of an arrangement pixel for pixel while it is still."""
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
    *,
    media: Media | None = None,
    room: float = 0.0,
    **settings: Any,
) -> Iterator[Frame]:
    """Yield the frames of a film, each (h, w, 3) uint8 sRGB with even h and w. The last is like the first.

    layers: N pictures of the same size, at the size at which they are to appear, in any form that `mlsolve.compose`
    takes. exposures: one for each arrangement, in (0, 1]. names: the captions, one for each arrangement; None: no
    captions. media: the printer and film of the layers, which are then device codes; None: ideal inks. room: light
    of the room that the front of a stack reflects, as a share of its white; used with media.

    settings:
    fps: frames per second, 25 by default.
    seconds: duration of the film; None: chosen from the numbers of sheets and arrangements.
    size: (width, height) of a frame in pixels, both even; None: chosen to suit the layers.
    scale: pixels of these layers per pixel at full size, because shifts are in full-size pixels; 1 by default.
    stacks: pictures of the stacks, of the same size as the layers. Give them if the layers were reduced, because
    the product of averages is not the average of the product. None: the stacks are computed from the layers.
    outline: "sheet" or "disc".

    The same arguments give the same bytes. Raises InputError for pictures that cannot be used or differ in size,
    and OptionError for numbers out of range or a wrong number of exposures, names or stacks.
    """
    if media is None:
        return iter(Film(layers, arrangements, exposures, names, **settings))
    codes = same_planes(list(layers), "layer")
    if codes[0].shape[2] != media.planes:
        raise InputError(
            f"layers have {codes[0].shape[2]} planes, media {media.name} has {media.planes} channels: give as many"
        )
    sheets, inks = [bands_of(one, media.inks) for one in codes], media.inks._replace(room=room)
    return iter(Film(sheets, arrangements, exposures, names, inks=inks, **settings))


def _pictures(pictures: "Sequence[npt.ArrayLike]", name: str) -> list[Frame]:
    """Return pictures of the same size as (H, W, 3) uint8 sRGB. `name` stands in error messages."""
    return [code_values(image) for image in same_planes(list(pictures), name)]


def _images(pictures: "Sequence[npt.ArrayLike]", name: str) -> list[FloatArray]:
    """Return pictures of the same size as (H, W, 3) float32 sRGB in [0, 1]. `name` stands in error messages."""
    return [as_planes(image, 3) for image in same_planes(list(pictures), name)]


def _frame_around(picture: Size) -> Size:
    """Return the size of the smallest frame that has room for a `picture`, both (width, height) in pixels."""
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
    """Raise OptionError unless each arrangement has one exposure, name and stack, and uses only existing layers."""
    if not arrangements:
        raise OptionError("there is no arrangement: give one or more")
    for name, given in (("exposures", exposures), ("names", names), ("stacks", stacks)):
        if given is not None and len(given) != len(arrangements):
            raise OptionError(
                f"there are {len(given)} {name} and {len(arrangements)} arrangements: give one for each arrangement"
            )
    for exposure in exposures:
        check_exposure(exposure)
    for number, arrangement in enumerate(arrangements, start=1):
        for one in arrangement.placed(layers):
            if one.layer > layers:
                raise OptionError(f"arrangement {number} uses layer {one.layer}, but there are {layers} layers")
