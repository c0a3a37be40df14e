"""The house rules that a machine can check."""

import ast
import re
import subprocess
import sys

import pytest

from conftest import ROOT, environment
from mlsolve_kernels.cuda import source as cuda_source
from mlsolve_kernels.light import LIGHTS, declared
from mlsolve_kernels.terms import BY_NAME, TERMS
from mlsolve_kernels.window import REACH

PACKAGES = {
    "mlsolve_kernels": ROOT / "kernels" / "mlsolve_kernels",
    "mlsolve": ROOT / "src" / "mlsolve",
    "mlsolve_studio": ROOT / "src" / "mlsolve_studio",
    "mlsolve_bench": ROOT / "bench" / "mlsolve_bench",
    "mlsolve_records": ROOT / "bench" / "mlsolve_records",
    "mlsolve_cli": ROOT / "cli" / "mlsolve_cli",
    "laboratory": ROOT / "bench" / "laboratory",
}
MAY_IMPORT = {
    "mlsolve_kernels": set(),
    "mlsolve": {"mlsolve_kernels"},
    "mlsolve_studio": {"mlsolve", "mlsolve_kernels"},
    "mlsolve_bench": {"mlsolve", "mlsolve_kernels"},
    "mlsolve_records": {"mlsolve_bench", "mlsolve", "mlsolve_kernels"},
    "mlsolve_cli": {"mlsolve_studio", "mlsolve_bench", "mlsolve", "mlsolve_kernels"},
    "laboratory": set(),
}
"""One way: cli → studio and bench → src → kernels, and records → bench, which the wheel does without.

The laboratory judges profiles, so it must know nothing of what it judges."""

ONLY_IN = {
    "typer": {"mlsolve_cli"},
    "rich": {"mlsolve_cli"},
    "PIL": {"mlsolve"},
    "cv2": {"mlsolve", "laboratory"},
    "av": {"mlsolve"},
    "pyvips": {"mlsolve"},
    "psutil": {"mlsolve"},
    "pikepdf": {"mlsolve"},
    "dask": {"mlsolve"},
    "distributed": {"mlsolve"},
    "starlette": {"mlsolve_studio"},
    "uvicorn": {"mlsolve_studio"},
    "tifffile": set(),
    "numba": {"mlsolve_kernels", "mlsolve_records"},
    "torch": {"mlsolve_bench", "mlsolve_records"},
    "cupy": {"mlsolve_kernels", "mlsolve_records"},
    "cuda": {"mlsolve_kernels"},
}
"""Which packages may import what."""


