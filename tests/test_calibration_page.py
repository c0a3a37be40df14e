"""docs/calibration.md: every command in it is run, in order, and its Python too."""

import re

import photographs
from mlsolve.calibration.layout import arrange
from mlsolve.media import load_media
from test_docs import TEXT, commands, run_examples

PAGE = "docs/calibration.md"


def test_every_command_of_the_page_runs(mlsolve, tmp_path, monkeypatch, capsys, save, picture):
    photographs.take(tmp_path)
    save("portrait.jpg", picture(48, 48))
    found = [words for words in commands(TEXT[PAGE]) if words[0] == "mlsolve"]
    assert [words[1] for words in found].count("calibrate") == 5
    assert [words[1] for words in found].count("chart") == 3
    assert {"media", "run"} < {words[1] for words in found}
    table = tmp_path / "chart" / "chart.csv"
    for words in found:
        if "--reference" in words:
            table.write_text(photographs.filled(table.read_text(), arrange(), photographs.printer()))
        few = ("--size", 32, "--iterations", 2) if words[1] == "run" else ()
        done = mlsolve(*words[1:], *few)
        assert done.status == 0, (words, done.err)
    assert (tmp_path / "roll-chart" / "chart.json").exists()
    for name in ("film", "averaged", "exact", "density", "spectra"):
        media = load_media(tmp_path / f"{name}.toml")
        assert media.fit is not None
        assert media.fit.median < 2
    assert load_media(tmp_path / "film.toml").name == "my-printer"
    assert (tmp_path / "film.png").exists()
    assert (tmp_path / "prints" / "layer-3.png").exists()
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    run_examples(PAGE, {})
    assert capsys.readouterr().out.startswith("0 ()")
    assert load_media(tmp_path / "media.toml").digest == load_media(tmp_path / "film.toml").digest


def test_every_key_of_a_profile_is_described(mlsolve, tmp_path):
    keys = set(re.findall(r"^(?:\[)?(\w+)", load_media("inkjet-film").toml(), re.MULTILINE)) - {
        "red",
        "green",
        "blue",
    }
    described = TEXT[PAGE][TEXT[PAGE].index("## The profile") :]
    for key in (*keys, "fit"):
        assert f"`{key}`" in described, key


def test_messages_of_the_page_are_those_of_the_source():
    from conftest import ROOT

    source = "".join(path.read_text() for path in (ROOT / "src/mlsolve/calibration").glob("*.py"))
    source = re.sub(r"\{[^{}]*\}", "", re.sub(r'"\s*\n\s*f?"', "", source))
    table = TEXT[PAGE].split("## What is refused")[1].split("## Tables")[0]
    for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)[2:]:
        for part in re.split(r"\d+|, | from ", row):
            assert part.strip() in source, row
