"""Reference of SplitMix64 with random access (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
OOPSLA 2014)."""

import numpy as np
import numpy.typing as npt

_MASK = 2**64 - 1


def uniform_noise(seed: int, first: int, count: int) -> npt.NDArray[np.float64]:
    """Return numbers first … first + count - 1 of the sequence of `seed`, (count,) in [0, 1), 24 bits each."""
    result = np.empty(count)
    for number in range(count):
        z = (seed + (first + number + 1) * 0x9E3779B97F4A7C15) & _MASK
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
        result[number] = ((z ^ z >> 31) >> 40) / 2**24
    return result
