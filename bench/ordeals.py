"""Faults that a run must survive, tested on real processes: python bench/ordeals.py [--kills 10] [--flips 100] …

Every trial must end with the same bytes as an undisturbed run or, if something was damaged, with a one-line error
and status 2. Anything else is printed, and the exit status is 1. Pictures are drawn from a seed; --target and
--guide replace them.
"""

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mlsolve.pictures import picture_files

NOT_COMPARED = {"result.json", "job.toml"}
"""Files that may differ: one holds seconds, the other file names relative to the folder."""

LOOKS = 0.02
"""Seconds between checks of a process that is to be killed."""


def command(*arguments):
    return [sys.executable, "-m", "mlsolve_cli", *(str(a) for a in arguments)]


def call(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def killed(after, *arguments):
    """Run the command line and kill it with -9 after some seconds; return whether that was before its end."""
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
        return False
    process.kill()
    process.wait()
    return True


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in NOT_COMPARED}


def drawn(folder, side):
    """Draw a target and two guides, smooth with edges, as PNG and as 16-bit TIFF."""
    rng, y, x = np.random.default_rng(1), *np.mgrid[0:side, 0:side] / side
    names = []
    for number in range(3):
        waves = [np.sin(2 * np.pi * (rng.uniform(1, 9) * x + rng.uniform(1, 9) * y)) for _ in range(3)]
        picture = np.clip(0.5 + 0.3 * np.stack(waves, axis=-1) + 0.1 * (x > y)[..., np.newaxis], 0, 1)
        codes = np.rint(picture * 65535).astype(np.uint16)
        path = folder / f"picture-{number}.{'tif' if number == 1 else 'png'}"
        writer = picture_files.TiffWriter if number == 1 else picture_files.PngWriter
        with writer(path, (side, side), 3, 16) as file:
            file.write(codes)
        names.append(path)
    return names[0], names[1:]


