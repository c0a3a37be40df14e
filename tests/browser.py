"""Pages in a real browser: a server in a thread of this process, a page that is open, its canvas as numbers."""

import base64
import re
import threading
from contextlib import contextmanager

import numpy as np

TOKEN = "the-token-of-the-tests"


@contextmanager
def served(routes, **more):
    """Serve `routes` on a free port while the block runs; yields the address that enters.

    more: of `application`, and `largest` of the guard.
    """
    import uvicorn

    from mlsolve_studio.server.application import application
    from mlsolve_studio.server.guard import Admission
    from mlsolve_studio.server.serving import bound

    with bound("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        largest = {} if "largest" not in more else {"largest": more.pop("largest")}
        app = application(routes, Admission(TOKEN, "127.0.0.1", port, **largest), **more)
        server = uvicorn.Server(
            uvicorn.Config(app, http="h11", ws="none", log_level="critical", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/?token={TOKEN}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def opened(chromium, address, width=700, height=520, **more):
    """Open a page and wait until it is ready; errors of the page and of its console fail. more: of the context."""
    context = chromium.new_context(viewport={"width": width, "height": height}, **more)
    page, wrong = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    try:
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        assert page.locator("body").get_attribute("data-ready") == "yes", page.locator("#message").text_content()
        page.evaluate("lightTable.table.still = true")
        yield page
        assert not wrong, wrong
    finally:
        context.close()


def until(page, expression):
    """Wait until an expression of the page is true. The page's policy allows no waiting by Playwright."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression} is never true")


def bytes_of(page, expression, **values):
    """The bytes that an expression of the page gives, a Uint8Array, or a promise of one."""
    script = """async (values) => {
      const found = Uint8Array.from(await (EXPRESSION));
      let text = "";
      for (let at = 0; at < found.length; at += 32768) {
        text += String.fromCharCode(...found.subarray(at, at + 32768));
      }
      return btoa(text);
    }""".replace("EXPRESSION", expression)
    return np.frombuffer(base64.b64decode(page.evaluate(script, values)), np.uint8)


def canvas(page):
    """Everything on the canvas, (h, w, 3) uint8, drawn now."""
    found = bytes_of(page, "(lightTable.paint(performance.now()), lightTable.renderer.pixels())")
    width, height = page.evaluate("[lightTable.canvas.width, lightTable.canvas.height]")
    return found.reshape(height, width, 4)[..., :3]


def stack(page, zoom=1):
    """The stack as it is on the canvas, `zoom` of its pixels for one of the stack; the view is set for it."""
    page.evaluate("zoom => lightTable.zoomTo(zoom)", zoom)
    shown = canvas(page)
    (left, top), (width, height) = page.evaluate("[lightTable.camera.corner, lightTable.table.size]")
    assert page.evaluate("lightTable.camera.zoom") == zoom
    assert left >= 0, (left, top)
    assert top >= 0, (left, top)
    return shown[top : top + zoom * height, left : left + zoom * width]


def address_in(text):
    """The address that `mlsolve view` printed."""
    return re.search(r"http://\S+", text)[0]
