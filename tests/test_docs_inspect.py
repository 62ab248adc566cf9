"""docs/inspect.md: what it shows is what its commands print, and what it says of the tests is so."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from zoo import ZOO

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "inspect.md"


@pytest.mark.timeout(600)
def test_the_page_shows_what_its_commands_print() -> None:
    spec = importlib.util.spec_from_file_location("inspect_page", ROOT / "docs" / "inspect_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, kept = True, sys.dont_write_bytecode
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = kept
    page = PAGE.read_text(encoding="utf-8")
    assert module.refreshed(page) == page, "python docs/inspect_page.py writes the outputs anew"


def test_every_finding_is_in_the_table_of_findings() -> None:
    rules = (ROOT / "src" / "stepladder" / "inspection" / "findings.py").read_text(encoding="utf-8")
    kinds = re.findall(r"yield Finding\(\s*\"([^\"]+)\"", rules)
    table = PAGE.read_text(encoding="utf-8").partition("| finding |")[2].partition("\n\n")[0]
    assert len(kinds) >= 11
    assert [kind for kind in kinds if kind not in table] == []


def test_what_the_page_says_of_the_tests_is_so() -> None:
    page = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
    assert f"on {len(ZOO)} well-known nets" in page
    tests = (ROOT / "tests" / "test_receptive_fields.py").read_text(encoding="utf-8")
    examples = re.search(r"max_examples=(\d+)", tests)
    assert examples is not None
    assert f"gradients of {examples[1]} random nets" in page
