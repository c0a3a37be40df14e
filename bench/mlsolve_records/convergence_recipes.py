"""The problems and recipes of the study, by the names that bench/LOG.md uses."""

from functools import partial
from pathlib import Path
from typing import Final

from mlsolve.job.arrangements import Arrangement
from mlsolve.job.job import Job, own_guides
from mlsolve.job.options import Options

from .convergence_solve import Problem, Recipe
from .convergence_steps import Adam, BarzilaiBorwein, BlockNewton, Lbfgs

_EXAMPLES: Final = Path(__file__).parents[2] / "examples"


def _example(name: str, picture: str, guides: tuple[str, ...], exposure: float, grey: bool = False) -> Problem:
    return Problem(name, Job((Arrangement(_EXAMPLES / picture),), guides, options=Options(exposure=exposure)), grey)


PROBLEMS: Final = (
    _example("chelsea", "chelsea.jpg", ("rosette:1:ember", "mosaic:4:lagoon", "kaleidoscope:3:dusk"), 0.25),
    _example("coffee", "coffee.jpg", own_guides(3, 0), 0.1),
    _example("coffee 2 layers", "coffee.jpg", ("mosaic:8", "rosette:9"), 0.25),
    _example("chelsea 5 layers", "chelsea.jpg", own_guides(5, 2), 0.1),
    _example("chelsea 9 layers", "chelsea.jpg", own_guides(9, 0), 0.05),
    _example("coffee grey", "coffee.jpg", ("rosette:5", "mosaic:6", "kaleidoscope:7"), 0.25, grey=True),
)
"""Reproducible problems: the example pictures and generated guides."""

FIRST: Final = Recipe("first defaults")
"""Adam as in the first version of mlsolve, with which all others are compared."""

ADAM: Final = Recipe(
    "Adam", partial(Adam, betas=(0.8, 0.95)), iterations=60, coarsest=32, peak=0.045, last=0, shape="root"
)
"""The best Adam: the defaults of mlsolve."""

NEWTON: Final = Recipe(
    "block Newton",
    BlockNewton,
    iterations=25,
    coarsest=32,
    peak=1.2,
    last=0.3,
    shape="hold",
    warm_up=1,
)
"""A step that a kernel could use instead of Adam."""

FINALISTS: Final = (FIRST, ADAM, NEWTON)
BUDGETS: Final = (8, 12, 18, 25, 35, 50, 70, 100, 140)
"""Iterations per level for the curve of the final result against its cost."""


def attempts() -> list[Recipe]:
    """Return every recipe of the study. Recipes of one letter change one thing in the first of them."""
    return [FIRST, *_levels(), *_adam(), *_transfers(), *_steps(), *_newton(), ADAM]


def _vary(base: Recipe, name: str, **changes: object) -> Recipe:
    return Recipe(**{**vars(base), **changes, "name": name})


def _levels() -> list[Recipe]:
    """(a) iterations over levels, (e) the number of levels, (g) starts."""
    return [
        _vary(FIRST, "a: 60 a level", iterations=60),
        _vary(FIRST, "a: 60, coarser 100", iterations=60, coarse=100 / 60),
        _vary(FIRST, "a: 30 a level", iterations=30),
        _vary(FIRST, "a: 30, coarser 100", iterations=30, coarse=100 / 30),
        _vary(FIRST, "a: 10, coarser 100", iterations=10, coarse=10),
        _vary(FIRST, "e: coarsest 32", coarsest=32),
        _vary(FIRST, "e: coarsest 128", coarsest=128),
        _vary(FIRST, "e: one level", coarsest=10**6),
        _vary(FIRST, "g: guides as they are", start="guides"),
        _vary(FIRST, "g: exact product", start="projected"),
    ]


