"""Whole runs timed by stage, and their figures on the pages."""

import json
from itertools import count, pairwise
from types import SimpleNamespace

import pytest

from conftest import ROOT
from mlsolve.errors import OptionError
from mlsolve_records import machine, pages, whole_runs, whole_runs_page
from mlsolve_records.whole_runs import BEFORE, STAGES, THIS, Failed

MACHINE = {"cpu": "Some Chip 3000", "cores": 2, "python": "3.11.7", "numba": "0.68.1"}

EVENTS = """
import json, sys
print(json.dumps({"event": "balance"}), file=sys.stderr)
for stage in ("pictures", "pictures", "solving", "solving", "solving", "writing", "scoring"):
    print(json.dumps({"event": "progress", "stage": stage}), file=sys.stderr)
"""
"""A run with one line of the exposures, two of its pictures, three of its solve and one of each other stage."""


@pytest.fixture
def checkout(tmp_path):
    """Make a checkout whose command line is the given text."""

    def make(text):
        package = tmp_path / "other" / "cli" / "mlsolve_cli"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(text)
        return tmp_path / "other"

    return make


def seconds(whole, solving):
    """A turn in which the stages beside the solve take a tenth of the rest each, and the end takes what is left."""
    rest = whole - solving
    found = dict.fromkeys(STAGES.values(), rest / 10) | {"solving": solving}
    return found | {"whole": whole, "processor": 2 * whole, "end": whole - sum(found.values())}


def case(turns, **more):
    """A recorded case."""
    commits = {which: f"{which}1234" for which in turns}
    return {"date": "2026-11-28", "commits": commits, "threads": 2, "turns": turns, **more}


def test_a_stage_ends_with_its_last_line(checkout, monkeypatch):
    clock = count()
    monkeypatch.setattr(whole_runs, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    found = whole_runs.timed(checkout(EVENTS), "run", "--json")
    assert found.pop("processor") > 0
    stages = {"start, pictures": 3, "solving": 3, "writing": 1, "scoring": 1, "end": 1}
    assert found == {**stages, "whole": sum(stages.values())}


def test_without_progress_the_whole_is_timed(checkout):
    assert set(whole_runs.timed(checkout("pass"), "verify", "folder")) == {"whole", "processor"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys; sys.exit('mlsolve: error: no such picture')", "mlsolve: error: no such picture"),
        ("import sys; sys.exit(3)", "it said nothing"),
        ("import sys; print('compiling the kernels', file=sys.stderr)", "compiled kernels and cannot be timed"),
        ("pass", "silent about its stages: pictures, solving, writing, scoring"),
    ],
)
def test_what_cannot_be_timed_is_refused(checkout, text, words):
    with pytest.raises(Failed, match=words):
        whole_runs.timed(checkout(text), "run", "--json")


@pytest.fixture
def runs(monkeypatch):
    """Replace runs by a list of their checkouts and arguments; the first run of every checkout compiles."""
    done = []

    def turn(checkout, arguments, verify):
        done.append((checkout.name, arguments, verify))
        if [one[0] for one in done].count(checkout.name) == 1:
            raise Failed("compiled kernels")
        return seconds(3.0, 2.0)

    monkeypatch.setattr(whole_runs, "turn", turn)
    monkeypatch.setattr(machine, "describe", lambda: {**MACHINE, "date": "2026-11-28"})
    monkeypatch.setattr(machine, "load", lambda: 0.1)
    return done


def test_versions_take_turns(checkout, runs, tmp_path, capsys):
    other = checkout(EVENTS)
    whole_runs.main(["--against", str(other), "--cases", "600", "--turns", "4", "--results", str(tmp_path)])
    path = tmp_path / "whole-runs-some-chip-3000-2-cores.json"
    assert f"written: {path}" in capsys.readouterr().out
    sizes = [arguments[-1] for _, arguments, _ in runs]
    assert sizes[:4] == ["96"] * 4  # the runs that compile
    assert "96" not in sizes[4:]
    order = [name for name, _, _ in runs[4:]]
    assert sorted(order) == sorted(["other", ROOT.name] * 4)
    assert order == [
        name for first, last in [("other", ROOT.name), (ROOT.name, "other")] * 2 for name in (first, last)
    ]
    found = json.loads(path.read_text(encoding="utf-8"))["cases"]["600"]
    assert found["turns"] == {THIS: [seconds(3.0, 2.0)] * 4, BEFORE: [seconds(3.0, 2.0)] * 4}
    assert set(found["commits"]) == {THIS, BEFORE}
    assert found["arguments"].endswith("--size 600")


def test_a_case_that_is_timed_anew_leaves_the_others(runs, tmp_path):
    for name in ("7087", "600", "7087"):
        whole_runs.main(["--cases", name, "--turns", "1", "--results", str(tmp_path)])
    (path,) = tmp_path.glob("*.json")
    assert list(json.loads(path.read_text(encoding="utf-8"))["cases"]) == ["600", "7087"]


