"""Faults that a run on a cluster must survive: python bench/ordeals.py --cluster [--kills 100] …

A scheduler and workers are real processes of this machine; what dies is started again, as a supervisor would. Every
trial must end within a minute with the bytes of a run without a cluster, or with a one-line error after which
`mlsolve resume`, on the cluster or alone, ends with these bytes.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

HANGING = 60.0
"""Seconds after a fault within which a run must end."""

LOOKS = 0.05


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Supervised:
    """A process that is started again whenever it ends."""

    def __init__(self, arguments, pause=0.0, log=subprocess.DEVNULL, prefix=()):
        self.arguments, self.pause, self.log = [*prefix, sys.executable, "-m", *arguments], pause, log
        self.ended = threading.Event()
        self.process = self._start()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def kill(self, number=signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def end(self):
        self.ended.set()
        self.kill(signal.SIGCONT)
        self.kill()
        self.thread.join()

    def _start(self):
        return subprocess.Popen(self.arguments, stdout=self.log, stderr=self.log, start_new_session=True)

    def _watch(self):
        while not self.ended.is_set():
            if self.process.poll() is not None:
                time.sleep(self.pause)
                if not self.ended.is_set():
                    self.process = self._start()
            time.sleep(LOOKS)
        self.kill()
        self.process.wait()


class Hosts:
    """A scheduler and its workers."""

    def __init__(self, workers, log=subprocess.DEVNULL):
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        # Dask's own files go where nothing else is.
        self.scheduler = Supervised(
            ["distributed.cli.dask_scheduler", "--host", self.address, "--no-dashboard", "--no-show"], log=log
        )
        asked = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "20", "--memory-limit", "0"]
        self.workers = [
            Supervised(["distributed.cli.dask_worker", self.address, *asked], log=log) for _ in range(workers)
        ]

    def end(self):
        for one in (*self.workers, self.scheduler):
            one.end()


class ClusterOrdeals:
    """Trials of one run on a cluster."""

    def __init__(self, place, run, tight, expected, on_disk, seed):
        """run: the command line's arguments. tight: those that make it use tiles. expected: what it writes.

        on_disk: the most bytes that it takes on the disk.
        """
        import random

        self.on_disk, self.place, self.run, self.tight, self.expected = on_disk, place, run, tight, expected
        self.random, self.wrong = random.Random(seed), 0
        self.hosts = Hosts(2)
        began = time.perf_counter()
        found, _ = self.trial("first", lambda client, folder: None, 1.0)
        # The first time the workers load everything.
        began = time.perf_counter()
        again, _ = self.trial("second", lambda client, folder: None, 1.0)
        self.seconds = time.perf_counter() - began
        print(f"on a cluster of two workers: {found}, {again}, {self.seconds:.1f} s")

    def trial(self, name, fault, at=None):
        """Run it with a fault; return how it ended, and the seconds from the fault to the end.

        fault: called with the process and the folder, at a moment of the run; its result is called in the end.
        """
        folder, log = self.place / "on-cluster", self.place / "stderr"
        shutil.rmtree(folder, ignore_errors=True)
        arguments = [*self.run, *self.tight, "--cluster", self.hosts.address, "--out", folder, "--overwrite"]
        with log.open("wb") as errors:
            client = subprocess.Popen(self.command(arguments), stdout=subprocess.DEVNULL, stderr=errors)
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(self.random.uniform(1.5, 1.1 * self.seconds) if at is None else at)
            struck = time.perf_counter()
            undo = fault(client, folder) if client.poll() is None else None
            try:
                client.wait(HANGING)
            except subprocess.TimeoutExpired:
                client.kill()
                client.wait()
                return self.bad(name, "it hangs", log), HANGING
            finally:
                if undo is not None:
                    undo()
        took = time.perf_counter() - struck
        status = client.returncode
        if status == 0:
            return self.compare(name, folder, log, "right"), took
        killed = status == -signal.SIGKILL
        lines = [line for line in log.read_text().splitlines() if line.startswith("mlsolve: error:")]
        if not killed and (status != 2 or len(lines) != 1):
            return self.bad(name, f"status {status}", log), took
        if not Path(f"{folder}.unfinished", "run.json").exists():
            if folder.exists():
                return self.bad(name, "a folder without a run", log), took
            print(f"{name}: {'killed' if killed else lines[0]}", flush=True)
            return f"{'killed' if killed else 'refused'} at the start", took
        cluster = ["--cluster", self.hosts.address] if self.random.random() < 0.5 else []
        how = "on the cluster" if cluster else "alone"
        status = self.resumed(folder, log, cluster)
        if status != 0:
            return self.bad(name, f"resumed {how}, {status}", log), took
        ended = "killed" if killed else "refused"
        return self.compare(name, folder, log, f"{ended}, resumed {how}, right"), took

    def resumed(self, folder, log, cluster):
        """Resume a run; return the exit status, or "it hangs"."""
        words = self.command(["resume", folder, *self.tight, *cluster])
        with log.open("wb") as errors:
            try:
                return subprocess.run(
                    words, stdout=subprocess.DEVNULL, stderr=errors, timeout=3 * HANGING, check=False
                ).returncode
            except subprocess.TimeoutExpired:
                return "it hangs"

    def repeat(self, name, count, fault):
        """Make `count` trials of a fault, and print how they ended."""
        found, longest = {}, 0.0
        for number in range(count):
            kind, took = self.trial(f"{name} {number}", fault)
            found[kind], longest = found.get(kind, 0) + 1, max(longest, took)
        print(f"{count} times {name}: {found}, the longest {longest:.0f} s from the fault to the end", flush=True)

    def kill_worker(self, client, folder):
        self.random.choice(self.hosts.workers).kill()

    def kill_scheduler(self, client, folder):
        self.hosts.scheduler.kill()

    def kill_client(self, client, folder):
        """Kill it after its run has begun, so that there is something to resume."""
        document = Path(f"{folder}.unfinished", "run.json")
        if not document.exists():
            while client.poll() is None and not document.exists():
                time.sleep(LOOKS)
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(self.random.uniform(0, 0.5 * self.seconds))
        client.kill()

    def freeze_worker(self, client, folder):
        worker, seconds = self.random.choice(self.hosts.workers), self.random.uniform(1, 20)
        process = worker.process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGSTOP)
        timer = threading.Timer(seconds, self.thaw, (process,))
        timer.start()

        def undo():
            timer.cancel()
            self.thaw(process)

        return undo

    @staticmethod
    def thaw(process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)

    def full_stores(self, count):
        """Run on a small disk that fills at a random moment, then enlarge it and resume."""
        from ordeals import BLIND

        found, longest, mount = {}, 0.0, self.place / "disk"
        mount.mkdir()
        for number in range(count):
            room = int(self.random.uniform(0.03, 0.3) * self.on_disk)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", mount], check=True)
            try:
                kind, took = self.full_store(f"full store {number} of {room}", mount, BLIND)
            finally:
                subprocess.run(["umount", "-l", mount], check=True)
            found[kind], longest = found.get(kind, 0) + 1, max(longest, took)
        print(f"{count} stores that fill: {found}, the longest {longest:.0f} s", flush=True)

    def full_store(self, name, mount, blind):
        folder, log, began = mount / "o", self.place / "stderr", time.perf_counter()
        cluster = ["--cluster", self.hosts.address]
        words = [sys.executable, "-c", blind, *map(str, [*self.run, *self.tight, *cluster, "--out", folder])]
        with log.open("wb") as errors:
            try:
                done = subprocess.run(
                    words, stdout=subprocess.DEVNULL, stderr=errors, timeout=3 * HANGING, check=False
                )
            except subprocess.TimeoutExpired:
                return self.bad(name, "it hangs", log), 3 * HANGING
        took = time.perf_counter() - began
        if done.returncode == 0:
            return self.compare(name, folder, log, "right at once"), took
        lines = [line for line in log.read_text().splitlines() if line.startswith("mlsolve: error:")]
        if done.returncode != 2 or len(lines) != 1 or folder.exists():
            return self.bad(name, f"status {done.returncode}", log), took
        if not Path(f"{folder}.unfinished", "run.json").exists():
            return "refused early", took
        subprocess.run(["mount", "-o", f"remount,size={8 * self.on_disk}", mount], check=True)
        status = self.resumed(folder, log, cluster)
        if status != 0:
            return self.bad(name, f"resumed, {status}", log), took
        return self.compare(name, folder, log, "filled, resumed, right"), took

    def compare(self, name, folder, log, kind):
        from ordeals import content

        if not folder.exists() or content(folder) != self.expected:
            return self.bad(name, "other bytes", log)
        if Path(f"{folder}.unfinished").exists():
            return self.bad(name, f"it left {sorted(Path(f'{folder}.unfinished').rglob('*'))[:4]}", log)
        return kind

    def bad(self, name, what, log):
        self.wrong += 1
        print(f"WRONG: {name}: {what}: {log.read_text()[-600:]}", flush=True)
        return "wrong"

    @staticmethod
    def command(arguments):
        return [sys.executable, "-m", "mlsolve_cli", *(str(one) for one in arguments)]
