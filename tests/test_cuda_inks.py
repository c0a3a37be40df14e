"""Layers that are device codes, by the CUDA kernels on the host: the CPU's bits, and iterations against float64."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from cuda_host.arrangements import Both
from cuda_host.device import HostDevice, needs_compiler
from cuda_host.sanitized import run_sanitized
from mlsolve.media import load_media
from mlsolve.solving.backends import CudaBackend, device_need
from mlsolve_kernels.compiled import kernel
from mlsolve_kernels.cuda import source as cuda_source
from mlsolve_kernels.cuda.geometry import CARRYING, OWN, pitch_of, tiles_for
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
from mlsolve_kernels.iteration.cuda_arranged_size import arranged_device_bytes
from mlsolve_kernels.iteration.cuda_iteration import adam_on
from mlsolve_kernels.iteration.cuda_state import TABLES
from mlsolve_kernels.iteration.objective import Objective, Shape, Stack
from mlsolve_kernels.iteration.passes import light_pass
from mlsolve_kernels.lanes import LANES, load, row, store
from mlsolve_kernels.layout import aligned_zeros, from_strips, masks_of, strips_for
from mlsolve_kernels.light import declared
from mlsolve_kernels.light.ink import cpu, powers
from mlsolve_kernels.light.ink.numbers import numbers_of, packed
from mlsolve_kernels.threads import Team
from planted_faults import Fault, assert_noticed, each
from test_arrangements import BETAS, BOUNDS, FOUR, arranged_moves, assert_windows_are_the_whole, case, filled
from test_carriers import case as case_with_carriers
from test_carriers import drawn_of
from test_carriers import filled as filled_with_carriers
from test_ink import NAMES, SHAPE, inked, inks_of, stored_of

pytestmark = needs_compiler

MODES = list(itertools.product((False, True), (False, True)))

_POWERS = """// Powers: both of every value.
#include "light/ink/powers.cuh"

