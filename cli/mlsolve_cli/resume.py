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
    from mlsolve.run.budget import Budget
    from mlsolve.run.session import Session
    from mlsolve.system.memory import parse_memory

    from .carry_out import carry_out

    Options(threads=threads)  # refuses what is out of range
    budget = Budget(None if memory is None else parse_memory(memory), processes, threads)
    session = Session.resume(folder, budget)
    carry_out(session, session.folder, as_json)
