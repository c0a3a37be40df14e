"""What is drawn: sub-pixels averaged to pixels, and places in the photo of a kaleidoscope. On the CPU only."""
