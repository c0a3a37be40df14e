"""A second light, which couples planes, put in from outside; for test_light.py, in a process of its own.

Each sheet's planes leak into each other before sheets multiply, a crude ink:

    composite_c = inverse_scale · Π_k y_kc,   y_kc = OWN · x_kc + OTHER · Σ_c' x_kc'
"""

from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba.extending import overload

from cuda_host.device import HostDevice, compiler
from mlsolve_kernels import light
from mlsolve_kernels.cuda import source
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
from mlsolve_kernels.iteration.cuda_arranged_size import arranged_device_bytes
from mlsolve_kernels.iteration.objective import Objective, Shape, Stack
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.iteration.stepwise_size import stepwise_bytes
from mlsolve_kernels.iteration.sweep import can_run
from mlsolve_kernels.lanes import load
from mlsolve_kernels.light.rows import by_sheet, transmitted
from mlsolve_kernels.placement.move import move_of
from mlsolve_kernels.threads import Team

OWN, OTHER = np.float32(0.7), np.float32(0.1)
BOUNDS, BETAS = (0.073, 1.0), (0.8, 0.95)


class Ink(NamedTuple):
    inverse_scale: np.float32


def is_ink(constants):
    return isinstance(constants, numba.types.BaseNamedTuple) and constants.instance_class is Ink


@numba.njit
def passes(sheets, stride, sheet, plane, planes, at):
    """y of a sheet in a plane."""
    first = sheet * stride - planes.own * planes.stride
    result = OWN * load(sheets, first + plane * planes.stride + at)
    for other in range(planes.number):
        result = result + OTHER * load(sheets, first + other * planes.stride + at)
    return result


@overload(transmitted, strict=False)
def _transmitted(light, sheets, stride, count, planes, at):
    if not is_ink(light):
        return None

    def ink(light, sheets, stride, count, planes, at):
        result = light.inverse_scale * passes(sheets, stride, 0, planes.own, planes, at)
        for k in range(1, count):
            result = result * passes(sheets, stride, k, planes.own, planes, at)
        return result

    return ink


@overload(by_sheet, strict=False)
def _by_sheet(light, by_composite, sheets, stride, count, k, planes, at):
    if not is_ink(light):
        return None

    def ink(light, by_composite, sheets, stride, count, k, planes, at):
        whole = load(by_composite, at) * np.float32(0)
        for plane in range(planes.number):
            through = light.inverse_scale * load(by_composite, (plane - planes.own) * planes.stride + at)
            for other in range(count):
                if other != k:
                    through = through * passes(sheets, stride, other, plane, planes, at)
            whole = whole + OTHER * through
            if plane == planes.own:
                whole = whole + OWN * through
        return whole

    return ink


class Reference:
    """What would be reference.py."""

    @staticmethod
    def mixed(sheets):
        return OWN * sheets + OTHER * sheets.sum(axis=1, keepdims=True)

    @classmethod
    def compose(cls, sheets, scale):
        return np.prod(cls.mixed(np.asarray(sheets, dtype=np.float64)), axis=0) / scale

    @classmethod
    def compose_gradient(cls, sheets, scale, by_composite):
        result, mixed = np.empty(sheets.shape), cls.mixed(np.asarray(sheets, dtype=np.float64))
        for k in range(len(sheets)):
            through = by_composite * np.prod(np.delete(mixed, k, axis=0), axis=0) / scale
            result[k] = OWN * through + OTHER * through.sum(axis=0)
        return result


COMPOSE = """
// count: sheets; a thread takes two values, as the chain does.
extern "C" __global__ void __launch_bounds__(CARRYING)
KERNEL(const float* placed, float* composite, float constant, int planes, int of_window, int height, int pitch) {
    const size_t plane = (size_t)height * pitch, count = planes * plane;
    const size_t first = 2 * ((size_t)blockIdx.x * CARRYING + threadIdx.x);
    for (size_t at = first; at < first + 2 && at < count; ++at) {
        float result = constant;
        for (int k = 0; k < LAYERS; ++k) result *= ink(placed + k * count, at, plane, of_window);
        composite[at] = result;
    }
}
"""

