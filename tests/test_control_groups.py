"""Limits of control groups, read from trees of files laid out as kernels lay them out."""

import pytest

from mlsolve_kernels import threads
from mlsolve_kernels.control_groups import core_limit, memory_limit

MIB = 2**20
NONE_IN_VERSION_1 = 9223372036854771712


class System:
    """A /proc/self and file systems of control groups, in a folder whose name holds a blank."""

    def __init__(self, folder):
        self.process, self._groups = folder / "proc", folder / "control groups"
        self.process.mkdir()
        self._write(self.process / "mountinfo", "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n")
        self._write(self.process / "cgroup", "")

    def mount(self, name, root="/", controllers=None):
        """Show the groups from `root` on as folder `name`; controllers: of version 1, None for version 2."""
        kind = "cgroup2 cgroup2 rw,nsdelegate" if controllers is None else f"cgroup cgroup rw,xattr,{controllers}"
        place = str(self._groups / name).replace(" ", r"\040")
        with (self.process / "mountinfo").open("a") as file:
            file.write(f"31 22 0:28 {root} {place} rw,nosuid shared:9 master:2 - {kind}\n")
        (self._groups / name).mkdir(parents=True, exist_ok=True)
        return self

    def member(self, *lines):
        """Make the process a member of these groups."""
        self._write(self.process / "cgroup", "".join(f"{line}\n" for line in lines))
        return self

    def group(self, path, **files):
        """Lay out a group's files; memory__max is memory.max."""
        folder = self._groups / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            self._write(folder / name.replace("__", "."), text if isinstance(text, bytes) else f"{text}\n")
        return folder

    @staticmethod
    def _write(file, text):
        file.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def system(tmp_path):
    return System(tmp_path)


@pytest.fixture
def version_1(system):
    """A process in /service/job where every controller has a hierarchy."""
    system.mount("systemd", controllers="name=systemd").mount("memory", controllers="memory")
    system.mount("cpu,cpuacct", controllers="cpu,cpuacct")
    return system.member("9:name=systemd:/else", "4:memory:/service/job", "2:cpu,cpuacct:/service/job", "0::/")


@pytest.fixture
def version_2(system):
    """A process in /service/job of the one hierarchy."""
    return system.mount("").member("0::/service/job")


def stat(**figures):
    return "\n".join(f"{name} {value}" for name, value in figures.items())


def limited_1(system, path, limit, usage, **files):
    return system.group(
        f"memory{path}",
        memory__limit_in_bytes=limit,
        memory__usage_in_bytes=usage,
        memory__use_hierarchy=1,
        **files,
    )


def found(system):
    """The limit and what is left of it, in MiB."""
    limit = memory_limit(system.process)
    return None if limit is None else (limit.limit / MIB, limit.left / MIB)


def test_a_system_without_control_groups(tmp_path, system):
    for process in (tmp_path / "nowhere", system.process):
        assert memory_limit(process) is None
        assert core_limit(process) is None


def test_version_2(version_2):
    group = version_2.group(
        "service/job",
        memory__max=1000 * MIB,
        memory__high="max",
        memory__current=700 * MIB,
        memory__stat=stat(
            anon=300 * MIB,
            shmem=50 * MIB,
            file=330 * MIB,
            inactive_anon=350 * MIB,
            active_file=80 * MIB,
            inactive_file=200 * MIB,
            file_dirty=30 * MIB,
            file_writeback=20 * MIB,
            slab_reclaimable=15 * MIB,
            slab_unreclaimable=5 * MIB,
        ),
    )
    # 300 are free; of files 280 can go, but for 50 that are yet to be written; and 15 of what the kernel keeps.
    assert found(version_2) == (1000, 300 + 280 - 50 + 15)
    assert memory_limit(version_2.process).group == group


