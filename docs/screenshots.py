"""Pictures of a report for the README and the docs: desktop and phone, light and dark, as headless Chromium shows it.

    python docs/screenshots.py climbs/classic-mnist/report.html

Needs the dev extra and a Chromium (on the PATH, or named by STEPLADDER_CHROMIUM).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
DRAWINGS = HERE.parent / "tests" / "drawings" / "digits.json"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


def main(report: Path) -> None:
    """Write every picture beside this script."""
    path = os.environ.get("STEPLADDER_CHROMIUM") or next(
        (found for name in NAMES if (found := shutil.which(name))), None
    )
    if path is None:
        sys.exit("screenshots: no Chromium was found; install it, or set STEPLADDER_CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = opened(browser, report, scheme, 1180, 1120)
            save(page, f"report-{scheme}.png")
            draw(page, "3")
            page.locator("#living").scroll_into_view_if_needed()
            save(page, f"living-{scheme}.png", "#living")
            page.context.close()
        page = opened(browser, report, "light", 1180, 900)
        for section in ("climb", "architecture", "field", "errors"):
            save(page, f"{section}.png", f"#{section}")
        page.context.close()
        page = opened(browser, report, "light", 390, 844)
        save(page, "phone.png")
        page.context.close()
        browser.close()


def opened(browser: Browser, report: Path, scheme: str, width: int, height: int) -> Page:
    """Return the report in a new window without network."""
    viewport = {"width": width, "height": height}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True, reduced_motion="reduce")
    page = context.new_page()
    page.goto(report.resolve().as_uri())
    page.locator("#curves svg path").first.wait_for(state="attached")
    # Room around a part of the page that is shown by itself, and no bar over it.
    page.add_style_tag(content="section { padding: 1.5rem; } nav { position: static !important; }")
    return page


def draw(page: Page, digit: str) -> None:
    """Draw one of the digits that the tests draw."""
    drawn = json.loads(DRAWINGS.read_text(encoding="utf-8"))
    strokes = next(one["strokes"] for one in drawn["digits"] if str(one["label"]) == digit)
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    if box is None:
        return
    for stroke in strokes:
        places = [
            (box["x"] + x / drawn["pad"] * box["width"], box["y"] + y / drawn["pad"] * box["height"]) for x, y in stroke
        ]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
        page.mouse.up()


def save(page: Page, name: str, part: str | None = None) -> None:
    """Write the window, or one part of the page, with a palette of 128 colours: a quarter of the bytes."""
    from io import BytesIO

    from PIL import Image

    content = page.locator(part).screenshot() if part else page.screenshot()
    image = Image.open(BytesIO(content)).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    image.save(HERE / name, optimize=True)
    print(HERE / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
