"""The page about data says what the code says."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_table_of_data_sets_is_the_catalogue() -> None:
    sys.path.insert(0, str(DOCS))
    try:
        import data_page
    finally:
        sys.path.remove(str(DOCS))
    page = (DOCS / "data.md").read_text(encoding="utf-8")
    assert page == data_page.updated(page), "run: python docs/data_page.py"
    assert "| `emnist-letters` | EMNIST Letters | 1×28×28 | 26 |" in page
