"""A real browser for the tests of the page: found on the machine, or the tests say that there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


def executable() -> str | None:
    """Return the path of a Chromium; STEPLADDER_CHROMIUM names one where it is not on the PATH."""
    named = os.environ.get("STEPLADDER_CHROMIUM")
    if named:
        return named
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """Start a headless Chromium, or skip the test and say so."""
    path = executable()
    if path is None:
        pytest.skip("NO BROWSER: the report's page is not tested. Install Chromium, or set STEPLADDER_CHROMIUM")
    with sync_playwright() as playwright:
        # Without the sandbox, since tests often run as root, where it does not start; the page is our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page in a window of its own without network, and what it complained about or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def open_page(browser: Browser, path: Path, **options: Any) -> Opened:
    """Open a file; every request and every line in the console is kept."""
    context = browser.new_context(offline=True, reduced_motion="reduce", **options)
    opened = Opened(context.new_page())
    opened.page.on("console", lambda message: opened.complaints.append(message.text))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.goto(path.as_uri())
    return opened
