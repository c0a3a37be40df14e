"""`mlsolve info`: versions, cores, devices."""

import json
import platform
from typing import Annotated, Any

import typer


def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Tell what this machine has: versions, cores, devices, where compiled kernels lie.

    Example: **mlsolve info**
    """
    from mlsolve.folder import versions
    from mlsolve_kernels.compiled import cache_folder, is_cached
    from mlsolve_kernels.threads import available_cores

    folder = cache_folder()
    kernels = "not cached: no folder can be written"
    if folder is not None:
        kernels = f"{'compiled' if is_cached() else 'compiled at the first run'}, in {folder}"
    facts: dict[str, Any] = {
        "versions": versions(),
        "machine": f"{platform.machine()} {platform.system()}",
        "cores": available_cores(),
        "devices": [],
        "backend": "cpu",
        "kernels": kernels,
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for name, found in facts["versions"].items():
        typer.echo(f"{name:<24} {found}")
    typer.echo(f"{'machine':<24} {facts['machine']}, {facts['cores']} cores for mlsolve")
    typer.echo(f"{'devices':<24} none used: this version computes on the CPU")
    typer.echo(f"{'kernels':<24} {kernels}")
