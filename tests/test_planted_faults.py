"""The harness of planted faults. That all of them fit their sources is tested here; the builds are slow tests."""

from pathlib import Path

import pytest

import test_colour_term
import test_cuda_arrangements_faults
import test_cuda_codes
import test_cuda_colour
import test_cuda_host
import test_cuda_resample
import test_cuda_tiles
from cuda_host.device import BuildError, HostDevice, compiler
from mlsolve_kernels.cuda.source import KERNELS, source
from planted_faults import PACKAGE, Fault, FaultError, assert_noticed

ALL = [
    *test_cuda_host.FAULTS,
    *test_cuda_host.OUT_OF_RANGE,
    *test_cuda_tiles.FAULTS,
    *test_cuda_arrangements_faults.FAULTS,
    *test_cuda_arrangements_faults.OUT_OF_RANGE,
    *test_cuda_codes.FAULTS,
    *test_cuda_codes.OUT_OF_RANGE,
    *test_cuda_colour.FAULTS,
    *test_cuda_resample.FAULTS,
    *test_colour_term.FAULTS,
]
TERMS = Fault("turn", "terms", "*turn += 1;", "*turn += 0;")


def test_all_faults_fit_their_sources():
    assert len(ALL) > 100
    for fault in ALL:
        cuda = fault.where in KERNELS
        text = source(fault.where, 2) if cuda else (PACKAGE / fault.where).read_text(encoding="utf-8")
        assert fault.planted(text) != text


@pytest.mark.parametrize(
    ("text", "replacement"), [("*turn += 2;", ""), ("turn", "torn"), ("*turn += 1;", "*turn += 1;")]
)
def test_a_fault_that_does_not_fit_is_an_error_and_not_noticed(text, replacement):
    fault = Fault("wrong", "terms", text, replacement)
    with pytest.raises(FaultError, match="'wrong'"):
        assert_noticed(fault, lambda edits: edits["terms"](source("terms", 2)))


def test_whoever_notices_nothing_fails():
    def notices(edits):
        raise AssertionError(edits)

    assert_noticed(TERMS, notices)
    with pytest.raises(pytest.fail.Exception, match="nobody notices 'turn' in terms"):
        assert_noticed(TERMS, lambda edits: None)


@pytest.mark.skipif(compiler() is None, reason="needs g++ to run CUDA kernels on the host: install g++")
def test_a_fault_that_does_not_compile_is_an_error_and_not_noticed(tmp_path: Path):
    fault = TERMS._replace(replacement="*torn += 1;")
    with pytest.raises(BuildError, match="torn"):
        assert_noticed(fault, lambda edits: HostDevice(tmp_path, edits=edits).launch("terms", 2, (1,), 32))
