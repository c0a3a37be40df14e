import dataclasses

import numpy as np
import pytest

from mlsolve import OptionError, Options


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().iterations = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"iterations": 0}, "iterations is 0: it must be from 1 to"),
        ({"iterations": 1.5}, "iterations is 1.5: it must be a whole number"),
        ({"iterations": True}, "iterations is True"),
        ({"levels": 0}, "levels is 0"),
        ({"exposure": 0}, "exposure is 0: it must be from 0.0001 to 1"),
        ({"exposure": 1.5}, "exposure is 1.5"),
        ({"exposure": float("nan")}, "exposure is nan"),
        ({"exposure": "0.1"}, "exposure is '0.1': it must be a number"),
        ({"backend": "gpu"}, "backend is 'gpu': use auto, cpu or cuda"),
        ({"seed": -1}, "seed is -1"),
        ({"ssim_weight": -1.0}, "ssim_weight is -1"),
        ({"mse_weight": float("inf")}, "mse_weight is inf"),
        ({"guide_weight": -0.5}, "guide_weight is -0.5"),
        ({"ssim_weight": 0, "mse_weight": 0}, "both 0"),
        ({"min_density": -0.1}, "min_density is -0.1"),
        ({"max_density": 7.0}, "max_density is 7"),
        ({"min_density": 1.0, "max_density": 1.0}, "max_density must be the larger"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"target_ssim": 1.1}, "target_ssim is 1.1"),
        ({"patience": 0}, "patience is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": 100000}, "threads is 100000: it must be from 1 to 1024"),
        ({"exposure": 1e-40}, "exposure is 1e-40"),
        ({"exposure": 10**400}, "exposure is inf"),
        ({"seed": 10**5000}, "seed is beyond all bounds: it must be from 0 to"),
        ({"guide_weight": 1e39}, "guide_weight is 1e+39: it must be from 0 to 1e+06"),
    ],
)
def test_refusals(setting, words):
    with pytest.raises(OptionError) as error:
        Options(**setting)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_numbers_of_numpy_become_pythons():
    options = Options(iterations=np.int64(4), exposure=np.float32(0.5), seed=np.uint8(3), levels=np.int32(2))
    assert options == Options(iterations=4, exposure=0.5, seed=3, levels=2)
    assert [type(value) for value in (options.iterations, options.exposure, options.seed)] == [int, float, int]


def test_many_guides_do_not_outvote_the_target():
    assert [Options().guide_weight_for(n) for n in (1, 3, 6, 12)] == [1, 1, 0.5, 0.25]
    assert Options(guide_weight=2.0).guide_weight_for(12) == 2.0
