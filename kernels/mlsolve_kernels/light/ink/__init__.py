"""Light through inks: codes become sheets, sheets multiply, the eye sees the stack (docs/maths.md §12)."""
