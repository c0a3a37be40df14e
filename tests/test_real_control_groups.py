"""Real control groups, where one can be made: what is read of them, and runs that the kernel does not kill."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import environment
from mlsolve.run.precompile import precompile

MIB = 2**20
ASK = "from mlsolve.system.memory import available_memory as free; print(free())"


class Groups:
    """Control groups below the root of a hierarchy, removed in the end."""

    def __init__(self, root, version):
        self._root, self.version, self._made = root, version, []

    def make(self, parent=None, **files):
        """Return a new group; files: what is written into it, memory__max is memory.max."""
        if parent is not None and self.version == 2:
            (parent / "cgroup.subtree_control").write_text("+memory")
        group = (parent or self._root) / f"mlsolve-test-{os.getpid()}-{len(self._made)}"
        group.mkdir()
        self._made.append(group)
        for name, text in files.items():
            (group / name.replace("__", ".")).write_text(str(text))
        return group

    def limited(self, limit, parent=None):
        """Return a new group that may take so many bytes."""
        name = "memory__limit_in_bytes" if self.version == 1 else "memory__max"
        group = self.make(parent, **{name: limit})
        swap, most = ("memory.memsw.limit_in_bytes", limit) if self.version == 1 else ("memory.swap.max", 0)
        with contextlib.suppress(OSError):  # without swap there is no such file
            (group / swap).write_text(str(most))
        return group

    def remove(self):
        for group in reversed(self._made):
            group.rmdir()


def run_in(group, *command, **extra):
    """Run a command in a group."""
    enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', group]
    return subprocess.run(
        [str(word) for word in (*enter, *command)],
        capture_output=True,
        text=True,
        env={**environment(), **extra},
        check=False,
    )


def numbers(group, script):
    """Run a Python script in a group and return the numbers it prints."""
    done = run_in(group, sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def roots(controller):
    """Where groups with `controller` can be made, with the version."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
            before, _, after = line.partition(" - ")
            folder, (kind, _, options) = Path(before.split()[4]), after.split()
            if kind == "cgroup" and controller in options.split(","):
                yield folder, 1
            elif kind == "cgroup2" and controller in (folder / "cgroup.subtree_control").read_text().split():
                yield folder, 2


def groups_with(controller):
    for root, version in roots(controller):
        groups = Groups(root, version)
        with contextlib.suppress(OSError):
            groups.make()
            groups.remove()
            return Groups(root, version)
    pytest.skip(f"no control group with the {controller} controller can be made here: run it as root, on Linux")


@pytest.fixture
def groups():
    made = groups_with("memory")
    yield made
    made.remove()


def test_a_limit_is_seen(groups):
    (free,) = numbers(groups.limited(300 * MIB), ASK)
    assert 200 * MIB < free < 300 * MIB


def test_a_limit_of_the_parent_is_seen(groups):
    parent = groups.limited(300 * MIB)
    for child in (groups.make(parent), groups.limited(600 * MIB, parent)):
        (free,) = numbers(child, ASK)
        assert 200 * MIB < free < 300 * MIB


@pytest.mark.slow
def test_what_is_held_counts_and_what_is_cached_does_not(groups, tmp_path):
    script = f"""
import os
{ASK}
with open({str(tmp_path / "file")!r}, "wb") as file:
    file.write(bytes(80 << 20))
    os.fsync(file.fileno())
print(free())
held = bytearray(b"1") * (100 << 20)
print(free())
"""
    begun, cached, holding = numbers(groups.limited(300 * MIB), script)
    assert cached == pytest.approx(begun, abs=15 * MIB)
    assert cached - holding == pytest.approx(100 * MIB, abs=15 * MIB)


@pytest.mark.slow
def test_what_others_of_the_group_hold_counts(groups):
    group = groups.limited(300 * MIB)
    script = "held = bytearray(b'1') * (100 << 20); print(1, flush=True); input()"
    enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group)]
    command = [*enter, sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        (free,) = numbers(group, ASK)
        other.communicate(b"\n")
    assert 100 * MIB < free < 200 * MIB


def test_a_quota_of_processor_time_is_seen():
    groups = groups_with("cpu")
    ask = "from mlsolve_kernels.threads import available_cores as cores; print(cores())"
    try:
        files = (
            {"cpu__cfs_period_us": 100000, "cpu__cfs_quota_us": 50000}
            if groups.version == 1
            else {"cpu__max": "50000 100000"}
        )
        assert numbers(groups.make(**files), ask) == [1]
    finally:
        groups.remove()


@pytest.fixture
def target(save, picture):
    precompile()  # so that there is nothing left to compile
    return save("t.png", picture(600, 600))


def mlsolve_in(group, *arguments, **extra):
    return run_in(group, sys.executable, "-m", "mlsolve_cli", *arguments, **extra)


@pytest.mark.slow
def test_a_run_that_would_take_more_is_solved_in_tiles(groups, tmp_path, target):
    """Half of what the machine has free would do for all of it in memory, and the kernel would kill it."""
    options = ("--size", 900, "--iterations", 2, "--out", tmp_path / "o", "--json")
    done = mlsolve_in(groups.limited(256 * MIB), "run", target, *options)
    assert done.returncode == 0, done.stderr
    assert max(map(int, re.findall(r'"tiles": (\d+)', done.stderr))) > 1
    assert json.loads(done.stdout)["peak_memory"] < 128 * MIB


@pytest.mark.slow
def test_a_run_that_cannot_fit_is_refused(groups, tmp_path, target):
    done = mlsolve_in(groups.limited(120 * MIB), "run", target, "--size", 9000, "--out", tmp_path / "o")
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(
        r"mlsolve: error: memory is \S+ MiB, half of what is free: this print needs \d+MiB at least\n", done.stderr
    )
    assert not list(tmp_path.glob("o*"))


@pytest.mark.slow
def test_kernels_that_cannot_be_compiled_are_refused_before(groups, tmp_path, target):
    done = mlsolve_in(
        groups.limited(120 * MIB), "run", target, "--out", tmp_path / "o", NUMBA_CACHE_DIR=str(tmp_path)
    )
    assert done.returncode == 2, done.stderr
    assert re.search(r"has \S+ MiB of its 120 MiB of memory left: mlsolve takes 180 MiB to compile", done.stderr)
