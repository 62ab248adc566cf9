"""How single facts are written in tables: counts, sizes, windows, fields, bytes. Every style shares these words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from stepladder.inspection.summary import Field, Summary
from stepladder.inspection.tables.outline import Line
from stepladder.layers import Shape, Window

BAR = 8
"""Cells of the bar that shows a share; each has eight steps."""
_EXACT = 100_000_000
"""A total from which on counts are written with three digits."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
OFF_CENTRE, FROZEN = "*", "°"
_MARKS = OFF_CENTRE + FROZEN + _SUPERSCRIPTS


def sizes(values: Sequence[object]) -> str:
    """Return values along axes, such as ``3×5``."""
    return "×".join(map(str, values))


def pair(values: Sequence[object]) -> str:
    """Return values along axes as one where they are equal: ``3`` or ``3×5``; empty for no axes."""
    return sizes(values) if len(set(values)) > 1 else "".join(map(str, values[:1]))


def shape(value: Shape) -> str:
    """Return a shape without the batch, such as ``64×56×56``."""
    return sizes(value) if value else "scalar"


def shapes(values: Sequence[Shape]) -> str:
    """Return the first of several shapes and how many others there are: ``256×14×14 +2``; empty for none."""
    more = f" +{len(values) - 1}" if len(values) > 1 else ""
    return shape(values[0]) + more if values else ""


def window(value: Window | None, groups: int = 1) -> str:
    """Return how a layer looks at maps, such as ``3×3 s2 p1 d2 g4``; what is 1 (padding: 0) is left out."""
    if value is None:
        return ""
    parts = [sizes(value.kernel)]
    for letter, axes, usual in (("s", value.stride, 1), ("p", value.padding, 0), ("d", value.dilation, 1)):
        if any(axis != usual for axis in axes):
            parts.append(letter + pair(axes))
    return " ".join(parts + ([f"g{groups}"] if groups != 1 else []))


def size(value: int) -> str:
    """Return a number with three significant digits and k, M, G or T for thousands."""
    if value < 1000:
        return str(value)
    scaled: float = value
    for unit in "kMGTP":
        scaled /= 1000
        # 999.6 would be written 1000.
        if scaled < 999.5 or unit == "P":
            break
    return f"{scaled:.{max(0, 3 - len(str(int(scaled))))}f}{unit}"


def counter(total: int) -> Callable[[int], str]:
    """Return how counts are written in a table with this total: exactly, or with three digits where it is large."""
    return "{:,}".format if total < _EXACT else size


def memory(count: int) -> str:
    """Return bytes in KiB, MiB, GiB or TiB with three significant digits; plain below 1 KiB."""
    if count < 1024:
        return f"{count} B"
    scaled: float = count
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        scaled /= 1024
        if scaled < 999.5 or unit == "TiB":
            break
    return f"{scaled:.{max(0, 3 - len(str(int(scaled))))}f} {unit}"


def share(part: int, whole: int) -> str:
    """Return a part in percent; what is more than nothing and less than half a percent is ``<1%``."""
    if not part or not whole:
        return ""
    return "<1%" if 200 * part < whole else f"{part / whole:.0%}"


def signs(lines: Sequence[Line], reasons: Reasons) -> list[str]:
    """Return what the signs in a table mean: only those that it has."""
    meanings = []
    if any(line.shared for line in lines):
        meanings.append("(n): parameters shared with an earlier row, which counts them")
    if any(line.trainable < line.parameters for line in lines):
        meanings.append(f"{FROZEN}: frozen, all or in part: training does not change them")
    if any(line.field is not None and not line.field.aligned for line in lines):
        meanings.append(f"{OFF_CENTRE}: branches that meet here or before it look at different places")
    return meanings + reasons.lines()


def kind(line: Line) -> str:
    """Return the kind with how many blocks share the line and what is special."""
    many = f"{line.count} × " if line.count > 1 else ""
    return many + line.kind + (f" ({line.note})" if line.note and line.output_shapes else "")


def given(line: Line) -> str:
    """Return the shapes of what comes out, or why nothing does."""
    return shapes(line.output_shapes) or line.note


def parameters(line: Line) -> str:
    """Return the parameters; those that an earlier row counts stand in brackets, frozen ones are marked."""
    own = f"{line.parameters:,}" + (FROZEN if line.trainable < line.parameters else "")
    shared = f"({line.shared:,})" if line.shared else ""
    return " ".join(part for part in (own if line.parameters else "", shared) if part)


