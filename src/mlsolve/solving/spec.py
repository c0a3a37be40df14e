"""The specification of a solve: resolved once, from a job or from arrays, and saved in the store."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np

from mlsolve_kernels.iteration.objective import Objective, Stack
from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.light.ink.reference import develop
from mlsolve_kernels.terms import TERMS, ActsOn

from ..errors import OptionError
from ..job.arrangements import Arrangement, Placement, check_registration
from ..job.depths import check_views
from ..job.options import Options
from ..job.settings import settings_of
from ..media import Media
from ..pictures.colour import GAMMA, exposure_scale, printable_range
from .pyramid import level_shapes
from .store import Store

BETAS: Final = (0.8, 0.95)
"""Decay rates of Adam's moments. Both are shorter than usual because a level has only about sixty steps: with
(0.9, 0.99) it took a hundred to reach the same loss (bench/LOG.md, mlsolve_records.convergence)."""

DOCUMENT: Final = "spec"


def objective_of(options: Options, layers: int) -> Objective:
    """Return the objective of `options` for a single stack of `layers` layers, all unmoved."""
    stack = Stack(exposure_scale(options.exposure), weights_of(options, ("stack",), 1, layers))
    return Objective((stack,), weights_of(options, ("layer",), 1, layers), step=options.step_for(moved=False))


def weights_of(options: Options, acts_on: tuple[ActsOn, ...], stacks: int, layers: int) -> dict[str, float]:
    """Return the weights of the terms that act on `acts_on`, by name; each term names its option (terms/)."""
    weights = {term.name: getattr(options, term.weight_option) for term in TERMS if term.acts_on in acts_on}
    by_count = {"stack_mse": options.mse_weight_for(stacks), "guide_ssim": options.guide_weight_for(layers)}
    return weights | {name: weight for name, weight in by_count.items() if name in weights}


@dataclass(frozen=True)
class StackSpec:
    """An arrangement: its sheets, their placements, and the weight of its picture."""

    place: tuple[Placement, ...] | None = None
    """The placements of its sheets; None: all sheets, unmoved."""
    weight: float = 1.0
    exposure: float | None = None
    """Its exposure; None: that of the options."""
    masked: bool = False
    """Whether its target has a mask: a weight for each pixel."""
    share: float = 1.0
    """The mean weight of its pixels."""
    carriers: int = 0
    """Regions into which it is divided, each with a sheet that carries its detail; 0: it has no carriers."""
    carried: tuple[float, ...] = ()
    """The share of its pixels that each sheet carries, weighted; () until it is known."""

    def placed(self, layers: int) -> tuple[Placement, ...]:
        """Return the placements of its sheets, from a set of `layers` layers."""
        return tuple(Placement(k) for k in range(1, layers + 1)) if self.place is None else self.place

    def scaled(self, scale: float) -> "StackSpec":
        """Return it at another size, where a pixel at full size is `scale` pixels."""
        if self.place is None:
            return self
        shifts = [(one.shift[0] * scale, one.shift[1] * scale) for one in self.place]
        pairs = zip(self.place, shifts, strict=True)
        return dataclasses.replace(self, place=tuple(dataclasses.replace(one, shift=shift) for one, shift in pairs))


@dataclass(frozen=True)
class Spec:
    """N layers of C planes in M stacks, at sizes from coarse to fine.

    Its pictures are numbered: M targets, N guides, then the masks of the targets that have one.
    """

    layers: int
    planes: int
    shapes: tuple[tuple[int, int], ...]
    """Height and width of every level, the coarsest first."""
    picture_planes: tuple[int, ...]
    """Planes that are stored for each target, guide and mask: a grey picture among colour pictures has one."""
    options: Options
    backend: Literal["cpu", "cuda"]
    """The backend that computes it."""
    stacks: tuple[StackSpec, ...] = (StackSpec(),)
    """The arrangements."""
    disc: bool = False
    """Whether the sheets are round."""
    disc_share: float = 1.0
    """Share of the pixels that lies inside the circle; 1 for other sheets."""
    inks: Inks | None = None
    """Film, inks and room, if the layers are device codes; None: a layer is what its sheet lets through."""
    bits: int | None = None
    """Bits of the code values that the last round leaves, for files; None: it leaves encoded transmittance."""

    @classmethod
    def resolve(
        cls,
        arrangements: Sequence[Arrangement],
        layers: int,
        size: tuple[int, int],
        picture_planes: Sequence[int],
        options: Options,
        disc: bool = False,
        media: Media | None = None,
    ) -> "Spec":
        """Return the specification of a solve on the CPU, with every default that depends on the pictures resolved.

        size: (width, height) of the sheets in pixels. picture_planes: colour planes of targets, guides and masks,
        in that order. media: what the layers are printed with and on. Raises OptionError for options that do not
        suit the size or the media.
        """
        width, height = size
        check_registration(options.registration, (height, width))
        check_views(options, arrangements, layers, (height, width))
        shapes = tuple(level_shapes(height, width, options.levels))
        stacks = stack_specs(arrangements, options, layers)
        inks = inks_of(options, media)
        step = options.step_for(len(stacks) > 1 or stacks[0].place is not None, inks is not None)
        named = dataclasses.replace(
            options,
            solver=step,
            iterations=options.iterations_for(step),
            levels=len(shapes),
            guide_weight=options.guide_weight_for(layers),
            mse_weight=options.mse_weight_for(len(stacks)),
            learning_rate=options.rate if step == "adam" else None,
            threads=None,
        )
        # Masks have one plane whatever the pictures have.
        planes = max(picture_planes[: len(stacks) + layers]) if inks is None else inks.planes
        return cls(layers, planes, shapes, tuple(picture_planes), named, "cpu", stacks, disc, inks=inks)

    def scaled(self, size: tuple[int, int], scale: float) -> "Spec":
        """Return it at another size = (width, height), where a pixel of this size is `scale` pixels."""
        shapes = tuple(level_shapes(size[1], size[0], None))
        options = dataclasses.replace(self.options.at_scale(scale), levels=len(shapes))
        stacks = tuple(stack.scaled(scale) for stack in self.stacks)
        return dataclasses.replace(self, shapes=shapes, options=options, stacks=stacks)

    @property
    def levels(self) -> int:
        """Number of levels; level 1 is the coarsest."""
        return len(self.shapes)

    @property
    def iterations(self) -> int:
        """Iterations at each level."""
        return self.options.iterations_for(self.objective.step)

    @property
    def has_tolerance(self) -> bool:
        """Whether the pictures tolerate sheets that are seen displaced."""
        return self.options.tolerant

    def guide(self, layer: int) -> int:
        """Return the picture number of the guide of layer `layer`, counted from 0."""
        return len(self.stacks) + layer

    def mask(self, stack: int) -> int:
        """Return the number of the picture that holds the weights of the pixels of a stack's target."""
        return len(self.stacks) + self.layers + sum(one.masked for one in self.stacks[:stack])

    def exposure(self, stack: int) -> float:
        """Return the exposure of a stack."""
        own = self.stacks[stack].exposure
        return self.options.exposure if own is None else own

    def scale(self, level: int) -> float:
        """Return how many pixels of `level` there are for one at full size, along a side."""
        return 0.5 ** (self.levels - level)

    @cached_property
    def objective(self) -> Objective:
        """What is minimised."""
        options, count = self.options, len(self.stacks)
        of_sheets = weights_of(options, ("sheet",), count, self.layers)
        of_stacks = weights_of(options, ("stack",), count, self.layers) | of_sheets
        stacks = []
        for number, one in enumerate(self.stacks):
            still = one.place is None and count == 1 and not (self.has_tolerance or any(of_sheets.values()))
            sheets = None if still else tuple(placed.layer - 1 for placed in one.placed(self.layers))
            stacks.append(
                Stack(
                    exposure_scale(self.exposure(number)),
                    {name: weight * one.weight for name, weight in of_stacks.items()},
                    sheets,
                    one.share,
                    one.masked,
                    one.carriers > 0 and not still,
                    one.carried if one.carriers and not still else (),
                )
            )
        of_layers = weights_of(options, ("layer",), count, self.layers)
        moved = len(stacks) > 1 or self.stacks[0].place is not None
        step = options.step_for(moved, self.inks is not None)
        return Objective(tuple(stacks), of_layers, self.disc, self.disc_share, step=step, inks=self.inks)

    def objective_at(self, level: int) -> Objective:
        """Return what is minimised at `level`, and what moves the layers there.

        The coarsest of several levels belongs to Adam, which costs next to nothing there. The coarsest layers
        decide which of several minima is found: of two layers that must be dark together, which one is. Adam's
        first steps have the full length and find better ones (bench/LOG.md).
        """
        if level == 1 < self.levels and self.objective.step == "newton":
            return dataclasses.replace(self.objective, step="adam")
        return self.objective

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The range of a layer's values: of printable encoded transmittance, or all device codes."""
        return (0.0, 1.0) if self.inks is not None else printable_range(*self.densities)

    @cached_property
    def densities(self) -> tuple[float, float]:
        """The least and the largest density that a sheet can have, in the band where it has most of either."""
        if self.inks is None:
            return self.options.min_density, self.options.max_density
        clear, full = (density_range(self.inks, value) for value in (1.0, 0.0))
        return max(clear), max(full)

    def pixels(self, level: int) -> int:
        """Return the pixels of all planes of an image at `level`."""
        height, width = self.shapes[level - 1]
        return self.planes * height * width

    def save(self, store: Store) -> None:
        """Write it to `store`."""
        store.save(DOCUMENT, dataclasses.asdict(self))

    @classmethod
    def load(cls, store: Store) -> "Spec":
        """Return the specification in `store`."""
        found: dict[str, Any] = store.load(DOCUMENT)
        return cls(
            found["layers"],
            found["planes"],
            tuple((height, width) for height, width in found["shapes"]),
            tuple(found["picture_planes"]),
            Options(**found["options"]),
            found["backend"],
            tuple(_stack(one) for one in found["stacks"]),
            found["disc"],
            found["disc_share"],
            None if found["inks"] is None else Inks(*map(_tuples, found["inks"])),
            found["bits"],
        )


