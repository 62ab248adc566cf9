"""What all pictures share: colours, type, and equal bytes for equal figures."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind eyes too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#1B1F24"
SOFT = "#57606B"
LINE = "#DDE2E8"
TINT = "#F4F6F8"
PAPER = "#FFFFFF"

FORMATS = ("svg", "png", "pdf")
POINTS = 72
"""Points an inch; layouts are in points."""

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.monospace": ["DejaVu Sans Mono"],
    "font.size": 9.5,
    "text.color": INK,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.titlepad": 8,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    # Text stays text: it can be searched, copied and read aloud, and the file is small.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    # Without a salt the ids in an SVG file are random.
    "svg.hashsalt": "stepladder",
}

# What has no date, no version and no random id in it is equal for equal facts.
_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}

# Layouts are measured with DejaVu, which comes with matplotlib and is wider than all of these, so that what fits in
# it fits in them; a reader's own typeface is the more pleasant one.
_TYPEFACES = {
    "'DejaVu Sans', sans-serif": "'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif",
    "'DejaVu Sans Mono', monospace": "Menlo, Consolas, 'DejaVu Sans Mono', monospace",
}


def context() -> Any:
    """Return the context manager under which every figure is made and saved."""
    return mpl.rc_context(_RC)


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of a width and height in points."""
    return Figure(figsize=(width / POINTS, height / POINTS))


def colour_of(number: int) -> str:
    """Return the colour of a step by its number, from 1, so that a step has one colour in all pictures."""
    return COLOURS[(number - 1) % len(COLOURS)]


def mix(colour: str, share: float, other: str = PAPER) -> str:
    """Return ``share`` (0 to 1) of a colour, the rest another: a tint on paper, a shade with ink."""
    red, green, blue = (share * one + (1 - share) * two for one, two in zip(to_rgb(colour), to_rgb(other), strict=True))
    return to_hex((red, green, blue))


def labelled(figure: Figure, text: str) -> Figure:
    """Return the figure with a small text in its left lower corner: what its images and numbers are of."""
    width, height = figure.get_size_inches() * POINTS
    with context():
        figure.text(8 / width, 5 / height, text, fontsize=7.2, color=SOFT, ha="left", va="bottom")
    return figure


def save(figure: Figure, kind: str) -> bytes:
    """Return the figure as the bytes of a file; equal figures give equal bytes.

    Args:
        figure: what to save.
        kind: "svg" (text stays text), "png" (192 dots an inch) or "pdf".

    Raises:
        ValueError: for another kind.
    """
    if kind not in FORMATS:
        raise ValueError(f"pictures are saved as {', '.join(FORMATS)}, not as {kind}")
    stream = io.BytesIO()
    with context():
        figure.savefig(stream, format=kind, dpi=192 if kind == "png" else POINTS, metadata=_METADATA[kind])
    return _with_typefaces(stream.getvalue()) if kind == "svg" else stream.getvalue()


def inline_svg(figure: Figure, prefix: str = "") -> str:
    """Return the figure as an SVG element to stand in an HTML page, whose colours follow the page's where it has them.

    Args:
        figure: what to show.
        prefix: put before every id, so that several pictures can stand in one page.
    """
    text = save(figure, "svg").decode()
    text = text[text.index("<svg") :]
    text = re.sub(r" (width|height)=\"[\d.]+pt\"", "", text, count=2)
    text = re.sub(r'(id="|href="#|url\(#)', lambda found: found[1] + prefix, text)
    for name, colour in (("ink", INK), ("soft", SOFT), ("line", LINE), ("tint", TINT), ("paper", PAPER)):
        text = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var(--{name}, {colour})", text, flags=re.IGNORECASE)
    return text


def _with_typefaces(content: bytes) -> bytes:
    text = content.decode()
    for measured, wanted in _TYPEFACES.items():
        text = text.replace(measured, wanted)
    return text.encode()
