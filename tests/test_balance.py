"""Exposures that make what pictures ask of the same sheets agree."""

import math

import numpy as np
import pytest

from mlsolve import OptionError
from mlsolve.ranges import MIN_EXPOSURE
from mlsolve.solving.balance import Balance, balance_exposures

LIMITS = (0.0, 2.5)
GIRL, CAT, DOG = [1.763, 1.937, 1.801], [0.831, 0.885, 1.199], [0.433, 0.549, 0.616]
"""Mean densities of three pictures: a dark one, and two bright ones."""

OVERLAPPING = [(0, 1, 2), (2, 3, 4), (4, 5, 0)]
FLAT = np.full((6, 3), 0.7)


def lies(found):
    """Where layers lie, (M, N)."""
    return np.array([[float(k in stack) for k in range(len(found.densities))] for stack in found.stacks])


def holds(found, wanted):
    """Whether the cast is what comes of densities and exposures, and all of them are within their bounds."""
    exponents = -np.log10(found.exposures)
    np.testing.assert_allclose(found.cast, lies(found) @ found.densities - exponents[:, None] - wanted, atol=1e-6)
    low, high = found.limits
    assert low <= found.densities.min() <= found.densities.max() <= high
    assert min(found.exposures) >= MIN_EXPOSURE
    return True


def random_problem(rng):
    """What balance_exposures takes: some arrangements of some layers, all with layer 1."""
    stacks, layers, planes = rng.integers(2, 6), rng.integers(2, 6), rng.choice([1, 3])
    lain = [(0, *range(1 + rng.integers(layers), layers)) for _ in range(stacks)]
    wanted = rng.random((stacks, planes)) * rng.choice([0.3, 3.0])
    exposures = [None if rng.random() < 0.7 else 10 ** -rng.uniform(0, 4) for _ in range(stacks)]
    limits = (rng.choice([0.0, 0.2]), rng.choice([0.6, 2.5]))
    return lain, wanted, rng.random((layers, planes)), exposures, rng.choice([1.0, 0.1]), limits


def least_cast(lain, wanted, guides, exposures, largest, limits):
    """The least sum of squares of a cast, another way: by projected gradients with momentum (FISTA)."""
    (stacks, planes), layers = wanted.shape, len(guides)
    place = np.array([[float(k in stack) for k in range(layers)] for stack in lain])
    least = np.array([-math.log10(one or largest) for one in exposures])
    most = np.array([-math.log10(one or MIN_EXPOSURE) for one in exposures])
    step = 1 / (np.linalg.norm(place, 2) ** 2 + planes)
    sums = []
    # With no exposure given, one stays at the largest: each in turn.
    for stays in range(stacks) if exposures == [None] * stacks else [-1]:
        ends = np.where(np.arange(stacks) == stays, least, most)
        densities = ahead = np.full((layers, planes), limits[0])
        exponents = exponents_ahead = least
        for k in range(1500):
            rest = place @ ahead - exponents_ahead[:, None] - wanted
            before, exponents_before = densities, exponents
            densities = np.clip(ahead - step * place.T @ rest, *limits)
            exponents = np.clip(exponents_ahead + step * rest.sum(axis=1), least, ends)
            ahead = densities + k / (k + 3) * (densities - before)
            exponents_ahead = exponents + k / (k + 3) * (exponents - exponents_before)
        sums.append(np.sum((place @ densities - exponents[:, None] - wanted) ** 2))
    return min(sums)


def test_layers_enough_give_every_picture_its_due():
    wanted = np.array([GIRL, CAT, DOG])
    found = balance_exposures(OVERLAPPING, wanted, FLAT, [None] * 3, 0.05, LIMITS)
    assert found.exposures == (0.05, 0.05, 0.05)
    assert holds(found, wanted)
    np.testing.assert_allclose(found.cast, 0, atol=1e-12)


