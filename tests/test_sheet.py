"""The contact sheet: what stands where is looked for in its pixels."""

import itertools
import tracemalloc

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

import mlsolve
from mlsolve.job.arrangements import Placement
from mlsolve.job.viewing import View
from mlsolve.pictures import picture_files
from mlsolve.report import contact_sheet, result
from mlsolve.report.contact_sheet import sheet_bands, sheet_size
from mlsolve.report.lettering import font
from mlsolve.scoring.bands import Scoring
from mlsolve.scoring.desk import Desk
from mlsolve.scoring.previews import CELL, PART, SHEET_CELL
from mlsolve.scoring.scores import AtAngle, Misalignment, Scores, StackScores
from mlsolve.scoring.stack_scoring import PlacedStack, distances_for
from mlsolve.solving.level_pictures import as_codes

PAPER = contact_sheet.PAPER


class Told(Scoring):
    """A proof of pictures nobody has solved: every preview of one colour of its own, scores as they were told."""

    def __init__(self, size, layers, places, registration=0.0, planes=3, exposures=None, scores=None, views=()):
        exposures = exposures or [0.1 / number for number in range(1, len(places) + 1)]
        laid = [
            PlacedStack(tuple(place), exposure, None, views_of(len(place)) if views else ())
            for place, exposure in zip(places, exposures, strict=True)
        ]
        super().__init__(size, layers, laid, [lambda _: None] * len(laid), planes, registration)
        self.told = scores or self.scored()
        rng = np.random.default_rng(layers)
        # Bright in one channel and dark in another, unlike ink, paper and what lies between them.
        bright, dark = (rng.permutation(np.arange(start, start + 75, 3)) for start in (180, 0))
        colours = ((a, b, c) for a, b in itertools.product(bright, dark) for c in (30, 200))
        for preview, (a, b, c) in zip(self.previews, colours, strict=False):
            colour = np.array([a, b, c] if planes == 3 else [a], dtype=np.uint8)
            preview.images.append(np.broadcast_to(colour, (preview.size[1], preview.size[0], planes)))

    @property
    def previews(self):
        of_stacks = (
            (
                stack.target,
                stack.cell,
                *stack.sheets,
                *(preview for _, preview in [*stack.misaligned, *stack.views]),
            )
            for stack in self.stacks
        )
        return [*self.guides, *self.layers, *itertools.chain(*of_stacks)]

    @property
    def scores(self):
        return self.told

    def scored(self):
        """Scores that differ all over."""
        stacks = [
            StackScores(
                0.9 - number / 100,
                30.5 + number,
                tuple(0.2 + k / 50 + number / 100 for k in range(len(stack.sheets))),
                tuple(
                    Misalignment(far, 0.7 - k / 10 - number / 100, 20.0, 0.75 - k / 10 if stack.moved else None)
                    for k, (far, _) in enumerate(stack.misaligned)
                ),
                views=tuple(
                    AtAngle(view.degrees, view.pixels, 0.6 - number / 100, 20.0) for view, _ in stack.views
                ),
            )
            for number, stack in enumerate(self.stacks)
        ]
        return Scores(tuple(stacks), tuple(0.5 + k / 100 for k in range(len(self.layers))))


def views_of(sheets):
    """Two views of a stack of so many sheets, with long numbers; none of a single sheet."""
    behind = (1,) * (sheets - 1)
    both = (22.25, 10.125), (44.5, 20.25)
    return tuple(View(angle, (0.0, *(pixels for _ in behind))) for angle, pixels in both if behind)


def all_of(layers):
    return [Placement(layer) for layer in range(1, layers + 1)]


def moved(layers, count, seed=0):
    """So many sheets of a set, in any order, with the longest captions there may be among them."""
    rng = np.random.default_rng(seed)
    ways = [{}, {"rotate": 180}, {"rotate": 347.125, "flip": "v"}, {"flip": "h", "shift": (-1234.5, -1000.25)}]
    return [Placement(int(layer) + 1, **ways[rng.integers(4)]) for layer in rng.permutation(layers)[:count]]


