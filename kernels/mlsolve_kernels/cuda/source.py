"""The text of a CUDA kernel: its .cu file, with constants in front and all headers inlined.

Headers are inlined here and not by the compiler, so that the text determines the kernel completely: a kernel that
is cached under the digest of its text is never stale.
"""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from ..carriers import FIXED, SPARED
from ..exact import COARSE_BITS, ERROR_BITS, NONE, SSIM_BITS, rounder
from ..light import LIGHTS
from ..light.ink import constants as ink
from ..newton.step import LONGEST
from ..placement.cuda import FRACTION, MAP_FIELDS, PART
from ..placement.frames import TURNED, WARPED
from ..terms import OWN_PASSES
from ..window import C1, C2, RADIUS, SIZE, taps
from .geometry import CARRYING, COLUMNS, FETCHED, MARGIN, OWN, SPAN, THREADS, TILE, ahead_on, blocks_on

PACKAGE: Final = Path(__file__).parents[1]

WEIGHTED: Final = "_weighted"
"""Suffix of the name of a kernel with pixel weights; it is in the same file as the kernel without."""

_LAYER_PASS: Final = "terms/guide_ssim/layer_pass.cu"
_PASS, _STEP, _MORE = "_pass", "_step", "_more"
"""What the names of its forms are made of: without a step of Adam or with one, and with a further gradient."""

USUAL: Final = 90
"""The chip for which sources are shown and tested, where it does not matter."""


class Variant(NamedTuple):
    """How a kernel is compiled from its file."""

    path: str
    """Its file, relative to the folder of the package."""
    light: str = LIGHTS[0].name
    """The light whose header the file includes, if it includes one."""
    weighted: bool = False
    """Whether it has pixel weights."""
    steps: bool = False
    """Whether it ends with a step of Adam: then Numba's step is linked into it (compiler.py)."""
    through_light: bool = False
    """Whether it applies the chain rule of the light."""
    more: bool = False
    """Whether it adds a further gradient."""


def kernel_of(name: str, light: str) -> str:
    """Return the name of the kernel `name` for the light `light`: one of KERNELS."""
    return name if light == LIGHTS[0].name else f"{name}_{light}"


def _variants() -> dict[str, Variant]:
    """Return how every kernel is compiled."""
    found = {
        "statistics": Variant("ssim/statistics.cu"),
        "gather": Variant("placement/gather.cu"),
        "scatter": Variant("placement/scatter.cu"),
        "disc": Variant("iteration/disc.cu"),
        "move_target": Variant("carriers/move_target.cu"),
        "carrier_weights": Variant("carriers/carrier_weights.cu"),
        "codes": Variant("codes/codes.cu"),
        "look_up": Variant("lookup/look_up.cu"),
        "resample": Variant("resample/resample.cu"),
        "update": Variant("adam/update.cu", steps=True),
        "develop": Variant("light/ink/develop.cu"),
        "develop_back": Variant("light/ink/develop_back.cu"),
        "see_back": Variant("light/ink/see_back.cu"),
        "newton_compose": Variant("newton/newton_compose.cu"),
        "newton_update": Variant("newton/newton_update.cu"),
        "newton_bend": Variant("newton/newton_bend.cu"),
        "newton_curvature": Variant("newton/newton_curvature.cu"),
    }
    for light in LIGHTS:
        for name in ("chain", "compose") if light.couples_planes else ():
            found[kernel_of(name, light.name)] = Variant(f"light/{light.name}/{name}.cu", light.name)
        if not light.couples_planes:
            scatter = Variant("placement/scatter.cu", light.name, through_light=True)
            found[kernel_of("chain_scatter", light.name)] = scatter
            found[kernel_of("see", light.name)] = Variant("light/ink/see.cu", light.name)
        for weighted in (False, True):
            suffix = WEIGHTED if weighted else ""
            stack = Variant("terms/stack_ssim/stack_pass.cu", light.name, weighted)
            found[kernel_of(f"stack_pass{suffix}", light.name)] = stack
            for steps, more in itertools.product((False, True), repeat=2):
                name = f"layer{_MORE if more else ''}{_STEP if steps else _PASS}{suffix}"
                layer = Variant(_LAYER_PASS, light.name, weighted, steps, through_light=True, more=more)
                found[kernel_of(name, light.name)] = layer
    for weighted in (False, True):
        suffix = WEIGHTED if weighted else ""
        found[f"leak_pass{suffix}"] = Variant("terms/leak/leak_pass.cu", weighted=weighted)
        for steps in (False, True):
            found[f"guide{_STEP if steps else _PASS}{suffix}"] = Variant(
                _LAYER_PASS, weighted=weighted, steps=steps
            )
        for term in OWN_PASSES:
            path = f"terms/{term.name}/{term.name}_pass.cu"
            found[f"{term.name}_pass{suffix}"] = Variant(path, weighted=weighted)
    return found