def test_of_all_solutions_the_one_nearest_to_the_guides():
    guides = np.linspace(0.4, 1.0, 18).reshape(6, 3)
    found = balance_exposures(OVERLAPPING, np.array([GIRL, CAT, DOG]), guides, [None] * 3, 0.05, LIMITS)
    # No density lies at a bound, so the nearest is along the rows of the equations.
    place = lies(found)
    along = place.T @ np.linalg.solve(place @ place.T, place @ (found.densities - guides))
    np.testing.assert_allclose(found.densities - guides, along, atol=1e-6)
    assert 0 < found.densities.min() < found.densities.max() < 2.5
    # Where one does, others make up for it.
    for guide, wanted, densities in (([0.5, 0.5, 2.4], 6.4, [1.95, 1.95, 2.5]), ([2, 2, 0.1], 2.4, [1.2, 1.2, 0])):
        found = balance_exposures([(0, 1, 2)], np.array([[wanted]]), np.c_[guide], [None], 1.0, LIMITS)
        np.testing.assert_allclose(found.densities[:, 0], densities, atol=1e-6)


def test_the_same_sheets_ask_for_exposures_as_the_pictures_are_bright():
    wanted = np.array([GIRL, CAT])
    found = balance_exposures([(0, 1, 2)] * 2, wanted, FLAT[:3], [None, None], 0.2, LIMITS)
    assert found.exposures[0] == 0.2
    assert found.exposures[1] == pytest.approx(0.2 * 10 ** -(np.mean(GIRL) - np.mean(CAT)), rel=1e-6)
    assert found.exposures[1] == pytest.approx(0.027, abs=0.001)
    assert holds(found, wanted)
    # What is left is the difference between the pictures' own casts, half to each.
    between = (np.array(CAT) - np.mean(CAT)) - (np.array(GIRL) - np.mean(GIRL))
    np.testing.assert_allclose(found.cast, [between / 2, -between / 2], atol=1e-12)


def test_what_is_nearly_as_bright():
    found = balance_exposures([(0,)] * 2, np.array([[1.0], [0.99999]]), np.ones((1, 1)), [None] * 2, 0.5, LIMITS)
    assert found.exposures == (0.5, pytest.approx(0.5 * 10**-0.00001, rel=1e-7))


def test_one_arrangement_alone_keeps_the_largest_exposure():
    for wanted in ([GIRL], [[0.0, 0.0, 0.0]], [[9.0, 9.0, 9.0]]):
        found = balance_exposures([(0, 1, 2)], np.array(wanted), FLAT[:3], [None], 0.25, (0.3, 2.5))
        assert found.exposures == (0.25,)
    # Nor does what shares no layer with others care for them.
    found = balance_exposures([(0, 1), (2,)], np.zeros((2, 1)), np.zeros((3, 1)), [None] * 2, 1.0, (0.3, 2.5))
    assert found.exposures == (1.0, 1.0)
    np.testing.assert_allclose(found.cast, [[0.6], [0.3]])


def test_of_arrangements_that_share_layers_one_stays():
    # Every sheet has density 0.2 at least, so every picture would gain by a lower exposure.
    found = balance_exposures([(0, 1)] * 2, np.array([[0.1], [0.25]]), np.ones((2, 1)), [None] * 2, 1.0, (0.2, 2))
    assert found.exposures == (pytest.approx(10**-0.3), 1.0)
    np.testing.assert_allclose(found.cast, [[0], [0.15]], atol=1e-6)


@pytest.mark.parametrize("exposure", [0.5, 0.01])
def test_a_given_exposure_is_kept_and_others_suit_it(exposure):
    wanted = np.array([GIRL, CAT])
    found = balance_exposures([(0, 1, 2)] * 2, wanted, FLAT[:3], [None, exposure], 0.9, LIMITS)
    assert found.exposures[1] == exposure
    girl = exposure * 10 ** (np.mean(GIRL) - np.mean(CAT))
    assert found.exposures[0] == pytest.approx(min(girl, 0.9), rel=1e-6)
    assert holds(found, wanted)