def test_version_1(version_1):
    group = limited_1(
        version_1,
        "/service/job",
        1000 * MIB,
        700 * MIB,
        memory__stat=stat(
            # What descendants hold as well is in the total alone.
            active_file=1 * MIB,
            inactive_file=2 * MIB,
            total_rss=300 * MIB,
            total_shmem=50 * MIB,
            total_active_file=80 * MIB,
            total_inactive_file=200 * MIB,
            total_dirty=30 * MIB,
            total_writeback=20 * MIB,
        ),
    )
    assert found(version_1) == (1000, 300 + 280 - 50)
    assert memory_limit(version_1.process).group == group


def test_no_limit(version_2):
    version_2.group("service/job", memory__max="max", memory__high="max", memory__current=5, cpu__max="max 100000")
    assert memory_limit(version_2.process) is core_limit(version_2.process) is None


def test_no_limit_in_version_1(version_1):
    limited_1(version_1, "/service/job", NONE_IN_VERSION_1, 5)
    version_1.group("cpu,cpuacct/service/job", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100000)
    assert memory_limit(version_1.process) is core_limit(version_1.process) is None


def test_where_a_group_is_slowed_down_is_a_limit(version_2):
    version_2.group("service/job", memory__max=900, memory__high=600, memory__current=200)
    limit = memory_limit(version_2.process)
    assert (limit.limit, limit.left) == (600, 400)


def test_a_limit_on_memory_and_swap_counts_what_is_in_swap(version_1):
    limited_1(
        version_1,
        "/service/job",
        1000,
        200,
        memory__memsw__limit_in_bytes=1000,
        memory__memsw__usage_in_bytes=700,
    )
    assert memory_limit(version_1.process).left == 300


@pytest.mark.parametrize("usage", [1000, 1300])
def test_nothing_is_left_and_no_less(version_2, usage):
    version_2.group("service/job", memory__max=1000, memory__current=usage)
    assert memory_limit(version_2.process).left == 0


def test_what_is_dirty_may_be_more_than_all_files(version_2):
    """Figures are not all of the same moment."""
    version_2.group(
        "service/job",
        memory__max=1000,
        memory__current=100,
        memory__stat=stat(active_file=10, inactive_file=10, file_dirty=50),
    )
    assert memory_limit(version_2.process).left == 900


@pytest.mark.parametrize(
    ("lefts", "tightest"),
    [((500, 400, 300), 0), ((300, 500, 400), 1), ((500, 300, 400), 2), ((None, 300, None), 2), ((None,) * 3, None)],
)
@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_of_all_ancestors_counts(system, version, lefts, tightest):
    """lefts: of the mount's root, the parent, the group of the process."""
    names = ("", "/service", "/service/job")
    if version == 1:
        system.mount("memory", controllers="memory").member("4:memory:/service/job")
        for name, left in zip(names, lefts, strict=True):
            limited_1(system, name, NONE_IN_VERSION_1 if left is None else 1000 + left, 1000)
    else:
        system.mount("memory").member("0::/service/job")
        for name, left in zip(names, lefts, strict=True):
            limit = "max" if left is None else 1000 + left
            system.group(f"memory{name}", memory__max=limit, memory__current=1000)
    least = min((left for left in lefts if left is not None), default=None)
    limit = memory_limit(system.process)
    assert (None if limit is None else limit.left) == least


def test_a_sibling_does_not_count(version_2):
    version_2.group("service/job", memory__max=1000, memory__current=0)
    version_2.group("service/other", memory__max=10, memory__current=0)
    version_2.group("service/job/child", memory__max=10, memory__current=0)
    assert memory_limit(version_2.process).left == 1000


def test_ancestors_that_do_not_count_descendants(version_1):
    """Before Linux 5.11 version 1 could keep groups apart: then an ancestor's limit is its own alone."""
    limited_1(version_1, "/service/job", 1000, 0)
    parent = limited_1(version_1, "/service", 500, 0)
    limited_1(version_1, "", 100, 0)
    assert memory_limit(version_1.process).left == 100
    (parent / "memory.use_hierarchy").write_text("0\n")
    assert memory_limit(version_1.process).left == 1000
    # Its own group's choice is about descendants.
    version_1.group("memory/service/job", memory__use_hierarchy=0)
    assert memory_limit(version_1.process).left == 1000


