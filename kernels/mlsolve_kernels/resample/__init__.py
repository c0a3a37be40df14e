"""Resampling of pictures, whole or region by region, with identical results."""
