import errno
import json

import numpy as np
import pytest

import mlsolve
from conftest import tree
from mlsolve import OutputError
from mlsolve.pictures import picture_files
from mlsolve.report import folder
from mlsolve.run import solution as solution_module
from mlsolve.scoring.layer_files import layer_files
from mlsolve.solving.level_pictures import as_codes
from mlsolve.system.files import Partial


@pytest.fixture(scope="module")
def solution():
    rng = np.random.default_rng(1)
    pictures = np.kron(rng.random((4, 5, 6, 3)), np.ones((1, 8, 8, 1))).astype(np.float32)
    return mlsolve.solve(pictures[0], list(pictures[1:]), mlsolve.Options(iterations=10, levels=1, exposure=0.2))


def test_what_is_saved(tmp_path, solution):
    out = solution.save(tmp_path / "deep" / "prints")
    names = sorted(entry.name for entry in out.iterdir())
    assert names == [
        "history.csv",
        "layer-1.png",
        "layer-2.png",
        "layer-3.png",
        "result.json",
        "sheet.png",
        "stack.png",
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == ["deep"]
    assert [entry.name for entry in out.parent.iterdir()] == ["prints"]
    for number, layer in enumerate(solution.printed, start=1):
        np.testing.assert_array_equal(np.rint(picture_files.load_picture(out / f"layer-{number}.png") * 255), layer)
    report = json.loads((out / "result.json").read_text())
    # Against what was solved for, pictures of 16 bits; written are six decimals of SSIM and three of PSNR.
    target, *guides = (as_codes(picture) for picture in (solution.target, *solution.guides))
    expected = mlsolve.score(solution.printed, target, guides, 0.2)
    assert report["arrangements"][0]["ssim"] == pytest.approx(expected.target_ssim, abs=1e-6)
    assert report["arrangements"][0]["psnr"] == pytest.approx(expected.target_psnr, abs=1e-3)
    assert report["arrangements"][0]["exposure"] == 0.2
    assert report["guides"] == pytest.approx(expected.guide_ssim, abs=1e-6)
    # Pictures of floats differ from these by half a code at the most.
    assert solution.scores.guide_ssim == pytest.approx(expected.guide_ssim, abs=3e-6)
    assert report["size"] == [48, 40]
    assert report["iterations"] == 10
    assert report["solver"] == "newton"
    last = solution.history[-1]
    assert report["loss"] == pytest.approx(last.loss, rel=1e-6)
    assert set(report["terms"]) == set(last.terms) == {"stack_ssim", "stack_mse", "guide_ssim"}
    assert report["terms"]["guide_ssim"] == pytest.approx(last.guide_ssim, rel=1e-6)
    assert report["backend"] == "cpu"
    assert set(report["versions"]) >= {"mlsolve", "python", "numpy", "numba"}
    assert len((out / "history.csv").read_text().splitlines()) == 11


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_scores_of_pictures_of_whole_numbers(tmp_path, kind):
    """8 and 16 bits are solved for as they are: what is written is what `Solution.scores` says."""
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, np.iinfo(kind).max, (4, 6, 5, 3), endpoint=True).astype(kind)
    pictures = np.kron(coarse, np.ones((1, 8, 8, 1), kind))
    solution = mlsolve.solve(pictures[0], list(pictures[1:]), mlsolve.Options(iterations=5, levels=1))
    report = json.loads((solution.save(tmp_path / "prints") / "result.json").read_text())
    assert report["arrangements"][0]["ssim"] == pytest.approx(solution.scores.target_ssim, abs=1e-6)
    assert report["arrangements"][0]["psnr"] == pytest.approx(solution.scores.target_psnr, abs=1e-3)
    assert report["guides"] == pytest.approx(solution.scores.guide_ssim, abs=1e-6)


def test_stack_is_what_the_files_show(tmp_path, solution):
    out = solution.save(tmp_path / "prints")
    layers = [picture_files.load_picture(out / f"layer-{k}.png") for k in (1, 2, 3)]
    stack = picture_files.load_picture(out / "stack.png")
    assert np.abs(mlsolve.compose(layers, 0.2) - stack).max() <= 0.5 / 255 + 1e-6


def test_an_existing_folder_is_refused(tmp_path, solution):
    out = tmp_path / "prints"
    out.mkdir()
    with pytest.raises(OutputError, match="exists already: choose another --out or add --overwrite"):
        solution.save(out)
    assert list(out.iterdir()) == []


