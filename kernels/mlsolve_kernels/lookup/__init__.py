"""Codes replaced by their values in a table. Used while reading pictures, on the CPU only."""
