"""How the kernels are compiled: float64 in two sums and nowhere else, no allocation, no fast-math, never stale."""

import re
import struct
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from numba import njit

from conftest import environment
from mlsolve_kernels.exact import ERROR_ROUNDER, double_rounder
from mlsolve_kernels.iteration.objective import one_stack
from mlsolve_kernels.iteration.passes import adam_pass
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.terms import OWN_PASSES
from mlsolve_kernels.threads import Team
from planted_faults import Fault, package_in

_ITERATE = """
import numpy as np
from mlsolve_kernels.iteration import stepwise as steps
from mlsolve_kernels.iteration import sweep as sweeps
from mlsolve_kernels.iteration.objective import one_stack
from mlsolve_kernels.threads import Team
guides = np.random.default_rng(0).random((2, 1, 16, 16))
for path in (steps.StepwiseWorkspace, sweeps.CpuWorkspace):
    work = path(guides[0], guides, one_stack(0.5, 3, 10, 1), (0.1, 1), (0.9, 0.99), Team(1))
    work.start(guides)
    work.iterate(0.03)
    print(work.layers.tobytes().hex())
"""

_INSPECT = (
    _ITERATE
    + """
from pathlib import Path
from mlsolve_kernels.iteration import passes
from mlsolve_kernels.iteration.objective import Objective, Stack
from mlsolve_kernels.terms import OWN_PASSES, part_of
from mlsolve_kernels.terms.guide_ssim import cpu as guides_
from mlsolve_kernels.terms.leak import cpu as leak
from mlsolve_kernels.terms.stack_ssim import cpu as stack_
from mlsolve_kernels.placement import cpu as placing
from mlsolve_kernels.placement.move import move_of
moves = move_of((16, 16), 90), move_of((16, 16), 7)
for disc, hide in ((False, (0, 1)), (True, (0, 1))):
    stacks = tuple(Stack(0.5, {"stack_ssim": 3, "stack_mse": 10, "leak": weight}, (0, 1)) for weight in hide)
    objective = Objective(stacks, {"guide_ssim": 1, **{term.name: 1 for term in OWN_PASSES}}, disc)
    work = steps.StepwiseWorkspace(guides[0], guides, objective, (0.1, 1), (0.9, 0.99), Team(1))
    work.start(guides)
    work.measure(0.03, (moves, moves))
modules = {"sweep": sweeps, "carry": placing, "stack_pass": stack_, "leak_pass": leak, "guide_pass": guides_}
own = {f"{term.name}_pass": part_of(term, "cpu") for term in OWN_PASSES}
modules |= own
for name in ("light_pass", "stack_pass", "leak_pass", "guide_pass", *own, "adam_pass", "carry", "sweep"):
    for number, code in enumerate(getattr(modules.get(name, passes), name).inspect_llvm().values()):
        Path(f"{name}-{number}.ll").write_text(code)
"""
)

VARIANTS = {
    "light_pass": 1,
    "stack_pass": 4,
    "leak_pass": 1,
    "guide_pass": 2,
    **{f"{term.name}_pass": 1 for term in OWN_PASSES},
    "adam_pass": 1,
    "carry": 1,
    "sweep": 1,
}
"""The loops of an iteration; all else is linked into these. How often each is compiled: with weights of pixels and
without, with what sheets give away and without."""

PASSES = tuple(name for name in VARIANTS if name != "carry")
"""Those that compute with values. `carry` fetches them, and computes from where."""


