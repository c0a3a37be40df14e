"""The reports of a run: result.json, history.csv, the contact sheet and job.toml."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..job.job import Job, relative_name
from ..job.options import Options
from ..media import Media
from ..pictures import picture_files
from ..scoring.bands import Scoring
from ..scoring.scores import ColourDifference, Scores, StackScores
from ..solving.balance import Balance
from ..solving.history import History
from ..system.packages import versions
from .carriers import StackCarriers, carriers_picture, picture_name
from .contact_sheet import sheet_bands, sheet_size


@dataclass(frozen=True)
class Summary:
    """What result.json contains in addition to the scores."""

    balance: Balance
    registration: float
    history: History
    stop: str
    seconds: float
    backend: str
    device: str | None
    disc: bool = False
    """Whether the sheets are round."""
    adam: str | None = None
    """How Adam's step was compiled for the device."""
    carriers: tuple[StackCarriers | None, ...] = ()
    """The carriers of every stack; (): no stack has any."""
    media: Media | None = None
    """The printer and film that the layers are for; None: ideal inks."""
    options: Options = field(default_factory=Options)
    """The settings of the solve."""
    print_scale: tuple[float, ...] = ()
    """How much larger than the first each layer is to be printed; (): all are as large."""
    solver: str | None = None
    """What moved the layers: "newton" or "adam"; None: unknown."""


def write_report(stage: Path, folder: Path, summary: Summary, scoring: Scoring, job: Job | None = None) -> None:
    """Write contact sheet, carriers, history.csv, job.toml and result.json into `stage`, which becomes `folder`.

    job: the job that was solved; None: there is no job, and no job.toml is written. Raises OutputError if a file
    cannot be written.
    """
    names = None if job is None else [path.name for path in job.targets]
    with picture_files.PngWriter(stage / "sheet.png", sheet_size(scoring), 3, 8) as writer:
        for band in sheet_bands(scoring, names, summary.disc):
            writer.write(band)
    for number, carriers in enumerate(summary.carriers):
        if carriers is not None:
            name = picture_name(number, len(summary.carriers))
            picture_files.save_png(stage / name, carriers_picture(carriers))
    picture_files.write_bytes(stage / "history.csv", summary.history.csv().encode())
    if job is not None:
        picture_files.write_bytes(stage / "job.toml", job.toml(folder).encode())
    report = json.dumps(result(summary, scoring, folder, job), indent=2, ensure_ascii=False)
    picture_files.write_bytes(stage / "result.json", (report + "\n").encode())


def result(summary: Summary, scoring: Scoring, folder: Path, job: Job | None) -> dict[str, Any]:
    """Return the contents of result.json. Names of targets and masks are relative to `folder`."""
    scores, balance, media = scoring.scores, summary.balance, summary.media
    unknown: list[str | None] = [None] * len(scores.stacks)
    names, masks = unknown, unknown
    if job is not None:
        names = [relative_name(path, folder) for path in job.targets]
        of_masks = [one.mask for one in job.arrangements]
        masks = [None if mask is None else relative_name(Path(str(mask)), folder) for mask in of_masks]
    carriers = summary.carriers or (None,) * len(scores.stacks)
    last = summary.history[-1] if summary.history else None
    return {
        "arrangements": [
            {
                "target": name,
                "exposure": stack.placed.exposure,
                "mask": mask,
                "layers": [one.words() for one in stack.placed.place],
                "carriers": None if own is None else own.report(picture_name(number, len(carriers))),
                **stack_report(found),
                "cast": [round(value, 4) for value in cast],
            }
            for number, (name, mask, stack, found, cast, own) in enumerate(
                zip(names, masks, scoring.stacks, scores.stacks, balance.cast, carriers, strict=True)
            )
        ],
        "guides": [round(value, 6) for value in scores.guide_ssim],
        **media_report(media, scores, summary.options, scoring.stacks[0].placed.exposure),
        "loss": None if last is None else _digits(last.loss),
        "terms": {} if last is None else {name: [*map(_digits, values)] for name, values in last.terms.items()},
        "registration": summary.registration,
        "print_scale": [round(scale, 6) for scale in summary.print_scale] or [1.0] * len(scores.guide_ssim),
        "size": list(scoring.size),
        "solver": summary.solver,
        "iterations": len(summary.history),
        "stopped_by": summary.stop,
        "seconds": round(summary.seconds, 3),
        "backend": summary.backend,
        "device": summary.device,
        "adam": summary.adam,
        "versions": versions(),
    }


def _digits(value: float) -> float | None:
    """Return `value` to seven digits, as history.csv has it; NaN is null in JSON."""
    return None if math.isnan(value) else float(f"{value:.7g}")


def exposures_in(folder: Path, arrangements: int) -> list[float] | None:
    """Return the exposures in the result.json of `folder`, one for each arrangement; None if there is no such file.

    arrangements: their number in job.toml. Raises InputError if the file is damaged or has another number.
    """
    path = folder / "result.json"
    try:
        report: Any = json.loads(path.read_text(encoding="utf-8"))
        found = [float(one["exposure"]) for one in report["arrangements"]]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged, it has no exposures: restore what mlsolve run wrote") from None
    if len(found) != arrangements:
        raise InputError(
            f"{path} has {len(found)} arrangements, job.toml has {arrangements}: restore what mlsolve run wrote"
        )
    return found


def stack_report(scores: StackScores) -> dict[str, Any]:
    """Return the scores of a stack as values for JSON; the infinite PSNR of an exact stack becomes null."""
    return {
        "ssim": round(scores.ssim, 6),
        "psnr": _plain(scores.psnr),
        "leak": [round(value, 6) for value in scores.leak],
        "misaligned": [
            {
                "pixels": one.pixels,
                "ssim": round(one.ssim, 6),
                "ssim_moved": None if one.ssim_moved is None else round(one.ssim_moved, 6),
                "psnr": _plain(one.psnr),
            }
            for one in scores.misaligned
        ],
        "views": [
            {
                "degrees": one.degrees,
                "pixels": round(one.pixels, 3),
                "ssim": round(one.ssim, 6),
                "psnr": _plain(one.psnr),
            }
            for one in scores.views
        ],
        **({} if scores.difference is None else {"colour": colour_report(scores.difference)}),
    }


def media_report(media: Media | None, scores: Scores, options: Options, exposure: float) -> dict[str, Any]:
    """Return what a media profile adds to the scores, as values for JSON; nothing without one."""
    if media is None:
        return {}
    fit = None if media.fit is None else dataclasses.asdict(media.fit)
    return {
        "guides_colour": [colour_report(one) for one in scores.guide_difference],
        "media": {"name": media.name, "digest": media.digest, "fit": fit},
        "box": box_report(options, exposure),
    }


def box_report(options: Options, exposure: float) -> dict[str, float]:
    """Return how bright the box must be, in cd/m², so that the white of the stack is as `options` say."""
    return {"white": options.white, "needed": round(options.white / exposure, 1), "room": options.room}


def colour_report(found: ColourDifference) -> dict[str, float]:
    """Return colour differences as values for JSON."""
    return {"median": found.median, "percentile95": found.percentile95, "lacking": round(found.lacking, 4)}


def _plain(psnr: float) -> float | None:
    return None if math.isinf(psnr) else round(psnr, 3)
