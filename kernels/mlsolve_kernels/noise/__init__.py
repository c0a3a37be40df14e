"""Noise that is a function of the place, so that it can be had region by region."""
