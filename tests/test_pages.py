"""What is declared once: pages that follow from it, examples that run, and one way to ask for a job."""

import contextlib
import dataclasses
import shlex
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import typer

import mlsolve_cli.bench
import photographs
from conftest import ROOT
from mlsolve import Arrangement, Budget, Job, OptionError, Options
from mlsolve.film import folder as film_folder
from mlsolve.film import gif, script, webp
from mlsolve.guides import FAMILIES
from mlsolve.guides.palette import palette
from mlsolve.job import settings
from mlsolve.job.job import FileFormat
from mlsolve.job.job_file import load_job
from mlsolve.job.print_size import MAX_SIDE
from mlsolve.job.settings import Setting, settings_of
from mlsolve.pictures.resize import Fit
from mlsolve.run.gpus import Gpu
from mlsolve.suggesting import guides as choosing
from mlsolve.suggesting.search import Effort
from mlsolve_bench import report
from mlsolve_cli import pages, plain
from mlsolve_cli.verbs import VERBS
from mlsolve_kernels.window import SIZE
from printed import cmyk_profile
from test_declared_colours import INKS, tables

VERB = {verb.name: verb for verb in VERBS}
FIELDS = [one for found in pages.fields().values() for one in found]


def as_typer_reads(verb, words):
    """What Typer hands to a verb, None where it refuses."""
    found = []
    app = typer.Typer(add_completion=False)
    app.command()(dataclasses.replace(verb, carry_out=found.append).callback())
    with contextlib.suppress(Exception):
        app(args=words, standalone_mode=False)
    return found[0] if found else None


def typed(verb):
    """Command lines of a verb, as words: its examples, and each of its options with its example value."""
    yield from (shlex.split(one.command)[1:] for one in verb.examples)
    arguments = [one.setting.example for one in verb.parameters if one.argument]
    for one in verb.parameters:
        if one.required and not one.argument:
            arguments += [one.flag, one.setting.example]
    yield arguments
    yield [*arguments, *arguments]
    for one in verb.parameters:
        if not one.argument:
            for flag in (*one.flags[1:], *one.flags[0].split("/")):
                words = [flag, *shlex.split(one.setting.example)]
                yield [*arguments, *words]
                yield [*words, *arguments, *words]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_what_is_read_without_typer_is_what_typer_reads(verb):
    read = 0
    for words in typed(verb):
        found = plain.read(words, verb)
        if found is not None:
            read += 1
            assert found == as_typer_reads(verb, words), words
            assert {name: type(value) for name, value in found.items()} == {
                name: type(value) for name, value in as_typer_reads(verb, words).items()
            }
    assert read > len(verb.parameters) / 2


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["t.png", "--size"],
        ["t.png", "--size", "--json"],
        ["t.png", "--threads", "two"],
        ["t.png", "--threads", "2.0"],
        ["t.png", "--threads=2"],
        ["t.png", "--exposure", "1e-1"],
        ["t.png", "--exposure", "-1"],
        ["t.png", "--nothing"],
        ["t.png", "u.png"],
        ["--", "t.png"],
        ["-ga.png", "t.png"],
        ["t.png", "--out", ""],
    ],
)
def test_what_is_not_certain_is_left_to_typer(words):
    assert plain.read(words, VERB["run"]) is None
    assert plain.read([], VERB["verify"]) is None


