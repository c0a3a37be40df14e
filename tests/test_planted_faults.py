"""The harness of planted faults. That all of them fit their sources is tested here; the builds are slow tests."""

from pathlib import Path

import pytest

import test_colour_term
import test_cuda_arrangements_faults
import test_cuda_codes
import test_cuda_colour
import test_cuda_inks
import test_cuda_march_faults
import test_cuda_march_memory
import test_cuda_resample
import test_cuda_tiles
from cuda_host.device import BuildError, HostDevice, needs_compiler
from mlsolve_kernels.cuda.source import KERNELS, source
from planted_faults import PACKAGE, Fault, FaultError, assert_noticed

ALL = [
    *test_cuda_march_faults.FAULTS,
    *test_cuda_march_memory.FAULTS,
    *test_cuda_march_memory.OUT_OF_RANGE,
    *test_cuda_tiles.FAULTS,
    *test_cuda_arrangements_faults.FAULTS,
    *test_cuda_arrangements_faults.OUT_OF_RANGE,
    *test_cuda_codes.FAULTS,
    *test_cuda_codes.OUT_OF_RANGE,
    *test_cuda_colour.FAULTS,
    *test_cuda_inks.FAULTS,
    *test_cuda_inks.OUT_OF_RANGE,
    *test_cuda_resample.FAULTS,
    *test_colour_term.FAULTS,
]
CODES = Fault("cells", "codes", "value * cells", "value / cells")


def test_all_faults_fit_their_sources():
    assert len(ALL) > 100
    for fault in ALL:
        cuda = fault.where in KERNELS
        text = source(fault.where, 2) if cuda else (PACKAGE / fault.where).read_text(encoding="utf-8")
        assert fault.planted(text) != text


@pytest.mark.parametrize(
    ("text", "replacement"), [("value + cells", ""), ("cells", "cell"), ("value * cells", "value * cells")]
)
def test_a_fault_that_does_not_fit_is_an_error_and_not_noticed(text, replacement):
    fault = Fault("wrong", "codes", text, replacement)
    with pytest.raises(FaultError, match="'wrong'"):
        assert_noticed(fault, lambda edits: edits["codes"](source("codes", 2)))


def test_whoever_notices_nothing_fails():
    def notices(edits):
        raise AssertionError(edits)

    assert_noticed(CODES, notices)
    with pytest.raises(pytest.fail.Exception, match="nobody notices 'cells' in codes"):
        assert_noticed(CODES, lambda edits: None)


@needs_compiler
def test_a_fault_that_does_not_compile_is_an_error_and_not_noticed(tmp_path: Path):
    fault = CODES._replace(replacement="value * shells")
    with pytest.raises(BuildError, match="shells"):
        assert_noticed(fault, lambda edits: HostDevice(tmp_path, edits=edits).launch("codes", 2, (1,), 32))