def run(script, folder, **variables):
    """Run `script` in a process of its own whose compiled kernels go into `folder`; return what it prints."""
    settings = {**environment(), "NUMBA_CACHE_DIR": str(folder / "cache"), **variables}
    done = subprocess.run(
        [sys.executable, "-c", script], env=settings, capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The folder with the code of every pass, compiled afresh: Numba cannot show code from its cache."""
    folder = tmp_path_factory.mktemp("compiled")
    run(_INSPECT, folder)
    return folder


def variants(folder, name):
    """The code of everything that a pass was compiled to."""
    code = [path.read_text() for path in sorted(folder.glob(f"{name}-*.ll"))]
    assert len(code) == VARIANTS[name]
    return code


ROUNDERS = (ERROR_ROUNDER, *sorted({double_rounder(term.bits) for term in OWN_PASSES}))
WIDENED = "fpext <16 x float> to <16 x double>"
ROUNDED = tuple(tuple(f"fadd <16 x double> {sign * of_term}" for sign in (1, -1)) for of_term in ROUNDERS)
"""The rounding of squared errors, and of the terms that have a pass of their own."""
HALVES = ("fadd <8 x double>", "fadd <4 x double>", "fadd <2 x double>", "fadd <1 x double>")

ERROR = {rounded[0]: (WIDENED, *rounded, *HALVES, "fadd double") for rounded in ROUNDED}
"""All that sixteen squared errors take in float64: rounded to quanta, added up, added to those before them."""

SIMILARITY = (WIDENED, *HALVES)
"""All that a row's SSIM takes: it has come together in sixteen lanes of float32, which are added up."""

SUMS = {
    "light_pass": (0, 0),
    "stack_pass": (1, 1),
    "leak_pass": (0, 1),
    "guide_pass": (0, 1),
    **{f"{term.name}_pass": (1, 0) for term in OWN_PASSES},
    "adam_pass": (0, 0),
    "sweep": (1, 1),
}
"""How many places in the source of each pass take one and the other."""

DOOR = {"call double @PyFloat_AsDouble", "fptrunc double to float"}
"""How Python's numbers are taken apart where it calls a kernel."""

MOVES = "load|store|phi|select|freeze|alloca|getelementptr|bitcast|shufflevector|extractelement|insertelement"
"""Instructions that only carry values about."""


def float64_in(function):
    """What a function in LLVM's text computes in float64: (register, instruction without registers, operands)."""
    for line in function.splitlines()[1:]:
        if not re.search(r"\bdouble\b|f64\b", line):
            continue
        register, what, rest = re.match(r"\s*(?:(%\S+) = )?(?:(?:tail|musttail) )?(\w+)(.*)", line).groups()
        if re.fullmatch(MOVES, what):
            continue
        operands = re.findall(r"%[\w.]+", rest)
        text = re.sub(r"\(.*", "", rest) if what == "call" else re.sub(r",? *%[\w.]+", "", rest)
        constants = {float64(number) for number in re.findall(r"double (0x[0-9A-F]{16}|-?[\d.]+e[+-]\d+)", text)}
        text = re.sub(r", *(splat \(|<).*", "", text)
        if what == "fsub" and len(constants) == 1:  # LLVM writes x - c as x + (-c), or not, as it likes
            what, constants = "fadd", {-number for number in constants}
        yield register, " ".join([what, text.strip(), *map(str, sorted(constants))]).strip(), operands


def float64(text):
    """The number that LLVM writes as `text`."""
    return struct.unpack(">d", bytes.fromhex(text[2:]))[0] if text.startswith("0x") else float(text)


def check_float64(name, code):
    """Raise AssertionError unless the pass `name`, LLVM's `code`, has the float64 that SUMS grants and no more."""
    places = set(), set()
    for function in re.findall(r"^define[^\n]*\{\n.*?^\}", code, re.M | re.S):
        found = list(float64_in(function))
        instructions = Counter(instruction for _, instruction, _ in found)
        if re.search(r"@_ZN7cpython", function.splitlines()[0]):
            assert set(instructions) <= DOOR
            continue
        widened = {register for register, instruction, _ in found if instruction == WIDENED}
        rounding = {operands[0]: what for _, what, operands in found if what in ERROR and operands[0] in widened}
        errors = set(rounding)
        granted = Counter(SIMILARITY * len(widened - errors))
        for what in rounding.values():
            granted += Counter(ERROR[what])
        assert instructions == granted, function.splitlines()[0]
        for place, registers in zip(places, (errors, widened - errors), strict=True):
            # A loop unrolled or a function inlined: %.152.i, %.152.1.i, %.152.epil.i come from one place.
            place |= {re.match(r"%\.?\w+", register).group() for register in registers}
    assert tuple(map(len, places)) == SUMS[name], "sums at other places"


def test_adam_is_vectors_of_float32(rng):
    """The one pass that is compiled anew in the quick tests too; all others are in what follows."""
    adam = njit(nogil=True, error_model="numpy")(adam_pass.py_func)
    team = Team(1)
    guides = rng.random((1, 1, 16, 16), dtype=np.float32)
    work = StepwiseWorkspace(guides[0], guides, one_stack(0.5, 3, 10, 1), (0.1, 1), (0.9, 0.99), team)
    work.start(guides)
    work.iterate(0.03)
    adam.compile(adam_pass.signatures[0])
    (code,) = adam.inspect_llvm().values()
    check_float64("adam_pass", code)
    check_vectors("adam_pass", code)
    team.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSES)
