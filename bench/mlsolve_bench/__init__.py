"""The measurements of `mlsolve bench`, and one opponent written in PyTorch. The wheel includes this package.

Imports run mlsolve_cli → mlsolve_bench → mlsolve → mlsolve_kernels. Only modules whose names begin with torch_
import torch; without torch there is no comparison. All other benches are in mlsolve_records.
"""
