"""What the documents say is so."""

import re

import pytest

from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert "(3, 96, 96, 3)" in capsys.readouterr().out
    assert names["solution"].scores.target_ssim > 0.95
    assert (tmp_path / "prints" / "sheet.png").exists()


def test_every_file_of_a_run_is_described(mlsolve, tmp_path, save, picture):
    assert mlsolve("run", save("t.png", picture(30, 30)), "--iterations", 1, "--out", "o").status == 0
    for entry in (tmp_path / "o").iterdir():
        assert re.sub(r"\d", "1", entry.name) in README


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "examples/README.md"])
def test_files_that_are_named_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:docs|bench|examples|tests)/[\w./-]+\.(?:md|py|jpg)\b", text))
    assert named or document == "examples/README.md"
    for name in named:
        assert (ROOT / name).exists(), name


def test_every_module_is_on_the_map():
    map_text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for package in ("kernels/mlsolve_kernels", "src/mlsolve"):
        for entry in (ROOT / package).iterdir():
            if entry.name.startswith("_") or entry.name == "py.typed":
                continue
            assert entry.name in map_text, entry


def test_commands_in_the_readme_have_the_options_they_use(mlsolve):
    """Every option that the README's commands use is in the help of its verb."""
    blocks = "\n".join(re.findall(r"^    (.*)$", README, re.MULTILINE)).replace("\\\n", " ")
    commands = [line.split("#")[0].split() for line in blocks.splitlines() if line.startswith("mlsolve ")]
    assert len(commands) >= 7
    for command in commands:
        helped = mlsolve(command[1], "--help").out
        for option in (word for word in command if re.match(r"-", word)):
            assert re.search(rf"{option}\b", helped), (command, option)
