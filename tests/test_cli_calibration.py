"""`mlsolve chart` and `mlsolve calibrate` on the command line: what is printed, written and refused."""

import json

import photographs
from mlsolve.calibration import chart as charts
from mlsolve.media import load_media


def test_a_chart_is_written(mlsolve, tmp_path):
    done = mlsolve("chart", "--out", "page", "--channels", "grey", "--dpi", 100, "--seed", 4)
    assert done.status == 0
    assert done.out.splitlines()[:4] == [f"page/chart.{ending}" for ending in ("pdf", "tif", "json", "csv")]
    assert "on 210 × 297 mm; print at 100 %" in done.out
    assert charts.load(tmp_path / "page").layout == charts.make("grey", seed=4).layout
    assert mlsolve("chart", "--out", "page").refusal.endswith("choose another --out or add --overwrite")
    assert mlsolve("chart", "--out", "page", "--overwrite").status == 0
    assert mlsolve("chart", "--paper", "a5", "--out", "a5").refusal.startswith("paper is 'a5': give A4, letter")
    assert mlsolve("chart", "--format", "png", "--out", "png").refusal.startswith("format is 'png': use pdf")
    assert not (tmp_path / "a5").exists()


def test_a_profile_is_written_and_described(mlsolve, tmp_path):
    photographs.take(tmp_path)
    assert mlsolve("chart", "--format", "pdf").status == 0
    command = ("calibrate", "--chart", "chart/chart.json", "--shot", "photo.jpg", "--out", "film.toml")
    done = mlsolve(*command)
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("168 patches, each predicted by the others: ΔE00 median 0.")
    assert lines[-2:] == ["film.toml", "film.png"]
    assert "there is no picture of the empty box" in done.out
    media = load_media(tmp_path / "film.toml")
    assert media.name == "film"
    assert media.about == "Chart photographed in photo.jpg"
    assert mlsolve(*command).refusal == "film.toml exists already: choose another --out or add --overwrite"
    found = json.loads(mlsolve(*command, "--overwrite", "--json").out)
    assert found["digest"] == media.digest
    assert found["fit"]["patches"] == 168
    assert found["files"] == ["film.toml", "film.png"]


def test_measurements_and_profiles_are_not_written_over(mlsolve, tmp_path):
    assert mlsolve("chart", "--format", "pdf").status == 0
    path = tmp_path / "chart" / "chart.csv"
    empty = path.read_text()
    filled = empty.replace(",,,\n", ",1,2,3\n", 1)
    path.write_text(filled)
    assert mlsolve("chart", "--format", "pdf", "--overwrite").refusal == (
        "chart/chart.csv holds measurements: move it away, or choose another --out"
    )
    assert path.read_text() == filled
    assert mlsolve("media", "inkjet-film", "--out", "film.toml").refusal.startswith(
        "film.toml does not end in .png"
    )
    assert mlsolve("media", "inkjet-film", "--out", "film.png").status == 0
    assert mlsolve("media", "inkjet-film", "--out", "film.png").refusal.endswith("or add --overwrite")
    assert mlsolve("media", "inkjet-film", "--out", "film.png", "--overwrite").status == 0


def test_a_reference_and_a_box_are_told(mlsolve, tmp_path):
    photographs.take(tmp_path)
    assert mlsolve("chart", "--format", "pdf").status == 0
    shot = ("calibrate", "--chart", "chart", "--shot", "photo.jpg")
    done = mlsolve(*shot, "--reference", "reference.csv", "--out", "exact.toml")
    assert done.status == 0
    assert "a camera is not an eye" not in done.out
    about = load_media(tmp_path / "exact.toml").about
    assert about == "Chart photographed in photo.jpg; reference reference.csv"
    assert mlsolve(*shot, "--box", "box.csv").refusal == (
        "--box is box.csv, but no table holds spectra: leave it out"
    )
    assert mlsolve(*shot, "--empty", "photo.jpg").refusal == (
        "photo.jpg is given as --shot and as --empty: each shows something else"
    )
    spectra = ("calibrate", "--table", "spectra.csv", "--out", "s.toml", "--overwrite")
    assert "there is no --box" in mlsolve(*spectra).out
    assert "there is no --box" not in mlsolve(*spectra, "--box", "box.csv").out
    assert load_media(tmp_path / "s.toml").about == "Table spectra.csv; box box.csv"


def test_what_cannot_be_calibrated_from_is_refused(mlsolve, tmp_path):
    photographs.take(tmp_path)
    assert mlsolve("calibrate").refusal == "there is nothing to calibrate from: give --chart and --shot, or --table"
    both = mlsolve("calibrate", "--table", "table.csv", "--shot", "photo.jpg").refusal
    assert both == "--shot belongs to photographs, --table is table.csv: give one or the other"
    assert mlsolve("calibrate", "--table", "table.csv", "--out", "a.txt").refusal.startswith(
        "a.txt does not end in"
    )
    assert mlsolve("calibrate", "--table", "table.csv", "--index", 9).refusal.startswith("index is 9: it must be")
    assert mlsolve("chart", "--seed", 9).status == 0
    wrong = mlsolve("calibrate", "--chart", "chart", "--shot", "photo.jpg").refusal
    assert wrong.startswith("photo.jpg shows another chart than that of chart.json")
    missing = mlsolve("calibrate", "--chart", "chart", "--shot", "nothing.jpg").refusal
    assert missing == "nothing.jpg does not exist: check the name"
    assert not (tmp_path / "media.toml").exists()