# Size, number of layers, places, registration, planes.
CASES = {
    "one layer": ((300, 200), 1, [all_of(1)], 0, 3),
    "one layer, turned": ((300, 300), 1, [[Placement(1, 90)]], 0, 3),
    "one layer, two pictures": ((300, 300), 1, [all_of(1), [Placement(1, 180)]], 0, 3),
    "two layers": ((300, 300), 2, [all_of(2)], 3, 1),
    "the plain case": ((4800, 4800), 3, [all_of(3)], 0, 3),
    "in another order": ((500, 400), 3, [moved(3, 3)], 3, 3),
    "three, two pictures": ((600, 600), 3, [all_of(3), moved(3, 3)], 0, 3),
    "four": ((300, 300), 4, [all_of(4)], 3, 3),
    "five": ((300, 300), 5, [all_of(5)], 3, 3),
    "five, moved": ((300, 300), 5, [moved(5, 5)], 1, 3),
    "six in threes": ((300, 300), 6, [moved(6, 3, seed) for seed in range(3)], 2, 3),
    "sheets alone and together": ((200, 300), 7, [moved(7, 7), moved(7, 1), moved(7, 2)], 2, 1),
    "nine": ((450, 300), 9, [all_of(9)], 3, 3),
    "sixteen": ((64, 64), 16, [all_of(16)], 0, 1),
    "sixteen, moved": ((64, 48), 16, [moved(16, 16)], 1000, 3),
    "sixteen by sixteen": ((64, 64), 16, [moved(16, 16, seed) for seed in range(16)], 2, 3),
    "narrow": ((11, 1000), 2, [all_of(2)], 1000, 3),
    "narrow, two pictures": ((20, 1000), 5, [moved(5, 3), moved(5, 5)], 3, 3),
    "narrow, moved": ((11, 900), 4, [moved(4, 4)], 3, 1),
    "wide": ((100_000, 11), 5, [moved(5, 5)], 3, 3),
    "wide, two pictures": ((2000, 20), 5, [moved(5, 3), moved(5, 5)], 3, 3),
    "the smallest": ((11, 11), 3, [all_of(3), moved(3, 2)], 0, 1),
}


def drawn(proof, names=None, disc=False):
    """The sheet, (H, W, 3); its bands are few rows each."""
    bands = list(sheet_bands(proof, names, disc))
    assert max(len(band) for band in bands) <= 64
    return np.concatenate(bands)


