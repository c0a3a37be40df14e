"""The job and the budget that the command line asks for: one way for `run`, `estimate` and `suggest`."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlsolve.errors import InputError, OptionError

from .echo import echo
from .options import FILES, LAYERS, SHEETS, SOLVE, Given

if TYPE_CHECKING:
    from mlsolve.job.job import Job
    from mlsolve.run.budget import Budget

_OF_JOB: Final = [one.name for one in (*SHEETS, *FILES)]
_OF_OPTIONS: Final = [one.name for one in SOLVE]


def names_pictures(given: Given) -> bool:
    """Tell whether the command line names a target or a job."""
    return "target" in given or "job" in given


def job_of(given: Given, verb: str, stand_in: Path | None = None) -> "Job":
    """Return the job that the command line asks for: that of the job file, changed by the options given.

    verb: for the remedy where there is no target. stand_in: a target to take if none is given.
    """
    from mlsolve.job.job import Job, own_guides, parse_size
    from mlsolve.job.job_file import guide_entry, load_job, media_entry
    from mlsolve.job.options import Options
    from mlsolve.job.viewing import with_lengths

    given = _with_job_file(given)
    if "size" in given and "print" in given:
        raise OptionError("--size and --print are both given: leave one of them out")
    layers = given.get("layers")
    if layers is not None:
        LAYERS.setting.check("--layers", layers)
    if layers is not None and "guide" in given:
        raise OptionError("--layers counts generated guides: leave it out where --guide is given")
    base = load_job(given["job"], given.get("dpi")) if "job" in given else None
    if "target" not in given and base is None:
        if stand_in is None or "guide" in given or "mask" in given:
            raise InputError(f"there is no target: give a picture, as in: mlsolve {verb} portrait.jpg")
        given = {**given, "target": stand_in}

    changes: dict[str, Any] = {name: given[name] for name in (*_OF_JOB, "cmyk_profile") if name in given}
    if "media" in changes:
        changes["media"] = media_entry(changes["media"], Path())
    if "print" in given:
        changes |= _print_size(changes.pop("print"), given, base)
    if "size" in given:
        changes["size"] = parse_size(given["size"])
    settings = {name: given[name] for name in (*_OF_OPTIONS, "threads") if name in given}
    settings = with_lengths(settings, changes.get("dpi", None if base is None else base.dpi), "--")
    options = dataclasses.replace(Options() if base is None else base.options, **settings)
    if "guide" in given:
        changes["guides"] = tuple(guide_entry(text, Path()) for text in given["guide"])
    elif base is None or layers is not None:
        changes["guides"] = own_guides(layers or LAYERS.default, options.seed)
    changes |= {"options": options, **_arrangements(given, base)}
    return Job(**changes) if base is None else dataclasses.replace(base, **changes)


def budget_of(given: Given) -> "Budget":
    """Return the budget that the command line asks for."""
    from mlsolve.run.budget import Budget
    from mlsolve.run.gpus import parse_devices
    from mlsolve.system.memory import parse_memory

    memory = parse_memory(given["memory"]) if "memory" in given else None
    devices = parse_devices(given["devices"]) if "devices" in given else None
    return Budget(memory, given.get("processes", 1), given.get("threads"), devices, cluster=given.get("cluster"))


def warn_of_pixels(job: "Job") -> None:
    """Warn where the pixels of a print are smaller than hands can align, and no tolerance was asked for."""
    from mlsolve.job.print_size import FINEST_DPI, pixel_pitch

    sheets = max(len(one.placed(len(job.guides))) for one in job.arrangements)
    if job.dpi is None or job.dpi <= FINEST_DPI or job.options.tolerant or sheets == 1:
        return
    echo(
        f"mlsolve: warning: at {job.dpi:g} dpi a pixel is {pixel_pitch(job.dpi):.2g} mm, smaller than the "
        f"{pixel_pitch(FINEST_DPI):.2g} mm that hands can align, and one pixel off ruins a stack: add "
        f"--registration 0.3mm, or print at {FINEST_DPI} dpi or less",
        err=True,
    )


def _with_job_file(given: Given) -> Given:
    """Return what was given, with a job file that stands in the place of the target where it belongs."""
    if "target" not in given or given["target"].suffix.lower() != ".toml":
        return given
    if "job" in given:
        raise OptionError(f"{given['target']} and --job are both job files: leave one of them out")
    return {**{name: value for name, value in given.items() if name != "target"}, "job": given["target"]}


def _print_size(text: str, given: Given, base: "Job | None") -> dict[str, Any]:
    """Return pixels and dpi of a print."""
    from mlsolve.job.print_size import DEFAULT_DPI, parse_dpi, parse_print_size

    before = DEFAULT_DPI if base is None or base.dpi is None else base.dpi
    dpi = parse_dpi(given.get("dpi", before))
    return {"dpi": dpi, "size": parse_print_size(text).pixels(dpi)}


def _arrangements(given: Given, base: "Job | None") -> dict[str, Any]:
    """Return the arrangements that --mask and the target change, nothing if none are given."""
    from mlsolve.job.arrangements import Arrangement

    changed = {name: given[name] for name in ("target", "mask") if name in given}
    if not changed:
        return {}
    if base is None:
        return {"arrangements": (Arrangement(**changed),)}
    if len(base.arrangements) > 1:
        raise OptionError(f"{given['job']} has several arrangements: change targets and masks there")
    return {"arrangements": (dataclasses.replace(base.arrangements[0], **changed),)}
