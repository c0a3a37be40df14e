"""`mlsolve resume`: go on with a run that was killed, stopped or ran out of disk."""

from pathlib import Path
from typing import Annotated

import typer


def resume(
    folder: Annotated[Path, typer.Argument(help="Folder that the run was to write.")],
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory to use, as 4GiB. [default: half of what is free]")
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes that share the work.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads. [default: one per core]")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and progress as JSON lines on standard error.")
    ] = False,
) -> None:
    """Go on with a run that was interrupted, to the very bytes it would have come to.

    Its state lies in FOLDER.unfinished: pictures, settings and the last finished round. Pictures, settings and
    versions are checked; memory and processes may be others than before.

    Example: **mlsolve resume prints**
    """
    from mlsolve.job.options import Options
    from mlsolve.run.budget import Machine
    from mlsolve.run.pipeline import job_in
    from mlsolve.run.pipeline import resume as go_on
    from mlsolve.run.unfinished import unfinished
    from mlsolve.system.memory import parse_memory

    from .carry_out import carry_out

    Options(threads=threads)  # refuses what is out of range
    machine = Machine(None if memory is None else parse_memory(memory), processes, threads)
    shown = folder.with_name(folder.name.removesuffix(".unfinished")) if unfinished(folder) == folder else folder
    carry_out(lambda listener: go_on(folder, machine, listener), shown, as_json, job_in(folder))
