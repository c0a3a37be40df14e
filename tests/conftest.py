"""What the tests share. No test needs a picture from outside: all are drawn from seeds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mlsolve_cli.main import main

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def no_gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the GPU from all tests but those that are marked for it: they mean the same on every machine."""
    if request.node.get_closest_marker("gpu") is None:
        from mlsolve_kernels.cuda import device

        monkeypatch.setattr(device, "driver_is_here", lambda: False)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where CUDA kernels are compiled for the host (cuda_host/device.py), once for all tests of a process."""
    return tmp_path_factory.mktemp("cuda_host")


@pytest.fixture
def nvrtc() -> None:
    """NVRTC and its bindings, without which kernels cannot be compiled for a GPU."""
    pytest.importorskip("cuda.bindings", reason="needs CUDA's packages: pip install 'mlsolve[cuda13]'")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261123)


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    """A smooth colour picture with edges: something SSIM has structure to compare."""

    def make(height: int, width: int, seed: int = 0, planes: int = 3) -> np.ndarray:
        rng = np.random.default_rng(seed)
        coarse = rng.random((max(2, height // 12), max(2, width // 12), planes)).astype(np.float32)
        smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, planes)
        y, x = np.mgrid[0:height, 0:width]
        stripes = 0.15 * np.sign(np.sin((x * (seed + 2) + y * 3) / 9.0))[..., np.newaxis]
        return np.clip(0.15 + 0.7 * smooth + stripes, 0, 1).astype(np.float32)

    return make


@pytest.fixture
def save(tmp_path: Path) -> Callable[[str, np.ndarray], Path]:
    """Write an RGB picture, float in [0, 1] or integer, into the test's folder through OpenCV."""

    def write(name: str, image: np.ndarray) -> Path:
        if np.issubdtype(image.dtype, np.floating):
            image = np.rint(image * 255).astype(np.uint8)
        if image.ndim == 3 and image.shape[2] >= 3:
            image = image[..., [2, 1, 0, 3][: image.shape[2]]]
        path = tmp_path / name
        assert cv2.imwrite(str(path), image)
        return path

    return write


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The Chromium of the system, without a window; `MLSOLVE_CHROMIUM` names another one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which the extra dev brings")
    program = os.environ.get("MLSOLVE_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    # Without these switches there is no WebGL where there is no GPU; SwiftShader draws on the processor.
    switches = ["--enable-unsafe-swiftshader", "--use-gl=angle", "--use-angle=swiftshader", "--no-sandbox"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=switches)
        yield browser
        browser.close()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Drop what g++ built that no test has asked for in a week; once, and not by every worker."""
    if not hasattr(session.config, "workerinput"):
        from cuda_host.device import forget_old_builds

        forget_old_builds()


_MAY_NOT_SKIP = {
    "test_cuda_": "MLSOLVE_CUDA_TESTS_RUN",
    "test_renderers": "MLSOLVE_RENDERER_TESTS_RUN",
    "test_browser_": "MLSOLVE_BROWSER_TESTS_RUN",
}
"""Tests that need what not every machine has, and the variables that say that this one has it, as in CI."""

_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and any(
        tests in report.nodeid and os.environ.get(variable) for tests, variable in _MAY_NOT_SKIP.items()
    ):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where such a variable is set, one of its tests that is skipped is a test that failed."""
    if _skipped:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name in _skipped:
        terminalreporter.write_line(f"skipped, where it may not be: {name}")


class Run:
    """What a command did."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def refusal(self) -> str:
        """The one line of a refusal; fails if it was none, or more than one line."""
        assert self.status == 2, (self.status, self.out, self.err)
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if not line.startswith("compiling")]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("mlsolve: error: ")
        return lines[0].removeprefix("mlsolve: error: ")


@pytest.fixture
def mlsolve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Run]:
    """Run the command line in the test's folder, in this process, and return what it did."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Run:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = stop.value.code
        return Run(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in `folder`: files with their bytes, folders as None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def environment() -> dict[str, str]:
    """The environment for a command in a process of its own."""
    no_gpu = {"CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **no_gpu, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def on_a_terminal(command: list[str], folder: Path) -> tuple[int, str, str]:
    """Run `command` in `folder` standard error on a terminal; return status, output, display."""
    pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals: run it on Linux or macOS")
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal can be had here ({error}): run it where there is one")
    settings = {**environment(), "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(command, cwd=folder, env=settings, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out.decode(), shown.decode(errors="replace")