@pytest.mark.parametrize("name", ["cli.md", "options.md"])
def test_a_page_is_what_the_source_declares(name):
    """If this fails, run `make pages`: nobody writes these pages by hand."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == pages.pages()[name]


def test_every_field_is_declared():
    assert set(settings_of(Options)) == {field.name for field in dataclasses.fields(Options)}
    assert {field.name for field in dataclasses.fields(Job)} - set(settings_of(Job)) == {
        *("arrangements", "guides", "options")
    }
    assert set(settings_of(Budget)) == {"memory", "processes", "threads", "devices", "cluster"}
    for kind in (Options, Budget):
        hints = get_type_hints(kind)
        for name, (setting, default) in settings_of(kind).items():
            kinds = set(get_args(hints[name])) or {hints[name]}
            assert (type(None) in kinds) == (setting.otherwise is not None) == (default is None), name
            assert setting.kind in kinds or set(setting.choices) == kinds, name


def test_ranges_in_words_are_those_that_are_checked():
    assert settings.FIT.choices == get_args(Fit)
    assert settings.FORMAT.choices == get_args(FileFormat)
    assert settings.SIZE.limits == f"sides of {SIZE} to {MAX_SIDE}"
    animate = {one.name: one.setting for one in VERB["animate"].parameters}
    assert animate["size"].limits == f"{film_folder.LEAST} to {film_folder.MOST}"
    assert animate["seconds"].limits == f"up to {script.MOST_SECONDS:g}"
    most = script.MOST_FRAMES_A_SECOND, webp.MOST_FRAMES_A_SECOND, gif.MOST_FRAMES_A_SECOND
    assert animate["fps"].limits == "1 to {:g}, a WebP to {:g}, a GIF to {:g}".format(*most)
    guide = {one.name: one.setting for one in VERB["guide"].parameters}
    assert guide["family"].limits.replace(" or", ",") == ", ".join(sorted(FAMILIES))
    for name in guide["palette"].limits.removesuffix(" or colours").split(", "):
        assert len(palette(name, 0)) > 1
    assert settings.DPI.range == "1 to 10000"
    assert Setting(help="", low=0.0, high=2**31 - 1).range == "0 or more"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_option_says_what_it_does_and_has_an_example(verb):
    assert verb.examples
    assert verb.description.endswith(".")
    for one in verb.shown:
        assert one.setting.help.endswith("."), one.name
        assert one.setting.help[0].isupper(), one.name
        assert one.setting.example, one.name
    for example in verb.examples:
        assert example.command.split()[0] == verb.name
        assert example.does.endswith(".")


def test_examples_in_python():
    """The values of docs/options.md are values that Options, Job and Budget take."""
    names = {"Path": Path, "Options": Options, "Budget": Budget}
    job = Job((Arrangement(Path("t.png")),), ("rosette:1",))
    for one in FIELDS:
        for owner in one.owners:
            if owner in ("Options", "Budget"):
                assert eval(f"{owner}({one.python})", names) != names[owner](), one.name
            else:
                changes = eval(f"dict({one.python})", names)
                changed = dataclasses.replace(job if owner == "Job" else job.arrangements[0], **changes)
                assert changed != (job if owner == "Job" else job.arrangements[0]), one.name


def test_examples_in_job_files(tmp_path):
    lines = [one.toml for one in FIELDS if one.toml]
    for left_out in ("print", "size"):
        path = tmp_path / "job.toml"
        path.write_text("\n".join(line for line in lines if not line.startswith(f"{left_out} =")))
        if left_out == "print":
            path.write_text(path.read_text().replace("[1200, 900]", "[900, 900]"))  # discs are square
        else:
            path.write_text(path.read_text().replace("600x900mm", "600x600mm"))
        job = load_job(path)
        assert (job.dpi, job.shape, job.guides[1]) == (150, "disc", "rosette:7")
        plain = Options()
        for name, (setting, _) in settings_of(Options).items():
            if setting.toml != "":
                assert getattr(job.options, name) != getattr(plain, name), name


@pytest.fixture
def studio(save, picture, tmp_path, mlsolve):
    """The pictures that the examples name, and for those that need it a finished run."""
    for seed, name in enumerate(("portrait.jpg", "garden.jpg", "leaves.png", "waves.png", "mask.png")):
        save(name, picture(48, 48, seed))
    (tmp_path / "pictures").mkdir()
    for seed in range(3):
        save(f"pictures/{seed}.png", picture(48, 48, 10 + seed))
    (tmp_path / "press.icc").write_bytes(tables(b"CMYK", INKS, 2))
    lines = ['target = "portrait.jpg"', 'guides = ["leaves.png", "waves.png"]', "size = 48", "iterations = 2"]
    (tmp_path / "job.toml").write_text("\n".join(lines))

    def prints():
        assert mlsolve("run", "job.toml", "--out", "prints", "--overwrite").status == 0

    return prints


def small(verb, words):
    """The command with sizes and iterations that take no time: of an option given twice the last counts."""
    given = {"size": 64 if verb.name == "animate" else 48, "iterations": 2, "print": "12x12mm", "dpi": 127}
    if "--print" in words:
        del given["size"]
    else:
        del given["print"], given["dpi"]
    if words[1:2] == ["prints/job.toml"]:
        given.pop("size")
    return [*words, *(f"--{one.name}={given[one.name]}" for one in verb.shown if one.name in given)]


def make_unfinished(mlsolve, monkeypatch):
    """Interrupt a run into prints when its files are written."""

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlsolve.run.pipeline.write_report", interrupt)
        assert mlsolve("run", "job.toml", "--out", "prints", "--overwrite").status == 130


async def serve_nothing(server, sockets):
    """Stands for a server that ends at once."""


def before(verb, studio, mlsolve, monkeypatch):
    """Bring about what a command of `verb` finds."""
    if verb.name in ("view", "studio"):
        monkeypatch.setattr("webbrowser.open", lambda address: True)
        monkeypatch.setattr("uvicorn.Server.serve", serve_nothing)
    if verb.name in ("run", "resume", "estimate"):  # there are no GPUs that an example could name
        monkeypatch.setattr("mlsolve.run.lifecycle.choose_gpus", lambda *_: Gpu())
        monkeypatch.setattr("mlsolve.run.lifecycle.same_gpus", lambda *_: Gpu())
    if verb.name == "resume":
        make_unfinished(mlsolve, monkeypatch)
    elif verb.name in ("verify", "animate", "sheets", "view"):
        studio()
        cmyk_profile(Path("shop.icc"))
    elif verb.name == "inspect":
        studio()
        words = ("--shop", "generic-backlit", "--dpi", 101.6, "--border", 0, "--out", "for-the-shop", "--overwrite")
        assert mlsolve("sheets", "prints", *words).status == 0
        Path("sheet-1.pdf").write_bytes(Path("for-the-shop/sheet-1.pdf").read_bytes())
    elif verb.name == "suggest":
        monkeypatch.setattr(choosing, "_EFFORT", Effort(8, 4, 4, 1))
    elif verb.name == "calibrate":
        assert mlsolve("chart", "--format", "pdf", "--overwrite").status == 0
        photographs.take(Path())
    elif verb.name == "bench":
        monkeypatch.setattr(report, "SIDES", (12, 24))
        monkeypatch.setattr(mlsolve_cli.bench, "find_spec", lambda name: None)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_examples_of_a_verb_run(verb, studio, mlsolve, monkeypatch):
    before(verb, studio, mlsolve, monkeypatch)
    for example in verb.examples:
        done = mlsolve(*small(verb, shlex.split(example.command)))
        assert done.status == 0, (example.command, done.err)
        assert done.out


APART = (
    {"size", "print"},
    {"guide", "layers"},
    {"guide", "candidates"},
    {"guide", "out"},
    {"photo", "palette"},
    {"photo", "fold"},
    *({other, name} for name in ("chart", "shot", "stacked", "empty", "dark") for other in ("table", "box")),
    {"box", "reference"},
    {"media", "min_density"},
    {"media", "max_density"},
    {"cluster", "processes"},
    {"cluster", "devices"},
    *({served, written} for served in ("port", "host", "no_open") for written in ("html", "side", "overwrite")),
)
"""Options that exclude each other, or one of which the other does without."""


def commands(verb):
    """Commands that use the examples of all options of a verb, few of them."""
    arguments = [pages.typed(one) for one in verb.shown if one.argument]
    groups = []
    for one in verb.shown:
        if one.argument:
            continue
        free = next((group for group in groups if not any({one.name, name} in APART for name in group)), None)
        if free is None:
            groups.append(free := {})
        another = one.setting.example if verb.name == "calibrate" else "waves.png"
        free[one.name] = pages.typed(one) if not one.repeated else f"{pages.typed(one)} {one.flag} {another}"
    shown = {one.name: one for one in verb.shown}
    for group in groups:
        if "room" in group and "media" not in group:  # it is the front of a medium that reflects it
            group["media"] = pages.typed(shown["media"])
        if "box" in group:  # which only spectra need
            group["table"] = "--table spectra.csv"
        if "screen" in group:  # only films have one
            group["shop"] = "--shop generic-film"
    required = {one.name: pages.typed(one) for one in verb.shown if one.required and not one.argument}
    for group in groups:
        yield shlex.split(" ".join([verb.name, *arguments, *{**required, **group}.values()]))


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_examples_of_every_option_run(verb, studio, mlsolve, monkeypatch):
    used = set()
    for words in commands(verb):
        before(verb, studio, mlsolve, monkeypatch)
        again = ["--overwrite"] if "overwrite" in {one.name for one in verb.shown} else []
        if verb.name == "view" and "--html" not in words:
            again = []
        done = mlsolve(*small(verb, [*words, *again]))
        assert done.status == 0, (words, done.err)
        used.update(words)
    assert {one.flags[0].split("/")[-1] for one in verb.shown if not one.argument} <= used


SAME = [
    ("portrait.jpg",),
    ("portrait.jpg", "-g", "leaves.png", "-g", "rosette:3", "--size", "48x40"),
    ("portrait.jpg", "--layers", 5, "--seed", 4, "--print", "30x40mm", "--dpi", 72, "--registration", "0.5mm"),
    ("job.toml",),
    ("--job", "job.toml", "--exposure", 0.1, "--hide", 2, "--mask", "mask.png"),
    ("portrait.jpg", "--job", "job.toml", "--fit", "contain", "--shape", "disc", "--cmyk-profile", "press.icc"),
]


@pytest.mark.parametrize("arguments", SAME, ids=lambda arguments: " ".join(map(str, arguments)))
def test_run_estimate_and_suggest_ask_for_the_same(studio, mlsolve, monkeypatch, arguments):
    jobs = []

    def ask(job, *_, **__):
        jobs.append(job)
        raise OptionError("seen enough")

    monkeypatch.setattr("mlsolve.run.session.Session.__init__", lambda self, job, *_, **__: ask(job))
    monkeypatch.setattr("mlsolve.run.estimate.estimate_job", ask)
    monkeypatch.setattr("mlsolve.suggesting.outlook.suggest", ask)
    for name in ("run", "estimate", "suggest"):
        assert mlsolve(name, *arguments).refusal == "seen enough"
    assert jobs[0] == jobs[1] == jobs[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("job.toml", "--job", "job.toml"), "job.toml and --job are both job files: leave one of them out"),
        (("-g", "leaves.png", "--size", 40), "there is no target: give a picture, as in: mlsolve"),
        (("--mask", "mask.png", "--size", 40), "there is no target"),
        (("portrait.jpg", "--layers", 0), "--layers is 0: it must be from 1 to 16"),
        (("portrait.jpg", "--threads", 0), "threads is 0: it must be from 1 to 1024"),
        (("portrait.jpg", "--size", 40, "--print", "A4"), "--size and --print are both given"),
        (("portrait.jpg", "--registration", "1mm"), "--registration is '1mm': give --dpi as well"),
        (("two.toml", "--mask", "mask.png"), "two.toml has several arrangements: change targets and masks there"),
    ],
)
def test_they_refuse_the_same(studio, mlsolve, tmp_path, arguments, words):
    table = '[[arrangement]]\ntarget = "portrait.jpg"\n'
    (tmp_path / "two.toml").write_text(f'guides = ["leaves.png"]\n{table}{table}')
    for name in ("run", "estimate", *(() if "--threads" in arguments else ("suggest",))):
        assert words in mlsolve(name, *arguments).refusal


def test_resume_refuses_budgets_out_of_range(mlsolve):
    assert "threads is 0: it must be from 1 to 1024" in mlsolve("resume", "o", "--threads", 0).refusal
    with pytest.raises(OptionError, match="memory is 0: it must be from 1 to"):
        Budget(memory=0)
    assert Budget(memory=np.int64(5)) == Budget(memory=5)


def test_an_estimate_needs_no_pictures(mlsolve):
    done = mlsolve("estimate", "--size", 60, "--layers", 2, "--grey", "--iterations", 3, "--exposure", 0.1)
    assert done.status == 0
    assert "60×60, 0.0036 megapixels, 1 planes" in done.out
    assert "layers    2, 3 iterations at each of 1 levels" in done.out


@pytest.mark.parametrize(("dpi", "warned"), [(127, False), (128, True)])
def test_an_estimate_warns_of_pixels_that_hands_cannot_align(mlsolve, dpi, warned):
    done = mlsolve("estimate", "--print", "12x12mm", "--dpi", dpi, "--iterations", 1)
    assert done.status == 0
    assert ("one pixel off ruins a stack" in done.err) == warned
