"""`mlsolve suggest --from`: candidates, the search for sets, turns of sheets, and the folder that is written."""

import dataclasses
import itertools
import json
import re
import time

import numpy as np
import pytest

from mlsolve.errors import InputError, OptionError
from mlsolve.job.arrangements import Arrangement, Placement
from mlsolve.job.job import Job
from mlsolve.job.job_file import load_job
from mlsolve.job.options import Options
from mlsolve.pictures import picture_files
from mlsolve.pictures.resize import fit_image, resize
from mlsolve.report.proposal_sheet import Row, Sheet, Stack, proposal_sheet
from mlsolve.solving.backends import CpuBackend
from mlsolve.solving.balancing import balanced
from mlsolve.solving.executors.serial import Serial
from mlsolve.solving.level_pictures import store_pictures
from mlsolve.solving.levels import halve_pictures
from mlsolve.solving.spec import BETAS, Spec, StackSpec
from mlsolve.solving.store import MemoryStore
from mlsolve.solving.trial import Trial
from mlsolve.suggesting import guides as proposing
from mlsolve.suggesting.candidates import GENERATED, listed
from mlsolve.suggesting.crew import Crew
from mlsolve.suggesting.likeness import SAME, Likeness
from mlsolve.suggesting.search import Effort, Search, varied
from mlsolve.suggesting.shelf import Choice, Shelf
from mlsolve.suggesting.turns import better_stacks, first_stacks, ways

FEW = Effort(8, 4, 4, 1)


