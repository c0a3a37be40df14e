"""The objective (docs/maths.md §2) for every backend: stacks, weights by the names of terms, labelled sums."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np

from ..carriers import SPARED
from ..exact import Exact
from ..light import declared
from ..light.ink.inks import Inks
from ..terms import BY_NAME, OWN_PASSES, TERMS, ActsOn, Term
from ..window import REACH

_LEAST_SHARE: Final = 1e-3
"""Share by which a term of a sheet is divided at the least: a sheet may be the carrier everywhere."""
Step = Literal["adam", "newton"]
"""What moves the layers: adam/ or newton/."""


class Shape(NamedTuple):
    """Number of layers, number of colour planes, and size in pixels."""

    layers: int
    planes: int
    height: int
    width: int


class Terms(dict[str, tuple[float, ...]]):
    """The terms of one evaluation, by name: a mean for each stack, sheet or layer on which a term acts (terms/)."""


class Sums(dict[str, tuple[Exact, ...]]):
    """Like Terms, for a part of an image: sums instead of means, in the quanta of the terms.

    The sums of parts add up to that of the whole, in any order, to the last bit (exact.py).
    """

    def plus(self, other: "Sums") -> "Sums":
        """Return the sums of both parts. Raises ValueError if they measured different terms."""
        if self.keys() != other.keys():
            raise ValueError(f"sums of {', '.join(self)} cannot be added to sums of {', '.join(other)}")
        return Sums(
            (name, tuple(a + b for a, b in zip(sums, other[name], strict=True))) for name, sums in self.items()
        )

    def terms(self, pixels: int, objective: "Objective") -> Terms:
        """Return the terms of an image with `pixels` pixels in all its planes together."""
        result = Terms()
        for name, sums in self.items():
            quanta, shares = pixels * 2.0 ** BY_NAME[name].bits, objective.shares(BY_NAME[name], len(sums))
            result[name] = tuple(float(one / (quanta * share)) for one, share in zip(sums, shares, strict=True))
        return result


@dataclass(frozen=True)
class Stack:
    """The part of the objective for one arrangement of the layers, which is to look like its target."""

    scale: float
    """The encoded exposure e^(1/2.2), by which the light through the sheets is divided."""
    weights: Mapping[str, float] = field(hash=False)
    """Weights of the terms that act on a stack or on its sheets, by name; a missing weight is 0."""
    layers: tuple[int, ...] | None = None
    """Its layers, counted from 0; None: all layers, unmoved. Terms that act on sheets need them listed."""
    share: float = 1.0
    """Mean weight of the target's pixels. The terms are divided by it."""
    weighted: bool = False
    """Whether its pixels have individual weights."""
    carriers: bool = False
    """Whether each sheet has a mask that says where it carries the detail. Its target moves with misaligned sheets
    (carriers/), and a term of its sheets counts less where the sheet is the carrier."""
    carried: tuple[float, ...] = ()
    """For every sheet, the mean of its mask, weighted as the target's pixels are; (): 0 for each."""

    def __post_init__(self) -> None:
        """Raise ValueError for the weight of an unknown term, or of a term of sheets without a list of layers."""
        _check(self.weights, ("stack", "sheet"))
        if self.layers is None and any(weight for weight in _of(self.weights, "sheet")):
            raise ValueError("a term that acts on the sheets of a stack needs its layers named")

    def weight(self, name: str) -> float:
        """Return the weight of the term `name`."""
        return self.weights.get(name, 0.0)

    def share_of_sheet(self, sheet: int) -> float:
        """Return the mean weight of the pixels where a term of its sheet number `sheet` counts."""
        return max(self.share - SPARED * self.carried[sheet], _LEAST_SHARE) if self.carried else self.share

    def sheets(self, layers: int) -> tuple[int, ...]:
        """Return its layers, from a set of `layers` layers."""
        return tuple(range(layers)) if self.layers is None else self.layers