def test_both_versions_side_by_side(system):
    """Version 2 is mounted, but the controllers are with version 1."""
    system.mount("unified").mount("memory", controllers="memory").mount("cpu", controllers="cpu")
    system.member("4:memory:/job", "1:cpu:/job", "0::/job")
    system.group("unified/job", cgroup__controllers="", memory__pressure="some avg10=0.00")
    limited_1(system, "/job", 1000, 100)
    system.group("cpu/job", cpu__cfs_quota_us=150000, cpu__cfs_period_us=100000)
    assert memory_limit(system.process).left == 900
    assert core_limit(system.process) == 2


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_that_sees_the_path_of_the_host(system, version):
    """No namespace of control groups: the container's own group is mounted, and its path is the host's."""
    if version == 1:
        system.mount("memory", "/docker/4f1c", "memory").member("4:memory:/docker/4f1c")
        limited_1(system, "", 1000, 100)
        limited_1(system, "/docker/4f1c", 50, 0)  # of another container, run within this one
    else:
        system.mount("memory", "/docker/4f1c").member("0::/docker/4f1c")
        system.group("memory", memory__max=1000, memory__current=100)
        system.group("memory/docker/4f1c", memory__max=50, memory__current=0)
    assert memory_limit(system.process).left == 900


def test_a_group_within_such_a_container(system):
    system.mount("memory", "/docker/4f1c").member("0::/docker/4f1c/job/one")
    system.group("memory", memory__max=1000, memory__current=100)
    system.group("memory/job/one", memory__max=700, memory__current=100)
    assert memory_limit(system.process).left == 600


@pytest.mark.parametrize("path", ["/", "/../../job", "/..", "/../sibling"])
@pytest.mark.parametrize("root", ["/", "/../..", "/..", "/docker/4f1c"])
def test_a_namespace_that_does_not_fit_what_is_mounted(system, path, root):
    """Whatever the paths look like, the limit of what is mounted counts: the container's, or an ancestor's."""
    system.mount("memory", root).member(f"0::{path}")
    system.group("memory", memory__max=1000, memory__current=100)
    system.group("sibling", memory__max=10, memory__current=0)
    system.group("job", memory__max=10, memory__current=0)
    assert memory_limit(system.process).left == 900


@pytest.mark.parametrize("version", [1, 2])
def test_only_the_hierarchy_of_the_controller_is_looked_at(system, version):
    """Elsewhere the path may fit what is mounted, and tell nothing of memory."""
    if version == 1:
        system.mount("unified").mount("cpu", controllers="cpu").mount("memory", "/elsewhere", "memory")
        system.member("4:memory:/job", "1:cpu:/job", "0::/job")
        limited_1(system, "", 1000, 100)
    else:
        system.mount("cpu", controllers="cpu").mount("unified", "/elsewhere").member("1:cpu:/job", "0::/job")
        system.group("unified", memory__max=1000, memory__current=100)
    assert memory_limit(system.process).left == 900


def test_controllers_whose_names_begin_alike(system):
    system.mount("cpuset", controllers="cpuset").mount("cpu", controllers="cpu")
    system.member("3:cpuset:/other", "1:cpu:/job")
    system.group("cpu/other", cpu__cfs_quota_us=100000, cpu__cfs_period_us=100000)
    system.group("cpu/job", cpu__cfs_quota_us=300000, cpu__cfs_period_us=100000)
    assert core_limit(system.process) == 3


def test_a_namespace_whose_outside_is_mounted(system):
    """What is mounted shows the process' group, for paths begin alike."""
    system.mount("memory", "/../..").member("0::/../../job")
    system.group("memory/job", memory__max=700, memory__current=0)
    assert memory_limit(system.process).left == 700


def test_groups_of_others_that_are_mounted_as_well(system):
    """A host may see the folders of its containers: their limits are not its own."""
    system.mount("memory").mount("container", "/docker/4f1c").member("0::/user")
    system.group("memory/user", memory__max=1000, memory__current=0)
    system.group("container", memory__max=10, memory__current=0)
    assert memory_limit(system.process).left == 1000


