"""The arithmetic of mlsolve: arrays in, arrays out.

This package knows no files, no options and no terminal. Each folder holds one operation: `reference.py` defines it
in plain float64 NumPy, `cpu.py` computes it fast in float32 with Numba, *.cu and *.cuh do so on a GPU. Scalar
formulas that all backends share are in a file of their own.
"""
