"""A damped Newton step of all layers at a pixel, with momentum and a common brightness (docs/maths.md §5)."""
