"""Sheets rotated, flipped and shifted: the placed sheet, and the adjoint for its gradient (docs/maths.md §9)."""
