"""What `mlsolve bench` needs, and the wheel holds: its measurements, and one opponent written in torch.

Imports run mlsolve_cli → mlsolve_bench → mlsolve → mlsolve_kernels. Torch is imported by the modules whose names
begin with torch_ and nowhere else; without torch there is no comparison. All other benches are in mlsolve_records.
"""
