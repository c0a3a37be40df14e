"""What is loaded and compiled before a run begins is all that it takes: later it would count as memory it takes."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from conftest import environment

_RUN = """
import json, sys
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from mlsolve.job.job_file import load_job
from mlsolve.system.memory import parse_memory
from mlsolve.solving.callbacks import Callbacks
from mlsolve.run.budget import Budget
from mlsolve.run.lifecycle import begin
from mlsolve.run import precompile as precompiling
from mlsolve.run.precompile import precompile
from mlsolve_kernels.compiled import load_remembered

class Listener(Callbacks):
    def stage(self, name, share): pass
    def balanced(self, balance, names): pass
    def begin(self, problem, cost): pass
    def waits_for_workers(self, ready, present): pass

def compiled():
    modules = [module for name, module in sys.modules.items() if name.startswith("mlsolve_kernels")]
    kernels = {(k.py_func.__module__, k.py_func.__name__): k for module in modules for k in vars(module).values()
               if isinstance(k, Dispatcher)}
    return {f"{module}.{name}{signature}" for (module, name), k in kernels.items() for signature in k.signatures}

by_name = []
def remembered(name):
    by_name.append(sys.argv[3] == "by name" and load_remembered(name))
    return by_name[-1]

precompiling.load_remembered = remembered
job = load_job(Path("job.toml"))
precompile(job if sys.argv[1] == "of the job" else None)
before = compiled()
begin(job, Path(sys.argv[2]), Budget(parse_memory("60MiB"), threads=2), Listener())
print(json.dumps({"missing": sorted(compiled() - before), "by name": by_name}))
"""

PLAIN = """
target = "one.png"
guides = ["two.png", "grey.png", "mosaic:1"]
"""

INKED = """
target = "one.png"
guides = ["two.png", "grey.png", "mosaic:1"]
media = "inkjet-film"
room = 2.0
bits = 16
"""

TURNED = """
guides = ["grey.png", "mosaic:1"]
[[arrangement]]
target = "one.png"
[[arrangement]]
target = "two.png"
place = [{layer = 1, rotate = 90}, {layer = 2, shift = [1.5, 3]}]
"""

EVERYTHING = """
format = "tiff"
bits = 16
shape = "disc"
hide_weight = 1.0
registration = 3
guides = ["grey.png", "mosaic:1"]
[[arrangement]]
target = "one.png"
mask = "grey.png"
[[arrangement]]
target = "two.png"
exposure = 0.3
place = [{layer = 1, rotate = 7}]
"""

SEEN = """
target = "one.png"
guides = ["two.png", "grey.png", "mosaic:1"]
gap = 12
viewer = 4000
view = 12
hide_weight = 0.5
"""

MASKED = """
target = "one.png"
mask = "grey.png"
registration_turn = 0.2
guides = ["grey.png", "mosaic:1"]
"""


@pytest.fixture
def missing(tmp_path, save, picture):
    """A function that carries a job out in a process of its own; it returns what was compiled on the way."""
    for seed, (name, planes) in enumerate((("one", 3), ("two", 3), ("grey", 1))):
        save(f"{name}.png", picture(290, 290, seed, planes))

    def run(text, warm="of the job", how="a run"):
        (tmp_path / "job.toml").write_text('backend = "cpu"\niterations = 2\nlevels = 3\n' + text)
        command = [sys.executable, "-c", _RUN, warm, str(Path(tempfile.mkdtemp(dir=tmp_path)) / warm), how]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        by_name.extend(found["by name"])
        return found["missing"]

    by_name = []
    run.by_name = by_name
    return run


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLAIN, id="plain"),
        *(
            pytest.param(text, id=name, marks=pytest.mark.slow)
            for name, text in (
                ("turned", TURNED),
                ("everything", EVERYTHING),
                ("masked", MASKED),
                ("seen", SEEN),
                ("inked", INKED),
            )
        ),
    ],
)
def test_nothing_is_compiled_on_the_way(missing, text):
    """Nor loaded: not after a run of a few pixels, nor after its kernels were loaded by their names."""
    for how in ("a run", "a run", "by name"):  # the first may compile, so the second writes down the names
        assert missing(text, how=how) == []
    assert missing.by_name == ([False, False, True] if text == PLAIN else [])


@pytest.mark.slow
def test_what_would_be_missing_is_noticed(missing):
    found = "\n".join(missing(TURNED, "of any job"))
    for kernel in ("placement.cpu.carry", "terms.stack_ssim.cpu.stack_pass", "terms.guide_ssim.cpu.guide_pass"):
        assert kernel in found
