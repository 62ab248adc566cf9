"""The page about ladders shows the ladder and the techniques that there are."""

import sys
from pathlib import Path

from stepladder.techniques import BUILT_IN

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_shows_the_full_ladder_and_every_technique() -> None:
    sys.path.insert(0, str(DOCS))
    try:
        import ladders_page
    finally:
        sys.path.remove(str(DOCS))
    page = (DOCS / "ladders.md").read_text(encoding="utf-8")
    assert page == ladders_page.updated(page), "run: python docs/ladders_page.py"
    assert all(f"| `{name}` |" in page for name in BUILT_IN)