def test_exposures_no_lower_than_allowed(rng):
    wanted = np.array([[3.3], [0.1]])
    found = balance_exposures([(0, 1, 2)] * 2, wanted, FLAT[:3, :1], [None, None], 0.05, LIMITS)
    assert found.exposures == (0.05, MIN_EXPOSURE)
    assert holds(found, wanted)
    assert found.words(["a", "b"])[1:] == [
        "b: exposure 0.0001 instead of 0.05, the lowest there is, because its layers also show a",
        "a comes out 0.25 too light (mean density), because its layers also show b; exposure 0.089 would suit it",
        "b comes out 0.25 too dark (mean density), because its layers also show a",
    ]
    # What differs by rounding is the lowest itself, and is called so.
    lowest = 0
    for _ in range(60):
        stacks = [rng.choice(4, rng.integers(1, 5), replace=False).tolist() for _ in range(5)]
        found = balance_exposures(stacks, 3 * rng.random((5, 3)), rng.random((4, 3)), [None] * 5, 0.001, LIMITS)
        low = np.isclose(found.exposures, MIN_EXPOSURE, rtol=1e-5, atol=0)
        assert np.all((np.array(found.exposures) == MIN_EXPOSURE) == low)
        lowest += low.sum()
    assert lowest > 20


def test_bounds_of_the_densities():
    # Both layers together shall be clearer than each: the exposure of both is lowered.
    wanted = np.array([[1.0], [1.0], [0.5]])
    found = balance_exposures([(0,), (1,), (0, 1)], wanted, np.ones((2, 1)), [None] * 3, 1.0, LIMITS)
    assert found.exposures == (1.0, 1.0, pytest.approx(10**-1.5))
    # If it is given, all three share what is left.
    found = balance_exposures([(0,), (1,), (0, 1)], wanted, np.ones((2, 1)), [1.0] * 3, 1.0, LIMITS)
    np.testing.assert_allclose(found.cast, [[-0.5], [-0.5], [0.5]], atol=1e-6)
    # A layer is no clearer than that and no darker.
    for limits, at in ((0.8, 2.5), 0.8), ((0.0, 0.3), 0.3):
        found = balance_exposures([(0,), (1,), (0, 1)], wanted, np.ones((2, 1)), [1.0] * 3, 1.0, limits)
        np.testing.assert_allclose(found.densities, at)
        assert holds(found, wanted)


def test_no_cast_could_be_less(rng):
    seen = {"at a bound": 0, "given": 0, "none given": 0}
    for _ in range(16):
        asked = random_problem(rng)
        found = balance_exposures(*asked)
        best = least_cast(*asked)
        assert holds(found, asked[1])
        assert np.sum(found.cast**2) == pytest.approx(best, rel=1e-4, abs=1e-6)
        seen["at a bound"] += np.isin(found.densities, found.limits).any() and best > 1e-3
        seen["given" if any(found.named) else "none given"] += 1
    assert min(seen.values()) >= 3


def test_exposures_are_lowered_together_and_no_more_than_must_be():
    # What both layers show together is darker than what each shows: the exposures of these give way alike.
    wanted = np.array([[0.2], [1.0], [0.4]])
    found = balance_exposures([(0,), (0, 1), (1,)], wanted, np.ones((2, 1)), [None] * 3, 1.0, LIMITS)
    assert found.exposures == (pytest.approx(10**-0.2), 1.0, pytest.approx(10**-0.2))
    np.testing.assert_allclose(found.densities, [[0.4], [0.6]], atol=1e-6)


def test_what_hangs_together_by_others():
    chain = [(0,), (0, 1), (1, 2), (2,)]
    asked = chain, np.array([[1.0], [0.5], [1.5], [0.3]]), np.ones((3, 1)), [None, 1.0, None, 0.8], 1.0, LIMITS
    found = balance_exposures(*asked)
    assert holds(found, asked[1])
    assert np.sum(found.cast**2) == pytest.approx(least_cast(*asked), abs=1e-6)


