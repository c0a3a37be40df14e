"""The search for the best sets of N of K candidates by measuring few of them.

1. Sets are drawn at random, so that every candidate is in equally many (a design of permutations), and measured.
2. A loss is modelled as a mean plus an effect of every candidate, by least squares with a small ridge.
3. The sets that the model likes best are measured. Then candidates of the best set are exchanged, those first by
   which the model gains most, and the model is fitted again, until no exchange lowers the loss.

Knows nothing about pictures: what is measured is a function of sets. Everything random follows from a seed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Set = tuple[int, ...]
"""Numbers of candidates, one for each layer."""
Measure = Callable[[Sequence[Set]], Sequence[float]]

_RIDGE: Final = 0.5
"""Weight that pulls effects towards 0, in measurements: the effect of a candidate seen once is a third smaller."""

_FEWEST: Final = 4
"""Fewest sets of the design that hold each candidate."""


@dataclass(frozen=True)
class Effort:
    """How much to measure."""

    design: int = 360
    """Sets of the design, about."""
    liked: int = 64
    """Sets that the model likes best, that are measured next."""
    exchanges: int = 36
    """Exchanges that are measured at a time."""
    rounds: int = 5
    """Most times that exchanges are measured."""

    def shared(self, cost: float) -> "Effort":
        """Return the effort for measurements that cost `cost` times as much, but not less than a search needs."""
        if cost <= 1:
            return self
        return Effort(
            max(60, round(self.design / cost)),
            max(16, round(self.liked / cost)),
            max(12, round(self.exchanges / cost)),
            self.rounds,
        )


class Search:
    """What was measured so far, and the model of it."""

    def __init__(self, candidates: int, layers: int, ordered: bool, seed: int = 0) -> None:
        """ordered: whether a set in another order is another set."""
        self._candidates, self._layers, self.ordered = candidates, layers, ordered
        self._rng = np.random.default_rng(seed)
        self.losses: dict[Set, float] = {}
        self._effects: npt.NDArray[np.float64] = np.zeros(candidates)

    @property
    def best(self) -> list[Set]:
        """All sets that were measured, the best first."""
        return sorted(self.losses, key=lambda one: (self.losses[one], one))

    def run(self, measure: Measure, effort: Effort) -> None:
        """Measure sets until no better one is found, or the effort is spent."""
        self._measure(measure, self._design(effort.design))
        self._fit()
        self._measure(measure, self._liked(effort.liked))
        self.improve(measure, effort)

    def refined(self, measure: Measure, count: int, effort: Effort) -> list[Set]:
        """Return the `count` best sets by another, better measure, and by exchanges that it finds better.

        The model stays that of the first measure, which has seen more sets.
        """
        finer = Search(self._candidates, self._layers, self.ordered)
        finer._effects = self._effects
        finer._measure(measure, self.best[:count])
        for _ in range(effort.rounds):
            before = finer.best[0]
            finer._measure(measure, finer._exchanges(before, effort.exchanges))
            if finer.best[0] == before:
                break
        return finer.best[:count]

    def improve(self, measure: Measure, effort: Effort) -> None:
        """Exchange candidates of the best set while that lowers the loss."""
        for _ in range(effort.rounds):
            self._fit()
            before = self.best[0]
            self._measure(measure, self._exchanges(before, effort.exchanges))
            if self.best[0] == before:
                return

    def _measure(self, measure: Measure, sets: Sequence[Set]) -> None:
        new = [one for one in dict.fromkeys(sets) if one not in self.losses]
        self.losses |= dict(zip(new, measure(new), strict=True))

    def _named(self, members: Sequence[int]) -> Set:
        return tuple(members) if self.ordered else tuple(sorted(members))

    def _design(self, count: int) -> list[Set]:
        """Return sets in which every candidate is equally often, at least _FEWEST times."""
        each = max(_FEWEST, round(count * self._layers / self._candidates))
        found: list[Set] = []
        for _ in range(each):
            order = self._rng.permutation(self._candidates).tolist()
            rest = -len(order) % self._layers
            # The last set is filled with others, which are then there once more.
            others = [one for one in order if one not in order[len(order) + rest - self._layers :]] if rest else []
            order += others[:rest]
            found += [
                self._named(order[start : start + self._layers]) for start in range(0, len(order), self._layers)
            ]
        return found

    def _fit(self) -> None:
        """Fit the effects of the candidates to what was measured."""
        sets = list(self.losses)
        members = np.zeros((len(sets), self._candidates))
        for row, one in zip(members, sets, strict=True):
            row[list(one)] = 1
        losses = np.array([self.losses[one] for one in sets])
        members -= 1.0 * self._layers / self._candidates
        normal = members.T @ members + _RIDGE * np.eye(self._candidates)
        # Rounded, so that the order of candidates does not hang on the last digit of a library's sums.
        effects = np.linalg.solve(normal, members.T @ (losses - losses.mean()))
        self._effects = np.asarray(np.round(effects, 7), dtype=np.float64)

    def _liked(self, count: int) -> list[Set]:
        """Return the sets with the lowest modelled loss."""
        order = np.argsort(self._effects, kind="stable").tolist()
        found = []
        for ranks in _lowest_sums(self._effects[order].tolist(), self._layers):
            found.append(self._named([order[rank] for rank in ranks]))
            if len(found) == count:
                break
        return found

    def _exchanges(self, members: Set, count: int) -> list[Set]:
        """Return the sets one exchange away from `members` that were not measured, the most promising first."""
        found: list[tuple[float, Set]] = []
        for place, old in enumerate(members):
            for new in range(self._candidates):
                if new not in members:
                    other = self._named((*members[:place], new, *members[place + 1 :]))
                    found.append((self._effects[new] - self._effects[old], other))
            if self.ordered:
                for second in range(place + 1, len(members)):
                    swapped = list(members)
                    swapped[place], swapped[second] = swapped[second], swapped[place]
                    found.append((0.0, tuple(swapped)))
        return [one for _, one in sorted(found) if one not in self.losses][:count]


def _lowest_sums(values: Sequence[float], members: int) -> Iterator[tuple[int, ...]]:
    """Yield the sets of `members` places in `values`, which ascend, in the order of their sums."""
    import heapq

    first = tuple(range(members))
    waiting, seen = [(sum(values[:members]), first)], {first}
    while waiting:
        total, places = heapq.heappop(waiting)
        yield places
        for k, place in enumerate(places):
            end = places[k + 1] if k + 1 < members else len(values)
            if place + 1 < end:
                after = (*places[:k], place + 1, *places[k + 1 :])
                if after not in seen:
                    seen.add(after)
                    heapq.heappush(waiting, (total + values[place + 1] - values[place], after))


def varied(sets: Sequence[Set], count: int, most: int = 3) -> list[Set]:
    """Return the first `count` of `sets` of which no candidate is in more than `most`; others if too few."""
    found: list[Set] = []
    for one in sets:
        if len(found) < count and all(sum(k in other for other in found) < most for k in one):
            found.append(one)
    rest = [one for one in sets if one not in found]
    return [*found, *rest[: count - len(found)]]
