"""Adam's step on a GPU: what Numba, NVRTC and nvJitLink make of it, and the kernel `update` on the host."""

import re
from collections import Counter

import numpy as np
import pytest

from cuda_host.device import HostDevice, needs_compiler
from mlsolve_kernels.adam import cuda as adam
from mlsolve_kernels.adam import reference
from mlsolve_kernels.adam.cuda import grid_for, step_code, step_source
from mlsolve_kernels.adam.step import Rates
from mlsolve_kernels.cuda import compiler as cuda_compiler
from mlsolve_kernels.cuda import linker, source
from mlsolve_kernels.cuda.compiler import (
    compilation_of_adam,
    compile_kernel,
    compile_stepping,
    compile_text,
    link_obstacle,
)
from mlsolve_kernels.cuda.cubin import resources_of
from mlsolve_kernels.cuda.errors import CompilerError
from mlsolve_kernels.cuda.geometry import CARRYING
from mlsolve_records.disassembly import disassemble

CHIPS = (75, 80, 86, 89, 90, 100, 120)

BOUNDS, BETAS = (0.1, 0.9), (0.8, 0.95)

HEADER = source.PACKAGE.joinpath("adam", "step.cuh").read_text().replace("#pragma once", "")


@pytest.fixture(autouse=True)
def fresh():
    """What was found out about this machine's linker is forgotten."""
    link_obstacle.cache_clear()
    yield
    link_obstacle.cache_clear()


@pytest.fixture
def update():
    """The source of the kernel."""
    return source.source("update", 1)


@pytest.fixture
def nvjitlink():
    """The bindings of the linker."""
    return pytest.importorskip(
        "cuda.bindings.nvjitlink", reason="needs CUDA's packages: pip install 'mlsolve[cuda13]'"
    )


@pytest.fixture
def no_linker(monkeypatch, nvjitlink):
    """nvJitLink is not installed."""

    def version():
        raise RuntimeError("no libnvJitLink.so\nanywhere")

    monkeypatch.setattr(nvjitlink, "version", version)


def kernel(body, head=""):
    """A kernel that takes a step of one pixel a thread, after `body` has made `g`."""
    return f"""{HEADER}
    extern "C" __global__ void {head} k(float* x, float* m, float* v, const float* a, const float* rates) {{
        const int at = blockIdx.x * blockDim.x + threadIdx.x;
        float g = a[at];
        {body}
        take_step(x[at], m[at], v[at], g, Rates(rates));
    }}"""


def instructions(cubin, name="k"):
    """How often each instruction of a kernel is there, by its name with all modifiers but those of the chip."""
    return Counter(one.opcode.removesuffix(".SYS") for one in disassemble(cubin, name))


def stepped(text, name, chip, way):
    """The cubin of a kernel, by one of the two ways."""
    if way == "linked":
        assert link_obstacle(chip) is None
        return compile_stepping(text, name, chip)
    return compile_text(step_source(chip) + text, name, chip)


WAYS = ("linked", "assembly")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.usefixtures("nvrtc")
def test_the_step_is_inlined_and_pixels_go_by_four(update, chip, way):
    """No call, nothing spilled, the approximate root and quotient, and 16 bytes an access."""
    cubin = stepped(update, "update", chip, way)
    found = instructions(cubin, "update")
    assert not [name for name in found if re.match(r"CALL|STL|LDL|F2F|D[AFM]", name)]
    assert found["MUFU.SQRT"] == found["MUFU.RCP"] == 4
    assert not {"MUFU.RSQ", "FCHK"} & set(found)
    wide = {name: count for name, count in found.items() if re.match(r"LDG.*\.128|STG.*\.128", name)}
    assert sum(count for name, count in wide.items() if name.startswith("LDG")) == 4
    assert sum(count for name, count in wide.items() if name.startswith("STG")) == 3
    narrow = [name for name in found.elements() if name.startswith("STG") and name not in wide]
    assert len(narrow) == 1  # the turn
    loads = [name for name in found.elements() if re.match(r"LDG(?!.*\.128)", name)]
    assert len(loads) == 1 + len(Rates._fields)  # the turn, and its rates once
    taken = resources_of(cubin, "update")
    assert 0 < taken.registers <= 64
    assert (taken.shared, taken.stack) == (0, 0)


