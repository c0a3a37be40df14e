"""How good the guides are that `mlsolve suggest --from` proposes: python bench/suggest.py [FOLDER] [options]

For every target, fifty random triples of the candidates are solved at 300×300 with the default settings, and so is
the triple that is proposed. Reported in a Markdown table: the losses, the proposed one against the best and the
median of fifty, and how the losses of small solves correlate with those at full size.

FOLDER holds cat1.jpg, dog.jpg, girl.jpg and pattern1.jpg, 2, 3, 4, 6 and 7. Without it, three more examples are the
first targets and only the examples and generated guides are candidates, which is enough to test the script:
python bench/suggest.py --targets 1 --random 5. --out FILE: where the page is written; without it, it is printed.
"""

import argparse
import datetime
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlsolve import Options, solve
from mlsolve.guides import generate
from mlsolve.job.job import Job, own_guides, parse_generated
from mlsolve.pictures.arrays import as_image, code_values
from mlsolve.pictures.picture_files import load_picture, save_png
from mlsolve.pictures.resize import fit_image
from mlsolve.solving.spec import Spec, StackSpec
from mlsolve.suggesting.candidates import listed
from mlsolve.suggesting.crew import Crew
from mlsolve.suggesting.guides import propose
from mlsolve.suggesting.shelf import Choice, Shelf
from mlsolve_kernels.threads import available_cores
from mlsolve_records.machine import commit, cpu_model

Picture = npt.NDArray[np.float32]

EXAMPLES = Path(__file__).parent.parent / "examples"
SIDE = 300
LAYERS = 3
RANDOM = 50
FAMILIES = ("rosette:0-6", "mosaic:0-6", "kaleidoscope:0-6")
TARGETS = ("chelsea", "coffee", "woman", "cat", "photographer", "rocket", "retina")
SMALL = ((75, 8), (75, 60), (150, 4), (150, 8), (300, 8))
"""Longest side and iterations a level of the small solves that are compared with the full ones."""


def targets_of(folder: Path | None) -> list[Path]:
    """Return ten targets."""
    own = [EXAMPLES / f"{name}.jpg" for name in TARGETS]
    first = [folder / f"{name}.jpg" for name in ("cat1", "dog", "girl")] if folder else []
    return [*first, *own] if first else own


def fill(candidates: Path, folder: Path | None) -> None:
    """Put textures, patterns and the quarters of each into the folder `candidates`."""
    files = [EXAMPLES / f"{name}.jpg" for name in ("brick", "grass", "gravel")]
    if folder is not None:
        files += [folder / f"pattern{number}.jpg" for number in (1, 2, 3, 4, 6, 7)]
    for file in files:
        (candidates / file.name).write_bytes(file.read_bytes())
        picture = load_picture(file)
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        for number in range(4):
            top, left = number // 2 * height, number % 2 * width
            part = picture[top : top + height, left : left + width]
            save_png(candidates / f"{file.stem}-{number}.png", code_values(part, 3))


def at_full_size(entry: Path | str) -> Picture:
    """Return a target or a guide at full size."""
    if isinstance(entry, str):
        family, seed, palette = parse_generated(entry)
        return as_image(generate(family, (SIDE, SIDE), seed, palette), entry)
    return fit_image(load_picture(entry), (SIDE, SIDE))


def full_loss(target: Picture, guides: Sequence[Picture]) -> float:
    """Return the last loss of a solve with default settings."""
    return float(solve(target, guides, Options(backend="cpu")).history[-1].loss)


def small_losses(
    target: Picture, guides: Sequence[Picture], triples: Sequence[tuple[int, ...]]
) -> list[list[float]]:
    """Return the losses of the triples in every kind of small solve."""
    job = Job(Path("target"), own_guides(LAYERS, 0), (SIDE, SIDE))  # type: ignore[arg-type]
    spec = Spec.resolve(job.arrangements, LAYERS, (SIDE, SIDE), (3,) * (LAYERS + 1), job.options)
    shelf, stacks = Shelf(spec, [target], guides), (StackSpec(),)
    found = []
    with Crew() as crew:
        for longest, iterations in SMALL:
            level = shelf.level_of(longest)

            def loss(triple: tuple[int, ...], level: int = level, iterations: int = iterations) -> float:
                return shelf.solve(Choice(triple, stacks), level, iterations).loss

            found.append(crew.map(loss, triples))
    return found


