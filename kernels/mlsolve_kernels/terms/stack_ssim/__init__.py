"""1 - SSIM of a composed stack and its target. Its pass carries the squared error along (docs/maths.md §2)."""
