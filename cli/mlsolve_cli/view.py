"""`mlsolve view`: the sheets of a run on a light table, in a browser."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlsolve.errors import OptionError
from mlsolve.job.settings import Setting

from .echo import echo
from .options import Given, Parameter, folder, switch, verb

if TYPE_CHECKING:
    from mlsolve_studio.light_table.stack import Stack

USUAL_SIDE: Final = 1200
"""Pixels of the longer side of the sheets in a page that is one file."""

HOST: Final = Parameter(
    "host",
    Setting(
        help="Address to serve; others than 127.0.0.1 can be reached from the network.",
        kind=str,
        metavar="ADDRESS",
        otherwise="127.0.0.1, this machine alone",
        example="127.0.0.1",
    ),
)
PORT: Final = Parameter(
    "port",
    Setting(
        help="Port to serve.", kind=int, low=0, high=65535, metavar="N", otherwise="a free one", example="8000"
    ),
)
NO_OPEN: Final = switch("no_open", "Print the address, and do not open the browser.", "--no-open")


@verb(
    folder("Folder that mlsolve run wrote."),
    Parameter(
        "html",
        Setting(
            help="Write the page into this file instead, with everything it needs.",
            kind=Path,
            metavar="FILE",
            otherwise="the page is served",
            example="prints.html",
        ),
    ),
    Parameter(
        "side",
        Setting(
            help="Longer side of the sheets in FILE.",
            kind=int,
            unit="pixels",
            low=64,
            high=2048,
            otherwise=f"{USUAL_SIDE}, or that of the layers if they are smaller",
            example="800",
        ),
    ),
    PORT,
    HOST,
    NO_OPEN,
    switch("overwrite", "Replace FILE."),
    examples=(
        ("view prints", "Look at the sheets in prints in the browser."),
        ("view prints --html prints.html --side 800", "The same as one file, to send or to put on a site."),
    ),
)
def view(given: Given) -> None:
    """Open a page on which the sheets in FOLDER lie on a light box, to be moved, turned and looked at.

    The page is served to this machine alone until Ctrl-C, and needs pip install 'mlsolve[studio]'. With --html it
    becomes one file that any browser opens, and needs nothing.
    """
    source = given["folder"]
    check_address(given)
    if "html" in given:
        for name in ("port", "host", "no_open"):
            if given.get(name):
                raise OptionError(
                    f"{name} is given, and nothing is served: leave out --{name.replace('_', '-')} or --html"
                )
        from mlsolve_studio.light_table.one_file import write_one_file

        written = write_one_file(source, given["html"], given.get("side", USUAL_SIDE), given["overwrite"])
        echo(f"{given['html']}: {written}, {given['html'].stat().st_size / 1e6:.1f} MB")
        return
    if "side" in given:
        raise OptionError(f"side is {given['side']}, and the page is served whole: give --html FILE as well")
    if given["overwrite"]:
        raise OptionError("overwrite is given, and no file is written: give --html FILE as well")
    from mlsolve_studio.extra import require_studio
    from mlsolve_studio.light_table.stack import open_stack

    require_studio(", or add --html FILE for a page in one file")
    _make_tiles(open_stack(source))
    from mlsolve_studio.light_table.routes import view_routes
    from mlsolve_studio.server.serving import serve

    serve(
        view_routes(source),
        host=given.get("host", "127.0.0.1"),
        port=given.get("port", 0),
        browse=not given["no_open"],
        say=echo,
        warn=lambda text: echo(f"mlsolve: warning: {text}", err=True),
    )


def check_address(given: Given) -> None:
    """Raise OptionError for a port that there is not."""
    if "port" in given:
        PORT.setting.check("port", given["port"])


def _make_tiles(stack: "Stack") -> None:
    """Make the tiles of large sheets before the page asks for them, if they are not there yet."""
    from mlsolve_studio.light_table.pyramid import levels_of, pyramid_of

    if not levels_of(stack.size):
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("tiles", total=1.0)
        pyramid_of(stack, progress=lambda share: progress.update(task, completed=share))
