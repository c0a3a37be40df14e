"""1 - SSIM of a layer and its guide (docs/maths.md §2)."""