@pytest.mark.parametrize("chip", CHIPS)
def test_a_linked_cubin_tells_what_the_linker_tells(update, chip, monkeypatch, nvjitlink):
    """Registers to the number, and shared memory."""
    told, destroy = [], nvjitlink.destroy

    def read(handle):
        log = bytearray(nvjitlink.get_info_log_size(handle))
        nvjitlink.get_info_log(handle, log)
        told.append(log.decode())
        destroy(handle)

    assert link_obstacle(chip) is None
    monkeypatch.setattr(nvjitlink, "destroy", read)
    monkeypatch.setattr(linker, "OPTIONS", (*linker.OPTIONS, "-verbose"))
    taken = resources_of(compile_stepping(update, "update", chip), "update")
    (registers,) = map(int, re.findall(r"Used (\d+) registers", told[0]))
    assert taken == (registers, sum(map(int, re.findall(r"(\d+) bytes smem", told[0]))), 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.usefixtures("nvrtc")
def test_the_kernel_around_it_stays_strict(chip, way, monkeypatch):
    """Its products are not fused into its sums, its root and quotient are IEEE's, and nothing is flushed."""
    plain = instructions(stepped(kernel(""), "k", chip, way))
    if way == "linked":  # of Adam's own, too, only root, quotient and bounds are not exact
        assert {name: count for name, count in plain.items() if ".FTZ" in name} == {"FMUL.FTZ": 1, "FMNMX.FTZ": 2}
        assert (plain["FFMA"], plain["FMUL"], plain["FADD"]) == (0, 6, 6)
    sum_of_products = kernel("g = g * a[at + 1] + a[at + 2];")
    own = instructions(stepped(sum_of_products, "k", chip, way))
    assert own["FFMA"] == plain["FFMA"]
    assert own["FMUL"] == plain["FMUL"] + 1
    assert own["FADD"] == plain["FADD"] + 1
    fused = instructions(stepped(kernel("g = fmaf(g, a[at + 1], a[at + 2]);"), "k", chip, way))
    assert fused["FFMA"] == plain["FFMA"] + 1

    body = "g = 1.0f / g + sqrtf(a[at + 1]) + a[at + 2] / a[at + 3];"
    signature = 'extern "C" __global__ void k(float* a)'
    alone = f"{signature} {{ const int at = threadIdx.x; float g = a[at]; {body} a[at] = g; }}"
    exact = instructions(compile_text(alone, "k", chip))
    found = instructions(stepped(kernel(body), "k", chip, way))
    strict = [name for name in exact if re.match(r"MUFU|CALL|FCHK|FFMA\.R|FSETP", name)]
    assert any(name.startswith("CALL") for name in strict)
    for name in strict:
        assert found[name] == exact[name] + plain[name], name
    assert found["MUFU.SQRT"] == plain["MUFU.SQRT"] == 1

    if way == "linked":  # the counts above tell
        monkeypatch.setattr(linker, "OPTIONS", ("-lto",))
        assert (
            instructions(compile_stepping(kernel("g = g * a[at + 1] + a[at + 2];"), "k", chip))["FFMA"]
            > own["FFMA"]
        )
        monkeypatch.setattr(linker, "OPTIONS", ("-lto", "-fma=0", "-prec-div=0", "-prec-sqrt=0"))
        loose = instructions(compile_stepping(kernel(body), "k", chip))
        assert any(loose[name] < found[name] for name in strict if name.startswith("CALL"))


@pytest.mark.usefixtures("nvrtc")
def test_a_pass_has_the_same_arithmetic_linked_or_not():
    """Of a whole pass every operation is there as often, so a fused step leaves its gradient the host's."""
    text = source.source("stack_pass", 3, 90)
    plain, linked = (
        {name: n for name, n in instructions(cubin, "stack_pass").items() if re.match(r"F(?!SETP)|MUFU|CALL", name)}
        for cubin in (compile_kernel("stack_pass", 3, 90), cuda_compiler._linked(text, "stack_pass", 90))
    )
    assert plain["FFMA"] > 100
    assert linked == plain


@pytest.mark.parametrize("chip", [pytest.param(chip, marks=[pytest.mark.slow] * (chip != 90)) for chip in CHIPS])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("nvrtc")
def test_the_layer_pass_takes_the_step(chip, way):
    """It calls no more than without the step, and nothing is spilled."""
    cubin = stepped(source.source("layer_step", 3, chip), "layer_step", chip, way)
    found = instructions(cubin, "layer_step")
    without = instructions(compile_kernel("layer_pass", 3, chip), "layer_pass")
    assert resources_of(cubin, "layer_step").stack == 0
    assert found["MUFU.SQRT"] >= 2
    assert without["MUFU.SQRT"] == 0
    for name in found.keys() | without.keys():
        assert not re.match(r"STL|LDL", name)
        if re.match(r"CALL|FCHK|MUFU\.RSQ", name):
            assert found[name] == without[name], name


@pytest.mark.usefixtures("nvrtc")
def test_a_linked_kernel_keeps_its_launch_bounds():
    body = """float s[100];
        #pragma unroll
        for (int k = 0; k < 100; ++k) s[k] = a[at + k];
        for (int n = 0; n < 100; ++n)
        #pragma unroll
            for (int k = 0; k < 100; ++k) s[k] = s[k] * s[(k + 1) % 100] + a[n];
        #pragma unroll
        for (int k = 0; k < 100; ++k) g += s[k];"""
    free, bound = (
        resources_of(stepped(kernel(body, head), "k", 90, "linked"), "k")
        for head in ("", "__launch_bounds__(64, 16)")
    )
    assert free.registers > 64
    assert bound.registers <= 64
    assert bound.stack > free.stack == 0


def evaluated(assembly, arguments):
    """What the lines of PTX in the step's assembly compute, in float32, with numbers too small flushed."""

    def flushed(value):
        return np.float32(0) if abs(value) < np.float32(2.0**-126) else np.float32(value)

    one = np.float32
    operations = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a / b,
        "fma": lambda a, b, c: one(float(a) * float(b) + float(c)),
        "sqrt": np.sqrt,
        "max": np.fmax,
        "min": np.fmin,
        "mov": lambda a: a,
    }
    values = {f"%{number + 3}": one(value) for number, value in enumerate(arguments)}
    for operation, modifiers, to, sources in re.findall(
        r'"(\w+)(\.[\w.]+) (%[%\w]+), (.*);\\n"', assembly.replace(".reg", "reg")
    ):
        result = operations[operation](*(values[name] for name in sources.split(", ")))
        values[to] = flushed(result) if ".ftz" in modifiers else result
    return tuple(values[f"%{number}"] for number in range(3))


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.usefixtures("nvrtc")
def test_the_assembly_computes_the_step(chip, rng):
    """Every argument stands where it belongs, and the registers hide none of the kernel's."""
    assembly = step_source(chip)
    assert not re.search(r"%%(?!adam_)", assembly)
    for t in (1, 2, 30):
        x, gradient, first = rng.uniform(0.2, 0.8), rng.uniform(-2, 2), rng.uniform(-1, 1)
        second = rng.random()
        now = Rates.at(t, 0.03, BOUNDS, BETAS, epsilon=0.01)
        moved, moments = reference.step(x, (first, second), gradient, t, 0.03, BOUNDS, BETAS, epsilon=0.01)
        found = evaluated(assembly, (x, first, second, gradient, *now))
        np.testing.assert_allclose(found, (moved, *moments), rtol=2e-6, atol=1e-7)
    far = now._replace(rate=np.float32(100))
    assert [evaluated(assembly, (0.5, g, 1, g, *far))[0] for g in (1, -1)] == list(np.float32(BOUNDS))


