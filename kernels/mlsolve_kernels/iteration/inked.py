"""An iteration whose layers are device codes, on the CPU: developed sheets, their looks, stacks as seen."""

from collections.abc import Callable

from ..lanes import LANES
from ..layout import BLOCK, FloatArray, Strips, aligned_zeros
from ..light.ink import cpu
from ..light.ink.inks import Inks
from ..light.ink.numbers import is_plain, numbers_of
from ..light.ink.reference import GAMMA
from ..threads import Team
from .objective import Objective, Shape


class Inked:
    """The sheets of a workspace, developed from its layers, and the way back (light/ink)."""

    def __init__(
        self,
        inks: Inks,
        objective: Objective,
        shape: Shape,
        of_window: int,
        zeros: Callable[..., FloatArray],
        team: Team,
    ) -> None:
        """of_window: planes of a window. zeros: returns zeros for images, by their leading shape.

        Raises ValueError if a window has another number of planes than the inks have channels.
        """
        if of_window != inks.planes:
            raise ValueError(f"inks have {inks.planes} channels, the layers {of_window} planes: give as many")
        count, planes = shape[:2]
        self._team, self._of_window, self._plain = team, of_window, is_plain(inks)
        exposures = [one.scale**GAMMA for one in objective.stacks]
        # The same box: a sheet alone is 1 / exposure times as bright as the stack, the room is not.
        self._alone = numbers_of(inks, room=inks.room * exposures[0])
        self._of_stacks = [
            numbers_of(inks, len(one.sheets(count)), exposure)
            for one, exposure in zip(objective.stacks, exposures, strict=True)
        ]
        self.sheets = zeros(count, planes)
        """What the sheets let through in bands, encoded, (N, P, across, H, L)."""
        self._looks = None if self._plain else zeros(count, planes)
        self._by_look = None if self._plain else zeros(count, planes)
        self._seen = None if self._plain else zeros(planes)
        self._scratch = aligned_zeros(team.workers, cpu.SCRATCH)

    @property
    def looks(self) -> FloatArray:
        """How every sheet looks alone, encoded, (N, P, across, H, L)."""
        return self.sheets if self._looks is None else self._looks

    def by_looks(self, gradient: FloatArray) -> FloatArray:
        """Return where the gradient by the looks is added up; gradient: that by the sheets."""
        return gradient if self._by_look is None else self._by_look

    def develop(self, layers: FloatArray, inside: FloatArray) -> None:
        """Develop the layers (N, P, across, H, L); inside: (across, L), 0 outside the image."""
        where = self._of_window, inside, self.sheets, self._looks, self._scratch
        self._team.run(cpu.develop_pass, layers, self._alone, *where)

    def give_back(self, layers: FloatArray, disc: FloatArray | None, gradient: FloatArray) -> None:
        """Turn the gradient by the sheets, and that by the looks, into that by the layers, in place.

        disc: (W, across, H, L), 0 where a layer must not change, or None.
        """
        where = self._of_window, self.sheets, self._looks, self._by_look, disc, gradient, self._scratch
        self._team.run(cpu.develop_back_pass, layers, self._alone, *where)

    def see(self, stack: int, composite: FloatArray, inside: FloatArray) -> FloatArray:
        """Return how the eye sees the composite of a stack, (P, across, H, L)."""
        if self._seen is None:
            return composite
        numbers = self._of_stacks[stack]
        self._team.run(cpu.see_pass, composite, numbers, self._of_window, inside, self._seen, self._scratch)
        return self._seen

    def see_back(self, stack: int, composite: FloatArray, gradient: FloatArray) -> None:
        """Turn the gradient by what the eye sees of a stack into that by its composite, in place."""
        if self._seen is not None:
            numbers = self._of_stacks[stack]
            where = self._of_window, self._seen, gradient, self._scratch
            self._team.run(cpu.see_back_pass, composite, numbers, *where)


def inked_bytes(shape: Shape, strips: Strips, inks: Inks | None, workers: int) -> int:
    """Return the bytes of an `Inked` for layers of `shape`; 0 without inks."""
    if inks is None:
        return 0
    images = (1 if is_plain(inks) else 3) * shape.layers + (not is_plain(inks))
    plane = (strips.across * strips.height + BLOCK) * strips.groups * LANES
    return 4 * (images * shape.planes * plane + workers * cpu.SCRATCH)
