"""The form of the studio in a real browser: what it says while something is on its way or wrong."""

import json
import math
import re
from contextlib import suppress

import pytest

from conftest import ROOT
from test_browser_studio import drop, small, studio, visit

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which the extra dev brings")

__all__ = ["studio", "visit"]

CAT, BRICK = ROOT / "examples" / "cat.jpg", ROOT / "examples" / "brick.jpg"

ESTIMATE = {
    "seconds": 100,
    "memory": 1e9,
    "memory_free": 4e9,
    "disk": 5e9,
    "disk_free": 2e9,
    "tiles": 1,
    "tile": [48, 48],
    "backend": "cpu",
    "box": {"needed": 1000.0},
    "warnings": [],
}


def held(page, pattern):
    """Hold the answers to requests of this pattern back; returns the list of them."""
    routes = []

    def hold(route):
        routes.append(route)

    page.route(pattern, hold)
    return routes


def wait_for(page, routes, count=1):
    for _ in range(200):
        if len(routes) >= count:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{len(routes)} of {count} requests came")


def estimated(page):
    return page.text_content("#estimate") + page.locator("#full:visible").all_text_contents().__repr__()


def test_an_estimate_is_of_the_form_as_it_is(studio, visit):
    page = visit(studio)
    drop(page, CAT)
    small(page)
    routes = held(page, "**/api/estimate")
    button, size = page.locator("#estimate-button"), page.get_by_label("Side, or width x height")

    def answer(number):
        with suppress(playwright.Error):  # the page has cancelled it
            routes[number].fulfill(status=200, content_type="application/json", body=json.dumps(ESTIMATE))
        page.wait_for_timeout(300)

    def ask():
        before = len(routes)
        button.click()
        wait_for(page, routes, before + 1)
        answer(-1)

    assert button.text_content() == "Estimate time and memory"
    button.click()
    wait_for(page, routes)
    assert button.text_content() == "Cancel the estimate"
    size.fill("64")
    assert button.text_content() == "Estimate time and memory"
    answer(0)
    assert "about" not in estimated(page)
    # It is cancelled by its button, too.
    button.click()
    wait_for(page, routes, 2)
    button.click()
    answer(1)
    assert "about" not in estimated(page)
    # And a new one takes the place of an old one, however late that is answered.
    button.click()
    wait_for(page, routes, 3)
    answer(2)
    assert "about 2 min" in estimated(page)
    assert "the run needs 5.0 GB, 2.0 GB are free" in page.locator("#full").text_content()
    assert page.locator("#full").is_visible()
    for change in (
        lambda: size.fill("80"),
        lambda: page.get_by_role("button", name="Remove sheet 3").click(),
        lambda: page.get_by_role("button", name="Start over").click(),
    ):
        change()
        page.wait_for_timeout(300)
        assert page.text_content("#estimate") == ""
        assert not page.locator("#full").is_visible()
        if page.locator("#start").is_enabled():
            ask()
            assert "about 2 min" in estimated(page)
    drop(page, CAT)
    ask()
    job = ROOT / "examples" / "two-from-three.toml"
    page.set_input_files("#drop-picture", [str(job), str(CAT), str(ROOT / "examples" / "woman.jpg")])
    page.wait_for_selector("text=2 · cat.jpg")
    assert page.text_content("#estimate") == ""


def test_start_waits_for_a_guide_that_is_on_its_way(studio, visit):
    page = visit(studio)
    drop(page, CAT)
    small(page)
    routes = held(page, "**/api/own/pictures?*")
    page.set_input_files("#drop-guide", str(BRICK))
    wait_for(page, routes)
    assert page.locator("#start").is_disabled()
    assert page.text_content("#hint") == "Start waits for brick.jpg."
    assert "Receiving and reading brick.jpg, 23 kB …" in page.text_content("#guides .drop")
    # It is for the sheet that was chosen when it was dropped.
    page.locator("#guides [aria-label^='Sheet 3']").click()
    routes[0].continue_()
    page.wait_for_selector("#start:enabled")
    page.wait_for_selector("#guides [aria-label='Sheet 1: brick.jpg']")
    assert "Receiving" not in page.text_content("#guides .drop")
    page.locator("summary", has_text="The job.toml of this").click()
    page.wait_for_selector("#toml:has-text('brick.jpg')")


@pytest.mark.parametrize("typed", ["-3", "1e400", "99999999999999999999", "seven", "2.5"])
def test_a_seed_that_is_none_is_said_at_its_field(typed, studio, visit):
    page = visit(studio)
    drop(page, CAT)
    small(page)
    seed = page.get_by_label("Seed", exact=True)
    seed.fill(typed)
    seed.press("Tab")
    place = page.locator(".field", has=seed)
    assert place.locator(".wrong").text_content() == f"Seed is {typed}: it must be a whole number from 0 to 9999999"
    assert page.locator("#start").is_disabled()
    assert "Start waits until this is mended" in page.text_content("#hint")
    seed.fill("7")
    seed.press("Tab")
    page.wait_for_selector("#start:enabled")
    assert place.locator(".wrong").count() == 0
    page.wait_for_selector("#guides [aria-label='Sheet 1: rosette 7, ember']")
    start = page.get_by_label("Seed of the start")
    start.fill(typed)
    page.wait_for_selector("#trouble:has-text('Seed of the start is')")
    assert page.locator(".field", has=start).locator(".wrong").is_visible()
    assert page.locator("#start").is_disabled()
    start.fill("7")
    page.wait_for_selector("#start:enabled")


