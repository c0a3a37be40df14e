"""`mlsolve info`: versions, cores, devices."""

import json
import platform
from typing import Any

from .echo import echo
from .options import JSON, Given, verb


def _gpu() -> tuple[dict[str, Any] | None, str]:
    """Return the GPU that `--backend auto` would take, or None and why not."""
    from mlsolve.errors import BackendError
    from mlsolve.solving.backends import open_device
    from mlsolve_kernels.iteration.cuda_iteration import adam_on

    try:
        device = open_device()
    except BackendError as error:
        return None, f"no GPU: {str(error).removeprefix('backend is cuda: ')}"
    found = {"name": device.name, "free GB": round(device.free_memory() / 1e9, 2), "Adam": adam_on(device)}
    device.close()
    return found, ""


@verb(JSON, examples=(("info", "What to add to a bug report."),))
def info(given: Given) -> None:
    """Report what this machine has: versions, cores, memory, devices, and the folder of the compiled kernels."""
    from mlsolve.system.memory import available_memory, in_words
    from mlsolve.system.packages import versions
    from mlsolve_kernels.compiled import cache_folder, is_cached
    from mlsolve_kernels.control_groups import memory_limit
    from mlsolve_kernels.threads import available_cores

    gpu, without = _gpu()
    free, limit = available_memory(), memory_limit()
    folder = cache_folder()
    kernels = "not cached: no folder can be written"
    if folder is not None:
        kernels = f"{'compiled' if is_cached() else 'compiled at the first run'}, in {folder}"
    facts: dict[str, Any] = {
        "versions": versions(),
        "machine": f"{platform.machine()} {platform.system()}",
        "cores": available_cores(),
        "memory": {
            "free": free,
            "control group": None if limit is None else {"path": str(limit.group), "limit": limit.limit},
        },
        "devices": [] if gpu is None else [gpu],
        "backend": "cpu" if gpu is None else "cuda",
        "kernels": kernels,
    }
    if given["json"]:
        echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for name, found in facts["versions"].items():
        echo(f"{name:<24} {found}")
    cores = f"{facts['cores']} core{'' if facts['cores'] == 1 else 's'}"
    echo(f"{'machine':<24} {facts['machine']}, {cores} for mlsolve")
    if free is not None:
        within = "" if limit is None else f"; control group {limit.group} is limited to {in_words(limit.limit)}"
        echo(f"{'memory':<24} {in_words(free)} free{within}")
    shown = without if gpu is None else f"{gpu['name']}, {gpu['free GB']:.3g} GB free"
    echo(f"{'devices':<24} {shown}")
    if gpu is not None:
        echo(f"{'Adam':<24} {gpu['Adam']}")
    echo(f"{'kernels':<24} {kernels}")
