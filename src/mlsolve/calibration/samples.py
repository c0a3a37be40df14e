"""What was measured: device codes of one sheet or of two, and the light that came through them."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..pictures.colour import encode

Array = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Samples:
    """Measured patches, n of them."""

    codes: Array
    """Device codes in [0, 1] of the sheets, (2, n, C): 1 is no ink. Of a single sheet the second is NaN."""
    light: Array
    """Light that came through relative to the empty box, (n, P) linear sRGB, or grey, as the instrument has it."""
    names: tuple[str, ...]
    to_light: Array | None = None
    """Matrix from bands to `light`, (P, P), where the instrument says what its bands are; None: the fit finds
    it."""
    references: npt.NDArray[np.bool_] | None = None
    """Which samples are what the eye sees, (n,), where the others are not quite; None: all count as that."""

    @property
    def planes(self) -> int:
        """Number of channels and of planes."""
        return int(self.light.shape[1])

    @property
    def stacked(self) -> npt.NDArray[np.bool_]:
        """Which samples are stacks of two sheets, (n,)."""
        return np.isfinite(self.codes[1, :, 0])

    @property
    def values(self) -> Array:
        """Layer values, (2, n, C); 1 in place of a second sheet that is not there."""
        filled = np.where(np.isfinite(self.codes), self.codes, 1)
        return np.asarray(encode(filled.astype(np.float32)), dtype=np.float64)

    def groups(self) -> npt.NDArray[np.int64]:
        """Return for each sample the number of its kind, (n,): repeats of the same codes are of one kind."""
        keys = np.nan_to_num(np.moveaxis(self.codes, 1, 0).reshape(len(self.names), -1), nan=-1.0)
        return np.asarray(np.unique(keys.round(6), axis=0, return_inverse=True)[1]).ravel()


def joined(parts: list[Samples]) -> Samples:
    """Return the samples of several, all of the same planes and the same instrument."""
    return Samples(
        np.concatenate([one.codes for one in parts], axis=1),
        np.concatenate([one.light for one in parts]),
        tuple(name for one in parts for name in one.names),
        parts[0].to_light,
    )


def with_references(samples: Samples, references: Samples) -> Samples:
    """Return samples with those of an instrument that sees as the eye does beside them.

    Then bands are those that explain both, not those of the first instrument.
    """
    both = joined([samples, references])
    return replace(both, to_light=None, references=np.arange(len(both.names)) >= len(samples.names))
