"""Which device codes a chart shows: steps of every channel, mixtures, repeats, and pairs for stacks."""

import itertools
from typing import Final

import numpy as np

Codes = tuple[int, ...]
"""Device codes of a patch, one a channel, 0 (full ink) to 255 (no ink)."""

_STEPS: Final = (0, 26, 51, 77, 102, 128, 153, 179, 204, 230)
"""Steps of a channel; 255, no ink, is what clear patches show."""
_GREY_STEPS: Final = (0, 13, 26, 38, 51, 64, 77, 102, 128, 153, 179, 204, 217, 230, 242)
_MIXED: Final = (0, 85, 170, 255)
_GREYS: Final = range(70, 256)
_TINT: Final = 50
"""Greys that are laid on each other, and how far a channel may lie from them."""
_CLEAR: Final = 6
"""Clear patches among the others, at least."""
_REPEATED: Final = 12
STRIP_ROWS: Final = 2


def main_patches(channels: int) -> list[Codes]:
    """Return the device codes of the patches of one sheet, without clear ones that fill the last row."""
    if channels == 1:
        steps = [(code,) for code in _GREY_STEPS]
        return [*steps * 3, *[(255,)] * _CLEAR]
    found: list[Codes] = []
    for code in _STEPS:
        found += [(code, 255, 255), (255, code, 255), (255, 255, code), (code, code, code)]
    mixtures = [one for one in itertools.product(_MIXED, repeat=3) if one not in found and one != (255, 255, 255)]
    found += mixtures
    # Repeats show how evenly the printer prints, and whether one of two patches is spoiled.
    found += found[:: max(1, len(found) // _REPEATED)][:_REPEATED]
    return found + [(255, 255, 255)] * _CLEAR


def stacked_pairs(channels: int, count: int, rng: np.random.Generator) -> list[tuple[Codes, Codes]]:
    """Return `count` pairs of device codes, of the sheet below and of the strip laid on it."""
    if channels == 1:
        levels = (0, 51, 102, 153, 204, 255)
        single = list(itertools.combinations_with_replacement(levels, 2))
        pairs: list[tuple[Codes, Codes]] = [
            ((single[at][0],), (single[at][1],)) for at in rng.permutation(len(single))
        ]
    else:
        inks = [(0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 255), (255, 0, 0), (0, 255, 0)]
        pale = [tuple((code + 255) // 2 for code in ink) for ink in inks]
        pairs = [
            ((255,) * 3, (255,) * 3),
            *[(a, b) for a, b in itertools.combinations_with_replacement(inks[:3], 2)],
            *[(a, b) for a, b in itertools.combinations(inks[3:], 2)],
            *[(a, a) for a in pale[:3]],
        ]
    while len(pairs) < count:  # near grey, as sheets are that were solved (bench/LOG.md)
        greys = rng.integers(_GREYS.start, _GREYS.stop, (2, 1))
        one, other = np.clip(greys + rng.integers(-_TINT, _TINT + 1, (2, channels)), 0, 255)
        pairs.append((tuple(map(int, one)), tuple(map(int, other))))
    chosen = rng.permutation(count)
    return [pairs[at] for at in chosen]