def test_the_large_case_must_be_named(runs, tmp_path):
    whole_runs.main(["--quick", "--results", str(tmp_path)])
    (path,) = tmp_path.glob("*-quick.json")
    assert list(json.loads(path.read_text(encoding="utf-8"))["cases"]) == ["600", "2362", "7087", "tiles"]
    assert {verify for _, arguments, verify in runs if "4" in arguments} == {True}
    assert all(arguments[-1] in ("96", "64MiB") for _, arguments, _ in runs)


def test_only_another_checkout_is_compared(tmp_path, capsys):
    for folder in (ROOT, tmp_path):
        with pytest.raises(OptionError, match="give the folder of another checkout"):
            whole_runs.record(tmp_path, ["600"], folder, 2, 1, quick=True)
    with pytest.raises(SystemExit) as stop:
        whole_runs.main(["--against", str(tmp_path)])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_a_run_of_this_checkout_is_timed(tmp_path):
    whole_runs.main(["--quick", "--cases", "2362", "--results", str(tmp_path)])
    (path,) = tmp_path.glob("*-quick.json")
    (found,) = json.loads(path.read_text(encoding="utf-8"))["cases"]["2362"]["turns"][THIS]
    assert set(found) == {*STAGES.values(), "end", "whole", "processor", "verify"}
    assert min(found.values()) > 0


SLOWER = [seconds(6.0, 2.0), seconds(8.0, 2.5), seconds(40.0, 3.0)]
FASTER = [seconds(4.0, 2.0), seconds(30.0, 2.0), seconds(3.5, 2.1)]
RESULTS = {
    "machine": MACHINE,
    "cases": {
        "600": case({THIS: FASTER, BEFORE: SLOWER}),
        "7087": case({THIS: [seconds(70.0, 50.0) | {"verify": 1.5}]}),
    },
}


def test_the_table_of_whole_runs():
    text = whole_runs_page.machine_table(RESULTS)
    heading, _, said, _, *lines = text.splitlines()
    assert heading == (
        "**Some Chip 3000, 2 cores**; Python 3.11.7, numba 0.68.1; 2 threads; 2026-11-28; commit this1234, the "
        "version before: commit before1234."
    )
    assert said == "The version before / this one, and how many times faster this one is; medians of 3, 1 turns:"
    assert lines[0] == "|  | 600×600 | 7087×7087 |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {head}" for head in whole_runs_page.LINES.values()]
    for line in (
        "| solving | 2.5 s / 2 s = 1.2× | 50 s |",
        "| the whole run | 8 s / 4 s = 2.0× | 70 s |",
        "| all but solving | 5.5 s / 2 s = 2.8× | 20 s |",
        "| `mlsolve verify` of it | – | 1.5 s |",
    ):
        assert line in lines
    alone = {**RESULTS, "cases": {"7087": RESULTS["cases"]["7087"]}}
    assert "before" not in whole_runs_page.machine_table(alone)


def test_what_the_readme_says_of_whole_runs():
    said = "A whole run from files to files takes 4 s at 600×600, of which the solve takes 2 s"
    assert whole_runs_page.claim(RESULTS) == f"{said}, and takes 20 s without the solve at 7087×7087"
    alone = {**RESULTS, "cases": {"600": RESULTS["cases"]["600"]}}
    assert whole_runs_page.claim(alone) == said


def test_whole_runs_come_from_their_files(tmp_path):
    assert whole_runs_page.whole_run_figures(tmp_path) == whole_runs_page.NOTHING
    (tmp_path / "whole-runs-a-quick.json").write_text(json.dumps(RESULTS))
    assert whole_runs_page.whole_run_figures(tmp_path) == whole_runs_page.NOTHING
    for name in ("a", "b"):
        (tmp_path / f"whole-runs-{name}.json").write_text(json.dumps(RESULTS))
    assert whole_runs_page.whole_run_figures(tmp_path).count("**Some Chip 3000") == 2
    assert pages.figures(tmp_path) == pages.NOTHING


def test_the_readme_claims_what_is_recorded(monkeypatch, tmp_path):
    """If the first line fails, `python -m mlsolve_records.pages` prints what README.md must say."""
    assert pages.missing_claim((ROOT / "README.md").read_text(encoding="utf-8")) == ""
    monkeypatch.setattr(whole_runs_page, "README_RESULTS", tmp_path / "whole-runs-a.json")
    assert pages.missing_claim("nothing") == ""
    (tmp_path / "whole-runs-a.json").write_text(json.dumps(RESULTS))
    claim = whole_runs_page.claim(RESULTS)
    assert pages.missing_claim("nothing") == claim
    broken = claim.replace(" at ", "\n  at ")
    assert pages.missing_claim(f"before {broken}: after") == ""


def test_cases_only_grow():
    """The sizes of the table stand from the smallest to the largest, in the order in which they are timed."""
    sides = [
        int(one.arguments[one.arguments.index("--size") + 1].split("x")[0]) for one in whole_runs.CASES.values()
    ]
    assert all(first <= last for first, last in pairwise(sides))
    assert set(whole_runs_page.SAID) == set(whole_runs.CASES)
