"""Noise as a function of the position, so that it can be computed region by region."""
