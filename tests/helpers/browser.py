"""The system's Chromium, headless, driven by Playwright for Python."""

import contextlib
import pathlib
import shutil
import typing
from collections.abc import Iterator

from playwright.sync_api import Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
              "--disable-background-networking", "--disable-component-update", "--disable-sync",
              "--disable-dev-shm-usage")


class Watched(typing.NamedTuple):
    """A page, and what it does beside what it shows.

    Attributes:
      page: Playwright's.
      requests: URLs that the page asked for.
      errors: Exceptions of its scripts, and what its console calls warnings or errors.
    """

    page: Page
    requests: list[str]
    errors: list[str]


def find_browser() -> str | None:
    """Returns the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextlib.contextmanager
def watched_page() -> Iterator[Watched]:
    """Yields one page of a browser of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=_ARGUMENTS)
        watched = Watched(browser.new_page(), [], [])
        watched.page.on("request", lambda request: watched.requests.append(request.url))
        watched.page.on("pageerror", lambda error: watched.errors.append(str(error)))
        watched.page.on("console", lambda message: watched.errors.append(message.text)
                        if message.type in ("error", "warning") else None)
        yield watched
        browser.close()


def show(page: Page, path: pathlib.Path, width: int = 1600, height: int = 900,
         scheme: typing.Literal["light", "dark"] = "light") -> None:
    """Loads a file in a window of that size, for a reader who prefers that scheme."""
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    page.goto(path.absolute().as_uri())


def accessibility_tree(page: Page) -> list[dict]:
    """Returns the nodes that a screen reader is told of, as Chromium's DevTools give them."""
    tools = page.context.new_cdp_session(page)
    tools.send("Accessibility.enable")
    return [node for node in tools.send("Accessibility.getFullAXTree")["nodes"]
            if not node.get("ignored")]
