"""Windowed SSIM and its gradient by one of the two images (docs/maths.md §3)."""