def bar(part: int, whole: int, cells: int = BAR) -> str:
    """Return a bar of at most ``cells`` characters; anything more than nothing shows."""
    if not part or not whole:
        return ""
    full, rest = divmod(max(1, round(8 * cells * part / whole)), 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def number(value: int | float | Fraction | None) -> str:
    """Return a number as people write it: ``2``, ``1/2``, ``-0.5``; ``?`` where it is unknown."""
    if value is None:
        return "?"
    if isinstance(value, Fraction):
        # Averages over maps whose sizes do not divide have long fractions, which say less than decimals.
        return str(value) if value.denominator < 100 else f"{float(value):.4g}"
    return str(value) if isinstance(value, int) else f"{value:g}"


def numbers(values: Sequence[int | float | Fraction | None]) -> str:
    """Return numbers along axes, one where they are equal."""
    return pair([number(value) for value in values])


def maps(value: Shape, field: Field | None) -> str:
    """Return the sizes of maps along their axes, ``1`` for flat values; empty where axes have no such meaning."""
    if len(value) == 1:
        return "1"
    return pair(value[1:]) if field is not None and len(field.size) == len(value) - 1 else ""


class Reasons:
    """Why fields are unknown: each reason once, with the mark that stands for it."""

    def __init__(self, fields: Sequence[Field | None]) -> None:
        known = dict.fromkeys(
            field.unknown
            for field in fields
            if field is not None and field.unknown and None in (*field.size, *field.jump)
        )
        self._marks = {text: superscript(index) for index, text in enumerate(known, start=1)}
        if len(known) == 1:
            self._marks = dict.fromkeys(known, "")

    def mark(self, field: Field, values: str) -> str:
        """Return what follows values of a field: the reason's mark where one of them is unknown."""
        return self._marks.get(field.unknown, "") if "?" in values else ""

    def lines(self) -> list[str]:
        """Return the footnotes."""
        return [f"?{mark}: unknown: {text}" for text, mark in self._marks.items()]


def superscript(value: int) -> str:
    """Return a number in raised digits."""
    return "".join(_SUPERSCRIPTS[int(digit)] for digit in str(value))


def seen(field: Field | None, reasons: Reasons) -> str:
    """Return the receptive field's size with its marks; empty where there are no maps."""
    if field is None:
        return ""
    values = numbers(field.size)
    return values + reasons.mark(field, values) + ("" if field.aligned else OFF_CENTRE)


def stepped(field: Field | None, reasons: Reasons) -> str:
    """Return the jump with its marks; empty where there are no maps."""
    if field is None:
        return ""
    values = numbers(field.jump)
    return values + reasons.mark(field, values)


def levelled(cells: Sequence[str]) -> list[str]:
    """Return cells with room after them for the marks of others, so that right-aligned digits stay in line."""
    marks = [len(cell) - len(cell.rstrip(_MARKS)) for cell in cells]
    widest = max(marks, default=0)
    return [cell + " " * (widest - mark) if cell else "" for cell, mark in zip(cells, marks, strict=True)]


def shortened(text: str, width: int) -> str:
    """Return text of at most ``width`` characters: ``layer4.…conv3``, shortened in the middle, the end kept longer."""
    if len(text) <= width:
        return text
    if width < 3:
        return text[-width:] if width > 0 else ""
    front = (width - 1) // 3
    return f"{text[:front]}…{text[len(text) - (width - 1 - front) :]}"


def inputs(summary: Summary) -> str:
    """Return what the net takes: shapes, names where there are several, types where they are not float32."""
    several = len(summary.inputs) > 1
    return ", ".join(
        (f"{one.name} " if several else "") + shape(one.shape) + ("" if one.dtype == "float32" else f" {one.dtype}")
        for one in summary.inputs
    )


def final_field(summary: Summary) -> Field | None:
    """Return what the net's first output sees; None where that is no map or comes from no row."""
    index = summary.outputs[0] if summary.outputs else -1
    return summary.rows[index].field if 0 <= index < len(summary.rows) else None


def example(summary: Summary) -> str:
    """Return what one of the things that the net takes is called."""
    return "image" if len(summary.image) == 2 else "input"


def trained(parameters: int, trainable: int) -> str:
    """Return the parameters with how many of them training changes."""
    if parameters == trainable:
        return f"{parameters:,}, all trainable" if parameters else "0"
    return f"{parameters:,}: {trainable:,} trainable, {parameters - trainable:,} frozen"


def facts(summary: Summary) -> list[tuple[str, str]]:
    """Return the totals, each with its name: parameters, buffers, MACs and what is counted, memory."""
    totals, one = summary.totals, example(summary)
    lines = [("parameters", trained(totals.parameters, totals.trainable))]
    if totals.buffers:
        lines.append(("buffers", f"{totals.buffers:,} values beside the parameters"))
    counted = "multiply-accumulates of convolutions and matrix products"
    lines.append(("MACs", f"{totals.macs:,} for one {one} ({counted})"))
    kinds = dict.fromkeys(put.dtype for put in summary.inputs if "float" in put.dtype or "complex" in put.dtype)
    held = f"activations of one {one} in {' and '.join(kinds) or 'float32'}"
    lines.append(
        (
            "memory",
            f"{memory(totals.inference_bytes)} at most for inference, {memory(totals.training_bytes)} kept for "
            f"training ({held})",
        )
    )
    return lines
