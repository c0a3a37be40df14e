"""Merges equal consecutive frames into one frame with a longer duration."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 sRGB."""


def with_durations(frames: Iterable[Frame], fps: float, ticks: int) -> Iterator[tuple[Frame, int]]:
    """Yield every frame that differs from the previous one, with its duration in ticks.

    frames: each (h, w, 3) uint8. fps: frames per second. ticks: ticks per second. A frame begins at the nearest
    tick, so a duration is wrong by at most one tick, and the durations add up to that of the film.
    """
    before: Frame | None = None
    begin = 0
    count = 0
    for frame in frames:
        if before is None:
            before = frame
        elif frame is not before and not np.array_equal(frame, before):
            moment = round(ticks * count / fps)
            yield before, moment - begin
            before, begin = frame, moment
        count += 1
    if before is not None:
        yield before, round(ticks * count / fps) - begin
