"""The description of this machine, without which figures are meaningless."""

import datetime
import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mlsolve.system.memory import installed_memory
from mlsolve_kernels.threads import available_cores


def cpu_model(info: str) -> str:
    """Return the CPU in `info`, the text of /proc/cpuinfo, such as "AMD EPYC 9654 96-Core Processor".

    A virtual machine may report only "AMD EPYC". Then the microarchitecture is found by family and model, "AMD EPYC
    (Zen 4)"; if these are not known, they are given: "AMD EPYC (family 26, model 2)".
    """
    fields = dict(re.findall(r"^([^\t:\n]+?)\s*:[ \t]*(.*)$", info, re.MULTILINE)[:30])
    name = re.sub(r"\s+", " ", fields.get("model name") or platform.processor() or platform.machine()).strip()
    if re.search(r"\d", name) or "cpu family" not in fields:
        return name
    family, model = int(fields["cpu family"]), int(fields.get("model", 0))
    zen = _zen(family, model) if fields.get("vendor_id") == "AuthenticAMD" else None
    return f"{name} ({zen})" if zen else f"{name} (family {family}, model {model})"


def _zen(family: int, model: int) -> str | None:
    """Return the microarchitecture of an AMD CPU; None if it is not known."""
    if family == 0x17:
        return "Zen 2" if model >= 0x30 else "Zen"
    if family == 0x19:
        return "Zen 4" if 0x10 <= model <= 0x1F or 0x60 <= model <= 0x7F or model >= 0xA0 else "Zen 3"
    return "Zen 5" if family == 0x1A else None


def slug(model: str, cores: int) -> str:
    """Return a file name for a machine: lower case, words joined by hyphens, "amd-epyc-zen-4-2-cores"."""
    shorter = re.sub(r"\((?:R|TM|C)\)|\bCPU\b|\bProcessor\b|@.*|\d+-Core\b", " ", model, flags=re.IGNORECASE)
    return f"{words(shorter)}-{cores}-core{'s' if cores > 1 else ''}"


def words(name: str) -> str:
    """Return `name` in lower case, its words joined by hyphens: "nvidia-h100-80gb-hbm3"."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower())) or "unknown"


def describe() -> dict[str, Any]:
    """Return a description of this machine for JSON: CPU, cores, memory in GB, versions, date and commit."""
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        info = ""
    memory = installed_memory()
    return {
        "cpu": cpu_model(info),
        "cores": available_cores(),
        "memory GB": None if memory is None else round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version_of(name) for name in ("mlsolve", "numpy", "numba", "torch")},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit(),
    }


def load() -> float | None:
    """Return the mean number of runnable processes in the last minute; None where it is not available.

    Figures taken while the machine is busy are unfair to torch: its threads wait for each other after every loop.
    """
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def commit(checkout: Path = Path(__file__).parent) -> str | None:
    """Return the commit of a checkout, these sources by default, with a "+" if files differ from it.

    Outside a clone it is None.
    """

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=checkout, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        head = git("rev-parse", "--short=10", "HEAD")
        return head + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def version_of(name: str) -> str | None:
    """Return the version of a package; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
