"""The text of a CUDA kernel: its .cu file, with constants in front and all headers inlined.

Headers are inlined here and not by the compiler, so that the text determines the kernel completely: a kernel that
is cached under the digest of its text is never stale.
"""

import re
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from ..exact import COARSE_BITS, ERROR_BITS, NONE, SSIM_BITS, rounder
from ..light import LIGHTS
from ..placement.cuda import FRACTION, MAP_FIELDS, PART
from ..placement.frames import TURNED, WARPED
from ..terms import OWN_PASSES
from ..window import C1, C2, RADIUS, SIZE, taps
from .geometry import AHEAD, CARRYING, COLUMNS, FETCHED, MARGIN, OWN, SPAN, SUMMING, THREADS, TILE

PACKAGE: Final = Path(__file__).parents[1]

WEIGHTED: Final = "_weighted"
"""Suffix of the name of a kernel with pixel weights; it is in the same file as the kernel without."""


class Variant(NamedTuple):
    """How a kernel is compiled from its file."""

    path: str
    """Its file, relative to the folder of the package."""
    light: str = LIGHTS[0].name
    """The light whose header the file includes, if it includes one."""
    weighted: bool = False
    """Whether it has pixel weights."""


def kernel_of(name: str, light: str) -> str:
    """Return the name of the kernel `name` for the light `light`: one of KERNELS."""
    return name if light == LIGHTS[0].name else f"{name}_{light}"


def _variants() -> dict[str, Variant]:
    """Return how every kernel is compiled."""
    found = {
        "statistics": Variant("ssim/statistics.cu"),
        "gather": Variant("placement/gather.cu"),
        "scatter": Variant("placement/scatter.cu"),
        "terms": Variant("iteration/terms.cu"),
        "totals": Variant("iteration/totals.cu"),
        "disc": Variant("iteration/disc.cu"),
        "codes": Variant("codes/codes.cu"),
        "look_up": Variant("lookup/look_up.cu"),
        "resample": Variant("resample/resample.cu"),
    }
    lit = {
        "target_pass": "terms/stack_ssim/target_pass.cu",
        "layer_pass": "terms/guide_ssim/layer_pass.cu",
        "stack_pass": "terms/stack_ssim/stack_pass.cu",
    }
    for light in LIGHTS:
        found |= {kernel_of(name, light.name): Variant(path, light.name) for name, path in lit.items()}
        weighted = kernel_of(f"stack_pass{WEIGHTED}", light.name)
        found[weighted] = Variant(lit["stack_pass"], light.name, True)
        for name in ("chain", "compose") if light.couples_planes else ("chain",):
            found[kernel_of(name, light.name)] = Variant(f"light/{light.name}/{name}.cu", light.name)
    passes = {"leak_pass": "terms/leak/leak_pass.cu", "guide_pass": "terms/guide_ssim/guide_pass.cu"}
    passes |= {f"{term.name}_pass": f"terms/{term.name}/{term.name}_pass.cu" for term in OWN_PASSES}
    for name, path in passes.items():
        found[name], found[f"{name}{WEIGHTED}"] = Variant(path), Variant(path, weighted=True)
    return found


VARIANTS: Final = _variants()

KERNELS: Final = {name: variant.path for name, variant in VARIANTS.items()}
"""Every kernel and its file, relative to the folder of the package."""

_INCLUDE: Final = re.compile(r'^#include "([^"]+)"$', re.M)


def source(name: str, layers: int) -> str:
    """Return the complete text of kernel `name`, one of KERNELS, for `layers` layers, 1 to 16."""
    body = _inlined(KERNELS[name], VARIANTS[name].light, set())
    return _constants(layers) + _named_constants(name, body) + body


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
        "AHEAD": AHEAD,
        "SUMMING": SUMMING,
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
    lines.append(f"__device__ constexpr float TAPS[] = {{{', '.join(_literal(tap) for tap in taps())}}};")
    return "\n".join([*lines, ""])


def _named_constants(name: str, body: str) -> str:
    """Return the constants that only some sources use, including the name of the kernel, as C++.

    Only those that `body` uses: NVRTC keeps unused constants, and a new one would invalidate all cached kernels.
    """
    whole = {
        "TILE": TILE,
        "CARRYING": CARRYING,
        "FRACTION": FRACTION,
        "PART": PART,
        "MAP_FIELDS": MAP_FIELDS,
        "TURNED": TURNED,
        "WARPED": WARPED,
    }
    lines = {constant: f"constexpr int {constant} = {value};" for constant, value in whole.items()}
    lines["KERNEL"] = f"#define KERNEL {name}"
    lines["WITH_WEIGHTS"] = f"constexpr bool WITH_WEIGHTS = {'true' if VARIANTS[name].weighted else 'false'};"
    floats = {f"{term.name.upper()}_ROUNDER": rounder(term.bits) for term in OWN_PASSES}
    lines |= {constant: f"constexpr float {constant} = {_literal(value)};" for constant, value in floats.items()}
    return "".join(f"{line}\n" for constant, line in lines.items() if re.search(rf"\b{constant}\b", body))


def _literal(value: float | np.float32) -> str:
    """Return the float32 nearest to `value` as an exact C++ literal."""
    return f"{float(np.float32(value)).hex()}f"


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
