"""`mlsolve studio`: from a dropped picture to a folder of layers, in a browser."""

from pathlib import Path
from typing import Final

from mlsolve.job.settings import Setting

from .echo import echo
from .options import Given, Parameter, verb
from .view import HOST, NO_OPEN, PORT, check_address

FOLDER: Final = "mlsolve-studio"


@verb(
    Parameter(
        "folder",
        Setting(
            help="Folder of the studio: what is dropped, and every run.",
            kind=Path,
            metavar="FOLDER",
            example="prints",
        ),
        FOLDER,
    ),
    PORT,
    HOST,
    NO_OPEN,
    examples=(
        ("studio", "Drop a picture, choose guides, watch the stack appear."),
        ("studio --folder prints --no-open", "The same in another folder, in a browser of your choice."),
    ),
)
def studio(given: Given) -> None:
    """Open a page that does what the other commands do: choose pictures and guides, estimate, run, look, print.

    Every run is a job.toml in the folder, which **mlsolve run** repeats to the byte. Runs go on when the page is
    closed; one that was interrupted can be continued. The page is served to this machine alone until Ctrl-C, and
    needs pip install 'mlsolve[studio]'.
    """
    from mlsolve_studio.extra import require_studio

    check_address(given)
    require_studio()
    from mlsolve_studio.studio.serving import serve_studio

    serve_studio(
        given.get("folder", Path(FOLDER)),
        host=given.get("host", "127.0.0.1"),
        port=given.get("port"),
        browse=not given["no_open"],
        say=echo,
        warn=lambda text: echo(f"mlsolve: warning: {text}", err=True),
    )
