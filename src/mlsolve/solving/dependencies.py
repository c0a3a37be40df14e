"""What the last bits of a result depend on, besides the job."""

import platform

from mlsolve_kernels.compiled import sources_digest

from ..system.packages import versions


def dependencies(backend: str, device: str | None, adam: str | None) -> dict[str, str | None]:
    """Return everything the last bits of a result depend on, of this process.

    backend: "cpu" or "cuda". device, adam: see `backends.Backend`.
    """
    packages = {name: value for name, value in versions().items() if name not in ("python", "pillow")}
    return {
        **packages,
        "kernels": sources_digest(),
        "machine": platform.machine(),
        "backend": backend,
        "device": device,
        "adam": adam,
    }
