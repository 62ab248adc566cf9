"""A CSV file of file names and labels, with or without a header and splits, as a list of image files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from stepladder.data.collection import Item, Listing, split_named
from stepladder.errors import DataError

_FILES = ("file", "filename", "file_name", "path", "filepath", "file_path", "image", "image_path", "img", "name")
_LABELS = ("label", "labels", "class", "class_name", "category", "target", "y")
_SPLITS = ("split", "set", "subset", "fold", "partition", "part")
_MOST_BYTES = 1 << 28


def list_table(path: Path) -> Listing:
    """Return the image files that a CSV file lists.

    Columns are told by a header (file, label and split, or a usual other word for each), or are in this order where the
    first line is none. They are parted by commas, semicolons or tabs. File names are relative to the CSV file's folder.

    Raises:
        DataError: if it cannot be read, has no column of files or labels, or a line is incomplete or names no known
            split.
    """
    rows = _rows(path)
    words = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    file, label, split = (_column(words, known) for known in (_FILES, _LABELS, _SPLITS))
    if file is not None and label is not None:
        rows = rows[1:]
    elif rows and len(rows[0][1]) in (2, 3) and file is None and label is None:
        file, label, split = 0, 1, 2 if len(rows[0][1]) == 3 else None
    elif rows:
        raise DataError(
            "this CSV file has no column of file names, or none of labels",
            given=f"{path}: {', '.join(rows[0][1])}",
            repair="call the columns file, label and, if there is one, split",
        )
    if not rows:
        raise DataError("this CSV file lists no images", given=str(path), repair="give a line a file: name,label")
    assert file is not None
    assert label is not None
    items, missing = [], []
    for number, cells in rows:
        item = _item(path, number, cells, file, label, split)
        if _is_file(item.path):
            items.append(item)
        else:
            missing.append((item.name, "there is no such file"))
    if not items:
        raise DataError(
            "no file that this CSV file lists is there",
            given=f"{path}: {missing[0][0]} and {len(missing) - 1:,} more",
            repair=f"write file names relative to {path.parent}",
        )
    return Listing(tuple(items), "a CSV file of file names and labels", unreadable=tuple(missing))


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the lines that are not empty, each with its number."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError("this CSV file is too large", given=str(path), repair="256 MiB at most")
        text = path.read_text(encoding="utf-8-sig")
        heading = text.partition("\n")[0]
        mark = max(",;\t", key=heading.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            "the CSV file cannot be read", given=f"{path} ({error})", repair="save it as CSV in UTF-8"
        ) from None


def _column(words: Sequence[str], known: Sequence[str]) -> int | None:
    return next((words.index(word) for word in known if word in words), None)


def _item(path: Path, number: int, cells: list[str], file: int, label: int, split: int | None) -> Item:
    named = [cells[index].strip() if index < len(cells) else "" for index in (file, label)]
    if not all(named):
        raise DataError(
            "a line of the CSV file lacks its file or its label",
            given=f"{path}, line {number}: {','.join(cells)}",
            repair="give every line both",
        )
    word = cells[split].strip() if split is not None and split < len(cells) else ""
    part = split_named(word) if word else ""
    if part is None:
        raise DataError(
            "a line of the CSV file names no split that is known",
            given=f"{path}, line {number}: {word}",
            repair="write train, val or test",
        )
    name = named[0].replace("\\", "/")
    return Item(path.parent / name, name, named[1], part)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or no path at all
        return False
