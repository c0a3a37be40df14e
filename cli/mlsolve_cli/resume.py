"""`mlsolve resume`: continue a run that was killed, stopped or ran out of disk."""

from .options import BUDGET, JSON_PROGRESS, Given, folder, verb


@verb(
    folder("Folder that the run was to write."),
    *BUDGET,
    JSON_PROGRESS,
    examples=(("resume prints", "Continue the run into prints that was interrupted."),),
)
def resume(given: Given) -> None:
    """Continue an interrupted run, to the same bytes as if it had not been interrupted.

    FOLDER.unfinished holds its state: pictures, settings and the last finished round. Pictures, settings and
    versions are checked; memory, processes and threads may differ from before, and whether there is a cluster.
    """
    from mlsolve.run.session import Session

    from .carry_out import carry_out
    from .request import budget_of

    session = Session.resume(given["folder"], budget_of(given))
    carry_out(session, session.folder, given["json"])
