"""The curve of a learning-rate range test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from stepladder.pictures import style

if TYPE_CHECKING:
    from stepladder.range_test import RangeTest


def range_curve(found: RangeTest) -> Figure:
    """Return the loss over the learning rate: each step's in grey, smoothed in blue, the suggested rate as a line."""
    smooth = found.losses
    start = sum(smooth[: max(1, len(smooth) // 20)]) / max(1, len(smooth) // 20)
    low, high = min(smooth), min(max(smooth), 1.25 * start)  # what diverged is cut off
    margin = 0.1 * max(high - low, 1e-3)
    with style.context():
        figure = style.blank(620, 270)
        axis = figure.add_axes((0.075, 0.21, 0.905, 0.66))
        axis.plot(found.rates, found.raw_losses, color=style.mix(style.SOFT, 0.4), linewidth=0.8, label="each step")
        axis.plot(found.rates, smooth, color=style.COLOURS[0], linewidth=2.0, label="smoothed")
        axis.set_xscale("log")
        axis.set_ylim(low - 2 * margin, high + margin)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("learning rate")
        axis.set_title("Loss of the next batch while the learning rate rises")
        if found.learns:
            axis.axvspan(found.lowest, found.highest, color=style.mix(style.COLOURS[0], 0.08), linewidth=0, zorder=0)
            axis.axvline(found.suggested, color=style.COLOURS[1], linewidth=1.4)
            on_left = found.suggested > (found.rates[0] * found.rates[-1]) ** 0.5
            axis.annotate(
                f"suggested: {found.suggested:g}",
                (found.suggested, 0.05),
                xycoords=("data", "axes fraction"),
                xytext=(-5 if on_left else 5, 0),
                textcoords="offset points",
                ha="right" if on_left else "left",
                fontsize=9,
                fontweight="bold",
                color=style.mix(style.COLOURS[1], 0.85, style.INK),
            )
        axis.legend(loc="lower left")
    return figure