def test_the_order_of_arrangements_and_layers_does_not_matter(rng):
    for _ in range(8):
        stacks, wanted, guides, exposures, largest, limits = random_problem(rng)
        one = balance_exposures(stacks, wanted, guides, exposures, largest, limits)
        order, layers = rng.permutation(len(stacks)), rng.permutation(len(guides))
        back = np.argsort(layers)
        other = balance_exposures(
            [[int(back[k]) for k in stacks[a]] for a in order],
            wanted[order],
            guides[layers],
            [exposures[a] for a in order],
            largest,
            limits,
        )
        np.testing.assert_allclose(other.exposures, np.array(one.exposures)[order], rtol=1e-5)
        np.testing.assert_allclose(other.cast, one.cast[order], atol=1e-6)
        np.testing.assert_allclose(other.densities, one.densities[layers], atol=1e-5)


def test_exposures_out_of_range():
    for exposures, largest in (([None], 1.5), ([1e-5], 0.5), ([0.0], 0.5)):
        with pytest.raises(OptionError, match="it must be from"):
            balance_exposures([(0,)], np.ones((1, 1)), np.ones((1, 1)), exposures, largest, LIMITS)


def words(cast, **changes):
    """What is said of three pictures, of which the first two share layers, with this cast."""
    cast = np.array(cast, dtype=float)
    kept = {"exposures": (0.2, 0.027, 0.2), "stacks": ((0, 1), (1, 0), (2,)), "named": (False, False, True)}
    kept |= {"densities": np.ones((3, cast.shape[1])), "largest": 0.2, "limits": LIMITS} | changes
    return Balance(cast=cast, **kept).words(["girl.jpg", "cat.jpg", "dog.jpg"])


def test_words_of_exposures():
    assert words(np.full((3, 3), 0.019)) == [
        "girl.jpg: exposure 0.2",
        "cat.jpg: exposure 0.027 instead of 0.2, because its layers also show girl.jpg",
        "dog.jpg: exposure 0.2 as given",
    ]


def test_words_of_a_cast():
    lines = words([[0.0, -0.096, 0.13], [0.1, 0.015, 0.05], [0, 0, 0]])[3:]
    assert lines == [
        "girl.jpg comes out 0.10 too light in green and 0.13 too dark in blue (mean density), because its layers "
        "also show cat.jpg",
        "cat.jpg comes out 0.10 too dark in red and 0.05 too dark in blue (mean density), because its layers "
        "also show girl.jpg; exposure 0.0238 would suit it",
    ]


def test_a_cast_of_grey_is_none():
    for cast in ([-0.3], [-0.295, -0.3, -0.305]):
        assert words([cast, np.zeros(len(cast)), np.zeros(len(cast))])[3:] == [
            "girl.jpg comes out 0.30 too light (mean density), because its layers also show cat.jpg; "
            "exposure 0.399 would suit it"
        ]


def test_words_of_bounds():
    densities = np.array([[0.1, 0.5, 0.1], [0.1, 2.5, 0.7], [0.1, 0.1, 0.1]])
    lines = words([[0.2, -0.3, 0.1], [0, 0, 0], [0.2, 0.2, 0.2]], densities=densities, limits=(0.1, 2.5))[3:]
    assert lines == [
        "girl.jpg comes out 0.20 too dark in red, 0.30 too light in green and 0.10 too dark in blue (mean "
        "density), because layers 1 and 2 can be no clearer than density 0.1 and layer 2 can be no darker "
        "than density 2.5",
        "dog.jpg comes out 0.20 too dark (mean density), because layer 3 can be no clearer than density 0.1; "
        "exposure 0.126 would suit it",
    ]
    densities[:2, :2] = [[0.5, 0.1], [0.1, 0.7]]
    (line,) = words([[0.2, -0.05, 0], [0, 0, 0], [0, 0, 0]], densities=densities, limits=(0.1, 2.5))[3:]
    assert line.endswith(
        "because layer 2 can be no clearer than density 0.1 and its layers also show cat.jpg; "
        "exposure 0.178 would suit it"
    )
