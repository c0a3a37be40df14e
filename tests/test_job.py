import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from mlsolve import InputError, OptionError, Options
from mlsolve.job import MAX_SIDE, Job, guide_entry, load_job, own_guides, parse_generated, parse_size


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_job_comes_back_as_it_was(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    options = Options(
        iterations=7, levels=2, exposure=0.2, target_ssim=0.9, patience=3, guide_weight=0.5, threads=2
    )
    job = Job(tmp_path / 'a "quoted" \\ näme.png', (tmp_path / "g.png", "mosaic:3"), (40, 30), "contain", options)
    found = load_job(write(folder / "job.toml", job.toml(folder)))
    assert found.target.resolve() == job.target.resolve()
    assert found.guides[0].resolve() == job.guides[0].resolve()
    assert found.guides[1] == "mosaic:3"
    assert (found.size, found.fit) == (job.size, job.fit)
    assert found.options == dataclasses.replace(options, threads=None)


def test_a_short_job_is_enough(tmp_path):
    job = load_job(write(tmp_path / "job.toml", 'target = "t.png"\nguides = ["g.png", "rosette:2"]\nsize = 600\n'))
    assert job == Job(tmp_path / "t.png", (tmp_path / "g.png", "rosette:2"), (600, 600))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("target = ", "is no TOML file"),
        ('guides = ["g.png"]', "target is missing: add it"),
        ('target = "t.png"', "guides is missing: add it"),
        ('target = 3\nguides = ["g"]', "target is 3: give the name of a picture file"),
        ('target = "t"\nguides = "g"', "guides is 'g': give a list"),
        ('target = "t"\nguides = []', "there are 0 guides"),
        ('target = "t"\nguides = ["g"]\niteration = 3', "unknown key 'iteration': did you mean 'iterations'?"),
        ('target = "t"\nguides = ["g"]\nexposre = 0.1', "unknown key 'exposre': did you mean 'exposure'?"),
        ('target = "t"\nguides = ["g"]\nthreads = 2', "unknown key 'threads'"),
        ('target = "t"\nguides = ["g"]\nexposure = "dark"', "exposure is 'dark': it must be a number"),
        ('target = "t"\nguides = ["g"]\nexposure = 3', "exposure is 3: it must be from 0.0001 to 1"),
        ('target = "t"\nguides = ["g"]\nsize = "big"', "size is 'big': give N for a square or WxH"),
        ('target = "t"\nguides = ["g"]\nsize = [5, 600]', "size is 5×600: the smallest side"),
        ('target = "t"\nguides = ["g"]\nfit = "fill"', "fit is 'fill': use cover, contain, stretch"),
        ('target = "t"\nguides = ["g"]\nseed = ' + "9" * 5000, "is no TOML file"),
        ('target = "t"\nguides = ["g"]\nssim_weight = ' + "9" * 400, "ssim_weight is inf"),
        ('target = "t"\nguides = ["g"]\nsize = [1000001, 600]', "the largest side may be 1000000"),
        ('target = "t"\nguides = ["mosaic:x"]', "guide is 'mosaic:x': use FAMILY:SEED"),
    ],
)
def test_refused_jobs(tmp_path, text, words):
    with pytest.raises((InputError, OptionError)) as error:
        load_job(write(tmp_path / "job.toml", text))
    assert words in str(error.value)
    assert str(tmp_path / "job.toml") in str(error.value)
    assert "\n" not in str(error.value)


def test_refused_files(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_job(tmp_path / "job.toml")
    with pytest.raises(InputError, match=r"is a folder: give the job\.toml in it"):
        load_job(tmp_path)
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no TOML file"):
        load_job(tmp_path / "b.toml")


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (600, (600, 600)),
        ("600", (600, 600)),
        ("640x480", (640, 480)),
        ("640X480", (640, 480)),
        ([64, 48], (64, 48)),
        # Larger than OpenCV can draw and than fits any memory: solved in tiles.
        ([MAX_SIDE, 11], (1_000_000, 11)),
    ],
)
def test_sizes(value, size):
    assert parse_size(value) == size


@pytest.mark.parametrize(
    "value",
    ["", "x", "10", "-600", "600x", "1x2x3", "60.5", "9" * 5000, MAX_SIDE + 1, 5.5, True, None, [1, 2, 3], "600mm"],
)
def test_refused_sizes(value):
    with pytest.raises(OptionError, match="size is"):
        parse_size(value)


def test_generated_guides(tmp_path):
    assert parse_generated("mosaic") == ("mosaic", 0, None)
    assert parse_generated("mosaic:12:ember") == ("mosaic", 12, "ember")
    assert guide_entry("mosaic:3", tmp_path) == "mosaic:3"
    assert guide_entry("mosaic.png", tmp_path) == tmp_path / "mosaic.png"
    (tmp_path / "mosaic").write_text("a file of that name comes first")
    assert guide_entry("mosaic", tmp_path) == tmp_path / "mosaic"
    with pytest.raises(OptionError, match="palette is 'mud'"):
        guide_entry("mosaic:3:mud", tmp_path)


def test_a_job_with_a_byte_order_mark(tmp_path):
    text = '\ufefftarget = "t.png"\nguides = ["g.png"]\n'
    assert load_job(write(tmp_path / "job.toml", text)).target == tmp_path / "t.png"


def test_a_name_that_toml_cannot_hold(tmp_path):
    name = os.fsdecode(b"bad\xff.png")
    with pytest.raises(InputError, match=r"bad\\xff\.png is no UTF-8 name") as error:
        Job(tmp_path / name, ("mosaic:1",))
    str(error.value).encode("utf-8")


@pytest.mark.parametrize("layers", [1, 3, 16])
def test_own_guides_are_all_different(layers):
    guides = own_guides(layers, 0) + own_guides(16, 1)
    assert len(set(guides)) == layers + 16
    for entry in guides:
        parse_generated(entry)


def test_pictures_are_fitted(tmp_path, save, picture):
    job = Job(save("t.png", picture(30, 60)), (save("g.png", picture(50, 20, 1)), "mosaic:1"), (40, 30), "contain")
    target, guides = job.pictures()
    assert [image.shape for image in (target, *guides)] == [(30, 40, 3)] * 3
    assert (target[:5] == 1).all()
    assert (guides[0][:, :13] == 1).all()
    whole, others = Job(Path(job.target), job.guides).pictures()
    assert whole.shape == others[0].shape == (30, 60, 3)
    assert whole.dtype == np.float32
