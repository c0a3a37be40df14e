"""The arithmetic of mlsolve: arrays in, arrays out.

This package knows no files, no options and no terminal. One folder holds one operation:
`reference.py` says what is computed (float64 NumPy, plain), `cpu.py` computes it fast (Numba,
float32); scalar formulas that every backend shares stand in a file of their own beside them.
"""
