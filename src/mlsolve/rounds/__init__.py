"""Rounds over tiles: any size in any memory, to the very bytes of solving it whole (docs/architecture.md)."""
