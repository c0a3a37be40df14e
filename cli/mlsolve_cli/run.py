"""`mlsolve run`: from pictures to a folder of layers."""

from pathlib import Path

from .options import BUDGET, JOB_OPTIONS, JSON_PROGRESS, OUT, OVERWRITE, Given, verb


@verb(
    *JOB_OPTIONS,
    *BUDGET,
    OUT,
    OVERWRITE,
    JSON_PROGRESS,
    examples=(
        (
            "run portrait.jpg --guide leaves.png --guide waves.png --out prints --size 1200",
            "Two layers that look like leaves and waves and show the portrait together.",
        ),
        (
            "run portrait.jpg --layers 4 --print A3 --registration 0.4mm --hide 3",
            "An A3 print of four layers that tolerates misalignment; no layer shows the portrait.",
        ),
        (
            "run --job prints/job.toml --exposure 0.1 --out darker",
            "The first run again, with one setting changed.",
        ),
    ),
)
def run(given: Given) -> None:
    """Compute layers that multiply to TARGET and write them.

    A job file can show several pictures with the same sheets, rotated, flipped or shifted for each: see examples/.
    The folder then holds layer-1.png … layer-N.png to print, stack.png as seen on the light box, sheet.png as an
    overview, result.json with the scores, and job.toml, which repeats the run. A print too large
    for --memory is solved in tiles, to the same bytes. **mlsolve resume** continues an interrupted run.
    """
    from mlsolve.run.session import Session

    from .carry_out import carry_out
    from .request import budget_of, job_of, warn_of_pixels

    job = job_of(given, "run")
    warn_of_pixels(job)
    folder = given.get("out") or Path(f"{job.target.stem}-layers")
    session = Session(job, folder, budget_of(given), overwrite=given["overwrite"])
    carry_out(session, folder, given["json"])
