"""Benches that ship with mlsolve: fair opponents in torch, alternating runs, and the machine's own limits.

Imports run mlsolve_cli → mlsolve_bench → mlsolve → mlsolve_kernels. Torch is imported by the modules whose
names begin with torch_ and nowhere else; what asks for them goes on without it where it is not installed.
"""
