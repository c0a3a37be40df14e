"""`mlsolve estimate`: what a print needs, before anything starts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mlsolve.errors import OptionError

from .echo import echo
from .options import BUDGET, COLOUR, JOB_OPTIONS, JSON, OUT, Given, verb

if TYPE_CHECKING:
    from mlsolve.run.estimate import Estimate


@verb(
    *JOB_OPTIONS,
    *BUDGET,
    OUT,
    COLOUR,
    JSON,
    examples=(
        ("estimate --print 2x1m --dpi 300 --memory 4GiB", "A print of 2×1 m, before there are any pictures."),
        (
            "estimate portrait.jpg --guide leaves.png --guide waves.png --size 1200",
            "The run with the same pictures and options.",
        ),
    ),
)
def estimate(given: Given) -> None:
    """Estimate pixels, memory, disk and time of a run on this machine, before anything starts.

    It takes the same pictures, guides, sizes and options as **mlsolve run**. It needs no pictures: a size and
    --layers are enough. It carries the run out at up to three small sizes, in a temporary folder, which takes some
    seconds.
    """
    from mlsolve.report.result import box_report
    from mlsolve.run.estimate import estimate_job
    from mlsolve.system.process import age

    from .request import budget_of, job_of, names_pictures, warn_of_pixels

    pictures = names_pictures(given)
    if not pictures and "size" not in given and "print" not in given:
        raise OptionError("there is no size: give --print 600x900mm, --size, a picture or a job.toml")
    job = job_of(given, "estimate", Path("target"))
    warn_of_pixels(job)
    colour = None if pictures else given.get("colour", True)
    loading = age()
    folder = given.get("out") or Path()
    found = estimate_job(job, budget_of(given), folder, colour, loading, _Progress())
    exposures = [job.options.exposure if one.exposure is None else one.exposure for one in job.arrangements]
    box = box_report(job.options, min(exposures))
    if given["json"]:
        echo(json.dumps({**found.plain(), "box": box}, indent=2, ensure_ascii=False))
    else:
        _print(found, box)


class _Progress:
    """Shows on standard error what the workers of a cluster are doing."""

    def __init__(self) -> None:
        from .progress import CrewWords

        self._crew = CrewWords()
        self._ready: tuple[str, ...] = ()

    def waits_for_workers(self, ready: tuple[str, ...], present: int) -> None:
        lost = [one for one in self._ready if one not in ready]
        self._ready = ready
        if words := self._crew.words(len(ready), present, lost):
            echo(words, err=True)

    def rehearsed(self, done: int, workers: int) -> None:
        from .progress import workers_in_words

        echo(f"rehearsed by {done} of {workers_in_words(workers)}", err=True)


def _print(found: "Estimate", box: dict[str, float]) -> None:
    from mlsolve.system.memory import in_words

    from .progress import duration, workers_in_words
    from .report import print_box

    width, height = found.size
    echo(f"pixels    {width}×{height}, {width * height / 1e6:.3g} megapixels, {found.planes} planes")
    if found.dpi is not None:
        inches = width / found.dpi, height / found.dpi
        millimetres = f"{inches[0] * 25.4:.0f}×{inches[1] * 25.4:.0f} mm"
        echo(f"print     {millimetres} at {found.dpi:g} dpi, a pixel is {25.4 / found.dpi:.3f} mm")
    echo(f"layers    {found.layers}, {found.iterations} iterations at each of {found.levels} levels")
    print_box(box)
    whole = "in one tile" if found.tiles == 1 else f"in {found.tiles} tiles of {found.tile[0]}×{found.tile[1]}"
    rounds = "one round" if found.rounds == 1 else f"{found.rounds} rounds"
    echo(f"rounds    full size {whole}, {rounds}, at {found.cost:.2f} times the cost in memory")
    if found.workers:
        _print_workers(found)
    free = "" if found.memory_free is None else f" of {in_words(found.memory_free)} free"
    echo(f"memory    {in_words(found.memory)}{free}; all in memory would take {in_words(found.memory_whole)}")
    echo(f"disk      {in_words(found.disk)} of {in_words(found.disk_free)} free")
    parts = ", ".join(f"{name} {duration(seconds)}" for name, seconds in found.stages.items() if seconds >= 0.5)
    several = f", {found.gpus} GPUs" if found.gpus > 1 else ""
    if found.workers:
        several = f", {workers_in_words(len(found.workers))}"
    echo(f"time      about {duration(found.seconds)} on the {found.backend} backend{several}: {parts}")
    if found.disk > found.disk_free:
        echo("it does not fit on this disk: choose another with --out, or a smaller size")


def _print_workers(found: "Estimate") -> None:
    """Print the workers of a cluster, those that are alike in one line."""
    from mlsolve.system.memory import in_words

    alike: dict[tuple[str, int, str], int] = {}
    for one in found.workers:
        memory = "unknown memory" if one["memory"] is None else in_words(one["memory"])
        kind = one["host"], one["threads"], memory if found.backend == "cpu" else f"{memory}, {one['gpu']}"
        alike[kind] = alike.get(kind, 0) + 1
    for (host, threads, has), count in alike.items():
        each = " each" if count > 1 else ""
        words = f"{count} on {host}, {threads} thread{'s' * (threads != 1)} and {has}{each}"
        echo(f"workers   {words}")
