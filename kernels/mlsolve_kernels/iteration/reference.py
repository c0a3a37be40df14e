"""float64 reference of the whole objective, its gradient, and iterations (docs/maths.md §2, §5, §9)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..adam.reference import step
from ..carriers import SPARED
from ..carriers.reference import moved_target
from ..light import reference_of as light_reference
from ..light.ink import reference as ink
from ..placement.move import STILL, Drawn, Move
from ..placement.reference import give_back, place
from ..terms import Term, part_of
from .objective import Objective, Stack, Terms

Images = npt.NDArray[np.floating]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Arranged:
    """Targets and placements: what the stacks are compared with, and how their sheets are placed."""

    targets: Images
    """(M, C, H, W), encoded transmittance."""
    moves: Sequence[Sequence[Move]] | Drawn | None = None
    """The map of every sheet of every stack; None: unmoved."""
    weights: Sequence[Images | None] | None = None
    """Pixel weights of each stack, (H, W) in [0, 1]; None: 1."""
    disc: Images | None = None
    """(H, W), 1 where guides count and layers may change, else 0; None: 1 everywhere."""
    carriers: Sequence[Images | None] | None = None
    """The masks of each stack that has carriers, (K, H, W) in [0, 1]."""

    def of(self, number: int, stack: Stack, layers: Images) -> tuple[Array, Array, list[int], list[Move]]:
        """Return the placed sheets (K, C, H, W) of a stack, its pixel weights (H, W), its layers and their maps."""
        numbers = list(stack.sheets(len(layers)))
        all_moves = self.moves.moves if isinstance(self.moves, Drawn) else self.moves
        moves = [STILL] * len(numbers) if all_moves is None else list(all_moves[number])
        sheets = np.stack([place(layers[k], move) for k, move in zip(numbers, moves, strict=True)])
        weights = None if self.weights is None else self.weights[number]
        counts = np.ones(layers.shape[-2:]) if weights is None else np.asarray(weights, dtype=np.float64)
        return sheets, counts if self.disc is None else counts * self.disc, numbers, moves

    def target_of(self, number: int) -> Array:
        """Return the target of a stack, (C, H, W), moved with its carriers as the sheets are misaligned."""
        masks, target = self._masks(number), np.asarray(self.targets[number], dtype=np.float64)
        if masks is None or not isinstance(self.moves, Drawn):
            return target
        inside = 1.0 if self.disc is None else self.disc
        return moved_target(target, masks * inside, self.moves.off[number])

    def alone(
        self, number: int, sheet: int, layers: Images, stack: Stack, counts: Array
    ) -> tuple[Array, Array, Move, float]:
        """Return a sheet as a term sees it: placed, (C, H, W); its pixel weights, (H, W); its map; its share.

        With carriers it is placed without a misalignment, as if it were held alone, and counts less where it is the
        carrier.
        """
        masks, layer = self._masks(number), stack.sheets(len(layers))[sheet]
        chosen = self.moves
        if isinstance(chosen, Drawn):
            chosen = chosen.own if masks is not None else chosen.moves
        move = STILL if chosen is None else chosen[number][sheet]
        if masks is not None:
            counts = counts * (1 - SPARED * np.asarray(masks[sheet], dtype=np.float64))
        return place(layers[layer], move), counts, move, stack.share_of_sheet(sheet)

    def _masks(self, number: int) -> Images | None:
        return None if self.carriers is None else self.carriers[number]

    def inside(self, layers: Images) -> Array:
        """Return the pixel weights of the layers, (H, W)."""
        return np.ones(layers.shape[-2:]) if self.disc is None else np.asarray(self.disc, dtype=np.float64)


def terms(layers: Images, arranged: "Arranged | Images", guides: Images, objective: Objective) -> Terms:
    """Return the terms at `layers` (N, C, H, W) with `guides` (N, C, H, W).

    arranged: targets and placements, or one target (C, H, W).
    """
    arranged, sheets_of, looks = _arranged(arranged), _developed(layers, objective), _looks(layers, objective)
    found: dict[str, list[float]] = {term.name: [] for term in objective.terms}
    pixels = layers[0].size
    for number, (stack, target) in enumerate(zip(objective.stacks, arranged.targets, strict=True)):
        sheets, counts, _, _ = arranged.of(number, stack, sheets_of)
        composite, moved = _seen(sheets, number, objective), arranged.target_of(number)
        for term in objective.terms:
            value = part_of(term, "reference").value
            if term.acts_on == "stack":
                found[term.name].append(value(composite, moved, counts) / (pixels * stack.share))
            elif term.acts_on == "sheet" and stack.weight(term.name):
                for k in range(len(sheets)):
                    sheet, own_counts, _, share = arranged.alone(number, k, sheets_of, stack, counts)
                    found[term.name].append(value(sheet, target, own_counts) / (pixels * share))
    inside = arranged.inside(layers)
    for term in objective.terms:
        if term.acts_on == "layer":
            value = part_of(term, "reference").value
            found[term.name] += [
                value(look, guide, inside) / (pixels * objective.share)
                for look, guide in zip(looks, guides, strict=True)
            ]
    return Terms((name, tuple(values)) for name, values in found.items())


def gradient(layers: Images, arranged: "Arranged | Images", guides: Images, objective: Objective) -> Array:
    """Return C·H·W times the gradient of the loss with respect to `layers`, (N, C, H, W).

    The factor C·H·W gives the per-pixel measure in which Adam works (docs/maths.md §5).
    """
    arranged, sheets_of, looks = _arranged(arranged), _developed(layers, objective), _looks(layers, objective)
    result, by_looks = np.zeros(layers.shape), np.zeros(layers.shape)
    for number, (stack, target) in enumerate(zip(objective.stacks, arranged.targets, strict=True)):
        sheets, counts, numbers, moves = arranged.of(number, stack, sheets_of)
        composite, moved = _seen(sheets, number, objective), arranged.target_of(number)
        by_composite = np.zeros(composite.shape)
        for term in objective.terms:
            if term.acts_on == "stack":
                slope = part_of(term, "reference").gradient(composite, moved, counts)
                by_composite += _sign(term) * stack.weight(term.name) * slope
        by_sheets = _seen_gradient(sheets, number, objective, by_composite)
        for k, (layer, move) in enumerate(zip(numbers, moves, strict=True)):
            result[layer] += give_back(by_sheets[k] / stack.share, move)
            for term in objective.terms:
                if term.acts_on == "sheet" and stack.weight(term.name):
                    sheet, own_counts, own, share = arranged.alone(number, k, sheets_of, stack, counts)
                    slope = part_of(term, "reference").gradient(sheet, target, own_counts)
                    result[layer] += give_back(_sign(term) * stack.weight(term.name) / share * slope, own)
    inside = arranged.inside(layers)
    for term in objective.terms:
        if term.acts_on == "layer":
            weight, slope_of = objective.weight(term.name) / objective.share, part_of(term, "reference").gradient
            for k, (look, guide) in enumerate(zip(looks, guides, strict=True)):
                by_looks[k] += _sign(term) * weight * slope_of(look, guide, inside)
    return np.asarray(_developed_gradient(layers, objective, result, by_looks) * (inside != 0))


def iterate(
    layers: Array,
    target: Array,
    guides: Array,
    objective: Objective,
    rates: list[float],
    bounds: tuple[float, float],
    betas: tuple[float, float],
) -> Array:
    """Return `layers` after one Adam step for each of `rates`, starting with zero moments."""
    moments = (np.zeros_like(layers), np.zeros_like(layers))
    for t, rate in enumerate(rates, start=1):
        slope = gradient(layers, target, guides, objective)
        layers, moments = step(layers, moments, slope, t, rate, bounds, betas)
    return layers


def _developed(layers: Images, objective: Objective) -> Images:
    """Return what the sheets let through, (N, C, H, W): the layers themselves, if they are no device codes."""
    return layers if objective.inks is None else ink.develop(layers, objective.inks)


def _looks(layers: Images, objective: Objective) -> Images:
    """Return how every sheet looks alone, (N, C, H, W)."""
    inks = objective.inks
    if inks is None:
        return layers
    return ink.look(ink.develop(layers, inks), inks, room=_room_alone(objective))


def _room_alone(objective: Objective) -> float:
    """Return the light of the room as a share of the white of a sheet alone, which is 1 / exposure as bright."""
    return 0.0 if objective.inks is None else objective.inks.room * objective.stacks[0].scale ** ink.GAMMA


def _developed_gradient(layers: Images, objective: Objective, by_sheets: Array, by_looks: Array) -> Array:
    """Return the gradient by the layers, given those by their sheets and by how they look alone."""
    inks = objective.inks
    if inks is None:
        return by_sheets + by_looks
    sheets = ink.develop(layers, inks)
    by_sheets = by_sheets + ink.look_gradient(sheets, inks, by_looks, room=_room_alone(objective))
    return ink.develop_gradient(layers, inks, by_sheets)


def _seen(sheets: Images, number: int, objective: Objective) -> Array:
    """Return how the eye sees stack `number` of `sheets` (K, C, H, W)."""
    stack, inks = objective.stacks[number], objective.inks
    composite: Array = light_reference(objective.light).compose(sheets, stack.scale)
    return composite if inks is None else ink.look(composite, inks, len(sheets), stack.scale**ink.GAMMA)


def _seen_gradient(sheets: Images, number: int, objective: Objective, by_seen: Array) -> Array:
    """Return the gradient by the sheets (K, C, H, W) of stack `number`, given that by what the eye sees of it."""
    stack, inks, light = objective.stacks[number], objective.inks, light_reference(objective.light)
    if inks is not None:
        composite = light.compose(sheets, stack.scale)
        by_seen = ink.look_gradient(composite, inks, by_seen, len(sheets), stack.scale**ink.GAMMA)
    gradient: Array = light.compose_gradient(sheets, stack.scale, by_seen)
    return gradient


def _sign(term: Term) -> int:
    return -1 if term.rewards else 1


def _arranged(arranged: "Arranged | Images") -> Arranged:
    return arranged if isinstance(arranged, Arranged) else Arranged(np.asarray(arranged)[np.newaxis])
