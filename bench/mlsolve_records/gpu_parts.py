"""The GPU benches cut into parts: what each is, and how its result joins the others in a device's file.

A part is small enough for a process of its own with a limit of time. An entry, which is one size of a section,
holds figures of one commit only. The ledger `results["parts"]` says of every part when, at which commit and in how
many seconds it was measured, or why it failed.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from .children import took_more_than
from .opponents import DESCRIBED, FUSED, GPU_NAMES, LAUNCHES, OURS, STRONGEST, STRONGEST_GRAPH


class Part(NamedTuple):
    """One measurement."""

    section: str
    side: int | None = None
    """Side of the pictures in pixels; None where the section has one size."""
    name: str | None = None
    """The opponent; None where the section has no opponents."""

    @property
    def key(self) -> str:
        """The part in one word, as in "iterations/600/torch strongest"."""
        return "/".join(str(one) for one in self if one is not None)

    @classmethod
    def of(cls, key: str) -> "Part":
        """Return the part with this key. Raises ValueError for a section that does not exist."""
        section, *rest = key.split("/", 2)
        kind = KINDS.get(section)
        if kind is None or len(rest) != kind.by_side + kind.by_name:
            raise ValueError(f"part is {key!r}: use SECTION, SECTION/SIDE, SECTION/NAME or SECTION/SIDE/NAME")
        side = int(rest.pop(0)) if kind.by_side else None
        return cls(section, side, rest.pop(0) if kind.by_name else None)


class Kind(NamedTuple):
    """How a section is cut into parts, and where its sizes are in its results."""

    by_side: bool
    by_name: bool
    sizes: str | None
    """The key of the sizes; None if it has one size."""


KINDS: Final = {
    "check": Kind(by_side=False, by_name=True, sizes=None),
    "floor": Kind(by_side=True, by_name=False, sizes="sizes"),
    "iterations": Kind(by_side=True, by_name=True, sizes="sizes"),
    "arrangements": Kind(by_side=True, by_name=False, sizes="milliseconds"),
    "memory": Kind(by_side=True, by_name=True, sizes="bytes"),
    "quality": Kind(by_side=False, by_name=True, sizes=None),
}
"""All sections, in the order in which they are measured."""

QUALITY_NAMES: Final = (OURS, STRONGEST, DESCRIBED)

FASTEST_FIRST: Final = (OURS, STRONGEST_GRAPH, STRONGEST, FUSED, LAUNCHES)
"""Measured before the others, because these decide; what takes longest is what may be missing."""


def parts_of(sections: Sequence[str], sides: Sequence[int], names: Sequence[str] | None = None) -> Iterator[Part]:
    """Yield the parts of `sections` for `sides`, section by section; names: only these opponents."""
    everybody = sorted(GPU_NAMES, key=lambda name: (FASTEST_FIRST + GPU_NAMES).index(name))
    for section in sections:
        kind = KINDS[section]
        present = [name for name in everybody if names is None or name in names]
        if section == "memory":
            present = [name for name in present if name != LAUNCHES]  # it has the memory of OURS
        if section == "quality":
            present = [name for name in present if name in QUALITY_NAMES]
        for side in sides if kind.by_side else (None,):
            for name in present if kind.by_name else (None,):
                yield Part(section, side, name)


def is_recorded(results: dict[str, Any], part: Part, commit: str | None, most: float) -> bool:
    """Return whether `part` need not be measured again.

    That is so if it was measured at `commit`, or failed there; but what took too long may be tried again with a
    larger limit than then. Of sources that differ from their commit ("+") nothing is certain.
    """
    entry = results.get("parts", {}).get(part.key)
    if entry is None or commit is None or commit.endswith("+") or entry["commit"] != commit:
        return False
    return not (entry.get("failed") == took_more_than(entry["most"]) and most > entry["most"])


def merge(
    results: dict[str, Any],
    part: Part,
    measured: dict[str, Any] | str,
    stamp: dict[str, Any],
) -> None:
    """Put what was measured of `part` into `results`; measured: its fragment of the section, or why it failed.

    stamp: date, commit, took (seconds) and most (the limit, seconds). An entry of another commit is dropped first.
    """
    ledger = results.setdefault("parts", {})
    section = results.setdefault(part.section, {})
    others = [key for key in ledger if Part.of(key)[:2] == part[:2] and key != part.key]
    same = {ledger[key]["commit"] for key in others} <= {stamp["commit"]}
    if not same or (not others and part.key not in ledger):  # nobody knows of which commit the entry is
        for key in others:
            del ledger[key]
        kind = KINDS[part.section]
        if kind.sizes is None:
            section.clear()
        else:
            section.get(kind.sizes, {}).pop(str(part.side), None)
            section.pop("note", None)
    _forget(section, part)
    section |= {"date": stamp["date"], "commit": stamp["commit"]}
    failed = {"failed": measured} if isinstance(measured, str) else {}
    ledger[part.key] = {**stamp, **failed}
    if isinstance(measured, dict):
        _join(section, measured)
    elif part.section == "iterations":
        empty: dict[str, Any] = {"milliseconds": {}, "ours in the same turns": {}, "times ours": {}}
        _join(section, {"sizes": {str(part.side): {**empty, "failed": {part.name: measured}}}})


def _forget(section: dict[str, Any], part: Part) -> None:
    """Drop what an earlier attempt at `part` has left in its section."""
    kind = KINDS[part.section]
    at = section if kind.sizes is None else section.get(kind.sizes, {})
    if kind.by_side and not kind.by_name:
        at.pop(str(part.side), None)
        return
    entry = at.get(str(part.side), {}) if kind.by_side else at
    for place in (entry, *(found for found in entry.values() if isinstance(found, dict))):
        place.pop(str(part.name), None)


def _join(onto: dict[str, Any], more: dict[str, Any]) -> None:
    """Put `more` into `onto`, dictionaries into dictionaries."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(onto.get(key), dict):
            _join(onto[key], value)
        else:
            onto[key] = value


def sides_in_order(results: dict[str, Any]) -> None:
    """Sort the sizes of every section by their number, whatever order they were measured in."""
    for section, kind in KINDS.items():
        if kind.sizes and (found := results.get(section, {}).get(kind.sizes)):
            results[section][kind.sizes] = {side: found[side] for side in sorted(found, key=int)}
