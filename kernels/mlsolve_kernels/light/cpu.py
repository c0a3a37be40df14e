"""The CPU's part of every light, loaded: `rows` knows them from here on."""

from .power import cpu as power
from .rows import Planes, by_sheet, chain_row, chain_stack_row, compose_row, transmitted

__all__ = ["Planes", "by_sheet", "chain_row", "chain_stack_row", "compose_row", "power", "transmitted"]