def test_float64_in_two_sums_and_nowhere_else(compiled, name):
    for code in variants(compiled, name):
        check_float64(name, code)


def check_vectors(name, code):
    """Raise AssertionError unless the pass `name`, LLVM's `code`, is vectors, strict, and allocates nothing."""
    # `carry` moves values, and adds rows to rows.
    operation = "fadd" if name == "carry" else "fmul"
    assert re.search(rf"= {operation} <16 x float>", code), "the loops are not vectors"
    assert "NRT_Allocate" not in code
    assert not re.findall(r"= f(?:add|sub|mul|div|neg) (?:fast|reassoc|nnan|ninf|nsz|arcp|contract|afn)", code)


PLACES = re.compile(
    r"(fadd|fsub|fmul|fneg|fcmp|sitofp|fptosi|fptrunc) .*"
    r"|call .*@llvm\.(masked\.gather|floor|ceil|fabs|fma|fmuladd)\..*"
)
"""What it takes to find a place by a map, and weights from there, which are rounded to float32."""


def check_places(code):
    """Raise AssertionError unless `carry`, LLVM's `code`, has float64 for places only: no value is ever widened."""
    seen = set()
    for function in re.findall(r"^define[^\n]*\{\n.*?^\}", code, re.M | re.S):
        head = function.splitlines()[0]
        if re.search(r"@_ZN7cpython", head):
            continue
        instructions = {instruction for _, instruction, _ in float64_in(function)}
        strange = {one for one in instructions if not PLACES.fullmatch(one)}
        assert not strange, (head, strange)
        if re.search(r"cpu\d+_(copy|fetch|fill|mix|at_the_edge)B", head):
            assert not instructions, head
        seen |= instructions
    assert any(one.startswith("fptrunc") for one in seen), "warps are not there"


@pytest.mark.slow
def test_placements_compute_places_in_float64_and_values_in_float32(compiled):
    (code,) = variants(compiled, "carry")
    check_places(code)


@pytest.mark.slow
@pytest.mark.parametrize(
    "planted",
    [
        "  %.9990 = fpext float %.9991 to double",
        "  %.9990 = fdiv double %.9991, %.9992",
        "  %.9990 = fpext <16 x float> %.9991 to <16 x double>",
        "  %.9990 = tail call double @llvm.sqrt.f64(double %.9991)",
    ],
)
def test_a_value_that_is_widened_where_it_is_placed_is_found(compiled, planted):
    (code,) = variants(compiled, "carry")
    slipped = re.sub(r"(= fmul float .*)", rf"\1\n{planted}", code, count=1)
    assert slipped != code
    with pytest.raises(AssertionError):
        check_places(slipped)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "planted"),
    [
        # Single numbers, a vector that nobody sums, a call, a comparison, half of a sum, something before rounding.
        (r"= fmul <16 x float> .*", "  %.9990 = fmul double %.9991, %.9992"),
        (r"= fmul <16 x float> .*", "  %.9990 = fadd double %.9991, 1.000000e+00"),
        (r"= fmul <16 x float> .*", "  %.9990 = fpext float %.9991 to double"),
        (r"= fmul <16 x float> .*", "  %.9990 = sitofp i64 %.9991 to double"),
        (r"= fmul <16 x float> .*", "  %.9990 = fpext <16 x float> %.9991 to <16 x double>"),
        (r"= fmul <16 x float> .*", "  %.9990 = tail call double @llvm.sqrt.f64(double %.9991)"),
        (r"= fmul <16 x float> .*", "  %.9990 = fcmp olt double %.9991, %.9992"),
        (r"= fadd <8 x double> .*", "  %.9990 = fadd <8 x double> %.9991, %.9992"),
        (r"= fpext <16 x float> .*", "  %.9990 = fmul <16 x double> %.9991, splat (double 2.000000e+00)"),
    ],
)
def test_a_float64_that_slips_in_is_found(compiled, after, planted):
    (code,) = variants(compiled, "sweep")
    slipped = re.sub(f"({after})", rf"\1\n{planted}", code, count=1)
    assert slipped != code
    with pytest.raises(AssertionError):
        check_float64("sweep", slipped)


