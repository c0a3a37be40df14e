"""The product of the layers, seen through the exposure, and its chain rule (docs/maths.md §1, §2)."""
