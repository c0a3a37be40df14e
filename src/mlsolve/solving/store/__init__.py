"""The state that a solve keeps between tasks: documents, and arrays that are read by region and written by tile.

It is on disk or in memory.

Knows arrays, tiles and checksums, not what they mean. Called by the tasks of a solve and by run.
"""

from .disk import DiskStore
from .memory import MemoryArray, MemoryStore
from .places import Array, Store, TileWriter

__all__ = ["Array", "DiskStore", "MemoryArray", "MemoryStore", "Store", "TileWriter"]
