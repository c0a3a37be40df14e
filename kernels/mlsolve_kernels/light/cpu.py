"""Loads the CPU code of every light, which registers it with `rows`."""

from .power import cpu as power
from .rows import Planes, by_sheet, chain_row, chain_stack_row, compose_row, transmitted

__all__ = ["Planes", "by_sheet", "chain_row", "chain_stack_row", "compose_row", "power", "transmitted"]
