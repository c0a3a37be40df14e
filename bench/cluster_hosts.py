"""Two hosts, one of them cut off in the middle of a round: python bench/cluster_hosts.py [--size 700] [--trials 3].

The hosts are network namespaces of this machine with a cable between them, and see the same files. It needs the
right to make them (root), iproute2, and the extra cluster. With --mounts A B, two mounts of one network file
system, each host sees its own at the same place. On host 1 are the scheduler and a worker, on host 2 is another
worker:

- the client is on host 1, and nobody is cut off;
- the client is on host 1; host 2 is cut off for good, or for a while;
- the client is on host 2, which is cut off: it must say so in one line, and `mlsolve resume` must finish alone.

Every trial must end with the bytes of a run without a cluster. The exit status is 1 if one does not.
"""

import argparse
import contextlib
import itertools
import json
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster_ordeals import HANGING, Supervised
from ordeals import call, content, drawn

HOSTS = {"mlsolve-1": "10.77.21.1", "mlsolve-2": "10.77.21.2"}
SCHEDULER = "tcp://10.77.21.1:8786"
LOOKS = 0.05


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Cable:
    """Two namespaces with a cable between them."""

    def __enter__(self):
        for host in HOSTS:
            with contextlib.suppress(subprocess.CalledProcessError):
                subprocess.run(["ip", "netns", "del", host], check=True, stderr=subprocess.DEVNULL)
            ip("netns", "add", host)
            ip("-n", host, "link", "set", "lo", "up")
        ip("-n", "mlsolve-1", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", "mlsolve-2")
        for host, address in HOSTS.items():
            ip("-n", host, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", host, "link", "set", "eth0", "up")
        return self

    def __exit__(self, *_):
        for host in HOSTS:
            ip("netns", "del", host)

    def cut(self):
        ip("-n", "mlsolve-2", "link", "set", "eth0", "down")

    def mend(self):
        ip("-n", "mlsolve-2", "link", "set", "eth0", "up")


class Files:
    """The files that both hosts see."""

    def __init__(self, folder, mounts):
        """folder: exists and is empty. mounts: the mount of each host; None: both see the same folder."""
        self.there, self._mounts = folder, dict(zip(HOSTS, mounts, strict=True)) if mounts else {}
        self.here = Path(mounts[0]) if mounts else folder

    def on(self, host):
        """Return the words before a command that `host` runs."""
        words = ["ip", "netns", "exec", host]
        if host in self._mounts:
            script = 'mount --bind "$0" "$1" && shift && exec "$@"'
            words += ["unshare", "--mount", "sh", "-c", script, self._mounts[host], str(self.there)]
        return words


def events(log):
    """Return what the client has told."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def wait_for_round(log, client):
    """Wait until a round of several tiles is in its middle. Nobody looks into the folder, so no mount caches it."""
    while client.poll() is None:
        for event in events(log):
            if event.get("tiles", 0) > 1 and event.get("tile", 0) >= 2:
                return f"level {event['level']}, round {event['round']}, after {event['tile']} tiles"
        time.sleep(LOOKS)
    return "too late"


def trial(place, files, words, expected, client_host, away):
    """Cut host 2 off, for `away` seconds, for good (None) or not at all (0).

    Return whether it ended well, and in which words.
    """
    # A new name: a mount may remember for a while what had the old one.
    name = f"print-{secrets.token_hex(4)}"
    folder, log = files.here / name, place / "stderr"
    with Cable() as cable:
        asked = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0", "--death-timeout", "30"]
        dask = ["distributed.cli.dask_scheduler", "--host", SCHEDULER, "--no-dashboard", "--no-show"]
        started = [Supervised(dask, prefix=files.on("mlsolve-1"))]
        for host, address in HOSTS.items():
            work = ["distributed.cli.dask_worker", SCHEDULER, *asked, "--host", address]
            started.append(Supervised(work, prefix=files.on(host)))
        try:
            with log.open("wb") as errors:
                run = [sys.executable, "-m", "mlsolve_cli", *map(str, words), "--json", "--cluster", SCHEDULER]
                client = subprocess.Popen(
                    [*files.on(client_host), *run, "--out", files.there / name],
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                )
                where = wait_for_round(log, client)
                struck = time.perf_counter()
                if away != 0:
                    cable.cut()
                if away:
                    time.sleep(away)
                    cable.mend()
                try:
                    client.wait(HANGING)
                except subprocess.TimeoutExpired:
                    client.kill()
                    client.wait()
                    return False, f"{where}: it hangs: {log.read_text()[-300:]}"
            took = time.perf_counter() - struck
        finally:
            for one in started:
                one.end()
    crew = [event["workers"] for event in events(log) if event["event"] == "workers"]
    lost = sum(max(0, before - after) for before, after in itertools.pairwise(crew))
    out = [line for line in log.read_text().splitlines() if "left out" in line]
    what = "looked at" if away == 0 else "cut off"
    ended = f"{what} in {where}, {took:.0f} s later it had ended, workers lost {lost} times{out or ''}"
    if client.returncode == 2:
        lines = [line for line in log.read_text().splitlines() if line.startswith("mlsolve: error:")]
        resumed = call("resume", folder, *[word for word in words if word in ("--memory", "40MiB")])
        if len(lines) != 1 or resumed.returncode != 0:
            return False, f"{ended}: {lines}, {resumed.stderr[-300:]}"
        ended += f" with {lines[0]!r}, resumed alone"
    elif client.returncode != 0:
        return False, f"{ended}: status {client.returncode}: {log.read_text()[-300:]}"
    return content(folder) == expected, ended


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=700)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--mounts", nargs=2, help="the mounts of the two hosts, of one network file system")
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "shared").mkdir()
        files = Files(place / "shared", options.mounts)
        target, guides = drawn(place, options.size)
        words = ["run", target, *(word for guide in guides for word in ("--guide", guide)), "--memory", "40MiB"]
        words += ["--size", options.size, "--exposure", "0.1"]
        assert call(*words, "--out", place / "alone").returncode == 0
        expected = content(place / "alone")
        kinds = {
            "nobody": ("mlsolve-1", 0),
            "host 2 for good": ("mlsolve-1", None),
            "host 2 for 12 s": ("mlsolve-1", 12),
            "the client": ("mlsolve-2", None),
        }
        for kind, (host, away) in kinds.items():
            for _ in range(options.trials):
                right, words_of_it = trial(place, files, words, expected, host, away)
                wrong += not right
                print(f"{kind}: {'right' if right else 'WRONG'}: {words_of_it}", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
