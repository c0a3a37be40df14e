"""Benches that run from a clone: all opponents, records of a machine, the figures of README.md and docs/gpu.md.

The wheel does not include this package: `mlsolve bench` needs only mlsolve_bench. Imports run mlsolve_records →
mlsolve_bench → mlsolve → mlsolve_kernels. Only modules whose names begin with torch_ import torch.
"""
