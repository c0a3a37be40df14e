"""Faults of rows, columns, formulas and turns planted into the marching kernels, which must be caught.

Those of sums are in test_cuda_tiles.py, those of barriers and memory in test_cuda_march_memory.py.
"""

from cuda_host.device import needs_compiler
from cuda_host.marching import check
from planted_faults import Fault, assert_noticed, each

pytestmark = needs_compiler


ROWS = [
    Fault(
        "halo off by one row",
        "layer_pass",
        "middle = strip.first - DERIVED + START;",
        "middle = strip.first - DERIVED + START + 1;",
    ),
    Fault(
        "gradient one row below",
        "layer_pass",
        "leaves_at = 4 * COLUMNS * threadIdx.x;",
        "leaves_at = 4 * COLUMNS * threadIdx.x + down;",
    ),
    Fault(
        "statistics one row below",
        "statistics",
        "leaves_at += step < REACH ? 0 : down;",
        "leaves_at += step < REACH - 1 ? 0 : down;",
    ),
    Fault("rows after the last are stored", "layer_pass", "has_pixels && number < rows}", "has_pixels}"),
    Fault("rows after the last take a step", "layer_step", "has_pixels && number < rows}", "has_pixels}"),
    Fault(
        "the last row is not stored",
        "layer_step",
        "has_pixels && number < rows}",
        "has_pixels && number < rows - 1}",
    ),
    Fault(
        "rows from above the image",
        "layer_pass",
        "entering_from = max(0, ENTERING - strip.first);",
        "entering_from = 0;",
    ),
    Fault(
        "rows from below the image",
        "layer_pass",
        "entering = min(strip.height, strip.last + REACH)",
        "entering = (strip.last + REACH)",
    ),
    Fault(
        "the last row that enters is missing",
        "layer_pass",
        "entering = min(strip.height, strip.last + REACH)",
        "entering = min(strip.height, strip.last + REACH - 1)",
    ),
    Fault(
        "the last row of partials is missing",
        "layer_pass",
        "derived = min(strip.height, strip.last + RADIUS)",
        "derived = min(strip.height, strip.last + RADIUS - 1)",
    ),
    Fault(
        "partials begin a row too late",
        "layer_pass",
        "derived_from = max(0, RADIUS - strip.first)",
        "derived_from = 1 + max(0, RADIUS - strip.first)",
    ),
    *(
        Fault(f"{count} counts one too few", name, f"{count} = {of};", f"{count} = {of} - 1;")
        for count, of, name in (
            ("enters", "entering_from + entering - FULL - AHEAD", "layer_pass"),
            ("composes", "enters - 1", "stack_pass"),
            ("derives", "derived_from + derived - FULL - AHEAD", "layer_pass"),
            ("leaves", "rows - AHEAD", "layer_pass"),
        )
    ),
    *(
        Fault(f"{count} counts one too many", name, f"{count} = {of};", f"{count} = {of} + 1;")
        for count, of, name in (
            ("enters", "entering_from + entering - FULL - AHEAD", "layer_pass"),
            ("composes", "enters - 1", "stack_pass"),
        )
    ),
    Fault(
        "composing passes begin a step late",
        "stack_pass",
        "START = Pass::COMPOSES ? -1 : 0",
        "START = 0",
    ),
    Fault(
        "the first row is not composed",
        "stack_pass",
        "within(step + 1 - entering_from, entering)",
        "within(step - entering_from, entering)",
    ),
    Fault(
        "first rows begin a step early",
        "layer_pass",
        "fetch_any(kept[i], i, START + i)",
        "fetch_any(kept[i], i, START + i + 1)",
    ),
    Fault("the first row of partials is missing", "layer_pass", "if (step >= REACH) {", "if (step > REACH) {"),
    Fault("a step of rows that pass is missing", "stack_pass", "step < FULL; ++step", "step < FULL - 1; ++step"),
    Fault("partials above the image", "layer_pass", "within(middle, strip.height)", "middle < strip.height"),
    Fault("partials below the image", "layer_pass", "within(middle, strip.height)", "middle >= 0"),
    Fault(
        "rows outside the image are not cleared",
        "layer_pass",
        "shim::copy_later(to, from, there)",
        "if (there) shim::copy_later(to, from, there)",
    ),
]

COLUMNS = [
    Fault(
        "halo off by one column",
        "layer_pass",
        "const int first = c + MARGIN - RADIUS;",
        "const int first = c + MARGIN - RADIUS + 1;",
    ),
    Fault("partials beyond the left border", "layer_pass", "within(column + c, width)", "column + c < width"),
    Fault("partials beyond the right border", "stack_pass", "within(column + c, width)", "column + c >= 0"),
    Fault(
        "columns before the row",
        "layer_pass",
        "within(left + 4 * static_cast<int>(threadIdx.x), pitch)",
        "left + 4 * static_cast<int>(threadIdx.x) < pitch",
    ),
    Fault(
        "columns behind the row",
        "layer_pass",
        "within(left + 4 * static_cast<int>(threadIdx.x), pitch)",
        "left + 4 * static_cast<int>(threadIdx.x) >= 0",
    ),
    Fault("sums of the neighbours' columns", "layer_pass", "column[c] = strip.mine && ", "column[c] = "),
    Fault(
        "columns of the next row",
        "layer_pass",
        "strip.mine && strip.column < strip.width;",
        "strip.mine && strip.column <= strip.width;",
    ),
    Fault(
        "columns of the neighbours",
        "layer_step",
        "strip.mine && strip.column < strip.width;",
        "strip.column < strip.width;",
    ),
    Fault("the padding of layers takes a step", "layer_step", "padded ? x[1] : value.y", "value.y"),
    Fault("the padding of the first moment", "layer_step", "padded ? before.y : mean.y", "mean.y"),
    Fault("the padding of the second moment", "layer_step", "padded ? square_before.y : square.y", "square.y"),
    Fault("a column too many is padding", "layer_step", "strip.column + 1 >= width", "strip.column + 2 >= width"),
]

