"""What the benches share."""

import pytest

from mlsolve_bench.opponents import iteration
from mlsolve_bench.problem import noise
from mlsolve_kernels.threads import available_cores


@pytest.fixture(scope="session")
def steps_at_600():
    """One iteration of an opponent at 600×600, all threads, prepared when it is first asked for."""
    made = {}

    def step(name):
        if name not in made:
            made[name] = iteration(name, noise(600), available_cores())
        return made[name]

    return step