def imports(path):
    """The top-level names that a file imports, at its head or anywhere in it; its own package left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package):
    sources = list(PACKAGES[package].rglob("*.py"))
    assert sources
    for source in sources:
        for name in imports(source):
            if name in PACKAGES:
                assert name in MAY_IMPORT[package], f"{source} imports {name}"
            if name in ONLY_IN:
                assert package in ONLY_IN[name], f"{source} imports {name}"


FLOORS = (
    {"errors", "ranges", "version"},
    {"system", "guides"},
    {"pictures"},
    {"media"},
    {"job"},
    {"solving"},
    {"scoring", "cluster"},
    {"report", "calibration"},
    {"run", "film", "suggesting", "sheets"},
    {"__init__"},
)
"""The rooms of src/mlsolve from the ground up: a room imports only from the floors below its own."""


def modules(package):
    """Every module of a package and the modules of that package it imports, wherever in the file: name → names."""
    root = PACKAGES[package]
    named = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        named[parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts] = path
    found = {}
    for name, path in named.items():
        inside = name if path.name == "__init__.py" and name != ("__init__",) else name[:-1]
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            where = tuple((node.module or "").split(".")) if node.module else ()
            if node.level:
                where = inside[: len(inside) - node.level + 1] + where
            elif where[:1] == (package,):
                where = where[1:]
            else:
                continue
            for alias in node.names:
                target = next((one for one in ((*where, alias.name), where) if one in named), None)
                if target is not None and target != name:
                    found[name].add(target)
    return found


def test_rooms_import_from_the_floors_below():
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    found = modules("mlsolve")
    assert {name[0] for name in found} == set(floor_of)
    for name, imported in found.items():
        for other in imported:
            if other[0] != name[0] and (name[0], other) != ("ranges", ("errors",)):
                assert floor_of[other[0]] < floor_of[name[0]], f"{'.'.join(name)} imports {'.'.join(other)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_itself_through_others(package):
    found = modules(package)
    waiting = {name: set(imported) for name, imported in found.items()}
    while ready := [name for name, imported in waiting.items() if not imported]:
        for name in ready:
            del waiting[name]
        for imported in waiting.values():
            imported.difference_update(ready)
    assert not waiting, "a circle among " + ", ".join(".".join(name) for name in waiting)


def test_every_room_says_what_it_knows():
    """Its __init__.py opens with what it knows, what it must not know, and who calls it."""
    for path in PACKAGES["mlsolve"].rglob("__init__.py"):
        if path.parent != PACKAGES["mlsolve"]:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            assert "Knows" in text, path
            assert "Called by" in text or "Called through" in text or "may call it" in text, path


def test_references_import_nothing_fast():
    for source in PACKAGES["mlsolve_kernels"].rglob("reference.py"):
        text = source.read_text(encoding="utf-8")
        assert not re.search(r"import.*(numba|\bcpu\b|\bcuda\b|compiled|layout|partials|adam_step)", text), source


OUTSIDE_THE_ITERATION = {"drawing", "noise", "scoring"}
"""Operations that a level starts from, and those that score layers: done on the CPU while files are read or
written, a region at a time, so they have no CUDA twin; nothing is differentiated by what goes in, so they have no
gradient."""

ROOMS = {"cuda", "iteration", "light", "terms"}
"""What is no operation: what CUDA kernels share, what puts operations together, the folders of lights and terms."""


def folders_in(folder):
    """The packages in a folder."""
    return [child for child in sorted(folder.iterdir()) if (child / "__init__.py").exists()]


def text_of_tests():
    """The text of all tests, to look for imports in."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("*.py")))


def is_imported(name, part, tests):
    """Tell whether a test imports module `part` of the folder with this dotted name."""
    return re.search(rf"{name}\.{part} import|{name} import [^\n]*\b{part}\b", tests) is not None


def test_every_operation_has_its_companions():
    """A folder of kernels has a reference, a CPU twin and a CUDA twin, and the tests import the first two.

    What is no part of an iteration has no CUDA twin, and a bench of its own.
    """
    tests = text_of_tests()
    benches = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "bench").glob("test_*.py"))
    operations = [folder for folder in folders_in(PACKAGES["mlsolve_kernels"]) if folder.name not in ROOMS]
    assert {folder.name for folder in operations} >= {"blur", "ssim", "placement", "adam"}
    without = set()
    for folder in operations:
        for part in ("reference", "cpu"):
            assert (folder / f"{part}.py").exists(), folder
            assert is_imported(folder.name, part, tests), f"no test imports {folder.name}.{part}"
        if not [*folder.glob("*.cu"), *folder.glob("*.cuh"), *folder.glob("cuda.py")]:
            without.add(folder.name)
    assert without == OUTSIDE_THE_ITERATION
    for name in OUTSIDE_THE_ITERATION:
        assert re.search(rf"{name}\.cpu import", benches), f"no bench imports {name}.cpu"


def missing_of_term(folder, tests):
    """What the folder of a term lacks."""
    name = folder.name
    files = ["term.py", "reference.py", "cpu.py"]
    if BY_NAME[name].own_pass:
        files.append(f"{name}_pass.cu")
    missing = [file for file in files if not (folder / file).exists()]
    missing += [] if list(folder.glob("*.cuh")) else ["a CUDA header"]
    parts = [part for part in ("reference", "cpu") if not is_imported(f"terms.{name}", part, tests)]
    return missing + [f"a test that imports {part}" for part in parts]