def test_overwrite_replaces_what_mlsolve_wrote(tmp_path, solution):
    out = solution.save(tmp_path / "prints")
    (out / "layer-9.png").write_bytes(b"of an earlier run with nine layers")
    solution.save(out, overwrite=True)
    assert not (out / "layer-9.png").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["prints"]


def test_overwrite_never_touches_what_others_wrote(tmp_path, solution):
    out = tmp_path / "prints"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"contains thesis\.txt, which this command does not write"):
        solution.save(out, overwrite=True)
    assert (out / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is not a folder"):
        solution.save(tmp_path / "file", overwrite=True)


def test_what_comes_in_between_is_not_replaced(tmp_path):
    """Somebody makes the folder, or puts a file into it, while the layers are being written."""
    out = tmp_path / "o"

    def meanwhile(overwrite, name, content):
        with folder.staged(out, overwrite) as stage:
            (stage / "layer-1.png").write_bytes(b"ours")
            out.mkdir(exist_ok=True)
            (out / name).write_bytes(content)

    with pytest.raises(OutputError, match="exists already"):
        meanwhile(False, "layer-1.png", b"theirs")
    with pytest.raises(OutputError, match="does not write"):
        meanwhile(True, "thesis.txt", b"years of work")
    assert tree(tmp_path) == {"o": None, "o/layer-1.png": b"theirs", "o/thesis.txt": b"years of work"}


def test_a_name_as_long_as_the_file_system_allows(tmp_path, solution):
    assert solution.save(tmp_path / ("n" * 250)).is_dir()


@pytest.mark.parametrize("write", range(7))
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, solution, write):
    """The disk fills at the first, second, … file: the old folder stays as it was, nothing new appears."""
    out = solution.save(tmp_path / "prints")
    before = tree(tmp_path)
    original, count = Partial.keep, [0]

    def fails(self):
        count[0] += 1
        if count[0] > write:
            self.file.truncate(self.file.tell() // 2)
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self)

    monkeypatch.setattr(Partial, "keep", fails)
    with pytest.raises(OutputError, match="cannot be written: No space left on device") as error:
        solution.save(out, overwrite=True)
    assert "partial" not in str(error.value)
    with pytest.raises(OutputError, match="No space left"):
        solution.save(tmp_path / "new" / "prints")
    assert tree(tmp_path) == before


def test_an_interrupt_while_writing_leaves_nothing(tmp_path, monkeypatch, solution):
    monkeypatch.setattr(solution_module, "write_report", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        solution.save(tmp_path / "a" / "prints")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_a_file(tmp_path, solution):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        solution.save(tmp_path / "file" / "prints")


def test_which_files_are_the_layers(tmp_path, solution):
    out = solution.save(tmp_path / "prints")
    assert layer_files(out) == [out / f"layer-{number}.png" for number in (1, 2, 3)]
    (out / "layer-2.png").unlink()
    with pytest.raises(mlsolve.InputError, match=r"contains layer-3\.png but no layer-2\.png: restore it"):
        layer_files(out)
    with pytest.raises(mlsolve.InputError, match=r"contains no layer-1\.png"):
        layer_files(tmp_path)
    with pytest.raises(mlsolve.InputError, match="is not a folder"):
        layer_files(tmp_path / "nowhere")


def test_layers_are_counted_not_spelled(tmp_path):
    """Ten follows nine, and a layer may be a TIFF."""
    sheet = np.zeros((12, 20, 1), np.uint8)
    names = [f"layer-{number}.png" for number in range(1, 11)] + ["layer-11.tif"]
    for name in names:
        picture_files.save_png(tmp_path / name, sheet)
    assert [path.name for path in layer_files(tmp_path)] == names


def test_layers_that_are_no_stack(tmp_path):
    for name, shape in (("layer-1.png", (12, 20)), ("layer-2.png", (12, 21))):
        picture_files.save_png(tmp_path / name, np.zeros(shape, np.uint8))
    with pytest.raises(
        mlsolve.InputError, match=r"layer-2\.png is 21×12, layer-1\.png is 20×12: make them the same size"
    ):
        layer_files(tmp_path)
    picture_files.save_png(tmp_path / "layer-2.tif", np.zeros((12, 20), np.uint8))
    with pytest.raises(mlsolve.InputError, match=r"contains layer-2\.png and layer-2\.tif: remove one of them"):
        layer_files(tmp_path)