MATHS = [
    Fault("constant C2", "layer_pass", "constexpr float C2 = ", "constexpr float C2 = 2.0f * "),
    Fault("constant C1", "stack_pass", "constexpr float C1 = ", "constexpr float C1 = 2.0f * "),
    Fault("tap", "statistics", "TAPS[] = {0x1.", "TAPS[] = {0x1.1"),
    Fault("sign of the variance", "layer_pass", "by_variance = -(value", "by_variance = (value"),
    Fault(
        "order of the factors in the gradient",
        "layer_pass",
        "x[c], sums[1][c], fmaf(y[c], sums[2][c]",
        "x[c], sums[2][c], fmaf(y[c], sums[1][c]",
    ),
    Fault(
        "own layer in the product of the others",
        "layer_pass",
        "number - 1 < layer ? number - 1 : number",
        "number - 1",
    ),
    Fault("exposure left out", "layer_pass", "float product = constant * sheet[0]", "float product = sheet[0]"),
    Fault("guide weight", "layer_pass", "fmaf(-guide_weight,", "fmaf(-2.0f * guide_weight,"),
    Fault("guide weight with Adam", "layer_step", "fmaf(-guide_weight,", "fmaf(-1.001f * guide_weight,"),
    Fault("squared error", "stack_pass", "return 2.0f * (x - y);", "return x - y;"),
    Fault(
        "the moment of the other column",
        "layer_step",
        "take_step(value.y, mean.y, square.y",
        "take_step(value.y, mean.x, square.y",
    ),
    Fault(
        "moments changed over",
        "layer_step",
        "first + leaving.at, make_float2(mean.x",
        "first + leaving.at, make_float2(square.x",
    ),
]

TURNS = [
    Fault("sums of the layer beside", "layer_step", "add(group + layer, sum)", "add(group + (layer ^ 1), sum)"),
    Fault("sums of the group after", "stack_pass", "add(group + term,", "add(group + term + 1,"),
    Fault("sums of the first turn", "stack_pass", "(size_t)turn * groups", "(size_t)0 * groups"),
    Fault("rates of the first turn", "layer_step", "rates[RATES * turn + threadIdx.x]", "rates[threadIdx.x]"),
    Fault(
        "rates of the turn after",
        "layer_step",
        "rates[RATES * turn + threadIdx.x]",
        "rates[RATES * (turn + 1) + threadIdx.x]",
    ),
    Fault(
        "a rate too few", "layer_step", "WITH_STEP && threadIdx.x < RATES", "WITH_STEP && threadIdx.x < RATES - 1"
    ),
    Fault("a turn that blocks count up", "layer_step", "WITH_STEP ? LAST : NOW", "NOW"),
    Fault("turn not counted", "layer_step", "turns[NOW] = now + 1;", "turns[NOW] = now;"),
    Fault(
        "every block counts",
        "layer_step",
        "(blockIdx.x | blockIdx.y | blockIdx.z | threadIdx.x) == 0) turns[NOW] = now + 1;",
        "threadIdx.x == 0) turns[NOW] += 1;",
    ),
    Fault("turn not handed over", "stack_pass", "    hand_over(turns, turn);\n}", "}"),
    Fault(
        "counted instead of handed over",
        "stack_pass",
        "    hand_over(turns, turn);\n}",
        "    count(turns, turn);\n}",
    ),
    Fault(
        "handed over instead of counted",
        "layer_step",
        "if (WITH_STEP) count(turns, turn);",
        "if (WITH_STEP) hand_over(turns, turn);",
    ),
    Fault("Adam's kernel does not count", "update", "count(turns, turn);", ""),
    Fault("Adam's kernel reads what it counts", "update", "turn = turns[LAST];", "turn = turns[NOW];"),
    Fault("Adam's kernel takes the first rates", "update", "rates + RATES * turn", "rates"),
    Fault("Adam's kernel takes the padding along", "update", "column + 1 < width", "true"),
    Fault("counted before Adam", "layer_pass", "if (WITH_STEP) count(turns, turn);", "count(turns, turn);"),
    Fault(
        "layers are changed where neighbours read them",
        "layer_step",
        "strip.own(out + at), ",
        "strip.own(const_cast<float*>(layers) + at), ",
    ),
]

FAULTS = [*ROWS, *COLUMNS, *MATHS, *TURNS]


@each(FAULTS)
def test_planted_faults_are_caught(folder, fault):
    assert_noticed(fault, lambda edits: check(folder, edits))


def test_nothing_is_caught_in_what_is_right(folder):
    check(folder, {})
