"""Figures on their way from a machine through bench/results into the pages."""

import json

import pytest

from conftest import ROOT
from mlsolve_records import gpu_page, machine, opponents, pages, record
from mlsolve_records.figures import duration
from mlsolve_records.opponents import COMPILED, DESCRIBED, LAUNCHES, OURS, STRONGEST

BARE_EPYC = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
stepping\t: 1
"""

RESULTS = {
    "machine": {
        "cpu": "Some Chip 3000",
        "cores": 2,
        "memory GB": 15.6,
        "python": "3.11.7",
        "numba": "0.68.1",
        "torch": "2.13.0",
        "date": "2026-11-23",
    },
    "ours": {"by threads": {"1": {"milliseconds": {"600": 15.44, "4096": 1234.5}}}},
    "opponents": {
        "threads": 2,
        "sizes": {
            "600": {
                "milliseconds": {STRONGEST: 26.04},
                "ours in the same turns": {STRONGEST: 8.0},
                "times ours": {STRONGEST: 3.255},
            }
        },
    },
    "memory": {"peak": {OURS: {"600": {"bytes": 2.34e8}}}},
    "quality": {
        "side": 600,
        "asked": {"target SSIM": 0.95, "mean guide SSIM": 0.7},
        "reached": {OURS: {"default levels": {"seconds": 0.4321}}, COMPILED: {"full size only": {"seconds": None}}},
    },
    "floor": {
        "by threads": {
            "2": {
                "rates": {"copy": 31.4e9, "update": 27.1e9, "fma": 104e9},
                "sizes": {"600": {"share of the floor": 0.634}},
            }
        }
    },
}


@pytest.mark.parametrize(
    ("info", "model", "name"),
    [
        (BARE_EPYC, "AMD EPYC (Zen 4)", "amd-epyc-zen-4-2-cores"),
        (BARE_EPYC.replace(": 17", ": 1"), "AMD EPYC (Zen 3)", "amd-epyc-zen-3-2-cores"),
        (
            BARE_EPYC.replace(": 25", ": 99"),
            "AMD EPYC (family 99, model 17)",
            "amd-epyc-family-99-model-17-2-cores",
        ),
        (
            "model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz\ncpu family\t: 6\n",
            "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
            "intel-xeon-platinum-8481c-2-cores",
        ),
        (
            "model name\t: AMD EPYC 9654 96-Core Processor\n",
            "AMD EPYC 9654 96-Core Processor",
            "amd-epyc-9654-2-cores",
        ),
    ],
)
def test_a_machine_has_a_name(info, model, name):
    assert machine.cpu_model(info) == model
    assert machine.slug(model, 2) == name


def test_a_cpu_that_says_nothing_has_a_name_too(monkeypatch):
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.setattr(machine.platform, "machine", lambda: "arm64")
    assert machine.slug(machine.cpu_model(""), 1) == "arm64-1-core"


def test_this_machine_can_be_described():
    described = json.loads(json.dumps(machine.describe()))
    assert described["cpu"]
    assert described["cores"] >= 1
    assert described["numba"]


def test_the_tables():
    text = pages.machine_figures(RESULTS)
    lines = text.splitlines()
    assert lines[0] == (
        "**Some Chip 3000, 2 cores, 16 GB**; Python 3.11.7, numba 0.68.1, torch 2.13.0; 2026-11-23."
    )
    assert lines[2:8] == [
        "An iteration of mlsolve by itself, three RGB layers:",
        "",
        "| pixels | 1 thread |",
        "| --- | --- |",
        "| 600×600 | 15.4 ms |",
        "| 4096×4096 | 1.23 s |",
    ]
    for line in (
        "| pixels | torch strongest |",
        "| 600×600 | 26 ms / 8 ms = 3.3× |",
        "| mlsolve | 0.23 GB |",
        "|  | default levels | full size only |",
        "| mlsolve | 432 ms | – |",
        "| torch compiled | – | not reached |",
        "| 2 threads | 31.4 GB/s | 27.1 GB/s | 104 billion/s |",
        "| 2 threads | 63% |",
    ):
        assert line in lines
    assert "layers, 2 threads:" in text
    assert "reaches SSIM 0.95 and the layers 0.70 on average, the cat at 600×600" in text
    assert all(len(line) < 130 for line in lines)


def test_sections_that_are_missing_are_left_out():
    text = pages.machine_figures({"machine": RESULTS["machine"], "ours": RESULTS["ours"]})
    assert text.count("\n| ") == 4
    assert "machine can do" not in text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(8.314, "8.31 ms"), (26.04, "26 ms"), (206.4, "206 ms"), (19040.0, "19 s"), (3912.0, "3.91 s")],
)
def test_times_have_three_figures(milliseconds, text):
    assert duration(milliseconds) == text


def test_figures_come_from_the_files(tmp_path):
    assert pages.figures(tmp_path) == pages.NOTHING
    (tmp_path / "some-quick.json").write_text(json.dumps(RESULTS))
    assert pages.figures(tmp_path) == pages.NOTHING
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(RESULTS))
    assert pages.figures(tmp_path).count("**Some Chip 3000") == 2


def test_figures_stand_between_the_marks():
    page = f"before\n{pages.BEGIN}\nold\n{pages.END}\nafter\n"
    after = pages.inserted(page, "new")
    assert after == f"before\n{pages.BEGIN}\n\nnew\n\n{pages.END}\nafter\n"
    assert pages.inserted(after, "new") == after
    both = f"{page}{pages.WHOLE_RUNS[0]}\n{pages.WHOLE_RUNS[1]}\n"
    assert pages.inserted(both, "new", pages.WHOLE_RUNS).startswith(page)
    with pytest.raises(ValueError, match=r"the page needs these two lines"):
        pages.inserted("no marks", "new")


def test_the_performance_page_says_what_the_results_say():
    """If this fails, run `python -m mlsolve_records.pages`: nobody writes figures by hand."""
    page = pages.PERFORMANCE_PAGE.read_text(encoding="utf-8")
    assert page == pages.performance_page(page)


def test_the_readme_claims_what_the_results_say():
    """Ratios to torch, from the least to the most of all sizes, on the machine that README names."""
    results = json.loads((record.RESULTS / "amd-epyc-zen-4-2-cores.json").read_text(encoding="utf-8"))
    claimed = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    least, most = pages.ratios(results, STRONGEST)
    assert f"takes {least:.1f} to {most:.1f} times as long as ours" in claimed
    least, most = pages.ratios(results, COMPILED)
    assert f"compiled torch with autograd {least:.0f} to {most:.0f} times" in claimed


def test_the_gpu_page_says_what_the_results_say():
    page = pages.GPU_PAGE.read_text(encoding="utf-8")
    assert page == pages.gpu_page_of(page)


def test_the_readme_says_what_was_measured_on_a_gpu():
    results = json.loads((record.RESULTS / "nvidia-h200.json").read_text(encoding="utf-8"))
    sizes = results["iterations"]["sizes"]
    said = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    taken = {side: duration(entry["milliseconds"][OURS]) for side, entry in sizes.items()}
    times = [
        min(ratio for name, ratio in sizes[side]["times ours"].items() if name.startswith("torch"))
        for side in ("600", "2048")
    ]
    assert (
        f"On an H200 an iteration takes {taken['600']} at 600×600, {taken['2048']} at 2048×2048, the fastest torch "
        f"{times[0]:.1f} and {times[1]:.1f} times as long, and {taken['7087']} at 7087×7087"
    ) in said


def test_a_gpu_page_names_the_commits_that_were_measured():
    stamps = [{"date": "2026-11-28", "commit": commit} for commit in ("abc", "def")]
    results = {
        "machine": {**RESULTS["machine"], "device": "G", "cupy": "14"},
        "floor": stamps[0],
        "memory": stamps[0],
    }
    assert "torch 2.13.0; 2026-11-28, commit abc." in gpu_page.device_figures(results)
    results["memory"] = stamps[1]
    results["parts"] = {"memory/600/mlsolve": stamps[1], "floor/600": stamps[0], "floor/2048": stamps[1]}
    assert (
        "floor: 2026-11-28, commit abc and 2026-11-28, commit def; memory: 2026-11-28, commit def."
    ) in gpu_page.device_figures(results)


def test_figures_of_a_gpu(tmp_path):
    """On their own page, with what failed said, and "not measured yet" where nothing was."""
    assert pages.gpu_figures(tmp_path).count("not measured yet") == 12
    entry = {
        "milliseconds": {OURS: 0.08, LAUNCHES: 0.07, DESCRIBED: 4.0},
        "ours in the same turns": {LAUNCHES: 0.08, DESCRIBED: 0.081},
        "times ours": {LAUNCHES: 0.9, DESCRIBED: 49.4},
        "failed": {STRONGEST: "out of device memory"},
    }
    results = {
        "machine": {**RESULTS["machine"], "device": "Some GPU 900", "cupy": "14.2"},
        "iterations": {"sizes": {"600": entry}},
        "floor": {"copy": 3.0e12, "sizes": {"600": {"times the copy": 1.234, "kernels": {"adam": 0.02, "all": 1}}}},
        "arrangements": {"milliseconds": {"600": {"plain": 0.1, "still": 0.125}}},
        "memory": {"bytes": {"600": {"counted": 1e9, OURS: 1.1e9, STRONGEST: None}}},
        "quality": {
            "side": 600,
            "asked": {"target SSIM": 0.95, "mean guide SSIM": 0.7},
            "reached": {OURS: {"default levels": {"seconds": 0.05}, "full size only": {"seconds": None}}},
        },
    }
    (tmp_path / "gpu.json").write_text(json.dumps(results))
    assert pages.figures(tmp_path) == pages.NOTHING
    text = pages.gpu_figures(tmp_path)
    assert "**Some GPU 900**" in text
    assert "| 600×600 | 0.08 ms | 0.07 ms | out of device memory | 4 ms to 0.081 ms: 49× |" in text
    assert "moves 3.00 TB/s" in text
    assert "1.23 at 600²" in text
    assert "The launches of an iteration at 600², each by itself, with its start: adam 0.02 ms.\n" in text
    assert "Arrangements at 600², in plain iterations of 0.1 ms: still 1.25." in text
    assert f"{OURS} 1.1 GB." in text
    assert f"{OURS}, default levels: 50 ms; {OURS}, full size only: not reached" in text


@pytest.mark.slow
def test_recording_one_section_leaves_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(opponents, "find_spec", lambda name: None)
    monkeypatch.setattr(machine, "describe", lambda: {**RESULTS["machine"], "commit": "abc"})
    path = tmp_path / "some-chip-3000-2-cores-quick.json"
    path.write_text(json.dumps({"ours": "old", "floor": "kept"}))
    record.main(["--quick", "--only", "ours", "--results", str(tmp_path)])
    assert str(path) in capsys.readouterr().out
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["floor"] == "kept"
    assert results["ours"]["commit"] == "abc"
    sides = results["ours"]["by threads"]["1"]
    assert set(sides["milliseconds"]) == set(sides["ns per pixel, plane and layer"]) == {"96", "192"}


def test_a_busy_machine_is_told_of(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(opponents, "find_spec", lambda name: None)
    monkeypatch.setitem(record.SECTIONS, "parity", lambda quick: {})
    for load, told in ((0.1, False), (2.5, True)):
        monkeypatch.setattr(machine, "load", lambda load=load: load)
        path = record.record(tmp_path, ["parity"], quick=True)
        assert ("this machine is busy (load 2.5)" in capsys.readouterr().out) is told
        assert json.loads(path.read_text(encoding="utf-8"))["parity"]["load before"] == load


def test_without_torch_the_opponents_section_says_so(monkeypatch):
    monkeypatch.setattr(opponents, "find_spec", lambda name: None)
    section = record.opponents_section(quick=True)
    assert "pip install" in section["missing"][STRONGEST]
    assert section["sizes"]["96"]["times ours"] == {}


def test_a_section_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        record.main(["--only", "speed"])
    assert stop.value.code == 2
    assert "invalid choice: 'speed'" in capsys.readouterr().err
