"""The studio in a real browser: from a dropped file to a saved folder."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT
from studio_server import Served


@pytest.fixture
def studio(tmp_path):
    served = Served(tmp_path / "folder")
    yield served
    served.close()


@pytest.fixture
def visit(chromium):
    """Open a studio in a new browser; whatever its page complains of fails the test."""
    complaints = []
    contexts = []

    def open_page(studio, **how):
        how = {"viewport": {"width": 1200, "height": 900}, **how}
        contexts.append(chromium.new_context(**how))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.on("request", lambda asked: complaints.append(asked.url) if not is_ours(asked.url, studio) else None)
        page.goto(studio.address)
        page.wait_for_selector("[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def is_ours(url, studio):
    return url.startswith((studio.origin, "data:", f"blob:{studio.origin}"))


def drop(page, *files):
    page.set_input_files("#drop-picture", [str(file) for file in files])
    page.wait_for_selector("#start:enabled")


def small(page, size=48, **others):
    """Ask for few pixels, and set what the page lists under "All other settings"."""
    page.get_by_label("Side, or width x height").fill(str(size))
    if others:
        page.locator("summary", has_text="All other settings").click()
    for label, value in others.items():
        field = page.get_by_label(label, exact=True)
        if field.evaluate("one => one.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
            field.press("Tab")
    page.wait_for_timeout(300)
    page.wait_for_selector("#start:enabled")


def begin(page):
    page.click("#start")
    page.wait_for_selector("[data-ready=run]")


def ended(page):
    page.wait_for_selector("#state[data-state=finished], #state[data-state=failed]")
    assert page.text_content("#state") == "finished", page.text_content("#line")


def layers(folder):
    found = {path.name: path.read_bytes() for path in folder.glob("layer-*")}
    assert found
    return found


def pixels_of(page, selector):
    """The pixels of an image as the browser decoded it, (h, w, 3) uint8."""
    page.wait_for_selector(selector)
    text = page.eval_on_selector(
        selector,
        """async (image) => {
          await image.decode();
          const canvas = document.createElement("canvas");
          canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
          canvas.getContext("2d").drawImage(image, 0, 0);
          return canvas.toDataURL("image/png").split(",")[1];
        }""",
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


@pytest.mark.slow
def test_from_a_dropped_file_to_a_saved_folder(studio, visit, mlsolve, tmp_path):
    page = visit(studio)
    assert page.locator("#start").is_disabled()
    drop(page, ROOT / "examples" / "cat.jpg")
    small(page)
    page.click("#estimate-button")
    page.wait_for_selector("#estimate dl")
    assert re.search(r"Time\s*about \d+ (s|min)", page.text_content("#estimate"))
    page.locator("summary", has_text="The job.toml of this").click()
    shown = page.text_content("#toml")
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save job.toml").click()
    saving.value.save_as(tmp_path / "saved.toml")
    assert (tmp_path / "saved.toml").read_text() == shown
    begin(page)
    ended(page)
    (run,) = (studio.folder / "runs").iterdir()
    assert (run / "job.toml").read_text() == shown
    prints = run / "cat-prints"
    assert np.array_equal(
        pixels_of(page, "#growing img"), np.asarray(Image.open(prints / "stack.png").convert("RGB"))
    )
    for number in (1, 2, 3):
        with page.expect_download() as saving:
            page.get_by_role("link", name=f"Save layer-{number}.png").click()
        saving.value.save_as(tmp_path / "saved" / f"layer-{number}.png")
    assert mlsolve("run", run / "job.toml", "--out", "again").status == 0
    assert layers(tmp_path / "again") == layers(prints) == layers(tmp_path / "saved")
    # Then the light table, and the files for a shop.
    page.get_by_label("Shop", exact=True).select_option("home")
    page.locator("#shops").get_by_label("Pixels per inch").fill("60")
    page.click("#make-sheets")
    assert page.locator("#make-sheets").is_disabled()
    assert page.text_content("#make-sheets") == "Making the files …"
    with page.expect_download() as saving:
        page.get_by_role("link", name="assembly.pdf").click()
    saving.value.save_as(tmp_path / "assembly.pdf")
    assert (tmp_path / "assembly.pdf").read_bytes() == (run / "sheets-home" / "assembly.pdf").read_bytes()
    with page.expect_response(re.compile("manifest.json")) as answer:
        page.get_by_role("link", name="Lay it on the light table").click()
    assert answer.value.status == 200
    page.wait_for_selector("canvas")
    page.get_by_role("link", name="The run and its files").click()
    page.wait_for_selector("#state[data-state=finished]")
    assert page.text_content("#make-sheets") == "Make the files"


@pytest.mark.slow
def test_stopped_killed_started_again_and_resumed(studio, visit, mlsolve, tmp_path):
    page = visit(studio)
    drop(page, ROOT / "examples" / "cat.jpg")
    small(page, 96, Iterations="6000", Levels="2", Solver="adam", Backend="cpu")
    begin(page)
    page.wait_for_selector("text=/when .* level is (done|solved)|stack appears here/")
    page.wait_for_selector("#growing img")  # the first level is done
    assert page.text_content("#repeats").startswith("Is being solved")
    page.click("#stop")
    page.wait_for_selector("#state[data-state=stopped]")
    assert pixels_of(page, "#growing img").std() > 20
    assert page.text_content("#repeats").startswith("Solves all of it from the start; Continue goes on")
    page.click("#resume")
    page.wait_for_selector("text=/iteration [1-9]/")
    studio.kill()
    # The open tab says so, and lets nothing be pressed; a studio on the same folder lets it go on.
    page.wait_for_selector("#gone:has-text('does not answer')")
    page.wait_for_selector("#state:has-text('no answer')")
    assert page.evaluate("document.getElementById('main').inert")
    assert "iteration" not in page.text_content("#words")
    again = Served(studio.folder)
    try:
        assert again.address == studio.address
        page.wait_for_selector("#state[data-state=stopped]")
        page.wait_for_selector("#gone", state="hidden")
        assert "the studio was closed" in page.text_content("#line")
        page.click("#resume")
        ended(page)
        assert page.text_content("#repeats") == "Repeats this run to the byte:"
    finally:
        again.close()
    (run,) = (studio.folder / "runs").iterdir()
    assert mlsolve("run", run / "job.toml", "--out", "again").status == 0
    assert layers(tmp_path / "again") == layers(run / "cat-prints")


def test_a_run_survives_a_closed_tab(studio, visit):
    page = visit(studio)
    drop(page, ROOT / "examples" / "cat.jpg")
    small(page, 48, Iterations="400", Solver="adam")
    begin(page)
    page.wait_for_selector("#state[data-state=running]")
    url = page.url
    page.close()
    other = visit(studio)
    other.goto(url)
    ended(other)
    assert layers(studio.folder / "runs" / "0001-cat" / "cat-prints")


def test_what_is_refused_is_said_in_the_words_of_the_command_line(studio, visit, mlsolve, tmp_path):
    bad = tmp_path / "cut.png"
    data = (ROOT / "examples" / "cat.jpg").read_bytes()
    bad.write_bytes(data[:4000])
    refusal = mlsolve("run", "cut.png").refusal
    page = visit(studio)
    page.set_input_files("#drop-picture", str(bad))
    page.wait_for_selector(f"#pictures [role=alert]:has-text('{refusal[:40]}')")
    assert page.text_content("#pictures [role=alert]") == refusal
    job = tmp_path / "job.toml"
    job.write_text('target = "/etc/passwd"\nguides = ["rosette:1"]\n')
    page.set_input_files("#drop-picture", str(job))
    page.wait_for_selector("#pictures [role=alert]:has-text('passwd')")
    drop(page, ROOT / "examples" / "cat.jpg")
    page.get_by_label("Exposure as a number").fill("7")
    # In the page's own words, beside Start and at the field.
    line = "Exposure is 7: it must be from 0.0001 to 1"
    page.wait_for_selector(f"#trouble:has-text('{line}')")
    field = page.locator(".field", has=page.locator("#exposure"))
    assert field.locator(".wrong").text_content() == line
    assert page.locator("#start").is_disabled()
    page.get_by_label("Exposure as a number").fill("0")
    page.wait_for_selector("#trouble:has-text('Exposure is 0: it must be')")
    assert "Infinity" not in field.text_content()
    page.get_by_label("Exposure as a number").fill("0.1")
    page.wait_for_selector("#start:enabled")
    assert field.locator(".wrong").count() == 0
    page.get_by_label("Tolerance", exact=True).fill("1")
    page.get_by_label("Unit of the tolerance").select_option("mm")
    page.wait_for_selector("#trouble:has-text('Tolerance is')")
    assert "give Pixels per inch as well" in page.text_content("#trouble")
    assert not list((studio.folder / "runs").iterdir())
    wrong = page.context.new_page()
    assert wrong.goto(f"{studio.origin}/?token=wrong").status == 403
    assert "the token is wrong" in wrong.text_content("body")


def test_a_print_with_tolerance_profile_and_own_guide_and_the_same_again(studio, visit, mlsolve, tmp_path):
    page = visit(studio)
    drop(page, ROOT / "examples" / "cat.jpg")
    page.set_input_files("#drop-guide", str(ROOT / "examples" / "brick.jpg"))
    page.wait_for_selector("#guides [aria-label='Sheet 1: brick.jpg']")
    page.get_by_role("button", name="Remove sheet 3").click()
    page.get_by_role("radio", name="Print size").check()
    page.get_by_label("Print size", exact=True).last.fill("24x24mm")
    page.get_by_label("Pixels per inch").fill("60")
    page.get_by_label("Tolerance", exact=True).fill("0.5")
    page.get_by_label("Unit of the tolerance").select_option("mm")
    page.get_by_label("Printer and film").select_option("inkjet-film")
    page.locator("summary", has_text="All other settings").click()
    page.get_by_label("Iterations", exact=True).fill("3")
    page.get_by_label("Iterations", exact=True).press("Tab")
    page.wait_for_timeout(400)
    page.wait_for_selector("#start:enabled")
    text = page.text_content("#toml")
    for line in (
        'print = "24x24mm"',
        "dpi = 60",
        'registration = "0.5mm"',
        'media = "inkjet-film"',
        "iterations = 3",
    ):
        assert line in text.splitlines()
    assert '"../../pictures/brick.jpg"' in text
    begin(page)
    ended(page)
    (run,) = (studio.folder / "runs").iterdir()
    assert mlsolve("run", run / "job.toml", "--out", "again").status == 0
    assert layers(tmp_path / "again") == layers(run / "cat-prints")
    page.get_by_role("button", name="Use these settings again").click()
    page.wait_for_selector("[data-ready=new]")
    page.wait_for_selector("#start:enabled")
    assert page.text_content("#toml") == text
    page.get_by_role("button", name="Start over").click()
    page.wait_for_selector("text=Choose a picture to begin.")


def test_a_dropped_job_fills_the_form(studio, visit):
    page = visit(studio)
    page.set_input_files(
        "#drop-picture", [str(ROOT / "examples" / name) for name in ("two-from-three.toml", "woman.jpg", "cat.jpg")]
    )
    page.wait_for_selector("#start:enabled")
    text = page.text_content("#toml")
    assert "rotate = 30" in text
    assert 'shape = "disc"' in text
    assert page.get_by_label("Side, or width x height").input_value() == "480"
    page.get_by_role("radio", name="2 · cat.jpg").check()
    assert page.get_by_label("Turn sheet 3 to the left, in degrees").input_value() == "180"


def test_sheets_are_dragged_turned_flipped_and_lifted(studio, visit):
    page = visit(studio)
    drop(page, ROOT / "examples" / "cat.jpg")
    small(page, 200)
    page.locator("summary", has_text="Turn, flip, shift").click()
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def seen():
        page.wait_for_timeout(350)
        return np.asarray(Image.open(io.BytesIO(stage.screenshot())).convert("RGB")).astype(int)

    def differs(one, other):
        return np.abs(one - other).mean() > 1

    page.locator(".stage [data-layer='2']").focus()
    first = seen()
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 30, middle[1] + 12, steps=4)
    page.mouse.up()
    dragged = seen()
    assert differs(first, dragged)
    shift = [int(page.get_by_label(re.compile(f"Shift sheet 2 {way}")).input_value()) for way in ("right", "down")]
    per_pixel = 200 / page.locator(".pane").bounding_box()["width"]
    assert shift == pytest.approx([30 * per_pixel, 12 * per_pixel], abs=1)
    page.mouse.wheel(0, -100)
    turned = seen()
    assert differs(dragged, turned)
    assert page.get_by_label("Turn sheet 2 to the left, in degrees").input_value() == "15"
    page.locator(".stage [data-layer='2']").focus()
    page.keyboard.press("f")
    assert differs(turned, seen())
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press(".")
    page.wait_for_timeout(500)
    text = page.text_content("#toml")
    assert f"shift = [ {shift[0] - 10}, {shift[1]} ]" in re.sub(r"\s+", " ", text).replace(", ]", " ]")
    assert "rotate = 14" in text
    assert 'flip = "h"' in text
    page.keyboard.press("Delete")
    assert differs(turned, seen())
    assert not page.get_by_label("Sheet 2 is in this stack").is_checked()
    page.wait_for_selector("#trouble:has-text('layer 2 is in no arrangement')")
    page.get_by_role("button", name="Lay all of them straight").click()
    page.wait_for_selector("#start:enabled")
    assert "place" not in page.text_content("#toml")


def test_the_keyboard_alone_is_enough(studio, visit):
    page = visit(studio)

    def to(name):
        """Go on with the Tab key until a control of this name has the focus."""
        for _ in range(160):
            page.keyboard.press("Tab")
            if name in page.evaluate(
                "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
            ):
                return
        raise AssertionError(f"the Tab key does not reach {name}")

    to("Skip to the content")
    to("Example cat.jpg")
    page.keyboard.press("Enter")
    page.wait_for_selector("#start:enabled")
    to("Another sheet")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('#guides') !== null")
    to("Start")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-ready=run]")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    to("Stop")
    page.keyboard.press("Enter")
    page.wait_for_selector("#state[data-state=stopped]")


NAMELESS = """() => [...document.querySelectorAll("button, a, input, select, progress, [role=img], img")]
  .filter((one) => one.checkVisibility() && !(one.tagName === "IMG" && one.alt !== null))
  .filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length || one.title))
  .map((one) => one.outerHTML.slice(0, 200))"""

FAINT = """() => {
  const light = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    const linear = (code) => (code <= 0.04045 ? code / 12.92 : ((code + 0.055) / 1.055) ** 2.4);
    return [0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255), a];
  };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const text = [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!text || !one.checkVisibility() || one.disabled || one.closest("option, .unseen, .skip")) continue;
    let under = one, ground = 0;
    while (under) {
      const [value, alpha] = light(getComputedStyle(under).backgroundColor);
      if (alpha > 0.99) { ground = value; break; }
      under = under.parentElement;
    }
    const ink = light(getComputedStyle(one).color)[0];
    const ratio = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${one.outerHTML.slice(0, 120)}`);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_every_word_can_be_read(scheme, studio, visit):
    page = visit(studio, color_scheme=scheme, viewport={"width": 360, "height": 740}, reduced_motion="reduce")

    def check():
        page.wait_for_timeout(300)
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(FAINT) == []
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.evaluate("document.getAnimations().length") == 0

    check()
    drop(page, ROOT / "examples" / "cat.jpg", ROOT / "examples" / "coffee.jpg")
    for summary in page.locator("summary").all():
        if summary.is_visible():
            summary.click()
    check()
    for summary in page.locator("details:not([open]) > summary").all():
        if summary.is_visible():
            summary.click()
    page.get_by_role("button", name="Another picture that the same sheets show").click()
    check()
    page.get_by_role("button", name="Remove picture 2").click()
    small(page)
    begin(page)
    ended(page)
    check()
    page.get_by_role("link", name="Runs").click()
    page.wait_for_selector("[data-ready=runs]")
    check()
