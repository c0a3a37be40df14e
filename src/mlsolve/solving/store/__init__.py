"""What a solve keeps between its tasks: arrays read and written by region, and documents; on disk or in memory.

Knows arrays, tiles and checksums, not what they mean. Called by the tasks of a solve and by run.
"""

from .disk import DiskStore
from .memory import MemoryStore
from .places import Array, Store, TileWriter

__all__ = ["Array", "DiskStore", "MemoryStore", "Store", "TileWriter"]
