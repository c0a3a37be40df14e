"""`mlsolve info`: versions, cores, devices."""

import json
import platform
from typing import Any

from .echo import echo
from .options import JSON, Given, verb


def _gpus() -> tuple[list[dict[str, Any]], list[str]]:
    """Return the GPUs that work, and why the others do not."""
    from mlsolve.errors import BackendError
    from mlsolve.solving.backends import open_device
    from mlsolve_kernels.cuda.device import gpu_count
    from mlsolve_kernels.iteration.cuda_iteration import adam_on

    found, without = list[dict[str, Any]](), list[str]()
    count = gpu_count()
    for number in range(count or 1):
        try:
            device = open_device(number=number)
        except BackendError as error:
            which = f"no GPU {number}" if count > 1 else "no GPU"
            without.append(f"{which}: {str(error).removeprefix('backend is cuda: ')}")
            continue
        free = round(device.free_memory() / 1e9, 2)
        found.append({"number": number, "name": device.name, "free GB": free, "Adam": adam_on(device)})
        device.close()
    return found, without


@verb(JSON, examples=(("info", "What to add to a bug report."),))
def info(given: Given) -> None:
    """Report what this machine has: versions, cores, memory, devices, and the folder of the compiled kernels."""
    from mlsolve.system.memory import available_memory, in_words
    from mlsolve.system.packages import versions
    from mlsolve_kernels.compiled import cache_folder, is_cached
    from mlsolve_kernels.control_groups import memory_limit
    from mlsolve_kernels.threads import available_cores

    gpus, without = _gpus()
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
        "devices": gpus,
        "backend": "cuda" if gpus else "cpu",
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
    shown = [f"{gpu['name']}, {gpu['free GB']:.3g} GB free" for gpu in gpus]
    if len(gpus) + len(without) > 1:
        shown = [f"{gpu['number']}: {line}" for gpu, line in zip(gpus, shown, strict=True)]
    for line in (*shown, *without):
        echo(f"{'devices':<24} {line}")
    if gpus:
        echo(f"{'Adam':<24} {gpus[0]['Adam']}")
    echo(f"{'kernels':<24} {kernels}")
