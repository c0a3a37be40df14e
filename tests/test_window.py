import numpy as np

from mlsolve_kernels import window


def test_window_is_that_of_the_paper():
    # Digits from an independent computation of exp(-d²/4.5), normalised.
    half = [0.26601172, 0.21300554, 0.10936069, 0.03600077, 0.00759876, 0.00102838]
    np.testing.assert_allclose(window.taps(), half[:0:-1] + half, atol=5e-9)
    assert window.taps().sum() == np.float64(1.0)
    assert (window.SIZE, window.REACH) == (11, 10)
    assert (window.C1, window.C2) == (0.01**2, 0.03**2)