@pytest.fixture
def folder_of(tmp_path, save, picture, monkeypatch):
    """A folder with a target and candidates in it, in which the command runs with little effort."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(proposing, "_EFFORT", FEW)
    save("one.png", picture(48, 48, seed=1))
    save("two.png", picture(48, 48, seed=2))
    (tmp_path / "many").mkdir()
    for seed in range(5):
        save(f"many/{seed}.png", picture(40, 40 + seed, seed=10 + seed))
    return tmp_path


def test_sources_are_folders_files_families_and_seeds(folder_of):
    (folder_of / "many" / "notes.txt").write_text("no picture")
    (folder_of / "many" / ".hidden.png").write_bytes(b"")
    found = listed(["many", "rosette:3-5", "mosaic:2:lagoon", "many/1.png", "two.png"])
    named = [(str(entry).removeprefix("many/"), itself) for entry, itself in found]
    assert named[:6] == [
        ("0.png", False),
        ("1.png", True),
        *((f"{k}.png", False) for k in (2, 3, 4)),
        ("rosette:3", True),
    ]
    assert [one for one, _ in named[6:]] == ["rosette:4", "rosette:5", "mosaic:2:lagoon", "two.png"]
    assert len(listed([GENERATED])) == 30
    assert [entry for entry, _ in listed(["kaleidoscope"])] == [f"kaleidoscope:{seed}" for seed in range(10)]


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("empty", InputError, "--from is empty, a folder without pictures: put some in, or name another"),
        ("nowhere", InputError, "--from is nowhere, which does not exist: give a folder, a picture, rosette"),
        ("rosette:5-3", OptionError, "--from is rosette:5-3: name 1 to 500 seeds, the lower one first"),
        ("rosette:0-500", OptionError, "name 1 to 500 seeds"),
        ("rosette:1:puce", OptionError, "puce"),
    ],
)
def test_sources_that_cannot_be(folder_of, source, error, words):
    (folder_of / "empty").mkdir()
    with pytest.raises(error, match=re.escape(words)):
        listed([source])


def test_more_candidates_than_can_be_read_are_refused(folder_of):
    with pytest.raises(InputError, match="--from names 501 candidates: name 500 or fewer"):
        listed(["rosette:0-400", "mosaic:0-99"])


@pytest.mark.parametrize("ordered", [False, True])
def test_the_search_finds_the_best_set_of_a_known_loss(ordered):
    """Losses with effects, and with pairs that suit each other; far fewer sets are measured than there are."""
    rng = np.random.default_rng(7)
    effects, pairs = rng.normal(size=30), 1.5 * rng.normal(size=(30, 30))

    def loss(one):
        linear = sum(effects[k] for k in one)
        both = sum(
            pairs[a, b] if ordered else pairs[min(a, b), max(a, b)] for a, b in itertools.combinations(one, 2)
        )
        return float(linear + both)

    search = Search(30, 3, ordered)
    search.run(lambda sets: [loss(one) for one in sets], Effort())
    every = itertools.permutations(range(30), 3) if ordered else itertools.combinations(range(30), 3)
    losses = sorted(map(loss, every))
    assert search.losses[search.best[0]] <= losses[120 if ordered else 0]
    assert len(search.losses) < (700 if ordered else 640)


def test_every_candidate_is_in_as_many_sets_of_the_design():
    for candidates, layers in (30, 3), (31, 3), (5, 5), (7, 4):
        search = Search(candidates, layers, False)
        counts = np.bincount([k for one in search._design(120) for k in one], minlength=candidates)
        assert counts.min() >= 4
        assert counts.max() - counts.min() <= counts.min(), (candidates, layers)
        assert all(len(set(one)) == layers for one in search._design(120))


def test_sets_are_the_same_every_time_and_differ_from_each_other():
    runs = []
    for _ in range(2):
        search = Search(12, 2, False)
        search.run(lambda sets: [float(one[0] * one[1] % 7) for one in sets], FEW)
        runs.append(search.losses)
    assert runs[0] == runs[1]
    sets = [(0, 1, 2), (0, 1, 3), (0, 1, 4), (0, 1, 5), (6, 7, 8), (0, 6, 9)]
    assert varied(sets, 5) == [(0, 1, 2), (0, 1, 3), (0, 1, 4), (6, 7, 8), (0, 1, 5)]


def problem(picture, side=64, iterations=6, disc=False):
    options = Options(iterations=iterations, exposure=0.2, solver="adam")
    places = Arrangement("a"), Arrangement("b", [Placement(1), Placement(2, rotate=90)])
    spec = Spec.resolve(places, 2, (side, side), (3,) * 4, options, disc)
    return (
        spec,
        [picture(side, side, seed) for seed in range(2)],
        [picture(side, side, seed) for seed in range(5, 10)],
    )


@pytest.mark.parametrize("disc", [False, True])
def test_a_small_solve_is_that_of_a_store_of_its_own(picture, disc):
    """The same loss to the last bit as if the pictures of the choice had been stored alone."""
    spec, targets, candidates = problem(picture, iterations=60, disc=disc)
    shelf, chosen = Shelf(spec, targets, candidates), (3, 1)
    store = MemoryStore()
    spec.save(store)
    store_pictures(store, spec, [*targets, *(candidates[k] for k in chosen)])
    executor = Serial(CpuBackend(1, BETAS))
    halve_pictures(store, spec, executor)
    executor.close()
    exposed, balance = balanced(store, spec, tune=False)
    alone = Trial(store, exposed, 64).solve(exposed.stacks)
    step = shelf.solve(Choice(chosen, spec.stacks), len(shelf.shapes), 60)
    assert step.loss == alone.loss
    coarse = Trial(store, exposed, 32).solve(exposed.stacks)
    named = tuple(dataclasses.replace(one, share=1.0) for one in exposed.stacks)
    assert shelf.solve(Choice(chosen, named), 1, 60).loss == pytest.approx(
        coarse.loss, rel=0.02 if disc else 1e-6
    )  # the share inside the circle is that of the level
    solved, layers, found = shelf.layers(Choice(chosen, spec.stacks))
    assert solved.loss == step.loss
    assert layers.shape == (2, 3, 64, 64)
    assert tuple(stack.exposure for stack in found.stacks) == balance.exposures


def test_small_solves_do_not_depend_on_the_number_of_threads(picture):
    spec, targets, candidates = problem(picture)
    shelf = Shelf(spec, targets, candidates)
    choices = [Choice(pair, spec.stacks) for pair in itertools.permutations(range(5), 2)]
    results = []
    for threads in (1, 3):
        with Crew(threads) as crew:
            results.append(crew.map(lambda choice: shelf.solve(choice, 1, 3).loss, choices))
    assert results[0] == results[1]
    assert len(set(results[0])) == len(choices)


def test_a_crew_that_is_left_does_no_more():
    done = []

    def task(number):
        if number == 2:
            raise KeyboardInterrupt
        time.sleep(0.002)
        done.append(number)

    with pytest.raises(KeyboardInterrupt), Crew(1) as crew:
        crew.map(task, range(1000))
    assert len(done) < 900


def test_ways_of_sheets():
    assert ways((40, 40), False) == [(float(a), f) for f in (None, "h") for a in (0, 90, 180, 270)]
    assert [way for way in ways((40, 30), False) if way[1] is None] == [(0.0, None), (180.0, None)]
    assert len(ways((40, 40), True)) == 24


@pytest.mark.parametrize("disc", [False, True])
def test_arrangements_begin_differently(disc):
    stacks = first_stacks([StackSpec()] * 6, 3, (40, 40), disc)
    assert stacks[0].place is None
    assert len({stack.place for stack in stacks}) == 6
    given = StackSpec((Placement(2), Placement(1, rotate=90)))
    assert first_stacks([StackSpec(), given], 2, (40, 40), disc)[1] is given


@pytest.mark.parametrize(("disc", "wanted"), [(False, (0.0, 270.0)), (True, (0.0, 202.5))])
def test_the_turns_with_the_lowest_loss_are_found(disc, wanted):
    """A loss that knows the best angles, which lie between those of the grid if sheets are round."""
    tried = []

    def measure(several):
        tried.extend(several)
        return [
            1
            + sum(
                1 - np.cos(np.radians(one.rotate - angle)) + (one.flip is not None)
                for one, angle in zip(stacks[1].place, wanted, strict=True)
            )
            for stacks in several
        ]

    found = better_stacks(first_stacks([StackSpec()] * 2, 2, (40, 40), disc), 2, (40, 40), disc, measure)
    assert tuple(one.rotate for one in found[-1][1].place) == wanted
    assert len(tried) < 130


def test_the_search_for_turns_is_bounded():
    tried = []

    def measure(several):
        tried.extend(several)
        return [1.0] * len(several)

    for count in 6, 16:
        tried.clear()
        stacks = first_stacks([StackSpec()] * count, count, (40, 40), True)
        assert better_stacks(stacks, count, (40, 40), True, measure) == []
        assert 300 < len(tried) <= 480
        assert better_stacks(stacks, count, (40, 40), True, measure, kept=range(count)) == []


def test_guides_of_one_picture(folder_of, mlsolve):
    (folder_of / "many" / "broken.png").write_bytes((folder_of / "one.png").read_bytes()[:200])
    (folder_of / "many" / "same.png").write_bytes((folder_of / "one.png").read_bytes())
    run = mlsolve("suggest", "one.png", "--from", "many", "--from", "rosette:0-1", "--layers", 2, "--iterations", 5)
    assert run.status == 0, run.err
    assert "7 candidates" in run.out
    assert "to print the first: mlsolve run one-guides/job.toml" in run.out
    warnings = [line for line in run.err.splitlines() if "warning" in line]
    assert "many/broken.png" in warnings[0]
    assert "(left out)" in warnings[0]
    assert "many/same.png shows what one.png shows (likeness 1.00) and would give it away: left out" in warnings[1]
    names = {path.name for path in (folder_of / "one-guides").iterdir()}
    assert names == {"proposals.png", "job.toml", *(f"job-{number}.toml" for number in range(2, 6))}
    jobs = [load_job(folder_of / "one-guides" / name) for name in ("job.toml", "job-2.toml")]
    assert len(jobs[0].guides) == 2
    assert jobs[0].guides != jobs[1].guides
    assert jobs[0].options.iterations == 5
    done = mlsolve("run", "one-guides/job.toml", "--out", "out")
    assert done.status == 0, done.err


def scene(rng, side=96):
    """A picture with detail of all sizes, as photographs have."""
    found = np.zeros((side, side, 3))
    for size in (4, 8, 16, 32):
        coarse = rng.random((side // size + 2, side // size + 2, 3)) - 0.5
        found += size**0.5 * resize(coarse.astype(np.float32), (side, side))
    found -= found.min()
    return np.asarray(found / found.max(), dtype=np.float32)


VIEWS = {
    "a crop": lambda one: one[10:80, 20:90],
    "the same, mirrored": lambda one: one[5:75, 85:15:-1],
    "half as bright": lambda one: 0.5 * one,
    "grey, of another gamma": lambda one: np.repeat(one.mean(axis=2, keepdims=True) ** 1.8, 3, axis=2),
    "shifted": lambda one: one[:, 30:],
}


@pytest.mark.parametrize("view", VIEWS)
def test_views_of_one_picture_show_the_same(rng, view):
    one = scene(rng)
    other = fit_image(np.ascontiguousarray(VIEWS[view](one)), (96, 96))
    assert Likeness(one).to(Likeness(other)) > SAME
    assert Likeness(other).to(Likeness(one)) > SAME


def test_other_pictures_do_not_show_the_same(rng):
    """Nor do plain ones, nor those that are only light and dark at the same places."""
    one = scene(rng)
    ramp = np.repeat(np.linspace(0, 1, 96, dtype=np.float32)[:, np.newaxis, np.newaxis], 96, axis=1)
    others = [scene(rng) for _ in range(8)] + [np.full((96, 96, 3), 0.5, dtype=np.float32), ramp]
    likenesses = [Likeness(one).to(Likeness(other)) for other in others]
    assert max(likenesses) < SAME - 0.1
    lit = [np.clip(0.2 * other + 0.8 * ramp, 0, 1) for other in (one, others[0])]
    assert Likeness(lit[0]).to(Likeness(lit[1])) < SAME - 0.1


def test_another_view_of_the_target_is_left_out_unless_it_is_named(folder_of, mlsolve, save, rng):
    one = scene(rng)
    save("one.png", one)
    save("many/crop.png", np.ascontiguousarray(one[10:80, 20:90]))
    words = ("suggest", "one.png", "--from", "many", "--layers", 2, "--iterations", 4)
    run = mlsolve(*words)
    assert run.status == 0, run.err
    assert "5 candidates" in run.out
    assert re.search(
        r"warning: many/crop\.png shows what one\.png shows \(likeness 0\.\d\d\) and would give it away: left out; "
        "to keep it, name the file itself with --from",
        run.err,
    )
    kept = mlsolve(*words, "--from", "many/crop.png", "--out", "kept", "--json")
    found = json.loads(kept.out)
    assert found["candidates"] == 6
    assert found["left_out"] == []
    assert "kept, because --from names the file itself" in found["alike"][0]


@pytest.mark.parametrize("words", [("--from", "many"), ("--guide", "two.png", "--guide", "many/1.png")])
def test_the_first_time_it_says_that_it_compiles(folder_of, mlsolve, monkeypatch, words):
    assert "compiling" not in mlsolve("suggest", "one.png", *words, "--iterations", 4).err
    monkeypatch.setattr("mlsolve.run.precompile.is_cached", lambda name: False)
    run = mlsolve("suggest", "one.png", *words, "--iterations", 4, *(("--overwrite",) if "--from" in words else ()))
    assert run.status == 0, run.err
    assert run.err.startswith("compiling the kernels, once for this version: some 20 s\n")


def test_guides_are_the_same_again_and_as_json(folder_of, mlsolve):
    words = ("suggest", "one.png", "--from", "many", "--layers", 2, "--iterations", 5, "--json")
    first = mlsolve(*words)
    assert first.status == 0, first.err
    assert "one-guides exists already: choose another --out or add --overwrite" in mlsolve(*words).refusal
    assert mlsolve(*words, "--overwrite").out == first.out
    found = json.loads(first.out)
    losses = [one["loss"] for one in found["best"]]
    assert losses == sorted(losses)
    assert found["candidates"] == 5
    assert found["size"] == [48, 48]


@pytest.mark.parametrize("shape", ["sheet", "disc"])
def test_guides_and_turns_of_two_pictures(folder_of, mlsolve, shape):
    words = ("--from", "many", "--layers", 2, "--iterations", 4, "--shape", shape, "--out", "both")
    run = mlsolve("suggest", "one.png", "two.png", *words)
    assert run.status == 0, run.err
    job = load_job(folder_of / "both" / "job.toml")
    assert [path.name for path in job.targets] == ["one.png", "two.png"]
    assert job.arrangements[0].place is None
    assert not all(one.still for one in job.arrangements[1].place)
    assert job.shape == shape
    assert "two.png: layers 1" in run.out
    assert mlsolve("run", "both/job.toml", "--out", "out").status == 0


def test_free_angles_suit_a_job_of_round_sheets_better(folder_of, mlsolve):
    """Without --from, too; the search is bounded, and what it reports was solved again in full."""
    text = 'guides = ["many/1.png", "many/2.png"]\nsize = 48\nshape = "disc"\n[[arrangement]]\ntarget = "one.png"\n'
    place = "place = [1, {layer = 2, rotate = 180}]"
    (folder_of / "job.toml").write_text(f'{text}[[arrangement]]\ntarget = "two.png"\n{place}\n')
    found = json.loads(mlsolve("suggest", "job.toml", "--json").out)
    assert found["better"]
    angles = {one.get("rotate", 0) for better in found["better"] for one in better["place"]}
    assert any(angle % 90 for angle in angles)
    assert all(angle % 7.5 == 0 for angle in angles)
    assert all(better["loss"] < 0.98 * found["present"]["loss"] for better in found["better"])


def test_placements_of_a_job_file_are_kept(folder_of, mlsolve):
    text = 'guides = ["rosette:1", "rosette:2"]\nsize = 48\niterations = 4\n[[arrangement]]\ntarget = "one.png"\n'
    place = "place = [1, {layer = 2, rotate = 180}]"
    (folder_of / "job.toml").write_text(f'{text}[[arrangement]]\ntarget = "two.png"\n{place}\n')
    assert mlsolve("suggest", "job.toml", "--from", "many", "--out", "p").status == 0
    job = load_job(folder_of / "p" / "job.toml")
    assert job.arrangements[1].place == (Placement(1), Placement(2, rotate=180.0))
    assert all(path.parent.name == "many" for path in job.guides)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("one.png", "--from", "many", "--guide", "two.png"), "--guide and --from are both given"),
        (("one.png", "two.png"), "several pictures are given: add --from FOLDER"),
        (("one.png", "--out", "p"), "--out goes with --from"),
        (("one.png", "job.toml", "--from", "many"), "several pictures and a job file are given"),
        (("one.png", "two.png", "--from", "many", "--mask", "two.png"), "--mask is for one picture"),
        (("--from", "many"), "there is no target: give a picture"),
        (("one.png", "--from", "many", "--layers", 6), "--from names 5 candidates for 6 layers: name more"),
        (("one.png", "--from", "bad.png"), "bad.png"),
        (("one.png", "--from", "one.png", "--layers", 1), "one.png is a picture to show, not a guide: left out"),
    ],
)
def test_what_cannot_be_suggested_is_refused(folder_of, mlsolve, words, message):
    (folder_of / "bad.png").write_bytes(b"no picture at all")
    assert message in mlsolve("suggest", *words).refusal
    assert not list(folder_of.glob("*-guides"))


def test_ctrl_c_leaves_nothing(folder_of, mlsolve, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Shelf, "layers", interrupted)
    run = mlsolve("suggest", "one.png", "--from", "many", "--layers", 2)
    assert run.status == 130
    assert "interrupted: nothing was written" in run.err
    assert sorted(path.name for path in folder_of.iterdir()) == ["many", "one.png", "two.png"]


@pytest.mark.parametrize(("sheets", "stacks"), [(1, 1), (3, 1), (7, 1), (2, 4)])
def test_the_sheet_shows_every_picture_once(sheets, stacks):
    """Every picture of a colour of its own, at its full size, inside the page."""
    colours = iter(np.random.default_rng(3).permutation(np.arange(20, 230, 2)).tolist())

    def plain():
        image = np.full((60, 90, 3), 51 / 255, dtype=np.float32)
        image[..., 1] = next(colours) / 255
        return image

    rows = [
        Row(
            "1",
            tuple(Sheet(plain(), plain(), f"a long name {k}.png", 0.5, 0.2) for k in range(sheets)),
            tuple(
                Stack(plain(), ("SSIM", "sheet 1, turned 90°; 2, turned 270°, flipped h")) for _ in range(stacks)
            ),
        )
        for _ in range(2)
    ]
    targets = [(plain(), "target.png") for _ in range(stacks)]
    page = proposal_sheet("title", "note, " * 40, targets, rows, False)
    plain_pixels = (page[..., 0] == 51) & (page[..., 2] == 51)  # text has no such colour
    pixels, counts = np.unique(page[plain_pixels][:, 1], return_counts=True)
    sizes = sorted(counts.tolist())
    cells = [240 * 160] * 2 * (sheets + stacks) + [160 * 107] * stacks + [108 * 72] * 2 * sheets
    assert sizes == sorted(cells)
    assert len(pixels) == len(cells)


def test_round_sheets_are_round_on_the_page():
    image = np.zeros((40, 40, 3), dtype=np.float32)
    page = proposal_sheet("t", "n", [(image, "a")], [Row("1", (Sheet(image, image, "b", 1, 0),), ())], True)
    black = (page == 0).all(axis=2).sum()
    assert black == pytest.approx(np.pi / 4 * (240**2 + 160**2 + 108**2), rel=0.01)


def test_a_proposal_is_a_job_with_its_guides(folder_of):
    job = Job(folder_of / "one.png", ("rosette:1", "rosette:2"), (48, 48), options=Options(iterations=4))
    found = proposing.propose(job, [str(folder_of / "many"), "mosaic:1"], 2, threads=1)
    again = proposing.propose(job, [str(folder_of / "many"), "mosaic:1"], 2, threads=2)
    assert [one.job for one in found.best] == [one.job for one in again.best]
    assert [one.step.loss for one in found.best] == [one.step.loss for one in again.best]
    for one in found.best:
        assert one.job.options == job.options
        guide = one.job.guides[0]
        assert one.names[0] == (guide if isinstance(guide, str) else guide.name)
        if not isinstance(guide, str):
            assert picture_files.open_picture(guide).size[1] == 40