def test_every_term_has_its_companions():
    """A term's folder has its declaration, float64 reference, CPU rows and CUDA header, and tests import them."""
    folders = folders_in(PACKAGES["mlsolve_kernels"] / "terms")
    assert {folder.name for folder in folders} == set(BY_NAME)
    for folder in folders:
        assert not missing_of_term(folder, text_of_tests()), folder
    assert missing_of_term(folders[0], "") == ["a test that imports reference", "a test that imports cpu"]


def test_every_term_can_be_weighed():
    """By an option of its name, with a weight of 0 unless it is always measured."""
    from mlsolve import Options

    for term in TERMS:
        weight = getattr(Options(), term.weight_option)
        assert term.always or weight == 0, term.name
        assert term.reach <= REACH, term.name


def test_every_light_has_its_companions():
    tests = text_of_tests()
    # `ink` is no light of its own: what it makes of device codes goes through one (docs/maths.md §12).
    folders = [one for one in folders_in(PACKAGES["mlsolve_kernels"] / "light") if one.name != "ink"]
    assert [folder.name for folder in folders] == sorted(light.name for light in LIGHTS)
    for folder in folders:
        for file in ("light.py", "reference.py", "cpu.py", "pictures.py", "light.cuh"):
            assert (folder / file).exists(), (folder, file)
        if declared(folder.name).couples_planes:
            assert {path.name for path in folder.glob("*.cu")} == {"chain.cu", "compose.cu"}
        assert is_imported(f"light.{folder.name}", "reference", tests)


def test_cuda_sources_are_all_used():
    """Every .cu is a kernel that is compiled, and every header is part of one."""
    package = PACKAGES["mlsolve_kernels"]
    sources = {path.relative_to(package).as_posix() for path in package.rglob("*.cu")}
    assert sources == set(cuda_source.KERNELS.values())
    headers = {path.relative_to(package).as_posix() for path in package.rglob("*.cuh")}
    included = re.findall(
        r'^#line 1 "(.*\.cuh)"$', "".join(cuda_source.source(name, 1) for name in cuda_source.KERNELS), re.M
    )
    assert headers == set(included)


def test_torch_is_loaded_only_when_it_is_wanted():
    """At their head only the modules named torch_… import torch, and none imports those at its head."""
    for source in (*PACKAGES["mlsolve_bench"].rglob("*.py"), *PACKAGES["mlsolve_records"].rglob("*.py")):
        if source.name.startswith("torch_"):
            continue
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "torch" not in ast.unparse(node), source


def test_no_file_is_too_long():
    for package in PACKAGES.values():
        for source in package.rglob("*.py"):
            assert len(source.read_text(encoding="utf-8").splitlines()) <= 400, source


def test_importing_and_help_load_nothing_heavy():
    script = (
        "import sys, mlsolve, mlsolve_cli.main;"
        "heavy = ('numpy', 'numba', 'cv2', 'av', 'PIL', 'pyvips', 'psutil', 'rich', 'typer', 'pydantic');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_of_photos_loads_only_what_it_uses(save, picture, tmp_path):
    """Whatever asks for nothing special is read without Typer, nothing is drawn, nothing is shown on a terminal."""
    for name, seed in (("t", 0), ("g", 1)):
        save(f"{name}.png", picture(40, 40, seed))
    script = (
        "import sys, mlsolve_cli.main as cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "unused = ('typer', 'pydantic', 'rich', 'cv2', 'av', 'cupy', 'mlsolve_bench', 'mlsolve.film')\n"
        "print([m for m in unused if m in sys.modules])"
    )
    run = ("run", "t.png", "--guide", "g.png", "--iterations", "2", "--backend", "cpu", "--out", "o")
    for words in (run, ("verify", "o")):
        command = [sys.executable, "-c", script, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment())
        assert done.stdout.splitlines()[-1] == "[]"


def test_every_public_name_can_be_had():
    import mlsolve

    for name in mlsolve.__all__:
        assert getattr(mlsolve, name) is not None
        assert name == "__version__" or getattr(mlsolve, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'sole'"):
        mlsolve.sole  # noqa: B018
    assert 'version = "' + mlsolve.__version__ + '"' in (ROOT / "pyproject.toml").read_text()
