"""The squared error of a composed stack against its target, and its gradient (docs/maths.md §2)."""
