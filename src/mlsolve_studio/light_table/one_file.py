"""Page and run in one file that needs no server and fetches nothing.

The modules are written one after the other into one script, without their imports and exports; so their top names
must differ, which a test checks. The policy in the file's head lets run what is in the file, by its digests, and
nothing else: not even what the file's pictures or names might say.
"""

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Final

from mlsolve.errors import OptionError, OutputError
from mlsolve.scoring.previews import shown
from mlsolve.system.files import write_bytes

from ..pages import page_bytes
from .png import png_of, without_colours
from .stack import PROXY, Size, Stack, open_stack

LEAST: Final = 64

MODULES: Final = (
    *("moves.js", "shaders.js", "renderer.js", "data.js", "desk.js", "camera.js", "pointers.js", "scoring.js"),
    *("tiles.js", "table.js"),
)
"""In an order in which each needs only those before it."""
STYLES: Final = ("style.css", "table.css")
WORKER: Final = "scores-worker.js"

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./[\w-]+\.js";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|class|const|let) )", re.MULTILINE)


def write_one_file(folder: Path, path: Path, side: int, overwrite: bool) -> str:
    """Write the light table of the run in `folder` into the file `path`.

    side: the longer side of the sheets in it, in pixels, LEAST to PROXY; smaller layers keep their size. Returns
    what the sheets in it are, in words, with the scores of the print if they are reduced. Raises OptionError for a
    side out of range, InputError for a folder without a run, OutputError if the file cannot be written.
    """
    if not LEAST <= side <= PROXY:
        raise OptionError(f"side is {side}: the longer side of the sheets must be {LEAST} to {PROXY} pixels")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: {path.parent} is not a folder, make it first")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already: choose another --html or add --overwrite")
    stack = open_stack(folder)
    size = shown(stack.size, side)
    write_bytes(path, one_file(stack, size).encode())
    (width, height), (across, down) = size, stack.size
    words = f"sheets of {width}×{height} pixels"
    if size == stack.size:
        return words
    scores = [
        f"{one:.3f}" for number in range(1, len(stack.exposures) + 1) if (one := stack.ssim(number)) is not None
    ]
    scored = f"; the print scores SSIM {' and '.join(scores)}" if scores else ""
    return f"{words}, reduced from {across}×{down}{scored}"


def one_file(stack: Stack, size: Size) -> str:
    """Return the page of `stack` as one HTML file, with sheets of `size` = (width, height)."""
    pictures = {name: base64.b64encode(_bytes(stack, name, size)).decode() for name in stack.picture_names(size)}
    held = {"manifest": stack.manifest(size, lambda name: name), "pictures": pictures}
    script, style = script_of_page(), "\n".join(page_bytes(name).decode() for name in STYLES)
    worker = _EXPORT.sub("", page_bytes(WORKER).decode())
    page = page_bytes("table.html").decode()
    for pattern, instead in (
        (r'<meta charset="utf-8">', f'<meta charset="utf-8">\n{_policy(script, style)}'),
        (r"<title>[^<]*</title>", f"<title>{html.escape(stack.name)}</title>"),
        (r'<link rel="stylesheet" href="/pages/table.css">', f"<style>{style}</style>"),
        (r'<link rel="stylesheet" href="/pages/style.css">\n', ""),
        (r'<script type="module" src="/pages/table.js"></script>\n', ""),
        (
            r"</body>",
            f'<script type="application/json" id="held">{_json(held)}</script>\n'
            f'<script type="text/plain" id="scores-worker">{worker}</script>\n'
            f'<script type="module">{script}</script>\n</body>',
        ),
    ):
        page, found = re.subn(pattern, lambda _, instead=instead: instead, page)  # type: ignore[misc]
        assert found == 1, pattern
    return page


def script_of_page() -> str:
    """Return all modules of the page as one."""
    parts = []
    for name in MODULES:
        text = _EXPORT.sub("", _IMPORT.sub("", page_bytes(name).decode()))
        assert not re.search(r"^(?:import|export)\b", text, re.MULTILINE), name
        parts.append(text)
    return "\n".join(parts)


def _policy(script: str, style: str) -> str:
    """Return the Content-Security-Policy as a tag; a worker is made from what the page holds."""
    rules = (
        "default-src 'none'",
        f"script-src '{_digest(script)}'",
        f"style-src '{_digest(style)}'",
        "img-src data: blob:",
        "worker-src blob:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return (
        f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">\n'
        '<meta name="referrer" content="no-referrer">'
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(value: object) -> str:
    """Return JSON that cannot end the script that holds it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _bytes(stack: Stack, name: str, size: Size) -> bytes:
    found = stack.picture(name, size)
    return without_colours(found.read_bytes()) if isinstance(found, Path) else png_of(found)
