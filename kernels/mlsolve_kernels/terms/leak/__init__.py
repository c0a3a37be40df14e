"""The leak: what a sheet alone shows of a stack's target, max(0, SSIM)² pixel by pixel (docs/maths.md §2)."""
