"""Tiles of large layers, from full size down, made once beside the run."""