@pytest.mark.usefixtures("nvrtc")
def test_a_step_without_a_number(rng):
    """Moments stay NaN; max and min of a GPU return the number, so x becomes the lower bound."""
    now = Rates.at(1, 0.03, BOUNDS, BETAS)
    x, first, second = evaluated(step_source(90), (0.5, 0, 0, np.nan, *now))
    assert np.isnan([first, second]).all()
    assert x == now.low
    found = instructions(stepped(kernel(""), "k", 90, "linked"))
    assert found["FMNMX.FTZ"] == 2  # no .NAN


def test_moments_too_small_to_count_change_nothing():
    """Flushed or not, epsilon swallows their root, and x the step."""
    now = Rates.at(1, 0.03, BOUNDS, BETAS)
    tiny = np.float32(1e-38)
    assert np.sqrt(tiny) + now.epsilon == now.epsilon
    assert np.float32(BOUNDS[0]) - tiny / now.epsilon == np.float32(BOUNDS[0])


def test_ptx_that_is_not_understood_is_refused_in_one_line():
    ptx = ".visible .func adam_step(\n)\n{\n\tld.param.f32 %f1, [adam_step_param_1];\n\tbra $L;\n\tret;\n}\n"
    for text, words in ((ptx, "unknown PTX: bra"), (ptx.replace("\tbra $L;\n", ""), "unknown PTX"), ("", "PTX")):
        with pytest.raises(CompilerError, match=words) as caught:
            adam._as_assembly(text)
        assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("nvrtc")
