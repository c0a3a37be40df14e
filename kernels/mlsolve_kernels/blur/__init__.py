"""The windowed blur B[.]: the separable Gaussian of window.py with zero padding. It is its own adjoint."""