class Ordeals:
    """A run, its expected result, and trials of it."""

    def __init__(self, place, options):
        self.place, self.options, self.wrong = place, options, 0
        self.random = random.Random(options.seed)
        target, guides = options.target, options.guide
        if target is None:
            target, guides = drawn(place, options.size)
        self.run = ["run", target, *(text for guide in guides for text in ("--guide", guide))]
        self.run += ["--size", options.size, "--exposure", 0.1]
        self.tight = ["--memory", options.memory]
        began = time.perf_counter()
        assert call(*self.run, "--out", place / "alone").returncode == 0
        whole = time.perf_counter() - began
        self.expected = content(place / "alone")
        began = time.perf_counter()
        done = call(*self.run, *self.tight, "--out", place / "tight", "--json")
        self.seconds = time.perf_counter() - began
        self.check("tight", done, place / "tight")
        report = json.loads(done.stdout)
        held = report["peak_memory"] / 2**20
        size = "{}×{}".format(*report["size"])
        print(f"{size}: alone {whole:.1f} s, in {options.memory} {self.seconds:.1f} s, {held:.1f} MiB held")

    def check(self, name, done, folder, refused=False):
        """Count a result that is neither right nor, where allowed, a one-line error; return which it was."""
        lines = [line for line in done.stderr.splitlines() if line.startswith("mlsolve: error:")]
        if done.returncode == 2 and len(lines) == 1 and refused and not folder.exists():
            return "refused"
        if done.returncode == 0 and folder.exists() and content(folder) == self.expected:
            return "right"
        self.wrong += 1
        print(f"WRONG: {name}: status {done.returncode}: {done.stderr[-400:]}")
        return "wrong"

    def processes(self):
        for count in (1, 2):
            folder = self.place / f"processes-{count}"
            done = call(*self.run, *self.tight_for(count), "--processes", count, "--out", folder, "--json")
            print(f"{count} processes: {self.check(f'{count} processes', done, folder)}")

    def tight_for(self, count):
        """Return the memory limit: two processes need more than the minimum for one."""
        return self.tight if count == 1 else ["--memory", "60MiB"]

    def kills(self, count):
        """Kill a run repeatedly, `count` times in total; resume it each time."""
        folder, done, trials = self.place / "killed", 0, 0
        while done < count:
            trials += 1
            shutil.rmtree(folder, ignore_errors=True)
            begun = [*self.run, *self.tight, "--out", folder]
            while done < count:
                unfinished = Path(f"{folder}.unfinished")
                again = (unfinished / "run.json").exists()
                arguments = ["resume", folder, *self.tight] if again else begun
                if not killed(self.random.uniform(0.8, 0.4 * self.seconds + 1), *arguments):
                    break
                done += 1
            if not folder.exists():
                ended = call("resume", folder, *self.tight) if (unfinished / "run.json").exists() else call(*begun)
            else:
                ended = subprocess.CompletedProcess([], 0, "", "")
            self.check("killed", ended, folder)
        print(f"killed {done} times in {trials} runs: {'right' if not self.wrong else 'see above'}")

    def left(self):
        """Return the state of a run that was killed while it solved its last level."""
        folder = self.place / "left"
        state = Path(f"{folder}.unfinished")
        process = subprocess.Popen(
            command(*self.run, *self.tight, "--out", folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            last = sorted(state.glob("level-*"), key=lambda path: int(path.name[6:]))
            if last and any(last[-1].glob("round-3/state/tile-*.json")):
                process.kill()
                process.wait()
                return state
            time.sleep(LOOKS)
        raise SystemExit("it ended before it could be killed: choose a larger --size")

    def damages(self, count, damage, name):
        """Damage a copy of an unfinished run at a random place, `count` times, and resume it."""
        state = self.left()
        found = {"right": 0, "refused": 0, "wrong": 0}
        for number in range(count):
            copy = self.place / f"{name}-{number}"
            shutil.copytree(state, f"{copy}.unfinished")
            what = damage(Path(f"{copy}.unfinished"))
            done = call("resume", copy, *self.tight)
            found[self.check(f"{name} {what}", done, copy, refused=True)] += 1
            for path in (copy, Path(f"{copy}.unfinished")):
                shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(state)
        print(f"{count} times {name}: {found}")

    def any_file(self, state):
        """Return a random file of the state; small and large files are equally likely."""
        files = sorted(path for path in state.rglob("*") if path.is_file() and path.name != "lock")
        small = [path for path in files if path.suffix == ".json"]
        return self.random.choice(self.random.choice([files, small]))

    def flip(self, state):
        path = self.any_file(state)
        data = bytearray(path.read_bytes())
        at = self.random.randrange(len(data))
        data[at] ^= 1 << self.random.randrange(8)
        path.write_bytes(data)
        return f"byte {at} of {path.relative_to(state)}"

    def remove(self, state):
        path = self.any_file(state)
        path.unlink()
        return str(path.relative_to(state))

    def full_disks(self, count):
        """Run on a small disk that fills at a random moment, then enlarge it and resume."""
        found = {"right at once": 0, "refused early": 0, "filled, resumed, right": 0}
        most = self.on_disk()
        for number in range(count):
            mount = self.place / f"disk-{number}"
            mount.mkdir()
            room = int(self.random.uniform(0.05, 1.0) * most)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", mount], check=True)
            try:
                folder = mount / "o"
                # The free space is checked before anything starts; here something else fills the disk afterwards.
                done = subprocess.run(
                    [sys.executable, "-c", BLIND, *map(str, [*self.run, *self.tight, "--out", folder])],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                kind = self.check(f"disk of {room}", done, folder, refused=True)
                if kind == "right":
                    found["right at once"] += 1
                elif Path(f"{folder}.unfinished", "run.json").exists():
                    subprocess.run(["mount", "-o", f"remount,size={4 * most}", mount], check=True)
                    again = self.check(f"disk of {room}, resumed", call("resume", folder, *self.tight), folder)
                    found["filled, resumed, right"] += again == "right"
                else:
                    found["refused early"] += kind == "refused" and not any(mount.iterdir())
            finally:
                subprocess.run(["umount", mount], check=True)
        total = sum(found.values())
        self.wrong += count - total
        print(f"{count} disks that fill: {found}{'' if total == count else ', the others left something'}")

    def on_cluster(self):
        """Make the trials on a cluster; return how many ended wrong."""
        from cluster_ordeals import ClusterOrdeals

        memory, asked = ["--memory", "40MiB"], self.options
        trials = ClusterOrdeals(self.place, self.run, memory, self.expected, self.on_disk(), asked.seed)
        try:
            trials.repeat("workers killed", asked.kills, trials.kill_worker)
            trials.repeat("the scheduler killed", asked.schedulers, trials.kill_scheduler)
            trials.repeat("the client killed", asked.clients, trials.kill_client)
            trials.repeat("a worker stopped for 1 to 20 s", asked.freezes, trials.freeze_worker)
            if asked.disks:
                trials.full_stores(asked.disks)
        finally:
            trials.hosts.end()
        return trials.wrong

    def on_disk(self):
        """Return the approximate peak disk use of a run."""
        height = width = self.options.size
        return height * width * 9 * (2 * 4 * 3 + 4)


BLIND = """
import sys
from mlsolve.run import lifecycle as run
run.check_disk = lambda *_: None
run.states_left = lambda *_: 10**12
from mlsolve.cluster.crew import Crew
Crew.require_room = lambda *_: None
from mlsolve_cli.main import main
main(sys.argv[1:])
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--flips", type=int, default=100)
    parser.add_argument("--removals", type=int, default=30)
    parser.add_argument("--disks", type=int, default=20, help="needs the right to mount a tmpfs")
    parser.add_argument("--cluster", action="store_true", help="of a run on a cluster, by the numbers below")
    parser.add_argument("--schedulers", type=int, default=20, help="kills of the scheduler")
    parser.add_argument("--clients", type=int, default=20, help="kills of the client")
    parser.add_argument("--freezes", type=int, default=20, help="workers that are stopped for a while")
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--memory", default="24MiB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", type=Path)
    parser.add_argument("--guide", action="append", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        trials = Ordeals(Path(place), options)
        if options.cluster:
            sys.exit(1 if trials.on_cluster() else 0)
        trials.processes()
        trials.kills(options.kills)
        trials.damages(options.flips, trials.flip, "a byte flipped")
        trials.damages(options.removals, trials.remove, "a file removed")
        if options.disks:
            trials.full_disks(options.disks)
    sys.exit(1 if trials.wrong else 0)


if __name__ == "__main__":
    main()
