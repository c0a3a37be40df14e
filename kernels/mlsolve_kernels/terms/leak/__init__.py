"""The leak: max(0, SSIM)² of one sheet alone to a stack's target, pixel by pixel (docs/maths.md §2)."""
