"""Benches that are run from a clone: all opponents, records of a machine, the figures of README.md and docs/gpu.md.

The wheel holds none of it: `mlsolve bench` needs mlsolve_bench alone. Imports run mlsolve_records → mlsolve_bench →
mlsolve → mlsolve_kernels. Torch is imported by the modules whose names begin with torch_ and nowhere else.
"""