def test_names_with_blanks_and_colons(system):
    system.mount("memory", r"/my\040box\134x").member(r"0::/my box\x/one: two")
    system.group("memory/one: two", memory__max=1000, memory__current=100)
    assert memory_limit(system.process).left == 900


def test_a_group_that_was_removed(system):
    """Its ancestors still limit the process."""
    system.mount("memory").member("0::/service/job (deleted)")
    system.group("memory/service", memory__max=1000, memory__current=100)
    assert memory_limit(system.process).left == 900


@pytest.mark.parametrize(
    "odd", ["", "much", "-5", "1e9", "12 x4", b"\xff\xfe\x00", "9" * 5000, "active_file " + "9" * 5000, None]
)
@pytest.mark.parametrize("name", ["memory__max", "memory__current", "memory__stat", "cpu__max"])
def test_an_odd_file_tells_nothing(version_2, name, odd):
    files = {
        "memory__max": 1000,
        "memory__current": 100,
        "memory__stat": "active_file 50",
        "cpu__max": "100000 100000",
    }
    version_2.group("service", memory__max=2000, memory__current=500, cpu__max="250000 100000")
    job = version_2.group("service/job", **{**files, name: "" if odd is None else odd})
    if odd is None:
        (job / name.replace("__", ".")).unlink()
    left = {"memory__max": 1500, "memory__current": 1000, "memory__stat": 900, "cpu__max": 950}[name]
    assert memory_limit(version_2.process).left == left
    assert core_limit(version_2.process) == (3 if name == "cpu__max" else 1)


@pytest.mark.parametrize("odd", [b"", b"\n\n", b"\xff\xfe", b"0", b"0:", b"::", b"odd : of - use\n" * 3, None])
@pytest.mark.parametrize("name", ["mountinfo", "cgroup"])
def test_an_odd_proc_tells_nothing(version_2, name, odd):
    for group in ("", "service/job"):
        version_2.group(group, memory__max=1000, memory__current=100, cpu__max="100000 100000")
    file = version_2.process / name
    file.unlink()
    if odd is not None:
        file.write_bytes(odd)
    assert memory_limit(version_2.process) is core_limit(version_2.process) is None


def test_odd_lines_hide_no_good_ones(version_2):
    version_2.group("service/job", memory__max=1000, memory__current=100)
    for name in ("mountinfo", "cgroup"):
        file = version_2.process / name
        file.write_bytes(b"\xff odd\n1 2\n" + file.read_bytes() + b"x:y\n - cgroup2\n")
    assert memory_limit(version_2.process).left == 900


@pytest.mark.parametrize(
    ("quota", "cores"), [(400000, 4), (400001, 5), (150000, 2), (100000, 1), (99999, 1), (1000, 1), (0, None)]
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_part_of_a_core_counts_as_one(system, version, quota, cores):
    if version == 1:
        system.mount("cpu", controllers="cpu,cpuacct").member("2:cpu,cpuacct:/job")
        system.group("cpu/job", cpu__cfs_quota_us=quota, cpu__cfs_period_us=100000)
    else:
        system.mount("cpu").member("0::/job")
        system.group("cpu/job", cpu__max=f"{quota} 100000")
    assert core_limit(system.process) == cores


def test_the_smallest_quota_of_all_ancestors_counts(version_2):
    version_2.group("", cpu__max="900000 100000")
    version_2.group("service", cpu__max="150000 50000")
    version_2.group("service/job", cpu__max="max 100000")
    assert core_limit(version_2.process) == 3
    version_2.group("service/job", cpu__max="200000 100000")
    assert core_limit(version_2.process) == 2


def test_threads_are_no_more_than_cores_or_quota(monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    for granted, cores in ((None, 64), (2, 2), (100, 64)):
        monkeypatch.setattr(threads, "core_limit", lambda granted=granted: granted)
        assert threads.available_cores() == cores
    monkeypatch.setattr(threads, "core_limit", lambda: 2)
    team = threads.Team()
    team.close()
    assert team.workers == 2
    monkeypatch.delattr(threads.os, "sched_getaffinity")
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 8)
    assert threads.available_cores() == 2
