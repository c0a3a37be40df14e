"""`mlsolve verify`: score a folder of layers again."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from mlsolve.errors import InputError, OptionError
from mlsolve.job import settings

from .echo import echo
from .options import CMYK_PROFILE, EXPOSURE, GUIDE, JSON, MEDIA, SHEETS, SOLVE, TARGET, Given, folder, verb

if TYPE_CHECKING:
    from mlsolve.job.options import Options

_OTHERWISE: Final = "as in the job.toml of the folder"
_VIEWING: Final = tuple(
    one for one in (*SHEETS, *SOLVE) if one.name in ("dpi", "gap", "material", "viewer", "view")
)


@verb(
    folder("Folder with layer-1.png … layer-N.png."),
    dataclasses.replace(TARGET, setting=settings.TARGET, argument=False).otherwise(_OTHERWISE),
    GUIDE.otherwise(_OTHERWISE),
    EXPOSURE.otherwise(f"{_OTHERWISE}, else 1"),
    CMYK_PROFILE.otherwise(_OTHERWISE),
    MEDIA.otherwise("the media.toml of the folder, if it has one"),
    *(one.otherwise(_OTHERWISE) for one in _VIEWING),
    JSON,
    examples=(
        ("verify prints", "Score the layers against the pictures of their job.toml."),
        (
            "verify prints --target portrait.jpg --guide leaves.png --guide waves.png --exposure 0.25",
            "Score layers that come without a job.toml.",
        ),
        ("verify prints --dpi 100 --gap 3mm --view 10deg", "Score the stack as it is seen at an angle, too."),
    ),
)
def verify(given: Given) -> None:
    """Score the layers in FOLDER from their files.

    The job.toml in the folder names target and guides. For any other folder give --target, and --guide once per
    layer to score the layers too.
    """
    from mlsolve.job.arrangements import Arrangement
    from mlsolve.job.depths import print_scales
    from mlsolve.job.job import Job
    from mlsolve.job.job_file import guide_entry, load_job
    from mlsolve.job.options import Options
    from mlsolve.pictures.picture_files import open_picture
    from mlsolve.report.result import exposures_in, media_report, stack_report
    from mlsolve.run.verify import score_folder
    from mlsolve.scoring.layer_files import layer_files

    from .report import print_media, print_registration, print_scale, print_scores

    folder, target, exposure = given["folder"], given.get("target"), given.get("exposure")
    sheets = layer_files(folder)
    size = open_picture(sheets[0]).size
    described = load_job(folder / "job.toml") if (folder / "job.toml").exists() else None
    guides = tuple(guide_entry(text, Path()) for text in given.get("guide", ()))
    arrangements: tuple[Arrangement, ...] = ()
    if described is not None:
        guides = guides or described.guides
        arrangements, options = described.arrangements, described.options
        found = exposures_in(folder, len(arrangements))
        if found is not None:
            both = zip(arrangements, found, strict=True)
            arrangements = tuple(dataclasses.replace(one, exposure=balanced) for one, balanced in both)
    else:
        options = Options(exposure=1.0)
    options = _with_views(options, given, None if described is None else described.dpi)
    if target is not None and len(arrangements) > 1:
        raise OptionError(f"{folder} holds several arrangements, --target is one picture: change them in job.toml")
    if target is not None:
        before = arrangements[0].exposure if len(arrangements) == 1 else None
        arrangements = (Arrangement(target, exposure=before),)
    if not arrangements:
        raise InputError(f"{folder} holds no job.toml: give --target, and --guide once per layer")
    if exposure is not None:
        if len(arrangements) > 1:
            raise OptionError("--exposure is one, the arrangements are several: change them in job.toml")
        arrangements = (dataclasses.replace(arrangements[0], exposure=exposure),)
    if guides and len(guides) != len(sheets):
        raise OptionError(f"{folder} holds {len(sheets)} layers, guides are {len(guides)}: give one per layer")
    job = Job(
        arrangements,
        # Without guides a target stands in for them, so that one road serves both; it is not reported.
        guides or (cast(Path, arrangements[0].target),) * len(sheets),
        size,
        "cover" if described is None else described.fit,
        options,
        shape="sheet" if described is None else described.shape,
        cmyk_profile=given.get("cmyk_profile") or (None if described is None else described.cmyk_profile),
        media=_media(given, folder),
    )
    media = job.profile()
    scoring = score_folder(folder, job)
    scores = scoring.scores
    report: dict[str, Any] = {
        "arrangements": [
            {
                "target": str(path),
                "exposure": stack.placed.exposure,
                "mask": None if lain.mask is None else str(lain.mask),
                "layers": [one.words() for one in stack.placed.place],
                **stack_report(one),
            }
            for path, lain, stack, one in zip(
                job.targets, job.arrangements, scoring.stacks, scores.stacks, strict=True
            )
        ],
        "guides": [round(value, 6) for value in scores.guide_ssim] if guides else [],
        "registration": job.options.registration,
        **media_report(media, scores, job.options, scoring.stacks[0].placed.exposure),
        "print_scale": [round(one, 6) for one in print_scales(job.options, job.arrangements, len(sheets))],
    }
    if given["json"]:
        echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        names, colours = [Path(entry).name for entry in guides], report.get("guides_colour", ())
        print_scores(report["arrangements"], report["guides"], names, colours)
        print_media(report)
        print_registration(report["arrangements"], job.options.registration)
        print_scale(report["print_scale"])


def _with_views(options: "Options", given: Given, dpi: float | None) -> "Options":
    """Return `options` with what is given of how the stack is seen; dpi: that of the job.toml."""
    from mlsolve.job.viewing import with_lengths

    names = [one.name for one in _VIEWING if one.name != "dpi" and one.name in given]
    if not names:
        return options
    seen = with_lengths({name: given[name] for name in names}, given.get("dpi", dpi), "--")
    # The layers are solved already, so that the solver need not take these options.
    return dataclasses.replace(options, solver="auto", **seen)


def _media(given: Given, folder: Path) -> "Path | str | None":
    """Return the media profile to score with: the one asked for, or else the one in the folder."""
    from mlsolve.job.job_file import media_entry
    from mlsolve.report.folder import MEDIA_FILE

    if "media" in given:
        return media_entry(given["media"], Path())
    kept = folder / MEDIA_FILE
    return kept if kept.is_file() else None
