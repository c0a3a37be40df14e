"""Pictures of round sheets that are never moved are as clear outside the circle as sheets and stack are."""

import numpy as np
import pytest

import mlsolve
from mlsolve.pictures.colour import exposure_scale, printable_range
from mlsolve.solving.level_pictures import LevelPictures, store_pictures
from mlsolve.solving.loading import load_pictures
from mlsolve.solving.spec import Spec, StackSpec
from mlsolve.solving.store import MemoryStore
from mlsolve.solving.tiles import Tile
from mlsolve_kernels.placement.frames import WHOLE, disc
from mlsolve_kernels.region import Region

SIDE, LAYERS = 45, 3


class Recorder:
    """A workspace that keeps the pictures it is given, in its memory or in a device's."""

    def __init__(self, remote, outer):
        self.remote = remote
        self.given = np.full((1 + LAYERS, outer.height, outer.width), np.nan)
        self.mask = np.full((outer.height, outer.width), np.nan)

    def put_target(self, plane, image, top=0, stack=0, table=None):
        self._keep(self.given[stack], image, top, table)

    def put_guide(self, layer, plane, image, top=0, table=None):
        self._keep(self.given[1 + layer], image, top, table)

    def put_weights(self, stack, window, image, top=0, table=None):
        self._keep(self.mask, image, top, table)

    def _keep(self, out, image, top, table):
        out[top : top + len(image)] = image if table is None else table[image]


def loaded(remote, shape, outer, rng, place=None):
    """What a workspace holds after loading a window, and the pictures at full size."""
    options = mlsolve.Options(levels=1, exposure=0.1, min_density=0.05)
    stacks = (StackSpec(place, masked=True),)
    planes = (1,) * (1 + LAYERS + 1)
    spec = Spec(LAYERS, 1, ((SIDE, SIDE),), planes, options, "cpu", stacks, shape == "disc")
    store, images = MemoryStore(), rng.random((len(planes), SIDE, SIDE, 1), dtype=np.float32)
    store_pictures(store, spec, images)
    work = Recorder(remote, outer)
    load_pictures(work, lambda: LevelPictures(store, spec, 1), Tile(0, 1, (outer,)), (outer,), 2)
    low = np.empty((len(planes), outer.height, outer.width), dtype=np.float32)
    for number, image in enumerate(low):
        LevelPictures(store, spec, 1).read(number, 0, outer, image)
    return work, low, printable_range(0.05, options.max_density)[1]


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("outer", [Region(0, SIDE, 0, SIDE), Region(20, SIDE, 3, 30)])
def test_round_pictures_are_clear_outside_the_circle(rng, remote, outer):
    work, pictures, clear = loaded(remote, "disc", outer, rng)
    inside = disc((SIDE, SIDE), WHOLE[0], (SIDE, SIDE))[outer.top : outer.bottom, outer.left : outer.right] > 0
    assert 0.5 < inside.mean() < 1
    together = clear**LAYERS / exposure_scale(0.1)
    for found, picture, beside in zip(work.given, pictures, (together, *(clear,) * LAYERS), strict=False):
        np.testing.assert_array_equal(found[inside], picture[inside])
        np.testing.assert_allclose(found[~inside], beside, rtol=1e-6)
    np.testing.assert_array_equal(work.mask, pictures[-1])


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize(("shape", "place"), [("sheet", None), ("disc", (mlsolve.Placement(2, rotate=30),))])
def test_other_pictures_are_loaded_as_they_are(rng, remote, shape, place):
    work, pictures, _ = loaded(remote, shape, Region(0, SIDE, 0, SIDE), rng, place)
    np.testing.assert_array_equal(work.given, pictures[:-1])