@pytest.mark.slow
def test_a_third_sum_is_found(compiled):
    """A sum like those that are granted, at another place."""
    (code,) = variants(compiled, "sweep")
    (one,) = re.findall(r"(?m)^.*fpext <16 x float> %similarity.*\n(?:.*<\d+ x double>.*\n)+", code)
    again = re.sub(r"%\.(\d)", r"%.999\1", one)
    with pytest.raises(AssertionError, match="sums at other places"):
        check_float64("sweep", code.replace(one, one + again))


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_no_allocation_no_fast_math(compiled, name):
    for code in variants(compiled, name):
        check_vectors(name, code)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stack_pass", "leak_pass", "guide_pass", "sweep"])
def test_blurs_are_vectors_of_multiply_adds(compiled, name):
    for code in variants(compiled, name):
        assert re.search(r"call <16 x float> @llvm\.fma", code)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_references_are_counted_at_the_door_only(compiled, name):
    """Threads that count references to the same arrays wait for each other: within, there are but Rows."""
    for code in variants(compiled, name):
        bodies = re.findall(r"^define[^\n]*\{\n.*?^\}", code, re.M | re.S)
        assert len(bodies) > 3
        for body in bodies:
            function = re.search(r"@(\S+?)\(", body).group(1)
            if re.search(r"call void @NRT_", body):
                assert f"{name}B" in function or function.startswith("NRT_")


@pytest.mark.slow
def test_a_changed_constant_is_never_served_from_the_cache(tmp_path):
    """Numba alone would not notice a change in a file whose functions were inlined elsewhere."""

    def iterate():  # the sweep alone, which is compiled twice here
        script = _ITERATE.replace("steps.StepwiseWorkspace, sweeps.CpuWorkspace", "sweeps.CpuWorkspace,")
        assert script != _ITERATE
        return run(script, tmp_path, PYTHONPATH=str(tmp_path))

    package_in(tmp_path)
    before = iterate()
    package_in(
        tmp_path, Fault("a sign", "ssim/partials.py", "(covariance + covariance)", "(covariance - covariance)")
    )
    assert iterate() != before
    package_in(tmp_path)
    assert iterate() == before


_HOW_IT_IS_LOADED = (
    _ITERATE
    + """
from numba.core.runtime.nrt import rtsys
print(rtsys._init, sum(kernel.stats.cache_misses.total() for kernel in compiled.KERNELS.values()))
"""
).replace("import numpy as np", "import numpy as np\nfrom mlsolve_kernels import compiled", 1)


def test_what_is_cached_is_loaded_without_preparing_numba_to_compile(tmp_path):
    """And gives the same bytes, as it does where Numba prepares because the addresses cannot be had."""
    *fresh, compiling = run(_HOW_IT_IS_LOADED, tmp_path).splitlines()
    prepared, compiled = compiling.split()
    assert prepared == "True"
    assert int(compiled) > 0
    *again, loading = run(_HOW_IT_IS_LOADED, tmp_path).splitlines()
    assert loading == "False 0"
    hidden = "compiled._runtime_is_linked = lambda: False\nguides"
    elsewhere = _HOW_IT_IS_LOADED.replace("guides", hidden, 1)
    *without, loading = run(elsewhere, tmp_path).splitlines()
    assert loading == "True 0"
    assert fresh == again == without
