"""`mlsolve suggest`: what sheets can and cannot do, before a run."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from mlsolve.job.settings import Setting

from .echo import echo
from .options import JSON, OUT, PICTURES, SHEETS, SOLVE, TARGET, Given, Parameter, switch, verb

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsolve.solving.history import Step
    from mlsolve.suggesting.outlook import Suggestion


_FROM: Final = Parameter(
    "candidates",
    Setting(
        help="Candidates to choose the guides from: a folder of pictures, a picture, a family of generated guides, "
        "or generated for all families; give it several times to add up.",
        kind=str,
        flag="--from",
        limits="up to 500 candidates",
        otherwise="the guides are given",
        metavar="FOLDER|FILE|FAMILY[:SEEDS]",
        example="rosette:0-19",
    ),
    repeated=True,
)
_OUT: Final = dataclasses.replace(
    OUT,
    setting=dataclasses.replace(
        OUT.setting, help="Folder for the proposals of --from.", otherwise="TARGET-guides", example="proposals"
    ),
)
_TARGETS: Final = dataclasses.replace(
    TARGET,
    setting=dataclasses.replace(
        TARGET.setting, help="Picture that the stack shows, or a job file; with --from also several pictures."
    ),
    repeated=True,
)


@verb(
    *(_TARGETS if one is TARGET else one for one in PICTURES),
    _FROM,
    *SHEETS,
    *SOLVE,
    _OUT,
    switch("overwrite", "Replace what an earlier run wrote into the folder."),
    JSON,
    examples=(
        ("suggest job.toml", "Placements that would suit the pictures of a job file better."),
        ("suggest portrait.jpg --guide leaves.png --guide waves.png", "The same pictures as for mlsolve run."),
        (
            "suggest portrait.jpg --from pictures --from rosette:0-19 --layers 3 --out proposals",
            "The best three guides out of a folder and twenty rosettes, and a job file that uses them.",
        ),
    ),
)
def suggest(given: Given) -> None:
    """Predict what the sheets of a job can show, or choose the guides for it, in about a minute.

    Without --from nothing is written. It reports the exposures of the arrangements and the reasons for them, the
    colour cast that remains, the score of each picture without the others, and rotations and flips that would suit
    the pictures better. It solves everything at a small size: compare the scores with each other, not with those of
    the print.

    With --from it chooses the guides: it compares hundreds of sets of them in small solves, and writes
    proposals.png, a contact sheet of the best five, job.toml for the best and job-2.toml and so on for the others.
    With several pictures it also chooses the rotations and flips of the sheets; with --shape disc, any angles.
    """
    if given.get("candidates"):
        from .proposals import propose_guides

        propose_guides(given)
        return
    from .proposals import compile_kernels, refuse_without_from

    refuse_without_from(given)
    if "target" in given:
        given = {**given, "target": given["target"][0]}
    from mlsolve.suggesting.outlook import suggest as find

    from .request import job_of

    described = job_of(given, "suggest")
    compile_kernels(described)
    with _told() as tell:
        found = find(described, tell)
    if given["json"]:
        echo(json.dumps(_plain(found), indent=2, ensure_ascii=False))
    else:
        _print(found)


@contextmanager
def _told() -> Iterator["Callable[[str], None]"]:
    """Give a function that shows what is being tried; on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console

    with Console(stderr=True).status("looking at the pictures") as status:
        yield lambda what: status.update(f"trying {what}")


def _print(found: "Suggestion") -> None:
    for line in found.balance.words(found.names):
        echo(line)
    height, width = found.present.shape
    echo(f"\nas it is, solved at {width}×{height}: {_scores(found, found.present)}")
    if found.alone:
        parts = [
            f"{name} {step.stack_ssim[a]:.3f}"
            for a, (name, step) in enumerate(zip(found.names, found.alone, strict=True))
        ]
        echo(f"each without the others:   {', '.join(parts)}")
        lost = [step.stack_ssim[a] - found.present.stack_ssim[a] for a, step in enumerate(found.alone)]
        if max(lost) > _FIGHTING:
            echo(
                f"the pictures conflict: {found.names[lost.index(max(lost))]} loses "
                f"SSIM {max(lost):.2f} to the others"
            )
    if len(found.names) == 1:
        return
    if not found.better:
        echo("no rotation or flip of a single sheet would suit the pictures much better")
    for better in found.better:
        words = "; ".join(one.words() for one in better.place)
        echo(f"\nbetter, arrangement {better.arrangement} with layers {words}")
        echo(f"  {_scores(found, better.step)}")
        echo(f"  {_toml(better.place)}")


_FIGHTING = 0.03
"""SSIM that a picture loses to others from which a conflict is reported."""


def _scores(found: "Suggestion", step: "Step") -> str:
    stacks = [f"{name} {ssim:.3f}" for name, ssim in zip(found.names, step.stack_ssim, strict=True)]
    return f"SSIM {', '.join(stacks)}; layers {step.mean_guide_ssim:.3f}"


def _toml(place: Any) -> str:
    """Return a placement as a line of a job file."""
    from mlsolve.job.job import placement_table

    tables = []
    for one in place:
        parts = [f"{key} = {json.dumps(value)}" for key, value in placement_table(one).items()]
        tables.append("{" + ", ".join(parts) + "}")
    return f"place = [{', '.join(tables)}]"


def _plain(found: "Suggestion") -> dict[str, Any]:
    from mlsolve.job.job import placement_table

    def scores(step: "Step") -> dict[str, Any]:
        return {"loss": step.loss, "stack_ssim": step.stack_ssim, "guide_ssim": step.guide_ssim}

    return {
        "targets": found.names,
        "exposures": found.balance.exposures,
        "cast": found.balance.cast.tolist(),
        "words": found.balance.words(found.names),
        "size": [found.present.shape[1], found.present.shape[0]],
        "present": scores(found.present),
        "alone": [scores(step) for step in found.alone],
        "better": [
            {"arrangement": one.arrangement, "place": [placement_table(p) for p in one.place], **scores(one.step)}
            for one in found.better
        ],
    }
