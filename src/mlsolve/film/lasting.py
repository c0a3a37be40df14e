"""Frames that follow each other → frames that differ, each with how long it is seen."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]


def lasting(frames: Iterable[Frame], fps: float, ticks: int) -> Iterator[tuple[Frame, int]]:
    """Give every frame that differs from the one before it, and its duration in ticks.

    frames: one or more, each (h, w, 3) uint8, `fps` of them a second. ticks: how many a second has. Frames begin
    at the tick that is nearest, so durations are off by one tick at the most and their sum is that of the film.
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
