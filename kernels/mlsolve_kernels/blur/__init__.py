"""The windowed blur B[.]: separable Gaussian of window.py, zeros beyond the border; its own adjoint."""
