"""Adam with a projection onto the printable range (Kingma & Ba 2015, algorithm 1; docs/maths.md §5)."""