def test_a_finished_run_shows_the_scores_of_its_files(studio, visit):
    page = visit(studio)
    job = ROOT / "examples" / "two-from-three.toml"
    page.set_input_files("#drop-picture", [str(job), str(CAT), str(ROOT / "examples" / "woman.jpg")])
    page.wait_for_selector("text=2 · cat.jpg")
    small(page, 48, Iterations="4", Backend="cpu")
    page.click("#start")
    page.wait_for_selector("#state[data-state=finished]")
    page.wait_for_selector("#run-scores h3")
    (folder,) = (studio.folder / "runs").glob("*/*-prints")
    report = json.loads((folder / "result.json").read_text())
    shown = page.text_content("#run-scores")
    for one, name in zip(report["arrangements"], ("woman.jpg", "cat.jpg"), strict=True):
        part = shown[shown.index(name) :]
        assert f"Likeness{one['ssim']:.3f}, {one['psnr']:.1f} dB" in part
        assert f"A sheet alone, at most{max(one['leak']):.3f}" in part
        for off in one["misaligned"]:
            assert f"Off by {off['pixels']} px{off['ssim_moved'] or off['ssim']:.3f}" in part
    guides = [f"{score:.2f}" for score in (min(report["guides"]), max(report["guides"]))]
    assert f"Sheets to their guides{guides[0]} to {guides[1]}" in shown
    assert "While solving" not in page.text_content("#status")
    # The command is whole, and can be copied.
    command = page.get_by_label("The command", exact=True)
    assert command.evaluate("one => one.scrollWidth <= one.clientWidth")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the command").click()
    page.wait_for_selector("button:has-text('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == command.text_content()
    assert re.fullmatch(r"mlsolve run \S+/job.toml --out again", command.text_content())
    # The list has its size and scores; and it is taken off the list only after a question.
    page.get_by_role("link", name="Runs").click()
    scores = ", ".join(f"{one['ssim']:.3f}" for one in report["arrangements"])
    page.wait_for_selector(f".runs li:has-text('48 × 48 · SSIM {scores}')")
    page.get_by_role("link", name=re.compile("woman")).click()
    page.get_by_role("button", name="Remove this run").click()
    page.get_by_role("button", name="Keep").click()
    assert folder.exists()
    page.get_by_role("button", name="Remove this run").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.wait_for_selector("text=There are none yet.")
    assert not folder.exists()
    assert (studio.folder / "removed" / folder.parent.name / folder.name / "result.json").exists()


def test_two_fingers_turn_a_sheet(studio, visit):
    page = visit(studio, has_touch=True, viewport={"width": 360, "height": 740})
    drop(page, CAT)
    page.locator("summary", has_text="Turn, flip, shift").click()
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box["height"] < 0.75 * 740
    page.locator(".stage [data-layer='3']").focus()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)

    def fingers(kind, degrees):
        way = math.cos(math.radians(degrees)) * 60, -math.sin(math.radians(degrees)) * 60
        points = [{"x": x + s * way[0], "y": y + s * way[1], "id": k} for k, s in enumerate((1, -1))]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points if kind != "touchEnd" else []})

    fingers("touchStart", 0)
    for degrees in (5, 12, 20, 30):
        fingers("touchMove", degrees)
    fingers("touchEnd", 0)
    turned = page.get_by_label("Turn sheet 3 to the left, in degrees")
    assert turned.input_value() == "30"
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.stage [data-layer=\"3\"]')).transform") != "none"
    )
    assert "Keys" not in page.locator("#stage-hint").inner_text()


def test_the_stage_has_the_keys_of_the_light_table(studio, visit):
    page = visit(studio)
    drop(page, CAT)
    page.locator("summary", has_text="Turn, flip, shift").click()
    sheet, turned = (
        page.locator(".stage [data-layer='1']"),
        page.get_by_label("Turn sheet 1 to the left, in degrees"),
    )
    sheet.focus()
    for key, degrees in ((",", 1), ("<", 16), ("[", 106), ("]", 16), (">", 1), (".", 0), ("[", 90), ("b", 0)):
        page.keyboard.press(key)
        assert turned.input_value() == str(degrees), key
    page.keyboard.press("l")
    assert not page.get_by_label("Sheet 1 is in this stack").is_checked()


def test_what_is_read_out_is_what_is_seen(studio, visit):
    """Every name that a control is given holds the words on it."""
    page = visit(studio)
    drop(page, CAT)
    differ = """() => {
      const words = (one) => [...one.childNodes].filter((child) => child.ariaHidden !== "true")
        .map((child) => child.textContent).join(" ").replace(/\\s+/g, " ").replace(/ · .*/, "").trim()
        .toLowerCase();
      return [...document.querySelectorAll("button[aria-label], a[aria-label]")]
        .filter((one) => one.checkVisibility() && !one.ariaLabel.toLowerCase().includes(words(one)))
        .map((one) => `${one.ariaLabel}: ${words(one)}`);
    }"""
    assert page.evaluate(differ) == []
    # What the pointer is over does not look like what is chosen.
    chosen, other = (page.locator(f"#guides [aria-label^='Sheet {number}: ']") for number in (1, 2))
    other.hover()
    look = "one => getComputedStyle(one).backgroundColor"
    assert chosen.evaluate(look) != other.evaluate(look)
    # Names are whole.
    cut = """() => [...document.querySelectorAll(".tile span")]
      .filter((one) => one.scrollWidth > one.clientWidth).length"""
    assert page.evaluate(cut) == 0
