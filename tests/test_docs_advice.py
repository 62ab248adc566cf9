"""The page about advice says what the rules say, and its tables are those of the results."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_about_advice_is_up_to_date() -> None:
    sys.path.insert(0, str(DOCS))
    try:
        import advice_page
    finally:
        sys.path.remove(str(DOCS))
    page = (DOCS / "advice.md").read_text(encoding="utf-8")
    assert page == advice_page.updated(page), "run: python docs/advice_page.py"
    assert "when the net ends in a softmax" in page
