import dataclasses

import pytest

from mlsolve import OptionError, Options


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().iterations = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"iterations": 0}, "iterations is 0: it must be 1 or more"),
        ({"iterations": 1.5}, "iterations is 1.5: it must be a whole number"),
        ({"iterations": None}, "iterations is None"),
        ({"iterations": True}, "iterations is True"),
        ({"levels": 0}, "levels is 0"),
        ({"exposure": 0}, "exposure is 0: it must be more than 0 and at most 1"),
        ({"exposure": 1.5}, "exposure is 1.5"),
        ({"exposure": float("nan")}, "exposure is nan"),
        ({"exposure": "0.1"}, "exposure is '0.1': it must be a number"),
        ({"backend": "gpu"}, "backend is 'gpu': use auto, cpu, cuda"),
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
    ],
)
def test_refusals(setting, words):
    with pytest.raises(OptionError) as error:
        Options(**setting)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_many_guides_do_not_outvote_the_target():
    assert [Options().guide_weight_for(n) for n in (1, 3, 6, 12)] == [1, 1, 0.5, 0.25]
    assert Options(guide_weight=2.0).guide_weight_for(12) == 2.0
