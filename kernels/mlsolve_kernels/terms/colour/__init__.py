"""The squared difference between the chroma of a layer and that of its guide (docs/maths.md §11)."""