def _adam() -> list[Recipe]:
    """(b) schedules and (c) moments, all with 60 iterations per level."""
    base = _vary(FIRST, "", iterations=60)
    tuned = _vary(ADAM, "")
    return [
        *(_vary(base, f"b: {shape}", shape=shape) for shape in ("root", "line", "square", "hold", "exponential")),
        *(_vary(base, f"b: {shape}", shape=shape) for shape in ("reciprocal", "constant")),
        *(_vary(base, f"b: peak {peak}", peak=peak) for peak in (0.015, 0.02, 0.045, 0.06, 0.09)),
        _vary(base, "b: peak 0.06, coarser 0.03", peak=0.06, coarse_peak=0.03),
        _vary(base, "b: peak 0.03, coarser 0.06", coarse_peak=0.06),
        *(_vary(base, f"b: last {last}", last=last) for last in (0.01, 0.1, 0.2)),
        *(_vary(base, f"b: warm-up {count}", warm_up=count) for count in (1, 10)),
        *(
            _vary(base, f"c: betas {first} {second}", step=partial(Adam, betas=(first, second)))
            for first, second in ((0.8, 0.99), (0.85, 0.99), (0.95, 0.99), (0.9, 0.9), (0.9, 0.95), (0.9, 0.999))
        ),
        _vary(base, "c: betas 0.8 0.95", step=partial(Adam, betas=(0.8, 0.95))),
        _vary(base, "c: Nesterov", step=partial(Adam, nesterov=True)),
        _vary(base, "f: Adam of log x", step=partial(Adam, log=True), peak=0.08),
        _vary(tuned, "c: new, betas 0.8 0.9", step=partial(Adam, betas=(0.8, 0.9))),
        _vary(tuned, "b: new, peak 0.06", peak=0.06),
        _vary(tuned, "b: new, cosine", shape="cosine"),
        _vary(tuned, "a: new, 50 a level", iterations=50),
        _vary(tuned, "a: new, 40, coarser 80", iterations=40, coarse=2),
        _vary(tuned, "g: new, balanced", balance=0.8),
        _vary(tuned, "e: new, coarsest 64", coarsest=64),
        _vary(tuned, "e: new, coarsest 16", coarsest=16),
    ]


def _transfers() -> list[Recipe]:
    """(d) what is passed from level to level."""
    base = _vary(FIRST, "", iterations=60)
    return [
        _vary(base, "d: difference 0.3", transfer="difference", detail=0.3),
        _vary(base, "d: difference 0.7", transfer="difference", detail=0.7),
        _vary(base, "d: ratio 0.5", transfer="ratio"),
    ]


def _steps() -> list[Recipe]:
    """(f) steps that use only the gradient."""
    return [
        Recipe("f: Barzilai-Borwein", BarzilaiBorwein, iterations=60, peak=1, shape="constant", warm_up=1),
        Recipe("f: L-BFGS", Lbfgs, iterations=60, peak=0.5, shape="constant", warm_up=1),
        Recipe("f: L-BFGS, whole steps", Lbfgs, iterations=60, peak=1, shape="constant", warm_up=1),
    ]


def _newton() -> list[Recipe]:
    """(f) steps with precomputed curvature."""
    bare = _vary(NEWTON, "f: block, no gain", step=partial(BlockNewton, gain_share=0))
    return [
        _vary(
            bare,
            "f: diagonal, Nesterov",
            step=partial(BlockNewton, coupled=False, gain_share=0),
            peak=2,
            shape="cosine",
        ),
        _vary(
            bare,
            "f: block, bounds not minded",
            step=partial(BlockNewton, active=False, damping=0, gain_share=0),
            peak=1,
        ),
        _vary(bare, "f: block, not damped", step=partial(BlockNewton, damping=0, gain_share=0), peak=1),
        _vary(bare, "f: block, heavy ball", step=partial(BlockNewton, nesterov=False, gain_share=0)),
        _vary(bare, "f: block, momentum 0.8", step=partial(BlockNewton, momentum=0.8, gain_share=0)),
        _vary(bare, "f: block, momentum 0.95", step=partial(BlockNewton, momentum=0.95, gain_share=0)),
        _vary(bare, "f: block, constant rate", shape="constant", peak=1.5),
        _vary(bare, "f: block, peak 2, cosine", shape="cosine", peak=2),
        bare,
        _vary(bare, "f: block, no gain, balanced", balance=0.9),
        _vary(bare, "f: block, no gain, balanced, 30", balance=0.9, iterations=30),
        NEWTON,
        _vary(NEWTON, "f: block Newton, gain 0.3", step=partial(BlockNewton, gain_share=0.3)),
        _vary(NEWTON, "f: block Newton, gain 0.6", step=partial(BlockNewton, gain_share=0.6)),
        _vary(NEWTON, "e: block Newton, coarsest 64", coarsest=64),
        _vary(NEWTON, "f: block Newton, 30", iterations=30),
        _vary(NEWTON, "f: block Newton, 20, coarser 40", iterations=20, coarse=2),
        _vary(NEWTON, "f: block Newton, difference 0.5", transfer="difference"),
    ]
