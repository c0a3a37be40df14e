"""1 - SSIM of a composed stack to its target. Its pass also computes the squared error (docs/maths.md §2)."""