@dataclass(frozen=True)
class Objective:
    """loss = Σ_stacks Σ_terms weight · cost(stack) + Σ_stacks Σ_terms weight · Σ_sheets cost(sheet)
    + Σ_terms weight · Σ_layers cost(layer),

    where the cost is 1 - value for terms that reward, and the value for other terms.
    """

    stacks: tuple[Stack, ...]
    weights: Mapping[str, float] = field(hash=False)
    """Weights of the terms that act on layers, by name; a missing weight is 0."""
    disc: bool = False
    """Whether pixels outside the largest circle do not count; the sheets are clear there."""
    share: float = 1.0
    """Share of the pixels that is inside the circle; 1 without a disc."""
    light: str = "power"
    """The light: the name of a folder of light/."""
    step: Step = "adam"
    """What moves the layers. "newton" takes one stack of unmoved sheets, light by the power law, and no inks."""
    inks: Inks | None = None
    """Film, inks and room, if layers are device codes (light/ink); None: a layer is what its sheet lets through."""

    def __post_init__(self) -> None:
        """Raise ValueError for the weight of an unknown term, and for a step that cannot be taken."""
        _check(self.weights, ("layer",))
        if self.step == "newton" and (len(self.stacks) != 1 or self.light != "power" or self.inks):
            raise ValueError("a Newton step takes one stack, light by the power law, and no inks")

    def weight(self, name: str) -> float:
        """Return the weight of the term `name`, which acts on layers."""
        return self.weights.get(name, 0.0)

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms that are measured: those with a weight, and those that are always measured."""
        return tuple(term for term in TERMS if term.always or self._counts(term))

    @property
    def own_passes(self) -> tuple[Term, ...]:
        """The terms with a weight that the generic pass over layers runs."""
        return tuple(term for term in OWN_PASSES if self._counts(term))

    @property
    def hidden(self) -> bool:
        """Whether any stack has a term with a weight that acts on its sheets."""
        return any(weight for stack in self.stacks for weight in _of(stack.weights, "sheet"))

    @property
    def still(self) -> bool:
        """Whether no layer is ever moved."""
        return all(stack.layers is None for stack in self.stacks)

    @property
    def couples_planes(self) -> bool:
        """Whether an iteration of one plane depends on other planes."""
        coupled = self.inks is not None or declared(self.light).couples_planes
        return coupled or any(term.couples_planes for term in self.terms)

    @property
    def reach(self) -> int:
        """How far an iteration looks on unmoved sheets, in pixels."""
        return max(REACH, *(term.reach for term in self.terms))

    def shares(self, term: Term, count: int) -> tuple[float, ...]:
        """Return, for each of the `count` values of `term`, the share of the pixels that its mean is divided by."""
        if term.acts_on == "layer":
            return (self.share,) * count
        if term.acts_on == "stack":
            return tuple(stack.share for stack in self.stacks)
        return tuple(
            stack.share_of_sheet(k)
            for stack in self.stacks
            if stack.weight(term.name)
            for k, _ in enumerate(stack.layers or ())
        )

    def sheets(self, term: Term) -> Iterator[tuple[Stack, int]]:
        """Yield (stack, layer) for every sheet on which `term` acts."""
        for stack in self.stacks:
            if stack.weight(term.name):
                yield from ((stack, layer) for layer in stack.layers or ())

    def loss(self, terms: Terms) -> float:
        """Return the loss: the weighted sum of the costs of `terms`."""
        costs = {name: [1 - one if BY_NAME[name].rewards else one for one in terms[name]] for name in terms}
        measured = {
            kind: [BY_NAME[name] for name in terms if BY_NAME[name].acts_on == kind]
            for kind in ("stack", "sheet", "layer")
        }
        result = sum(
            sum(stack.weight(term.name) * costs[term.name][number] for term in measured["stack"])
            for number, stack in enumerate(self.stacks)
        )
        for term in measured["sheet"]:
            of_sheets = zip(self.sheets(term), costs[term.name], strict=True)
            result += sum(stack.weight(term.name) * cost for (stack, _), cost in of_sheets)
        for term in measured["layer"]:
            result += self.weight(term.name) * sum(costs[term.name])
        return result

    def _counts(self, term: Term) -> bool:
        of_layers = term.acts_on == "layer"
        return any(one.weight(term.name) != 0 for one in ((self,) if of_layers else self.stacks))


def one_stack(scale: float, ssim_weight: float, mse_weight: float, guide_weight: float) -> Objective:
    """Return the objective of a single target, for a stack of all layers, unmoved."""
    stack = Stack(scale, {"stack_ssim": ssim_weight, "stack_mse": mse_weight})
    return Objective((stack,), {"guide_ssim": guide_weight})


class Weights(NamedTuple):
    """The weights for passes with several terms, float32, already divided by the terms' shares."""

    stack_ssim: np.float32
    stack_mse: np.float32
    guide_ssim: np.float32
    leak: np.float32

    @classmethod
    def of(cls, objective: Objective, number: int = 0) -> "Weights":
        """Return the weights for stack `number` of `objective`."""
        return cls(*(weight_of(objective, BY_NAME[name], number) for name in cls._fields))


def weight_of(objective: Objective, term: Term, number: int = 0) -> np.float32:
    """Return the weight of `term`, for stack `number` if it acts on stacks or sheets, divided by its share."""
    one: Stack | Objective = objective if term.acts_on == "layer" else objective.stacks[number]
    return np.float32(one.weight(term.name) / one.share)


def weight_of_sheet(objective: Objective, term: Term, number: int, sheet: int) -> np.float32:
    """Return the weight of `term` for a sheet of stack `number`, divided by the share of the pixels it counts."""
    stack = objective.stacks[number]
    return np.float32(stack.weight(term.name) / stack.share_of_sheet(sheet))


def _of(weights: Mapping[str, float], acts_on: ActsOn) -> list[float]:
    return [weight for name, weight in weights.items() if BY_NAME[name].acts_on == acts_on]


def _check(weights: Mapping[str, float], acts_on: tuple[ActsOn, ...]) -> None:
    known = [term.name for term in TERMS if term.acts_on in acts_on]
    for name in weights:
        if name not in known:
            raise ValueError(f"weights has {name!r}: use {', '.join(known)}")