CHAIN = """
// A thread has all planes of a pixel, so that it may write in place.
extern "C" __global__ void __launch_bounds__(CARRYING)
KERNEL(float* placed, const float* by_composite, const float* by_sheet, int adds, float constant, int planes,
       int of_window, int height, int pitch) {
    const size_t plane = (size_t)height * pitch, count = planes * plane;
    const size_t first = 2 * ((size_t)blockIdx.x * CARRYING + threadIdx.x);
    for (size_t at = first; at < first + 2 && at < count; ++at) {
        if (at / plane % of_window != 0) continue;
        float y[LAYERS][8], result[LAYERS][8];
        for (int k = 0; k < LAYERS; ++k)
            for (int c = 0; c < of_window; ++c) {
                y[k][c] = ink(placed + k * count, at + c * plane, plane, of_window);
                result[k][c] = 0.0f;
            }
        for (int k = 0; k < LAYERS; ++k)
            for (int c = 0; c < of_window; ++c) {
                float through = constant * by_composite[at + c * plane];
                for (int other = 0; other < LAYERS; ++other) through *= other == k ? 1.0f : y[other][c];
                result[k][c] += 0.7f * through;
                for (int to = 0; to < of_window; ++to) result[k][to] += 0.1f * through;
            }
        for (int k = 0; k < LAYERS; ++k)
            for (int c = 0; c < of_window; ++c) {
                const size_t here = k * count + at + c * plane;
                placed[here] = result[k][c] + (adds ? by_sheet[here] : 0.0f);
            }
    }
}
"""

HEADER = """
__device__ float ink(const float* sheet, size_t at, size_t plane, int of_window) {
    const float* first = sheet + at - at / plane % of_window * plane;
    float sum = 0.0f;
    for (int c = 0; c < of_window; ++c) sum += first[c * plane];
    return 0.7f * sheet[at] + 0.1f * sum;
}
"""


def put_in(folder):
    """Declare the light; its CUDA kernels go into files in `folder`."""
    found = light.Light("ink", lambda scale: Ink(np.float32(1 / scale)), couples_planes=True)
    light.LIGHTS = (*light.LIGHTS, found)
    reference.light_reference = lambda name: Reference if name == "ink" else None
    for name, text in (("compose", COMPOSE), ("chain", CHAIN)):
        file = Path(folder) / f"{name}.cu"
        file.write_text(HEADER + text)
        source.VARIANTS[f"{name}_ink"] = source.Variant(str(file))
        source.KERNELS[f"{name}_ink"] = str(file)


def case(rng, leak=0.0):
    stacks = (
        Stack(0.3, {"stack_ssim": 3.0, "stack_mse": 10.0, "leak": leak}, (0, 1, 2)),
        Stack(0.5, {"stack_ssim": 2.0, "stack_mse": 7.0}, (2, 0)),
    )
    objective = Objective(stacks, {"guide_ssim": 0.7}, light="ink")
    moves = tuple(tuple(move_of((26, 26), 90 * k) for k in range(len(stack.layers))) for stack in stacks)
    targets, guides = rng.random((2, 3, 26, 26)), rng.random((3, 3, 26, 26))
    layers = (0.3 + 0.7 * rng.random(guides.shape)).astype(np.float32)
    return objective, reference.Arranged(targets, moves), guides, layers


def filled(found, on, path):
    objective, arranged, guides, layers = found
    work = path.blank(Shape(*guides.shape), objective, BOUNDS, BETAS, on)
    for number, plane in np.ndindex(2, 3):
        work.put_target(plane, arranged.targets[number, plane], stack=number)
    for k, plane in np.ndindex(3, 3):
        work.put_guide(k, plane, guides[k, plane])
        work.put_layer(k, plane, layers[k, plane])
    work.prepare()
    return work


def assert_right(work, found):
    objective, arranged, guides, layers = found
    terms, expected = work.evaluate(arranged.moves), reference.terms(layers, arranged, guides, objective)
    for name in expected:
        assert terms[name] == pytest.approx(expected[name], abs=5e-6), name
    gradient = reference.gradient(layers, arranged, guides, objective)
    assert np.linalg.norm(work.gradient - gradient) < 1e-5 * np.linalg.norm(gradient)


def check(folder, leak):
    """On the CPU, and where there is a compiler the CUDA kernels on the host."""
    put_in(folder)
    found, team = case(np.random.default_rng(1), leak), Team(2)
    assert found[0].couples_planes
    assert not can_run(Objective((Stack(0.3, {"stack_ssim": 1.0}),), {}, light="ink"))
    assert_right(filled(found, team, StepwiseWorkspace), found)
    team.close()
    if compiler() is not None:
        device = HostDevice(Path(folder))
        assert_right(filled(found, device, ArrangedCudaWorkspace), found)
        assert device.intact()
    objective, _, guides, _ = found
    plain, shape = Objective(objective.stacks, objective.weights), Shape(*guides.shape)
    assert stepwise_bytes(shape, 1, objective) > stepwise_bytes(shape, 1, plain)
    assert arranged_device_bytes(shape, objective) > arranged_device_bytes(shape, plain)