def ranks(values: Sequence[float]) -> npt.NDArray[np.intp]:
    """Return the rank of every value."""
    return np.argsort(np.argsort(values))


def report(folder: Path | None, targets: int | None = None, count: int = RANDOM) -> str:
    """Measure everything; return the page. targets: how many, None for all. count: of the random triples."""
    rows, ratios, correlations, seconds = [], [], [], []
    with tempfile.TemporaryDirectory() as made:
        candidates = Path(made)
        fill(candidates, folder)
        sources = [made, *FAMILIES]
        entries = [entry for entry, _ in listed(sources)]
        guides = [at_full_size(entry) for entry in entries]
        for number, path in enumerate(targets_of(folder)[:targets]):
            target, rng = at_full_size(path), np.random.default_rng(1000 + number)
            triples = [tuple(rng.choice(len(entries), LAYERS, replace=False).tolist()) for _ in range(count)]
            losses = [full_loss(target, [guides[k] for k in triple]) for triple in triples]
            correlations.append(
                [np.corrcoef(ranks(small), ranks(losses))[0, 1] for small in small_losses(target, guides, triples)]
            )
            job = Job(path, own_guides(LAYERS, 0), (SIDE, SIDE))  # type: ignore[arg-type]
            began = time.perf_counter()
            best = propose(job, sources, LAYERS).best[0]
            seconds.append(time.perf_counter() - began)
            loss = full_loss(target, [at_full_size(entry) for entry in best.job.guides])
            ratios.append((loss / min(losses), loss / float(np.median(losses))))
            rows.append(
                f"| {path.stem} | {', '.join(best.names)} | {loss:.4f} | {min(losses):.4f} "
                f"| {np.median(losses):.4f} | {max(losses):.4f} | {ratios[-1][0]:.3f} | "
                f"{ratios[-1][1]:.3f} | {seconds[-1]:.0f} |"
            )
            print(rows[-1], file=sys.stderr, flush=True)
    info = Path("/proc/cpuinfo")
    cpu = cpu_model(info.read_text(encoding="utf-8")) if info.exists() else "a processor"
    to_best, to_median = np.array(ratios).T
    head = [
        "# Guides that `mlsolve suggest --from` proposes",
        "",
        f"{datetime.date.today()}, mlsolve {commit()}, {cpu}, {available_cores()} cores beside other work. "
        "Written by `python bench/suggest.py FOLDER`.",
        "",
        f"{len(entries)} candidates; {count} random triples for every target, solved at {SIDE}×{SIDE} with the "
        "default settings, as the proposed triple was. Losses at full size; the lower, the better.",
        "",
        "| target | proposed | loss | best of random | median | worst | to the best | to the median | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
        f"The proposed triple has {np.mean(to_best):.3f} of the loss of the best random one on the mean "
        f"({to_best.max():.3f} at worst) and {np.mean(to_median):.3f} of the median "
        f"({to_median.max():.3f} at worst).",
        "",
        "## How well small solves rank triples",
        "",
        "Spearman's rank correlation of the loss with that at full size, over the random triples.",
        "",
        "| longest side, iterations a level | mean | lowest |",
        "| --- | --- | --- |",
    ]
    for kind, values in zip(SMALL, np.array(correlations).T, strict=True):
        head.append(f"| {kind[0]}, {kind[1]} | {values.mean():.3f} | {values.min():.3f} |")
    return "\n".join(head) + "\n"


def main() -> None:
    """Read the command line, measure, and write or print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--targets", type=int, help="only the first of the targets")
    parser.add_argument("--random", type=int, default=RANDOM, help="random triples for each target, at least 2")
    given = parser.parse_args()
    if given.random < 2 or (given.targets is not None and given.targets < 1):
        parser.error("--targets is at least 1, --random at least 2")
    page = report(given.folder, given.targets, given.random)
    if given.out is None:
        print(page)
    else:
        given.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