def found(page, preview):
    """Where a picture of one colour is: left, top, width, height."""
    low, high = (np.array(preview.image[0, 0] + change, dtype=float) for change in (-1.0, 1.0))
    alike = cv2.inRange(page, low, high) != 0
    rows, columns = (np.flatnonzero(alike.any(axis=axis)) for axis in (1, 0))
    assert len(rows), "it is nowhere"
    box = columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    assert alike.sum() == box[2] * box[3], "not all of the rectangle, or elsewhere too"
    return tuple(int(side) for side in box)


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_the_size_does_not_grow_with_the_print():
    sizes = {sheet_size(Told((side, side * 2 // 3), 3, [all_of(3)])) for side in (30, 300, 3000, 300_000)}
    assert len(sizes) == 1


@pytest.mark.parametrize("views", [False, True], ids=["", "views"])
@pytest.mark.parametrize("case", CASES)
def test_every_picture_has_its_place(case, views):
    """All of it, apart from all others and from the edge; sheets that lie as they were solved are the layers."""
    told = Told(*CASES[case], views=views)
    page, layers = drawn(told), len(told.layers)
    assert sheet_size(told) == page.shape[1::-1]
    plain = [place.words() for place in told.stacks[0].placed.place] == [str(k + 1) for k in range(layers)]
    hidden = told.stacks[0].sheets if len(told.stacks) == 1 and plain else []
    shown = [preview for preview in told.previews if preview not in hidden]
    pictures = contact_sheet.Page(told, None).pictures
    assert sorted(id(one.preview) for one in pictures) == sorted(id(preview) for preview in shown)
    corners = []
    for one in pictures:
        part = page[one.top : one.bottom, one.left : one.left + one.size[0]].astype(int)
        assert part.shape[1::-1] == one.size
        assert np.abs(part - one.preview.image[0, 0]).max() <= 1
        scale = max(one.size) / max(told.size)
        assert one.size == tuple(max(1, round(side * scale)) for side in told.size)
        assert one.left >= 56
        corners.append((one.left, one.top, one.left + one.size[0], one.bottom))
    assert not any(overlap(*both) for both in itertools.combinations(corners, 2))
    # Only signs stand in the margin.
    assert all((side == PAPER).all() for side in (page[:50], page[-40:], page[:, -50:], page[:, :30]))


def boxes_of(page):
    """Where the ink of captions and signs is: left, top, right, bottom."""
    for words in page.words:
        left, top, right, bottom = font(words.size).getbbox(words.text, anchor=words.anchor)
        yield words.x + left, words.top + top, words.x + right, words.top + bottom
    for sign in page.signs:
        yield sign.x - 7, sign.y - 7, sign.x + 7, sign.y + 7


def longest(proof):
    """The longest scores there can be."""
    stacks = [
        StackScores(
            -0.888,
            100.44,
            (-0.88,) * len(stack.sheets),
            tuple(Misalignment(far, -0.888, 1.0, -0.888) for far, _ in stack.misaligned),
            views=tuple(AtAngle(view.degrees, view.pixels, -0.888, 1.0) for view, _ in stack.views),
        )
        for stack in proof.stacks
    ]
    return Scores(tuple(stacks), (-0.888,) * len(proof.layers))


@pytest.mark.parametrize("views", [False, True], ids=["", "views"])
@pytest.mark.parametrize("case", CASES)
def test_no_caption_runs_into_another(case, views):
    """Nor into a picture, nor off the sheet, however long all of them are."""
    size, layers, places, registration, planes = CASES[case]
    exposures = [0.000123 + number / 1e5 for number in range(len(places))]
    proof = Told(size, layers, places, registration, planes, exposures, views=views)
    proof.told = longest(proof)
    names = ["w" * 80 + ".tiff"] * len(places)
    page = contact_sheet.Page(proof, names)
    assert all("…" not in words.text or words.text.startswith("w") for words in page.words), "only names are cut"
    boxes = list(boxes_of(page))
    pictures = [(one.left, one.top, one.left + one.size[0], one.bottom) for one in page.pictures]
    assert all(box[0] >= 30 and box[1] >= 56 for box in boxes)
    assert all(box[2] <= page.width - 56 + 1 and box[3] <= page.height - 40 for box in boxes)
    # Beside one another there is a gap.
    wider = [(left - 3, top, right + 3, bottom) for left, top, right, bottom in boxes]
    for one, other in itertools.combinations(range(len(boxes)), 2):
        assert not overlap(wider[one], wider[other]), (page.words + page.signs)[one : other + 1 : other - one]
    assert not any(overlap(box, picture) for box in boxes for picture in pictures)


def places_of(page, text, size, colour):
    """Where the sheet says `text`, in pixels: left and top of its ink."""
    left, top, right, bottom = font(size).getbbox(text)
    patch = Image.new("RGB", (right - left, bottom - top), PAPER)
    ImageDraw.Draw(patch).text((-left, -top), text, fill=colour, font=font(size))
    differences = cv2.matchTemplate(page.astype(np.float32), np.asarray(patch, np.float32), cv2.TM_SQDIFF)
    rows, columns = np.nonzero(differences < 2000)
    return [(int(x), int(y)) for x, y in zip(columns, rows, strict=True)]


def below(page, preview, text, size=20, colour=contact_sheet.FAINT, line=0):
    """Whether the caption below a picture says so, on its first line or the second."""
    left, top, width, height = found(page, preview)
    top += height + 26 * line
    caption = page[top : top + 40, left - 2 : left + max(width, 260) + 2]
    return len(places_of(caption, text, size, colour)) == 1


def said(page, text):
    """How often the last lines say so."""
    return len(places_of(page[-420:], text, 18, contact_sheet.FAINT))


INK, FAINT = contact_sheet.INK, contact_sheet.FAINT


def test_captions_of_the_plain_case():
    proof = Told((600, 600), 3, [all_of(3)], 3.0)
    page, (stack,) = drawn(proof, ["girl.jpg"]), proof.stacks
    for k in range(3):
        assert below(page, proof.guides[k], f"guide {k + 1}", colour=INK)
        assert below(page, proof.layers[k], f"layer {k + 1}", colour=INK)
        assert below(page, proof.layers[k], f"SSIM 0.{50 + k}0   leak 0.{20 + 2 * k}")
    assert below(page, stack.target, "target", colour=INK)
    assert below(page, stack.target, "girl.jpg")
    assert below(page, stack.cell, "stack", colour=INK)
    assert below(page, stack.cell, "SSIM 0.900   30.5 dB")
    for k, (far, preview) in enumerate(stack.misaligned):
        assert far == (2, 3, 6)[k]
        assert below(page, preview, f"shift {far} px", colour=INK)
        assert below(page, preview, f"SSIM 0.{7 - k}00")
        assert below(page, preview, "target moved", 18, line=1)
        assert below(page, preview, f"SSIM 0.{7 - k}50", 18, line=1)
    foot = "3 layers of 600 by 600 pixels   ·   exposure 0.1   ·   mean guide SSIM 0.510"
    assert said(page, foot) == 1


def test_where_the_plain_case_stands():
    """Guides above their layers, target above the stack to their right, misaligned stacks in one more row."""
    proof = Told((600, 600), 3, [all_of(3)], 3.0)
    page, (stack,) = drawn(proof), proof.stacks
    assert {preview.size for preview in (stack.target, stack.cell, *proof.layers)} == {(CELL, CELL)}
    assert page.shape[1] == 1904
    assert page.shape[0] < 1430
    guides, layers = ([found(page, preview) for preview in row] for row in (proof.guides, proof.layers))
    target, whole = found(page, stack.target), found(page, stack.cell)
    offs = [found(page, preview) for _, preview in stack.misaligned]
    assert {box[2:] for box in (*guides, *layers, target, whole)} == {(CELL, CELL)}
    assert {box[2:] for box in offs} == {(PART, PART)}
    assert [box[0] for box in guides] == [box[0] for box in layers] == [56, 504, 952]
    assert {box[1] for box in (*guides, target)} == {56}
    assert len({box[1] for box in (*layers, whole)}) == 1
    assert target[0] == whole[0] > layers[-1][0] + CELL
    assert len({box[1] for box in offs}) == 1
    assert offs[0][1] > whole[1] + CELL
    assert offs[-1][0] + PART == whole[0] + CELL
    assert offs == sorted(offs)


def test_more_than_four_layers_leave_room_below_the_stack():
    proof = Told((450, 300), 9, [all_of(9)], 3.0)
    page, (stack,) = drawn(proof), proof.stacks
    layers, guides = ([found(page, preview) for preview in row] for row in (proof.layers, proof.guides))
    whole, *offs = (found(page, preview) for preview in (stack.cell, *(preview for _, preview in stack.misaligned)))
    # As many in every row.
    assert [box[0] for box in layers] == 3 * [56, 504, 952]
    assert {box[0] for box in offs} == {whole[0]}
    assert [box[1] for box in offs] == [guides[3][1], layers[3][1], guides[6][1]]


@pytest.mark.parametrize(
    ("layers", "columns"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 3), (6, 3), (7, 4), (10, 4), (16, 4)]
)
def test_four_layers_in_a_row_at_the_most(layers, columns):
    proof = Told((64, 64), layers, [all_of(layers)])
    boxes = [found(drawn(proof), preview) for preview in proof.layers[:columns]]
    assert len({box[1] for box in boxes}) == 1
    assert sheet_size(proof)[0] == 2 * 56 + (columns + 1) * CELL + (columns - 1) * 28 + 56


def test_a_row_for_every_arrangement():
    """Target, sheets, stack, misaligned stacks, from left to right, and their captions."""
    places = [
        [Placement(1), Placement(3, 90), Placement(2, flip="h", shift=(3, -12.5))],
        [Placement(2), Placement(3), Placement(1, 180)],
        [Placement(3)],
    ]
    proof = Told((600, 600), 3, places, 2.0, exposures=[0.2, 0.02754, 0.1])
    page = drawn(proof, ["girl.jpg", "cat.png", "b.tif"])
    bottom = max(found(page, preview)[1] for preview in proof.layers) + CELL
    for number, stack in enumerate(proof.stacks):
        target, whole = found(page, stack.target), found(page, stack.cell)
        sheets = [found(page, preview) for preview in stack.sheets]
        offs = [found(page, preview) for _, preview in stack.misaligned]
        assert {box[2:] for box in (target, whole, *offs)} == {(PART, PART)} == {stack.target.size, stack.cell.size}
        assert {box[1] for box in (target, whole, sheets[0], *offs)} == {target[1]}
        assert {box[2:] for box in sheets} == {(SHEET_CELL, SHEET_CELL)}
        assert target[0] == 56
        assert target[0] + PART < min(box[0] for box in sheets)
        assert max(box[0] for box in sheets) + SHEET_CELL < whole[0]
        assert [whole[0], *(box[0] for box in offs)] == [whole[0] + k * (PART + 28) for k in range(len(offs) + 1)]
        assert target[1] > bottom
        bottom = max(target[1] + PART, *(box[1] + SHEET_CELL for box in sheets))
        assert below(page, stack.target, f"target {number + 1}", colour=INK)
        assert below(page, stack.target, ["girl.jpg", "cat.png", "b.tif"][number], 18, line=1)
        assert below(page, stack.cell, f"stack {number + 1}", colour=INK)
        assert below(page, stack.cell, f"SSIM 0.{90 - number}0")
        assert below(page, stack.cell, f"exposure {['0.2', '0.0275', '0.1'][number]}", 18, line=1)
        assert below(page, stack.cell, f"{30 + number}.5 dB", 18, line=1)
        for k, (far, preview) in enumerate(stack.misaligned):
            assert below(page, preview, f"shift {far} px", colour=INK)
            assert below(page, preview, f"SSIM 0.{70 - 10 * k - number}0")
    assert [far for far, _ in proof.stacks[0].misaligned] == [1, 2, 4]
    assert proof.stacks[2].misaligned == []
    first, second = proof.stacks[:2]
    for preview, lines in zip(
        first.sheets, [["1"], ["3, turned 90°"], ["2, flipped h,", "shifted 3, -12.5"]], strict=True
    ):
        for line, text in enumerate(lines):
            assert below(page, preview, text, 16, INK, line)
    # Two in a line, a sign before each but the first, and one before the stack.
    lefts, tops = zip(*(found(page, preview)[:2] for preview in second.sheets), strict=True)
    assert lefts == (lefts[0], lefts[0] + SHEET_CELL + 28, lefts[0])
    assert tops[0] == tops[1] < tops[2]
    for left, top in zip(lefts[1:], tops[1:], strict=True):
        assert (page[top + 50 : top + 70, left - 22 : left - 6] != PAPER).any()
    assert (page[tops[0] + 50 : tops[0] + 70, lefts[0] - 28 : lefts[0]] == PAPER).all()
    whole = found(page, second.cell)
    assert (page[whole[1] + 120 : whole[1] + 140, whole[0] - 30 : whole[0] - 12] != PAPER).any()


def test_leak_of_a_layer_is_the_largest_of_all_arrangements():
    proof = Told((300, 300), 3, [[Placement(2), Placement(1)], [Placement(3), Placement(2)]])
    scores = ((0.51, 0.62), (0.12, 0.45))
    stacks = tuple(
        StackScores(0.9, 30.0, leak, one.misaligned) for one, leak in zip(proof.told.stacks, scores, strict=True)
    )
    proof.told = Scores(stacks, proof.told.guide_ssim)
    page = drawn(proof)
    for layer, leak in zip(proof.layers, ("0.62", "0.51", "0.12"), strict=True):
        assert below(page, layer, f"leak {leak}")


@pytest.mark.parametrize("places", [[all_of(3)], [moved(3, 3)], [all_of(3), moved(3, 2)]])
@pytest.mark.parametrize(
    ("registration", "words"),
    [(0.0, "solved without registration tolerance"), (2.5, "solved with a registration tolerance of 2.5 px")],
)
def test_whether_misalignment_was_solved_for(places, registration, words):
    proof = Told((300, 300), 3, places, registration)
    page = drawn(proof)
    assert said(page, "every sheet but the first is shifted, in turn right, down, left and up;") == 1
    assert said(page, words) == 1
    assert [far for far, _ in proof.stacks[0].misaligned] == list(distances_for(registration))


@pytest.mark.parametrize("places", [[all_of(3)], [moved(3, 3)], [all_of(3), moved(3, 2)], [all_of(6)]])
def test_the_stack_is_shown_at_an_angle(places):
    proof = Told((300, 300), max(map(len, places)), places, views=True)
    page = drawn(proof)
    for stack in proof.stacks:
        for (_, preview), words in zip(stack.views, ("from 22.25°", "from 44.5°"), strict=True):
            assert below(page, preview, words, colour=INK)
            assert below(page, preview, f"SSIM 0.{60 - proof.stacks.index(stack)}0")
    assert places_of(
        page, "seen from the right; at 44.5° the deepest sheet is seen 20.2 px to the right;", 18, FAINT
    )


def test_one_sheet_alone_is_never_misaligned():
    proof = Told((300, 200), 1, [all_of(1)])
    page = drawn(proof)
    assert proof.stacks[0].misaligned == []
    assert not places_of(page, "shift", 20, INK)
    assert not said(page, "registration")
    assert said(page, "1 layer of 300 by 200 pixels") == 1


@pytest.mark.parametrize(
    ("exposures", "words"),
    [
        ((0.2, 0.2001), "exposure 0.2 "),
        ((0.2, 0.02754), "exposures 0.0275 and 0.2 "),
        ((0.2, 0.02754, 0.1), "exposures 0.0275 to 0.2 "),
    ],
)
def test_exposures_in_the_last_line(exposures, words):
    proof = Told((300, 300), 3, [all_of(3)] * len(exposures), exposures=exposures)
    assert said(drawn(proof), f"3 layers of 300 by 300 pixels   ·   {words}") == 1


def test_an_exact_stack():
    proof = Told((300, 300), 2, [all_of(2)])
    proof.told = Scores((StackScores(1.0, np.inf, (0.3, 0.4), proof.told.stacks[0].misaligned),), (0.5, 0.6))
    assert below(drawn(proof), proof.stacks[0].cell, "SSIM 1.000   exact")


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("girl.jpg", "girl.jpg"),
        ("Ménage à trois.png", "Menage a trois.png"),
        ("w" * 80, None),
        ("日.png", ""),
        ("Кот.png", ""),
        ("in\ntwo.png", ""),
    ],
)
@pytest.mark.parametrize("places", [[all_of(2)], [all_of(2)] * 2])
def test_names_of_targets(name, seen, places):
    """The font lacks most letters: rather no name than boxes; a long one is cut short."""
    proof = Told((300, 300), 2, places)
    page, unnamed = drawn(proof, [name] * len(places)), drawn(proof)
    if seen == "":
        assert (page == unnamed).all()
        return
    size, line = (20, 0) if len(places) == 1 else (18, 1)
    assert below(page, proof.stacks[0].target, seen or "www…", size, line=line)
    assert not below(unnamed, proof.stacks[0].target, seen or "www…", size, line=line)
    assert (page.shape, sheet_size(proof)) == (unnamed.shape, page.shape[1::-1])


@pytest.mark.parametrize("planes", [1, 3])
def test_round_sheets_lie_on_the_paper(planes):
    """What is clear beside them is paper; a shifted one shows where it lies; inside, white is white."""
    proof = Told((600, 600), 2, [all_of(2), [Placement(2), Placement(1, shift=(100, 0))]], planes=planes)
    layer, lying = proof.layers[0], proof.stacks[1].sheets[1]
    y, x = np.mgrid[0:CELL, 0:CELL] + 0.5
    layer.images[:] = [np.full((CELL, CELL, planes), 255, np.uint8)]
    colour = np.array([200, 30, 60][:planes], np.uint8)
    lying.images[:] = [np.full((SHEET_CELL, SHEET_CELL, planes), 255, np.uint8)]
    lying.images[0][:] = np.where(np.hypot(*np.mgrid[0:120, -20:100] - 59.5)[..., np.newaxis] < 59, colour, 255)
    page, square = drawn(proof, disc=True), drawn(proof)
    place = {id(one.preview): one for one in contact_sheet.Page(proof, None).pictures}
    seen = {
        id(preview): page[one.top : one.bottom, one.left : one.left + one.size[0]]
        for preview, one in ((preview, place[id(preview)]) for preview in (layer, lying))
    }
    beside = np.hypot(x - CELL / 2, y - CELL / 2) > CELL / 2
    assert (seen[id(layer)][beside] == PAPER).all()
    assert (seen[id(layer)][~beside] == 255).all()
    assert (seen[id(lying)][0, 0] == PAPER).all()
    # Of what lies outside the circle as the sheet is solved some is seen: its right end.
    assert np.abs(seen[id(lying)][15, 115].astype(int) - colour).max() <= 12
    assert (square[56 : 56 + 5, 56 : 56 + 5] == page[56 + 200, 56 + 200]).all()


def test_sheets_are_shown_as_they_lie():
    """A picture of four quarters, turned counter-clockwise and turned over, after all the way through a proof."""
    quarters = np.array([[[0.9, 0.1, 0.1], [0.1, 0.9, 0.1]], [[0.1, 0.1, 0.9], [0.9, 0.9, 0.1]]], np.float32)
    layer, side = as_codes(quarters.repeat(30, axis=0).repeat(30, axis=1)), 60
    place = (Placement(1, 90), Placement(2, flip="h"))
    proof = Scoring((side, side), 2, [PlacedStack(place, 0.5)], [lambda _: None], 3)

    def read(number, region):
        return layer[region.top : region.bottom, region.left : region.right]

    for top in range(0, side, 25):
        proof.add(proof.measured(top, min(top + 25, side), read, read, Desk(3, side)))
    page = drawn(proof)
    for shown in contact_sheet.Page(proof, None).pictures:
        if shown.size[0] != SHEET_CELL:
            continue
        at = [SHEET_CELL // 4, SHEET_CELL * 3 // 4]
        seen = page[shown.top : shown.bottom, shown.left : shown.left + SHEET_CELL][np.ix_(at, at)]
        number = proof.stacks[0].sheets.index(shown.preview)
        expected = [np.rot90(quarters), quarters[:, ::-1]][number]
        assert np.abs(seen - 255 * expected).max() < 2
    assert sum(one.size[0] == SHEET_CELL for one in contact_sheet.Page(proof, None).pictures) == 2


@pytest.mark.parametrize(
    "proof",
    [
        Told((900, 900), 7, [moved(7, 7)], 2.0),
        Told((900, 900), 16, [moved(16, 16, seed) for seed in range(4)], 2.0),
        Told((100, 100), 16, [moved(16, 16, seed) for seed in range(4)], 2.0),
    ],
    ids=["smaller", "as they are", "larger"],
)
def test_one_row_of_pictures_in_memory(proof):
    """The sheet itself is never whole, nor are all its pictures: run.budget reckons with no more."""
    for _ in sheet_bands(proof):  # the fonts, the kernels
        pass
    tracemalloc.start()
    for _ in sheet_bands(proof):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    width, height = sheet_size(proof)
    assert peak < 5 * CELL * CELL * 3 + (4 << 20) < width * height * 3 / 2


@pytest.mark.parametrize("scale", [1, 12])
def test_the_sheet_of_a_solution(tmp_path, scale):
    """Flat pictures, from arrays through files to the sheet; cells do not grow with the print."""
    rng = np.random.default_rng(3)
    pictures = np.kron(rng.random((4, 5, 6, 3)), np.ones((1, 8 * scale, 8 * scale, 1))).astype(np.float32)
    options = mlsolve.Options(iterations=1, levels=1, exposure=0.2)
    solution = mlsolve.solve(pictures[0], list(pictures[1:]), options)
    page = picture_files.load_picture(solution.save(tmp_path / "prints") / "sheet.png") * 255
    assert page.shape[1::-1] == (1904, 1213)
    for number, picture in enumerate((*pictures[1:], pictures[0])):
        left = 56 + number * 448 + (28 if number == 3 else 0)
        spots = page[56 : 56 + 350, left : left + CELL][35::70, 35::70]
        np.testing.assert_allclose(spots, 255 * picture[4 * scale :: 8 * scale, 4 * scale :: 8 * scale], atol=1)


def test_names_and_outline_come_from_the_job(tmp_path, mlsolve, save, picture, monkeypatch):
    told = []
    original = contact_sheet.sheet_bands
    monkeypatch.setattr(
        result, "sheet_bands", lambda *arguments: told.append(arguments[1:]) or original(*arguments)
    )
    save("cat.png", picture(24, 24))
    mlsolve("run", "cat.png", "-g", "cat.png", "-g", "rosette:1", "--iterations", "1", "--out", "o")
    job = (tmp_path / "o" / "job.toml").read_text().replace("size = ", 'shape = "disc"\nsize = ')
    (tmp_path / "round.toml").write_text(job.replace("../", ""))
    mlsolve("run", "--job", "round.toml", "--out", "p")
    assert [one for one in told if one[0] == ["cat.png"]] == [(["cat.png"], False), (["cat.png"], True)]
