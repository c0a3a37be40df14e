"""What an installed mlsolve holds: all of it that runs, and of the benches only what `mlsolve bench` needs."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

from conftest import ROOT, environment
from test_house import modules

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_the_packages_of_the_wheel():
    assert [package.split("/")[-1] for package in PACKAGES] == [
        *("mlsolve", "mlsolve_studio", "mlsolve_kernels", "mlsolve_cli", "mlsolve_bench")
    ]
    assert all((ROOT / package / "__init__.py").exists() for package in PACKAGES)


def test_of_the_benches_the_wheel_holds_what_the_command_imports():
    found = modules("mlsolve_bench")
    needed, waiting = {("__init__",)}, [("report",)]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += found[name]
    assert ("torch_baselines",) in needed
    assert needed == set(found)


def test_the_wheel(tmp_path):
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling: install the extra dev")
    (path,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        sizes = {one.filename: one.file_size for one in archive.infolist()}
    expected = {
        f"{package.split('/')[-1]}/{file.relative_to(ROOT / package).as_posix()}"
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == expected
    assert {name.split("/")[0] for name in names} == {package.split("/")[-1] for package in PACKAGES}
    assert "mlsolve/py.typed" in names
    # Pictures to begin with, where there is no clone, and where they are from.
    examples = {
        name.split("/")[-1]: sizes[name] for name in names if name.startswith("mlsolve_studio/studio/examples/")
    }
    assert (
        {"cat.jpg", "woman.jpg", "README.md"}
        <= set(examples)
        <= {path.name for path in (ROOT / "examples").iterdir()}
    )
    assert sum(examples.values()) < 300_000


SMALL = (
    "import sys\n"
    "sys.modules['mlsolve_records'] = None\n"  # whoever asks for it gets an ImportError
    "import mlsolve_bench, mlsolve_cli.bench\n"
    "from mlsolve_bench import report\n"
    "from mlsolve_cli.main import main\n"
    "assert mlsolve_bench.__file__.startswith(sys.argv[1])\n"
    "report.SIDES = (12, 24)\n"
    "mlsolve_cli.bench.find_spec = lambda name: None\n"
    "main(['bench'])\n"
)


def test_bench_works_without_the_other_benches(tmp_path):
    shutil.copytree(ROOT / "bench" / "mlsolve_bench", tmp_path / "mlsolve_bench")
    places = [tmp_path, *(ROOT / package.split("/")[0] for package in PACKAGES if "bench" not in package)]
    done = subprocess.run(
        [sys.executable, "-c", SMALL, str(tmp_path)],
        env={**environment(), "PYTHONPATH": os.pathsep.join(map(str, places))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "24×24" in done.stdout
