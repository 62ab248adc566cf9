"""Pictures of a report for the README and the docs: desktop and phone, light and dark, as headless Chromium shows it.

    python docs/screenshots.py climbs/classic-mnist/report.html climbs/full-mnist/report.html

What a report is, of a classic climb or the story of a climb of questions, is seen from its page.

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


def main(reports: list[Path]) -> None:
    """Write every picture beside this script."""
    path = os.environ.get("STEPLADDER_CHROMIUM") or next(
        (found for name in NAMES if (found := shutil.which(name))), None
    )
    if path is None:
        sys.exit("screenshots: no Chromium was found; install it, or set STEPLADDER_CHROMIUM to its path")
    if missing := [str(report) for report in reports if not report.is_file()]:
        sys.exit(f"screenshots: there is no {', '.join(missing)}; climb first, or name other reports")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for report in reports:
            is_story = 'class="questions"' in report.read_text(encoding="utf-8")
            (show_story if is_story else show_classic)(browser, report)
        browser.close()


def show_classic(browser: Browser, report: Path) -> None:
    """Write the pictures of a classic climb's report."""
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


def show_story(browser: Browser, report: Path) -> None:
    """Write the pictures of a story: the answer, the way up, the step with most candidates, effects."""
    for scheme in ("light", "dark"):
        page = opened(browser, report, scheme, 1180, 1120)
        save(page, f"story-{scheme}.png")
        page.context.close()
    page = opened(browser, report, "light", 1180, 900)
    save(page, "story-way.png", "#way")
    counts = page.locator(".questions > li").evaluate_all(
        "all => all.map(one => one.querySelectorAll('tbody tr').length)"
    )
    save(page, "story-step.png", f"#step-{1 + counts.index(max(counts))}")
    save(page, "story-effects.png", "#effects")
    page.context.close()
    page = opened(browser, report, "dark", 390, 844)
    page.locator("#step-2").evaluate("one => one.scrollIntoView()")
    save(page, "story-phone.png")
    page.context.close()


def opened(browser: Browser, report: Path, scheme: str, width: int, height: int) -> Page:
    """Return the report in a new window without network."""
    viewport = {"width": width, "height": height}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True, reduced_motion="reduce")
    page = context.new_page()
    page.goto(report.resolve().as_uri())
    page.wait_for_function("window.stepladder")
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
    main([Path(one) for one in sys.argv[1:]])
