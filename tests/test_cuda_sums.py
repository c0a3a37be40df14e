"""The table to which all blocks of an iteration add their sums, on the host: what is in it, in whatever order."""

import numpy as np
import pytest

from cuda_host.arrangements import Both
from cuda_host.checks import BETAS, BOUNDS, FORMS, MODES, OBJECTIVE, pieces_of, problem, workspace
from cuda_host.device import HostDevice, needs_compiler
from mlsolve_kernels.cuda.geometry import OWN
from mlsolve_kernels.iteration.cuda import CudaWorkspace
from mlsolve_kernels.iteration.groups import Group, groups_of, sums_of
from mlsolve_kernels.region import Region

pytestmark = needs_compiler


WIDTH = 2 * OWN
"""Two strips; with pieces of twenty rows a picture of sixty rows has six blocks a plane."""


@pytest.mark.parametrize(
    ("places", "blocks"),
    [
        ([], 0),
        ([(9, 7)], 1),
        ([(9, 7), (50, OWN + 50)], 2),
        ([(9, 7), (9, OWN + 50), (50, 9), (51, 20)], 3),
        ([(19, OWN)], 4),
    ],
)
def test_blocks_that_have_no_number_are_counted(rng, folder, places, blocks):
    """Pixels that are no number, in one block or in several: none cancels another, none is added as a number."""
    target, guides, layers = problem(rng, 2, 1, 60, WIDTH)
    spoiled = layers.copy()
    for row, column in places:
        spoiled[1, 0, row, column] = np.nan
    tables = set()
    for (reverse, early), (chip, inlines) in zip(MODES, FORMS, strict=True):
        device = HostDevice(folder, reverse=reverse, early=early, chip=chip, fuses_adam=inlines)
        with pieces_of(20):
            work = CudaWorkspace(target, guides, OBJECTIVE, BOUNDS, BETAS, device)
        work.start(spoiled)
        (sums,) = work.advance([0.0])
        in_error = len({(row // 20, column // OWN) for row, column in places})
        assert work._table[0, :, 1].tolist() == [blocks, in_error, 0, 0, blocks]
        no_number = bool(places)
        assert np.isnan(sums["stack_ssim"]).tolist() == np.isnan(sums["stack_mse"]).tolist() == [no_number]
        assert np.isnan(sums["guide_ssim"]).tolist() == [False, no_number]
        assert not work._table[1:].any()
        tables.add(work._table[:, [1, 3]].tobytes() if places else work._table.tobytes())
    assert len(tables) == 1


def test_numbers_of_other_blocks_are_summed_beside_those_that_are_none(rng, folder):
    """What is in the table is the sum of the blocks that have one."""
    target, guides, layers = problem(rng, 2, 1, 60, WIDTH)
    layers[0, 0, 9, 7] = layers[0, 0, 50, OWN + 50] = np.nan
    with pieces_of(20):
        work = workspace(target, guides, layers, HostDevice(folder))
    work.advance([0.0])
    found = work._table[0, :, 0].copy()
    without = 0
    for top, left in ((0, OWN), (20, 0), (20, OWN), (40, 0)):
        work.start(layers)
        work.prepare(0, (Region(top, top + 20, left, left + OWN),))
        work.advance([0.0])
        assert not work._table[0, :, 1].any()
        without = without + work._table[0, :, 0]
    np.testing.assert_array_equal(found[[0, 1, 3]], without[[0, 1, 3]])


@pytest.mark.parametrize("resident", [1, 7, 1000])
def test_sums_do_not_depend_on_the_order_of_blocks(rng, folder, resident):
    """Nor on their number: whole numbers are added."""
    pictures = problem(rng, 2, 2, 60, WIDTH)
    expected = None
    for reverse in (False, True):
        work = workspace(*pictures, HostDevice(folder, reverse=reverse, resident=resident))
        work.advance([0.05, 0.02, 0.03])
        table = work._table.tolist()
        once = workspace(*pictures, HostDevice(folder, resident=20))
        once.advance([0.05, 0.02, 0.03])
        assert table == once._table.tolist()
        expected = table if expected is None else expected
        assert table == expected


def test_sums_of_arrangements_do_not_depend_on_the_order_of_blocks(folder):
    both = Both(2, slice(2))
    tables = set()
    for reverse, early in MODES[1:3]:
        work = both.on(HostDevice(folder, reverse=reverse, early=early))
        work.advance([0.03, 0.02], both.lying)
        assert (work._table[:2, :, 0] != 0).all()
        assert not work._table[:, :, 1].any()
        tables.add(work._table.tobytes())
    assert len(tables) == 1


def test_a_line_of_the_table_is_read_by_terms():
    """A value of several groups is their sum, each by its factor; one that lacks a number is no number."""
    groups = [Group("error", 0, 4096), Group("error", 0), Group("ssim", 0), Group("ssim", 1)]
    assert sums_of([(3, 0), (-5, 0), (2**60, 0), (7, 0)], groups) == {"error": (3 * 4096 - 5,), "ssim": (2**60, 7)}
    found = sums_of([(3, 2), (-5, 0), (0, 0), (7, 1)], groups)
    assert np.isnan(found["error"][0])
    assert found["ssim"][0] == 0
    assert np.isnan(found["ssim"][1])


def test_groups_are_in_the_order_of_the_kernels():
    """The passes are told the first group of theirs only: three of a stack, then one for every layer."""
    names = [(group.term, group.number) for group in groups_of(OBJECTIVE, 2)]
    assert names == [("stack_ssim", 0), ("stack_mse", 0), ("stack_mse", 0), ("guide_ssim", 0), ("guide_ssim", 1)]