extern "C" __global__ void __launch_bounds__(CARRYING)
powers(const float* values, const float* exponents, float* logarithms, float* results, int count) {
    const int at = blockIdx.x * CARRYING + threadIdx.x;
    if (at >= count) return;
    logarithms[at] = log2_of(values[at]);
    results[at] = exp2_of(exponents[at]);
}
"""


@kernel
def powers_pass(values, exponents, logarithms, results):
    """Both of every value; the arrays are as long as a multiple of LANES."""
    for at in range(0, values.shape[0], LANES):
        store(row(logarithms, (0,)), at, powers.log2(load(row(values, (0,)), at)))
        store(row(results, (0,)), at, powers.exp2(load(row(exponents, (0,)), at)))


def test_powers_have_the_bits_of_the_cpu(rng, folder, tmp_path, monkeypatch):
    """Of float32 of all sizes, and of exponents with and without a fraction; and they are right."""
    count = 2**16
    values = (2 ** rng.uniform(-125, 126, count)).astype(np.float32)
    values[: 2**14] = rng.uniform(0.5, 2, 2**14)
    values[:5] = 1, np.float32(0.5) ** 0.5, np.nextafter(np.float32(0.5) ** 0.5, np.float32(0)), 2**-126, 2**127
    exponents = rng.uniform(-125, 126, count).astype(np.float32)
    exponents[:1000] = np.rint(exponents[:1000])
    exponents[1000:2000] = np.rint(exponents[1000:2000]) + 0.5
    found, expected = np.empty((2, count), np.float32), np.empty((2, count), np.float32)
    powers_pass(values, exponents, *expected)
    (tmp_path / "powers.cu").write_text(_POWERS)
    variant = cuda_source.Variant(str(tmp_path / "powers.cu"))
    monkeypatch.setitem(cuda_source.VARIANTS, "powers", variant)
    monkeypatch.setitem(cuda_source.KERNELS, "powers", variant.path)
    HostDevice(folder).launch("powers", 1, (count // CARRYING,), CARRYING, values, exponents, *found, count)
    assert found.tobytes() == expected.tobytes()
    np.testing.assert_allclose(found[0], np.log2(values.astype(np.float64)), rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(found[1], 2 ** exponents.astype(np.float64), rtol=3e-7)


def put(device, images):
    """Images (…, H, W) on a device, with NaN in the padding."""
    array = device.zeros(*images.shape[:-1], pitch_of(images.shape[-1]))
    whole = np.full(array.shape, np.nan, dtype=np.float32)
    whole[..., : images.shape[-1]] = images
    device.upload(whole, array)
    return array


class Passes:
    """All passes of inks over two layers in one or two windows: what the CPU finds, and whether a device does."""

    def __init__(self, name, size, windows=1, round_=False):
        rng = np.random.default_rng(3)
        inks = inks_of(name)
        # All channels differ, and clear sheets are clearer than those of the film can be.
        curves = tuple(
            tuple(tuple(point ** (1 + i / 5 + b / 9) for point in curve) for i, curve in enumerate(band))
            for b, band in enumerate(inks.curves)
        )
        self.inks = inks._replace(base=(0.99, 0.97, 0.98)[: inks.planes], curves=curves)
        self.size, self.windows, planes = size, windows, windows * inks.planes
        self.layers, *self.by = (rng.random((2, planes, *size)).astype(np.float32) for _ in range(3))
        self.layers[..., 0, :3], self.layers[0, 0, -1, -1] = 1, 0
        self.by_seen = rng.random((planes, *size), dtype=np.float32)
        self.disc = (rng.random((windows, *size)) > 0.3).astype(np.float32) if round_ else None
        self.scale = 0.3
        self.alone, self.of_stack = numbers_of(self.inks), numbers_of(self.inks, 2, self.scale**2.2)
        self.expected = self._on_the_cpu()

    def _on_the_cpu(self):
        """Sheets, looks, gradient by the layers, composite, what is seen of it, gradient by it."""
        strips, of_window, team = strips_for(*self.size), self.inks.planes, Team(2)
        inside, scratch = masks_of(strips, None).inside, aligned_zeros(2, cpu.SCRATCH)
        layers, gradient, by_look = (stored_of(one, strips) for one in (self.layers, *self.by))
        disc = None if self.disc is None else stored_of(self.disc[np.newaxis], strips)[0]
        sheets, looks = np.zeros_like(layers), np.zeros_like(layers)
        composite, seen = np.zeros_like(layers[0]), np.zeros_like(layers[0])
        team.run(cpu.develop_pass, layers, self.alone, of_window, inside, sheets, looks, scratch)
        light = declared("power").constants(self.scale)
        team.run(light_pass, sheets, light, of_window, composite)
        team.run(cpu.see_pass, composite, self.of_stack, of_window, inside, seen, scratch)
        by_seen = stored_of(self.by_seen[np.newaxis], strips)[0]
        team.run(cpu.see_back_pass, composite, self.of_stack, of_window, seen, by_seen, scratch)
        known = of_window, sheets, looks, by_look, disc, gradient, scratch
        team.run(cpu.develop_back_pass, layers, self.alone, *known)
        team.close()
        assert not from_strips(by_look, strips).any()
        found = sheets, looks, gradient, composite, seen, by_seen
        return [from_strips(one, strips) for one in found]

    def assert_found(self, device):
        """Assert that the kernels find the same bits, and leave the padding as it was, by_look cleared."""
        of_window, windows, (height, width) = self.inks.planes, self.windows, self.size
        shape = self.layers.shape
        layers, gradient, by_look = (put(device, one) for one in (self.layers, *self.by))
        sheets, looks = (put(device, np.full(shape, 7, np.float32)) for _ in range(2))
        composite, seen = (put(device, np.full(shape[1:], 7, np.float32)) for _ in range(2))
        by_seen, disc = put(device, self.by_seen), layers if self.disc is None else put(device, self.disc)
        alone, of_stack = put(device, packed(self.alone)), put(device, packed(self.of_stack))
        sizes = of_window, height, width, layers.shape[-1]
        constant = float(declared("power").constants(self.scale)[0])

        def launch(name, images, *arguments):
            tiles = tiles_for(images * windows, height, width)
            device.launch(name, 2, tiles, CARRYING, *arguments, *sizes)

        reflects = int(self.of_stack.reflects)
        launch("develop", 2, layers, alone, sheets, looks, 1)
        launch("see", 1, sheets, of_stack, composite, seen, constant, reflects)
        launch("see_back", 1, composite, of_stack, seen, by_seen, reflects)
        flags = 1, int(self.disc is not None), windows
        launch("develop_back", 2, layers, alone, sheets, looks, by_look, disc, gradient, *flags)
        for array, right in zip((sheets, looks, gradient, composite, seen, by_seen), self.expected, strict=True):
            found = device.download(array)
            np.testing.assert_array_equal(found[..., :width], right)
            assert np.isnan(found[..., width:]).all()
        assert not device.download(by_look).any()
        assert getattr(device, "intact", lambda: True)()  # a GPU cannot tell


@pytest.mark.parametrize("name", NAMES)
def test_every_pass_has_the_bits_of_the_cpu(folder, name):
    for number, (size, windows) in enumerate((((1, 1), 1), ((11, 40), 2), ((35, 64), 1))):
        passes = Passes(name, size, windows, number == 1)
        for reverse in (False, True):
            passes.assert_found(HostDevice(folder, reverse=reverse))


def test_sheets_that_look_as_their_bands(folder):
    """Of plain inks nothing is seen: the looks are not touched, and the gradient goes through the sheets alone."""
    passes, device = Passes("ideal", (13, 33)), HostDevice(folder)
    layers, gradient = put(device, passes.layers), put(device, passes.by[0])
    sheets, untouched, by_look = (put(device, np.full(passes.layers.shape, 7, np.float32)) for _ in range(3))
    numbers, size = put(device, packed(passes.alone)), (3, 13, 33, 64)
    tiles = tiles_for(2, 13, 33)
    device.launch("develop", 1, tiles, CARRYING, layers, numbers, sheets, untouched, 0, *size)
    known = layers, numbers, sheets, untouched, by_look, sheets
    device.launch("develop_back", 1, tiles, CARRYING, *known, gradient, 0, 0, 1, *size)
    np.testing.assert_array_equal(sheets[..., :33], passes.expected[0])
    assert (untouched[..., :33] == 7).all()
    assert (by_look[..., :33] == 7).all()
    expected = reference.ink.develop_gradient(passes.layers, passes.inks, passes.by[0])
    np.testing.assert_allclose(gradient[..., :33], expected, rtol=2e-5, atol=1e-6)


def iterated(rng, name, turn, shape=SHAPE):
    """Three stacks of turned and shifted sheets, leak, pixel weights, the colour term, a disc."""
    planes = load_media(name).inks.planes
    objective, arranged, guides, layers = inked(case(rng, shape, planes, 0.8, True, shape[0] == shape[1]), name)
    objective = replace(objective, weights={**objective.weights, "colour": 2.0 if planes == 3 else 0.0})
    return objective, replace(arranged, moves=arranged_moves(shape, turn)), guides, layers


def assert_right(work, objective, arranged, guides, layers):
    """Assert that terms and gradient are those of the float64 reference, also the second time."""
    expected = reference.terms(layers, arranged, guides, objective)
    gradient = reference.gradient(layers.astype(np.float64), arranged, guides, objective)
    for _ in range(2):  # the second time nothing is left of the first
        terms = work.evaluate(arranged.moves)
        assert terms.keys() == expected.keys()
        for term in terms:
            assert terms[term] == pytest.approx(expected[term], rel=2e-5, abs=6e-6), term
        # Dark colours take most: the nearer to black, the steeper is what the eye sees.
        assert np.linalg.norm(work.gradient - gradient) < 2e-4 * np.linalg.norm(gradient)


@pytest.mark.parametrize("name", ["inkjet-film", "ideal", "imagesetter-film"])
@pytest.mark.parametrize(("turn", "shape"), [(0, (26, 26)), (5, (26, 26)), (3, (9, OWN + 5))])
def test_terms_and_gradient(rng, folder, name, turn, shape):
    case_, found = iterated(rng, name, turn, shape), set()
    for reverse, early in (MODES[0], MODES[3]) if turn else (MODES[1], MODES[2]):
        device = HostDevice(folder, reverse=reverse, early=early, resident=4 + 9 * reverse)
        work = filled(*case_, device, ArrangedCudaWorkspace)
        assert_right(work, *case_)
        assert list(work.parts())[-1] == "Adam"
        assert device.intact()
        found.add(work.gradient.tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("name", ["inkjet-film", "ideal"])
def test_a_layer_that_lies_nowhere_and_sheets_that_lie_still(rng, folder, name):
    """Unmoved sheets are read where they were developed; the layer pass does not take them through the light."""
    stacks = tuple(Stack(0.4, {"stack_ssim": 3.0, "stack_mse": 10.0}, one) for one in ((0, 1, 2), (1, 2)))
    for count in (1, 2):
        objective = Objective(stacks[2 - count :], {"guide_ssim": 0.7}, inks=inks_of(name, 0.02))
        targets, guides = rng.random((count, 3, 21, 34)), rng.random((3, 3, 21, 34))
        layers = rng.uniform(0.1, 1, guides.shape).astype(np.float32)
        device = HostDevice(folder)
        case_ = objective, reference.Arranged(targets), guides, layers
        assert_right(filled(*case_, device, ArrangedCudaWorkspace), *case_)
        assert "gather" not in device.grids
        assert device.intact()


@pytest.mark.parametrize(("hide", "weighted", "round_"), [(0.5, True, False), (0.3, True, True)])
def test_carriers_and_the_leak_of_sheets_alone(rng, folder, hide, weighted, round_):
    case_ = inked(case_with_carriers(rng, (24, 24), 3, hide, weighted, round_))
    for number, turn, mode in ((0, 0.0, False), (8, 0.4, True)):
        device = HostDevice(folder, reverse=mode, early=mode)
        objective, arranged, guides, layers = case_
        arranged = replace(arranged, moves=drawn_of((24, 24), number, turn))
        work = filled_with_carriers(*case_, device, ArrangedCudaWorkspace)
        assert_right(work, objective, arranged, guides, layers)
        assert device.intact()


@pytest.mark.parametrize("name", ["inkjet-film", "ideal"])
def test_iterations_are_those_of_the_cpu(rng, folder, name):
    """A batch and a half, the sheets lying otherwise in each; it does not matter where a device takes the step."""
    objective, *others = iterated(rng, name, 0, (31, 31))
    objective = replace(objective, weights={"guide_ssim": 0.7})  # no term of layers would add to the gradient
    rates, lying = [0.03 / (1 + t) for t in range(15)], [arranged_moves((31, 31), t % 12) for t in range(15)]
    team, works = Team(2), []
    for fused in (True, False):
        device = HostDevice(folder, fuses_adam=fused)
        assert adam_on(device, objective).startswith("in a kernel of its own, ")
        works.append(filled(objective, *others, device, ArrangedCudaWorkspace))
    works.append(filled(objective, *others, team))
    sums = [work.advance(rates[:10], lying[:10]) + work.advance(rates[10:], lying[10:]) for work in works]
    team.close()
    here, again, there = works
    assert here.layers.tobytes() == again.layers.tobytes()
    assert np.abs(here.layers - there.layers).mean() < 1e-5
    for one, right in zip(sums[0], sums[2], strict=True):
        losses = [objective.loss(found.terms(here.pixels, objective)) for found in (one, right)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert (here.layers[..., others[0].disc == 0] == np.float32(BOUNDS[1])).all()
    assert not here._layers[..., 31:].any()


@pytest.mark.parametrize("name", ["inkjet-film", "laser-film"])
def test_windows_that_go_together_are_the_whole(rng, folder, name):
    device = HostDevice(folder, resident=20)
    assert_windows_are_the_whole(rng, device, (151, 151), FOUR, 16, ArrangedCudaWorkspace, inks_of(name))
    assert device.intact()


@pytest.mark.parametrize("name", NAMES)
def test_device_memory_is_what_is_said(rng, folder, name):
    """All arrays of a workspace together take what is asked for beforehand, the plane in passing left out."""
    taken = []

    class Counting(HostDevice):
        def zeros(self, *shape, dtype=np.float32):
            array = super().zeros(*shape, dtype=dtype)
            taken.append(array.nbytes)
            return array

    objective, _, guides, _ = inked(case(rng, (200, 200), load_media(name).inks.planes, 0.5, True, True), name)
    shape = Shape(3, 2 * guides.shape[1], 200, 200)
    ArrangedCudaWorkspace.blank(shape, objective, BOUNDS, BETAS, Counting(folder), 2)
    said, plane = arranged_device_bytes(shape, objective, 2) - TABLES, 4 * 200 * pitch_of(200)
    assert said - plane <= sum(taken) <= said
    assert device_need(shape, objective, 2) == said + TABLES > device_need(shape, replace(objective, inks=None), 2)


def test_the_backend_takes_the_path_that_knows_inks(folder):
    """Not the fused one, for one stack of unmoved sheets either."""
    objective = Objective((Stack(0.3, {"stack_ssim": 1.0}),), {"guide_ssim": 1.0}, inks=inks_of("ideal"))
    device = HostDevice(folder)
    for one, path in ((objective, "ArrangedCudaWorkspace"), (replace(objective, inks=None), "CudaWorkspace")):
        work = CudaBackend(BETAS, device).workspace(Shape(2, 3, 20, 20), one, BOUNDS)
        assert type(work).__name__ == path


def test_what_inks_on_a_gpu_cannot_be(folder):
    objective = Objective((Stack(0.3, {"stack_ssim": 1.0}),), {}, inks=inks_of("ideal"))
    with pytest.raises(ValueError, match="inks have 3 channels, layers 1 planes: give 1 or 3 of both"):
        ArrangedCudaWorkspace.blank(Shape(2, 1, 20, 20), objective, BOUNDS, BETAS, HostDevice(folder))


FAULTS = [
    Fault("the integer of the logarithm is rounded otherwise", "develop", "0x3F3504F3u", "0x3F800000u"),
    Fault("channels do not mix", "develop", "y *= inks.curve(b, i, v[i]);", ";"),
    Fault("no base", "develop", "inks.base[b] * inks.curve", "inks.curve"),
    Fault("the planes of the first window", "develop", "first = blockIdx.z * PLANES * plane", "first = 0 * plane"),
    Fault("no light of the room", "develop", "(all + inks.room()) * inks", "(all) * inks"),
    Fault("the first sheet for all of the stack", "see", "placed[k * sheet", "placed[0 * sheet"),
    Fault("no light between sheets", "see", "if (reflects) {", "if (!reflects) {"),
    Fault("clearer than a sheet can be", "see", "+ offset()), clearest());", "+ offset()), 1.0f);"),
    Fault("the gain does not bend", "see_back", "? square * inks.inverse_gain_slope(square)", "? 0.0f"),
    Fault("the gain bends beyond the clearest", "see_back", "inks.clearest() - t != 0.0f", "true"),
    Fault("planes of the eye for bands", "see_back", "inks.to_eye[p * PLANES + b]", "inks.to_eye[b * PLANES + p]"),
    Fault("black answers", "see_back", "look - INK_BLACK != 0.0f", "true"),
    Fault("the looks do not answer", "develop_back", "by_band + slopes[b] *", "by_band + 0.0f *"),
    Fault("what the looks ask stays", "develop_back", "if (looking) pixel.by_look[i * plane] = 0.0f;", ""),
    Fault("what the looks ask stays in the padding", "develop_back", "looking && p < PLANES", "false"),
    Fault("round sheets change outside", "develop_back", "!round || disc", "true || disc"),
    Fault("the disc of another window", "develop_back", "disc[blockIdx.z % windows * plane", "disc[0 * plane"),
    Fault("channels for bands", "develop_back", "inks.slope(b, i, v[i])", "inks.slope(i, b, v[i])"),
    Fault("the slope of another channel", "develop_back", "inks.slope(b, i, v[i])", "inks.slope(b, 0, v[i])"),
]


@pytest.fixture(scope="module")
def passes():
    return [Passes(name, (13, 33), 2, True) for name in ("inkjet-film", "imagesetter-film")]


@each(FAULTS)
def test_planted_faults_are_found(folder, passes, fault):
    def check(edits):
        for one in passes:
            one.assert_found(HostDevice(folder, edits=edits))

    assert_noticed(fault, check)


@pytest.mark.parametrize("windows", [1, 2])
def test_a_case_for_devices(folder, windows):
    """The one that tests on a GPU take (test_cuda_device.py)."""
    Both(windows, inks=inks_of("inkjet-film")).assert_found(HostDevice(folder))


_SANITIZED_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from cuda_host.device import SANITIZED, HostDevice
from cuda_host.arrangements import Both
from mlsolve.media import load_media
from planted_faults import Fault
both = Both(2, slice(2), load_media("inkjet-film").inks)
device = HostDevice(Path({folder!r}), flags=SANITIZED, reverse=True, edits={edits})
work = both.on(device)
work.evaluate(both.lying[0])
work.advance([0.05] * 2, both.lying)
print("clean")
"""

OUT_OF_RANGE = [
    Fault("a row below the last", "develop", "if (row >= height) return;", "if (row > height) return;"),
    Fault("a plane too many", "see_back", "first = blockIdx.z * PLANES", "first = (blockIdx.z + 1) * PLANES"),
]


@pytest.mark.slow
def test_the_sanitizers_find_nothing(folder):
    run_sanitized(_SANITIZED_RUN, folder)


@each(OUT_OF_RANGE)
def test_address_and_bounds_sanitizers(folder, fault):
    run_sanitized(_SANITIZED_RUN, folder, fault)
