"""Light through inks: device codes become what a sheet lets through, sheets multiply, the eye sees (docs/maths.md §12)."""