def stack_specs(arrangements: Sequence[Arrangement], options: Options, layers: int) -> tuple[StackSpec, ...]:
    """Return the stacks of `arrangements` of `layers` layers."""
    return tuple(
        StackSpec(
            None if one.place is None else tuple(one.place),
            one.weight,
            one.exposure,
            one.mask is not None,
            carriers=options.carriers_for(layers if one.place is None else len(one.place)),
        )
        for one in arrangements
    )


def inks_of(options: Options, media: Media | None) -> Inks | None:
    """Return the numbers of `media` and the room of `options`. Raises OptionError where they contradict it."""
    if media is None:
        if options.room:
            raise OptionError(f"room is {options.room:g} without a media profile: add media, for example ideal")
        return None
    for name in ("min_density", "max_density"):
        default = settings_of(Options)[name][1]
        if getattr(options, name) != default:
            raise OptionError(f"{name} is {getattr(options, name):g} with media, which has densities: leave it out")
    return media.inks._replace(room=options.room / options.white)


def density_range(inks: Inks, value: float) -> tuple[float, ...]:
    """Return the density in every band of a sheet whose channels all have `value`: 1 clear, 0 full."""
    sheet = develop(np.full((inks.planes, 1, 1), value), inks)
    return tuple((-GAMMA * np.log10(sheet[:, 0, 0])).tolist())


def _tuples(found: Any) -> Any:
    """Return lists of lists as tuples of tuples."""
    return tuple(_tuples(one) for one in found) if isinstance(found, list | tuple) else found


def _stack(found: dict[str, Any]) -> StackSpec:
    """Return the stack that a document describes."""
    place = found["place"]
    if place is not None:
        place = tuple(Placement(**{**one, "shift": tuple(one["shift"])}) for one in place)
    return StackSpec(**{**found, "place": place, "carried": tuple(found["carried"])})
