"""Shared by all CUDA kernels: their source, compiler, geometry and device. Importing it needs no GPU."""