VARIANTS: Final = _variants()

KERNELS: Final = {name: variant.path for name, variant in VARIANTS.items()}
"""Every kernel and its file, relative to the folder of the package."""

_INCLUDE: Final = re.compile(r'^#include "([^"]+)"$', re.M)


def source(name: str, layers: int, chip: int = USUAL) -> str:
    """Return the complete text of kernel `name`, one of KERNELS, for 1 to 16 layers and a chip (90 for 9.0).

    The texts for two chips differ at most in how far a march fetches ahead, and how many blocks are to fit.
    """
    body = _inlined(KERNELS[name], VARIANTS[name].light, set())
    return _constants(layers) + _named_constants(name, layers, chip, body) + body


def _constants(layers: int) -> str:
    """Return the constants of window.py, exact.py and geometry.py as C++."""
    whole = {
        "LAYERS": layers,
        "RADIUS": RADIUS,
        "WINDOW": SIZE,
        "THREADS": THREADS,
        "COLUMNS": COLUMNS,
        "MARGIN": MARGIN,
        "SPAN": SPAN,
        "OWN": OWN,
        "FETCHED": FETCHED,
    }
    lines = [f"constexpr int {name} = {value};" for name, value in whole.items()]
    floats: dict[str, float | np.float32] = {
        "C1": C1,
        "C2": C2,
        "SSIM_ROUNDER": rounder(SSIM_BITS),
        "COARSE_ROUNDER": rounder(COARSE_BITS),
        "FINE_ROUNDER": rounder(ERROR_BITS),
    }
    lines += [f"constexpr float {name} = {_literal(value)};" for name, value in floats.items()]
    lines.append(f"constexpr long long NONE = {NONE + 1}LL - 1;")
    lines.append(_table("TAPS", taps()))
    return "\n".join([*lines, ""])


def _named_constants(name: str, layers: int, chip: int, body: str) -> str:
    """Return the constants that only some sources use, including the name of the kernel, as C++.

    Only those that `body` uses: NVRTC keeps unused constants, and a new one would invalidate all cached kernels.
    """
    variant = VARIANTS[name]
    whole = {
        "TILE": TILE,
        "CARRYING": CARRYING,
        "FRACTION": FRACTION,
        "PART": PART,
        "MAP_FIELDS": MAP_FIELDS,
        "TURNED": TURNED,
        "WARPED": WARPED,
        "AHEAD": ahead_on(chip, layers),
        "BLOCKS": blocks_on(chip, layers),
    }
    lines = {constant: f"constexpr int {constant} = {value};" for constant, value in whole.items()}
    lines["KERNEL"] = f"#define KERNEL {name}"
    forms = {"WEIGHTS": variant.weighted, "STEP": variant.steps, "MORE": variant.more}
    lines |= {f"WITH_{form}": f"#define WITH_{form} {int(whether)}" for form, whether in forms.items()}
    lines["THROUGH_LIGHT"] = f"#define THROUGH_LIGHT {int(variant.through_light)}"
    floats: dict[str, float | np.float32] = {
        f"{term.name.upper()}_ROUNDER": rounder(term.bits) for term in OWN_PASSES
    }
    floats["FIXED_TARGET"] = FIXED
    floats["SPARED"] = SPARED
    floats["LONGEST"] = np.float32(LONGEST)
    floats |= ink.FLOATS
    lines |= {constant: f"constexpr float {constant} = {_literal(value)};" for constant, value in floats.items()}
    lines |= {constant: _table(constant, values) for constant, values in ink.TABLES.items()}
    return "".join(f"{line}\n" for constant, line in lines.items() if re.search(rf"\b{constant}\b", body))


def _literal(value: float | np.float32) -> str:
    """Return the float32 nearest to `value` as an exact C++ literal."""
    return f"{float(np.float32(value)).hex()}f"


def _table(name: str, values: Iterable[float | np.float32]) -> str:
    """Return float32 values as an array of C++."""
    return f"__device__ constexpr float {name}[] = {{{', '.join(map(_literal, values))}}};"


def _inlined(path: str, light: str, seen: set[str]) -> str:
    """Return the text of `path` with each header inlined once; #line makes compiler errors name the real file.

    "light/light.cuh" stands for the header of `light`.
    """
    seen.add(path)
    text = (PACKAGE / path).read_text(encoding="utf-8")

    def replaced(match: re.Match[str]) -> str:
        header = match[1].replace("light/light.cuh", f"light/{light}/light.cuh")
        if header in seen:
            return ""
        line = text.count("\n", 0, match.start()) + 2
        return f'{_inlined(header, light, seen)}#line {line} "{path}"'

    body = _INCLUDE.sub(replaced, text).replace("#pragma once\n", "\n")
    return f'#line 1 "{path}"\n{body}'
