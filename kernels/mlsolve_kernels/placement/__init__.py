"""Sheets turned, flipped and shifted: how a sheet looks in the stack, and the way back (docs/maths.md §9)."""
