"""The controls of the light table in a real browser: each asserted on the pixels of the canvas."""

import math

import numpy as np
import pytest

from browser import bytes_of, canvas, stack, until
from mlsolve.job.arrangements import Placement
from mlsolve.job.viewing import seen_shift
from tables import assert_equal, exposures, gallery, lay, shown, view

__all__ = ["gallery", "view"]

RUN = "one-from-three"
ALL = (1, 2, 3)


def place(*changed, without=()):
    """The three sheets as they are, except those in `changed`."""
    by_layer = {one.layer: one for one in changed}
    return [by_layer.get(layer, Placement(layer)) for layer in ALL if layer not in without]


def knob(page, name, value):
    """Turn a knob as a hand does: the input has the value, and says so."""
    page.evaluate(
        """([name, value]) => {
          const input = document.getElementById(name);
          input.value = String(value);
          input.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        [name, value],
    )


def at(page, x=0.5, y=0.5):
    """A place of the stack, in shares of it, as a point of the window."""
    return page.evaluate(
        """([x, y]) => {
          const { camera, canvas, ratio, table } = lightTable, stage = canvas.getBoundingClientRect();
          const corner = camera.corner;
          return [stage.left + (corner[0] + x * table.size[0] * camera.zoom) / ratio,
            stage.top + (corner[1] + y * table.size[1] * camera.zoom) / ratio];
        }""",
        [x, y],
    )


@pytest.fixture
def exposure(gallery):
    return exposures(gallery / RUN)[0]


def test_light(gallery, view, exposure):
    """Box and exposure in stops, the light of the room, and the eye that adapts to fewer sheets."""
    folder = gallery / RUN
    with view(RUN) as page:
        knob(page, "box", 1)
        assert_equal(stack(page), shown(folder, place(), exposure / 2))
        knob(page, "exposure", -1)
        assert_equal(stack(page), shown(folder, place(), exposure))
        knob(page, "exposure", 0)
        knob(page, "box", -2)
        assert_equal(stack(page), shown(folder, place(), exposure * 4))
        knob(page, "box", 0)
        knob(page, "room", 40)
        assert_equal(stack(page), shown(folder, place(), exposure, 0.4))
        knob(page, "room", 0)
        page.keyboard.press("2")
        page.keyboard.press("l")
        assert_equal(stack(page), shown(folder, place(without=(2,)), math.sqrt(exposure)))
        page.locator("#adapts").uncheck()
        assert_equal(stack(page), shown(folder, place(without=(2,)), exposure))
        page.locator("#lift").click()
        assert_equal(stack(page), shown(folder, place(), exposure))


def test_single_sheets_look_as_they_are(gallery, view):
    """Alone on a box that the eye is adapted to, a sheet shows its own code values."""
    with view(RUN) as page:
        for layer in (1, 3):
            page.evaluate("number => lightTable.table.lift(number, true)", layer - 1)
        assert_equal(stack(page), shown(gallery / RUN, [Placement(2)], 1.0))


def test_angle_gap_and_register(gallery, view, exposure):
    folder = gallery / RUN
    with view(RUN) as page:
        page.locator("#angle-controls summary").click() if not page.locator("#gap").is_visible() else None
        gap = page.evaluate("Number(document.getElementById('gap').max)")
        knob(page, "gap", gap)
        knob(page, "across", 40)
        knob(page, "down", -25)
        moved = [
            Placement(
                layer,
                shift=tuple(math.floor(seen_shift(k * gap, angle, 1.49) + 0.5) for angle in (40, -25)),
            )
            for k, layer in enumerate(ALL)
        ]
        assert moved[2].shift[0] >= 3
        assert moved[2].shift[1] <= -2
        assert_equal(stack(page), shown(folder, moved, exposure))
        for name in ("gap", "across", "down"):
            knob(page, name, 0)
        knob(page, "off", 3)
        moved = place(Placement(2, shift=(3, 0)), Placement(3, shift=(0, 3)))
        assert_equal(stack(page), shown(folder, moved, exposure))
        knob(page, "off", 0)
        page.locator("#follow").check()
        knob(page, "gap", gap)
        page.mouse.move(*at(page, 1.8, 0.5))
        until(page, "lightTable.table.angles[0] > 5")
        assert np.abs(stack(page).astype(int) - shown(folder, place(), exposure)).max() > 20


def test_keys(gallery, view, exposure):
    folder = gallery / RUN
    with view(RUN) as page:
        stack(page)
        for key in ("2", "ArrowRight", "ArrowRight", "Shift+ArrowDown", "[", ","):
            page.keyboard.press(key)
        assert_equal(stack(page), shown(folder, place(Placement(2, 91, None, (2, 10))), exposure))
        page.keyboard.press("b")
        assert_equal(stack(page), shown(folder, place(), exposure))
        for key in ("3", "f", "]"):
            page.keyboard.press(key)
        assert_equal(stack(page), shown(folder, place(Placement(3, -90, "h")), exposure))
        page.keyboard.press("f")
        # Turned over as it lies: left and right change places in what is seen, and it lies as it did, turned back.
        assert_equal(stack(page), shown(folder, place(Placement(3, 90)), exposure))
        page.keyboard.press("n")
        assert_equal(stack(page), shown(folder, place(), exposure))


def test_everything_can_be_reached_by_keys(view):
    """Tab leads through all controls, and what is reached is named."""
    with view(RUN) as page:
        page.keyboard.press("1")
        seen = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            seen.add(
                page.evaluate(
                    "document.activeElement.id || document.activeElement.getAttribute('aria-label') || "
                    "document.activeElement.textContent"
                )
            )
        assert seen >= {"canvas", "smaller", "fit", "actual", "larger", "help", "photographer"}
        assert seen >= {"left", "right", "flip", "lift", "turn", "box", "exposure", "room", "adapts"}
        assert any(name.startswith("Sheet 1, ") for name in seen)
        unnamed = page.evaluate(
            """[...document.querySelectorAll("button, input, canvas[tabindex], [role=slider]")].filter((one) =>
              !(one.getAttribute("aria-label") || one.textContent.trim() || one.closest("label"))).length"""
        )
        assert unnamed == 0


def test_a_sheet_is_dragged_and_goes_home(gallery, view, exposure):
    folder = gallery / RUN
    with view(RUN) as page:
        stack(page, 2)
        x, y = at(page)
        page.mouse.move(x, y)
        page.keyboard.press("2")
        page.mouse.down()
        page.mouse.move(x + 40, y - 30, steps=4)
        page.mouse.up()
        assert_equal(stack(page), shown(folder, place(Placement(2, shift=(20, -15))), exposure))
        stack(page, 2)
        x, y = at(page)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 36, y + 34, steps=4)
        page.mouse.up()
        # Near its place it goes there.
        assert_equal(stack(page), shown(folder, place(), exposure))


def test_a_sheet_that_is_dragged_off_is_lifted(gallery, view, exposure):
    with view(RUN) as page:
        stack(page)
        page.keyboard.press("1")
        x, y = at(page)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 110, y, steps=3)
        page.mouse.up()
        found = stack(page)
        assert_equal(found, shown(gallery / RUN, place(without=(1,)), math.sqrt(exposure)))


@pytest.mark.parametrize("by", [(460, 0), (0, -430), (-700, 0)])
def test_a_sheet_is_lifted_in_a_window_of_usual_size(by, view):
    """Shown whole: once more than half of it is beyond the box, or the pointer beyond the stage; not before."""
    with view(RUN, width=1280, height=800) as page:
        page.evaluate("lightTable.fit()")
        page.keyboard.press("2")
        x, y = at(page)

        def drag(right, down):
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x + right, y + down, steps=3)
            page.mouse.up()
            lifted = page.evaluate("lightTable.table.sheets[1].lifted")
            page.keyboard.press("b")
            return lifted

        assert not drag(by[0] * 0.4, by[1] * 0.4)
        assert drag(*by)


def test_a_phone_is_told_of_no_keys(view):
    with view(RUN, width=360, height=740, has_touch=True, is_mobile=True) as page:
        assert "Press ?" not in page.locator("#hint").inner_text()
    with view(RUN) as page:
        assert "Press ?" in page.locator("#hint").inner_text()
        page.keyboard.press("2")
        page.keyboard.press("Delete")
        assert page.evaluate("lightTable.table.sheets[1].lifted")


def test_wheel_and_fingers_turn(gallery, view, exposure):
    folder = gallery / RUN
    with view(RUN, has_touch=True) as page:
        stack(page)
        page.keyboard.press("3")
        page.mouse.move(*at(page))
        page.mouse.wheel(0, -400)
        until(page, "lightTable.table.sheets[2].pose.rotate === 20")
        assert_equal(stack(page), shown(folder, place(Placement(3, 20)), exposure))
        page.keyboard.press("b")
        x, y = at(page)
        touch = page.context.new_cdp_session(page)

        def fingers(kind, degrees):
            way = math.cos(math.radians(degrees)) * 40, -math.sin(math.radians(degrees)) * 40
            points = [{"x": x + s * way[0], "y": y + s * way[1], "id": k} for k, s in enumerate((1, -1))]
            touch.send(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points if kind != "touchEnd" else []}
            )

        fingers("touchStart", 0)
        for degrees in (4, 10, 20, 35):
            fingers("touchMove", degrees)
        fingers("touchEnd", 35)
        until(page, "lightTable.table.sheets[2].pose.rotate === 35")
        assert_equal(stack(page), shown(folder, place(Placement(3, 35)), exposure))


def test_the_target_is_shown_beside_and_under_a_slider(gallery, view, exposure):
    with view(RUN, width=1000) as page:
        page.locator("#compare-controls summary").click()
        page.locator("[data-compare=slider]").click()
        slid = stack(page)
        composed = shown(gallery / RUN, place(), exposure)
        page.evaluate("lightTable.divide(0)")
        target = stack(page).astype(int)
        assert np.abs(target - composed).max() > 20
        half = slid.shape[1] // 2
        assert np.abs(slid[:, : half - 3].astype(int) - composed[:, : half - 3]).max() <= 1
        assert np.abs(slid[:, half + 3 :].astype(int) - target[:, half + 3 :]).max() == 0
        page.locator("#divider").focus()
        page.keyboard.press("End")
        assert_equal(stack(page), composed)
        page.locator("[data-compare=beside]").click()
        assert_equal(stack(page), composed)
        whole, (left, top) = canvas(page), page.evaluate("lightTable.camera.corner")
        aside = left + whole.shape[1] // 2
        assert (whole[top : top + 96, aside : aside + 96] == target).all()


MOVING = """(() => {
  lightTable.table.still = false;
  lightTable.arrange(0);
  const { begun } = lightTable.table.sheets[1].motion;
  return [0, 450, 3000].flatMap((later) => {
    lightTable.paint(begun + later);
    return [...lightTable.renderer.pixels()];
  });
})()"""
"""The canvas at three moments of a motion: before it, on the way, at its end."""


def test_pictures_are_chosen_and_sheets_move_there(gallery, view):
    """On the way it shows neither the one picture nor the other, unless motion is not wanted."""
    name = "two-from-three"
    layers = [Placement(1), Placement(2, 30), Placement(3, 180)]
    wanted = shown(gallery / name, layers, exposures(gallery / name)[1])
    with view(name) as page:
        page.get_by_role("button", name="cat").click()
        assert_equal(stack(page), wanted, disc=True)
        assert page.get_by_role("button", name="cat").get_attribute("aria-pressed") == "true"
        shown_at = bytes_of(page, MOVING).reshape(3, -1, page.evaluate("lightTable.canvas.width"), 4)[..., :3]
        first, on_the_way, there = shown_at
        for one, other in ((first, on_the_way), (on_the_way, there), (first, there)):
            assert (np.abs(one.astype(int) - other).max(axis=2) > 10).sum() > 1000
    with view(name, reduced_motion="reduce") as page:
        assert page.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
        page.reload()
        page.wait_for_selector("body[data-ready=yes]")
        page.get_by_role("button", name="cat").click()
        assert_equal(stack(page), wanted, disc=True)


def test_it_fits_a_narrow_screen(view):
    """At 360 pixels nothing is cut off, and the stack is drawn."""
    with view(
        "three-from-six", width=360, height=740, device_scale_factor=2, is_mobile=True, has_touch=True
    ) as page:
        page.keyboard.press("1")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        beyond = page.evaluate(
            """[...document.querySelectorAll("button, input, p, h1, label")]
              .filter((one) => one.offsetParent).map((one) => one.getBoundingClientRect().right)
              .filter((right) => right > 360).length"""
        )
        assert beyond == 0
        small = page.evaluate(
            """[...document.querySelectorAll("button")].filter((one) => one.offsetParent).filter((one) =>
              one.getBoundingClientRect().height < 43).length"""
        )
        assert small == 0
        assert canvas(page).std() > 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_can_be_read(view, scheme):
    """WCAG asks for a contrast of 4.5 : 1 between letters and what they stand on."""
    with view(RUN, color_scheme=scheme) as page:
        page.keyboard.press("1")
        colours = page.evaluate(
            """["paper", "panel", "ink", "quiet", "accent", "accent-ink", "wash"].map((name) =>
              [name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()])"""
        )

    def luminance(text):
        light = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        light = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in light]
        return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]

    of = {name: luminance(text) for name, text in colours}
    for letters, ground in (
        *(("ink", "panel"), ("ink", "paper"), ("ink", "wash")),
        *(("quiet", "panel"), ("quiet", "paper"), ("accent-ink", "accent")),
    ):
        high, low = max(of[letters], of[ground]), min(of[letters], of[ground])
        assert (high + 0.05) / (low + 0.05) >= 4.5, (letters, ground)
    high, low = max(of["accent"], of["panel"]), min(of["accent"], of["panel"])
    assert (high + 0.05) / (low + 0.05) >= 3, "what shows the state of a control"


def test_a_frame_that_moves_sheets_uploads_nothing(view):
    with view("one-from-nine") as page:
        lay(page, [Placement(1)])
        page.evaluate("lightTable.paint(performance.now())")
        before = page.evaluate("lightTable.renderer.uploadedInAll")
        assert before >= 9 * 4 * 96 * 96
        for turn in range(5):
            lay(page, [Placement(layer, 7.0 * turn + layer, None, (turn, -turn)) for layer in range(1, 10)])
            page.evaluate("lightTable.paint(performance.now())")
            assert page.evaluate("lightTable.frame.uploaded") == 0
        assert page.evaluate("lightTable.renderer.uploadedInAll") == before
        page.keyboard.press("?")
        page.locator("#show-frames").check()
        page.keyboard.press("Escape")
        page.evaluate("lightTable.paint(performance.now())")
        assert "0 bytes uploaded" in page.locator("#frames").text_content()
