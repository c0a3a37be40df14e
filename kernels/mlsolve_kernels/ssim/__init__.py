"""Windowed SSIM and its gradient with respect to one of the two images (docs/maths.md §3)."""
