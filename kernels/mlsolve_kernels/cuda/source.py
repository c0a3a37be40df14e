"""The text of a CUDA kernel: its .cu file with the headers in place and the constants in front.

Headers are put in place here and not by the compiler, so that the text is all there is to know of a kernel: what
is cached under its digest is never stale.
"""

import re
from pathlib import Path
from typing import Final

import numpy as np

from ..exact import COARSE_BITS, ERROR_BITS, NONE, SSIM_BITS, rounder
from ..placement.cuda import FRACTION, PART, WAY
from ..placement.frames import TURNED, WARPED
from ..window import C1, C2, RADIUS, SIZE, taps
from .geometry import AHEAD, CARRYING, COLUMNS, FETCHED, MARGIN, OWN, SPAN, SUMMING, THREADS, TILE

PACKAGE: Final = Path(__file__).parents[1]

KERNELS: Final = {
    "statistics": "ssim/statistics.cu",
    "target_pass": "objective/target_pass.cu",
    "layer_pass": "objective/layer_pass.cu",
    "terms": "objective/terms.cu",
    "gather": "placement/gather.cu",
    "scatter": "placement/scatter.cu",
    "chain": "product/chain.cu",
    "stack_pass": "objective/stack_pass.cu",
    "stack_pass_weighted": "objective/stack_pass.cu",
    "likeness_pass": "objective/likeness_pass.cu",
    "likeness_pass_weighted": "objective/likeness_pass.cu",
    "guide_pass": "objective/guide_pass.cu",
    "guide_pass_weighted": "objective/guide_pass.cu",
    "totals": "objective/totals.cu",
    "disc": "objective/disc.cu",
}
"""Every kernel and the file it is in, from the folder of the package."""

WEIGHTED: Final = "_weighted"
"""The end of the name of a kernel whose pixels have weights: in the same file as the one without."""

_INCLUDE: Final = re.compile(r'^#include "([^"]+)"$', re.M)


def source(name: str, layers: int) -> str:
    """Return the whole text of kernel `name`, one of KERNELS, for so many layers, 1 to 16."""
    body = _inlined(KERNELS[name], set())
    return _constants(layers) + _named_constants(name, body) + body


def _constants(layers: int) -> str:
    """Return what the sources take from window.py, exact.py and geometry.py, as C++."""
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
    """Return what only some sources have a name for, this kernel's own name and what that tells among them, as C++.

    Only where they name it: NVRTC keeps constants that nobody uses, and what is cached would change for all.
    """
    whole = {
        "TILE": TILE,
        "CARRYING": CARRYING,
        "FRACTION": FRACTION,
        "PART": PART,
        "WAY": WAY,
        "TURNED": TURNED,
        "WARPED": WARPED,
    }
    lines = {constant: f"constexpr int {constant} = {value};" for constant, value in whole.items()}
    lines["KERNEL"] = f"#define KERNEL {name}"
    lines["WITH_WEIGHTS"] = f"constexpr bool WITH_WEIGHTS = {'true' if name.endswith(WEIGHTED) else 'false'};"
    return "".join(f"{line}\n" for constant, line in lines.items() if re.search(rf"\b{constant}\b", body))


def _literal(value: float | np.float32) -> str:
    """Return the float32 nearest to `value` as a C++ literal, to the last bit."""
    return f"{float(np.float32(value)).hex()}f"


def _inlined(path: str, seen: set[str]) -> str:
    """Return the text of `path` with every header it names in its place, each once; #line keeps errors readable."""
    seen.add(path)
    text = (PACKAGE / path).read_text(encoding="utf-8")

    def replaced(match: re.Match[str]) -> str:
        header = match[1]
        if header in seen:
            return ""
        line = text.count("\n", 0, match.start()) + 2
        return f'{_inlined(header, seen)}#line {line} "{path}"'

    body = _INCLUDE.sub(replaced, text).replace("#pragma once\n", "\n")
    return f'#line 1 "{path}"\n{body}'