def test_without_a_linker_the_step_is_inlined_as_assembly(update, no_linker):
    assert link_obstacle(90) == "nvJitLink cannot be loaded (no libnvJitLink.so)"
    assert compilation_of_adam(90) == f"compiled by Numba, inlined as PTX by NVRTC ({link_obstacle(90)})"
    found = instructions(compile_stepping(update, "update", 90), "update")
    assert found["MUFU.SQRT"] == 4
    assert not [name for name in found if name.startswith("CALL")]


def test_with_a_linker(nvjitlink):
    assert link_obstacle(90) is None
    assert compilation_of_adam(90) == "compiled by Numba, inlined by nvJitLink {}.{}".format(*nvjitlink.version())


@pytest.mark.usefixtures("nvrtc")
def test_what_the_linker_refuses_is_told_in_one_line():
    for parts, chip in (((b"no code",), 90), ((step_code(90),), 10)):
        with pytest.raises(CompilerError, match=r"^nvJitLink ") as caught:
            linker.link(parts, "k", chip)
        assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("nvrtc")
def test_an_old_numba_cuda_is_told_in_one_line(monkeypatch):
    from numba import cuda

    def compile_as_of_old(function, kinds, *, output, **rest):
        raise NotImplementedError(f"Unsupported output type: {output}\nno")

    monkeypatch.setattr(cuda, "compile", compile_as_of_old)
    with pytest.raises(CompilerError, match=r"numba-cuda [\d.]+ cannot compile Adam's step to ltoir") as caught:
        step_code(90)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("nvrtc")
def test_a_linked_kernel_is_cached_by_all_that_went_into_it(update, monkeypatch):
    first = compile_kernel("update", 1, 90)
    monkeypatch.setattr(cuda_compiler, "compile_stepping", lambda *_: pytest.fail("compiled again"))
    assert compile_kernel("update", 1, 90) == first
    file = cuda_compiler._cache_file(update, "update", 1, 90, True)
    disc = cuda_compiler._cache_file(source.source("disc", 1), "disc", 1, 90, False)
    for name, value in (("numba_cuda_version", lambda: "0.0"), ("_linker_version", lambda: "0.0")):
        with monkeypatch.context() as patch:
            patch.setattr(cuda_compiler, name, value)
            assert cuda_compiler._cache_file(update, "update", 1, 90, True) != file
            assert cuda_compiler._cache_file(source.source("disc", 1), "disc", 1, 90, False) == disc


@needs_compiler
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("rows", "width", "pitch"), [(6, 300, 320), (7, 1, 32), (3, 1027, 1056), (2, 1024, 1024)])
def test_update_on_the_host(rng, tmp_path, rows, width, pitch, reverse):
    """The step with line turns[1] of the rates, nothing in the padding, and the turn counted."""
    device = HostDevice(tmp_path, reverse=reverse)
    arrays = [device.zeros(rows, pitch) for _ in range(4)]
    for array in arrays:
        array[...] = rng.random((rows, pitch), dtype=np.float32)
    before = [array.copy() for array in arrays]
    rates, turns = device.zeros(3, 8), device.zeros(2, dtype=np.int32)
    rates[...] = [Rates.at(t, 0.03, BOUNDS, BETAS) for t in (1, 2, 3)]
    turns[...] = 77, 1
    across, down = grid_for(rows, width)
    for grid in ((across, down), (across, 2)):
        for array, values in zip(arrays, before, strict=True):
            array[...] = values
        device.launch("update", 1, grid, CARRYING, *arrays, rates, turns, rows, width, pitch)
        assert turns.tolist() == [2, 1]
        x, first, second, gradient = (values[:, :width].astype(np.float64) for values in before)
        moved, moments = reference.step(x, (first, second), gradient, 2, 0.03, BOUNDS, BETAS)
        for found, expected, values in zip(arrays, (moved, *moments, gradient), before, strict=True):
            np.testing.assert_allclose(found[:, :width], expected, rtol=2e-6)
            np.testing.assert_array_equal(found[:, width:], values[:, width:])
    assert device.intact()


def test_the_grid_of_update():
    assert grid_for(9, 7087) == (-(-7087 // 1024), 9)
    assert grid_for(1, 1) == (1, 1)
    assert grid_for(100_000, 1024) == (1, 65535)
