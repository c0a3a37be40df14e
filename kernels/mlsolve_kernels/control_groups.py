"""The memory and processor time that control groups leave to this process.

Containers, batch systems and service managers limit processes by control groups. The machine's own figures (free
memory, cores) do not reflect these limits. A limit applies to all descendants of a group together, so the group of
this process is read, and every visible ancestor. Version 1 has one hierarchy per controller, version 2 only one; a
system may use both at the same time.

Nothing here raises an error. A file that is missing or malformed is ignored. Where there are no control groups at
all, as on macOS and Windows, there are no limits.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

THIS_PROCESS: Final = Path("/proc/self")

_UNLIMITED: Final = 1 << 60
"""Limits of this many bytes or more mean no limit: version 1 writes the largest number it can represent."""

_MOUNT: Final = re.compile(r"^\S+ \S+ \S+ (\S+) (\S+) \S+ (?:\S+ )*- (cgroup2?) \S* (\S+)$", re.MULTILINE)
"""A line of mountinfo: root, mount point, type of the file system, its options."""


@dataclass(frozen=True)
class MemoryLimit:
    """A control group's limit on memory."""

    group: Path
    """The folder of the group."""
    limit: int
    """Bytes that all processes of the group may use together."""
    left: int
    """Bytes of it that are still available: free memory, and memory that the kernel can reclaim at once."""


@dataclass(frozen=True)
class _Files:
    """The files in which a version of control groups reports memory."""

    limits: tuple[tuple[str, str], ...]
    """Pairs of a file with a limit and the file with the usage that it limits."""
    cache: tuple[str, ...]
    """Entries of memory.stat, in bytes, that the kernel can reclaim at once."""
    busy: tuple[str, ...]
    """Entries of memory.stat, contained in `cache`, that must be written to disk first."""


# memory.high counts as a limit: a group above it is slowed down until it uses less. Shared memory, including tmpfs,
# is not in the lists of files, so it does not count as cache. Swap is not memory, so it is not added.
_MEMORY: Final = {
    1: _Files(
        (
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
            ("memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes"),
        ),
        ("total_active_file", "total_inactive_file"),
        ("total_dirty", "total_writeback"),
    ),
    2: _Files(
        (("memory.max", "memory.current"), ("memory.high", "memory.current")),
        ("active_file", "inactive_file", "slab_reclaimable"),
        ("file_dirty", "file_writeback"),
    ),
}


def memory_limit(process: Path = THIS_PROCESS) -> MemoryLimit | None:
    """Return the limit that leaves the least to a process; None if no control group limits its memory.

    process: its folder in /proc.
    """
    found = (
        limit
        for version, groups in _lineages("memory", process)
        for group in _that_count_memory(groups)
        for limit in _memory_limits(version, group)
    )
    return min(found, key=lambda limit: limit.left, default=None)


def core_limit(process: Path = THIS_PROCESS) -> int | None:
    """Return how many cores' time a process may use, rounded up, at least 1; None if no control group limits it.

    process: its folder in /proc.
    """
    found = (_quota(version, group) for version, groups in _lineages("cpu", process) for group in groups)
    quota = min((quota for quota in found if quota is not None), default=None)
    return None if quota is None else math.ceil(quota)


def _lineages(controller: str, process: Path) -> Iterator[tuple[int, list[Path]]]:
    """Yield (version, [group of a process, its parent, …]) for every hierarchy that may have `controller`."""
    mounts = _mounts(_text(process / "mountinfo"))
    for line in _text(process / "cgroup").split("\n"):
        _, _, described = line.partition(":")
        controllers, _, path = described.partition(":")
        version = 1 if controllers else 2
        if not path.startswith("/") or (version == 1 and controller not in controllers.split(",")):
            continue
        places = [
            place for place in mounts if place.version == version and (version == 2 or controller in place.options)
        ]
        seen = [groups for place in places if (groups := place.groups(path))]
        # Inside some containers the path of the group matches no mount. The mounted folder is then most likely the
        # container's own group or an ancestor, and missing a limit is worse than one too many.
        for groups in seen or [[place.folder] for place in places]:
            yield version, groups


@dataclass(frozen=True)
class _Mount:
    """A hierarchy of control groups, or the part of it below a group, as a folder."""

    folder: Path
    root: PurePosixPath
    """The path of the group that is mounted at `folder`."""
    version: int
    options: frozenset[str]
    """Options of the file system; they include the controllers of version 1."""

    def groups(self, path: str) -> list[Path]:
        """Return the folders of the group `path` and its ancestors, the innermost first; [] if it is not here."""
        try:
            names = PurePosixPath(path).relative_to(self.root).parts
        except ValueError:
            return []
        if ".." in names:  # outside the namespace whose root is mounted here
            return []
        return [self.folder.joinpath(*names[:count]) for count in range(len(names), -1, -1)]


def _mounts(mountinfo: str) -> list[_Mount]:
    return [
        _Mount(
            Path(_unescaped(folder)),
            PurePosixPath(_unescaped(root)),
            2 if system == "cgroup2" else 1,
            frozenset(options.split(",")),
        )
        for root, folder, system, options in _MOUNT.findall(mountinfo)
    ]


def _unescaped(path: str) -> str:
    r"""Return a path from mountinfo with its escapes decoded: a blank is written as \040 there."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def _that_count_memory(groups: list[Path]) -> Iterator[Path]:
    """Yield those of `groups`, the innermost first, that include the memory of the innermost one."""
    for number, group in enumerate(groups):
        if number > 0 and _number(group / "memory.use_hierarchy") == 0:
            return  # old kernels allow this: neither this ancestor nor those above include it
        yield group


def _memory_limits(version: int, group: Path) -> Iterator[MemoryLimit]:
    files = _MEMORY[version]
    for limit_file, usage_file in files.limits:
        limit = _number(group / limit_file)
        if limit is None or limit >= _UNLIMITED:
            continue
        usage = _number(group / usage_file) or 0
        yield MemoryLimit(group, limit, max(0, limit - max(0, usage - _reclaimable(files, group))))


def _reclaimable(files: _Files, group: Path) -> int:
    """Return the bytes of a group that the kernel can reclaim at once."""
    stat = dict(re.findall(r"^(\w+) ([0-9]{1,20})$", _text(group / "memory.stat"), re.MULTILINE))
    cache = sum(int(stat.get(name, 0)) for name in files.cache)
    return max(0, cache - sum(int(stat.get(name, 0)) for name in files.busy))


def _quota(version: int, group: Path) -> float | None:
    """Return how many cores' time a group may use; None: no limit."""
    if version == 2:
        quota, _, period = _text(group / "cpu.max").partition(" ")
    else:
        quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
    granted, of = _as_number(quota), _as_number(period)
    return granted / of if granted and of else None


def _number(file: Path) -> int | None:
    return _as_number(_text(file))


def _as_number(text: str) -> int | None:
    """Return a non-negative number; None for "max" and -1, which mean no limit, and for malformed text."""
    return int(text) if re.fullmatch(r"\s*[0-9]{1,20}\s*", text) else None


def _text(file: Path) -> str:
    """Return the text of a file; "" if it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
