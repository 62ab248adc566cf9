"""The pictures of docs/techniques.md: effects of all candidates, augmented images, schedules, places of pooling."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from matplotlib.figure import Figure
from PIL import Image

from stepladder import data
from stepladder.exhibits import augmentation_exhibit
from stepladder.files import write_bytes
from stepladder.inspection import tables
from stepladder.inspection.oneline import describe
from stepladder.notation import Net
from stepladder.pictures import charts, images, style
from stepladder.pictures.architecture import architecture
from stepladder.schedule import RateTable
from stepladder.spec import Augmentation, Constant, Cosine, OneCycle, Plateau, Recipe, Schedule, StepDecay

if TYPE_CHECKING:
    from techniques_page import Measured

Row = dict[str, Any]

VERDICTS = {
    "taken": ("taken", style.COLOURS[2]),
    "keep": ("worth keeping", style.COLOURS[5]),
    "undecided": ("undecided", style.SOFT),
    "drop": ("dropped", style.COLOURS[1]),
}
AUGMENTATION = Augmentation(rotation=7, shift=1, scale=0.1, shear=5, horizontal_flip=0.5, vertical_flip=0.5)
_EPOCHS = 15
_LINE = 13.0
_NAMES, _TOP, _BOTTOM, _GAP, _PANEL = 196.0, 54.0, 40.0, 12.0, 152.0


def draw(measured: Measured, folder: Path) -> None:
    """Write every picture of the page into a folder."""
    write_bytes(folder / "techniques-effects.svg", style.save(effects(measured), "svg"))
    write_bytes(folder / "techniques-augmentation.png", few_colours(style.save(augmentation(), "png")))
    write_bytes(folder / "techniques-schedules.svg", style.save(schedules(), "svg"))
    for name, picture in poolings(measured).items():
        write_bytes(folder / f"techniques-pooling-{name}.svg", style.save(picture, "svg"))


def effects(measured: Measured) -> Figure:
    """Return what every candidate of every climb was worth against what stood: a panel a data set, a row a candidate.

    Each panel has its own scale; what reaches beyond it is cut off and its value written there.
    """
    from techniques_page import label

    steps: dict[str, list[str]] = {}
    for row in measured.candidates:
        if row["points"] is not None:
            before = measured.stood(row["climb"], row["step"])
            assert before is not None
            names = steps.setdefault(row["step_title"], [])
            if label(row, before) not in names:
                names.append(label(row, before))
    places: dict[tuple[str, str], float] = {}
    line = 0.0
    for title, names in steps.items():
        line += 1.4
        for name in names:
            places[title, name] = line
            line += 1
    width = _NAMES + len(measured.climbs) * (_PANEL + _GAP)
    height = _TOP + line * _LINE + _BOTTOM
    with style.context():
        figure = style.blank(width, height)
        for number, climb in enumerate(measured.climbs):
            left = _NAMES + number * (_PANEL + _GAP)
            axis = figure.add_axes((left / width, _BOTTOM / height, _PANEL / width, line * _LINE / height))
            _panel(axis, measured, climb, places)
            axis.set_ylim(line, 0)
            axis.set_yticks([])
        _names(figure, steps, places, width, height)
        _key(figure, width, height)
    return figure


def _panel(axis: Any, measured: Measured, climb: Row, places: dict[tuple[str, str], float]) -> None:
    from techniques_page import label

    rows = [row for row in measured.candidates if row["climb"] == climb["climb"] and row["points"] is not None]
    reach = 1.25 * float(numpy.quantile([abs(row["points"]) for row in rows] or [1.0], 0.8)) + 0.05
    for row in rows:
        before = measured.stood(row["climb"], row["step"])
        assert before is not None
        y = places[row["step_title"], label(row, before)]
        _, colour = VERDICTS["taken" if row["taken"] else row["verdict"]]
        low, high = (min(max(row[end], -reach), reach) for end in ("low", "high"))
        axis.plot([low, high], [y, y], color=colour, linewidth=1.3, solid_capstyle="butt")
        if abs(row["points"]) <= reach:
            axis.plot([row["points"]], [y], marker="o", markersize=4, color=colour)
        else:
            sign = 1 if row["points"] > 0 else -1
            axis.plot([sign * reach], [y], marker=">" if sign > 0 else "<", markersize=4, color=colour, clip_on=False)
            axis.annotate(
                f"{row['points']:+.1f}".replace("-", "−"),
                (sign * reach, y),
                xytext=(-6 * sign, 3),
                textcoords="offset points",
                ha="right" if sign > 0 else "left",
                fontsize=7,
                color=style.SOFT,
            )
    axis.axvline(0, color=style.SOFT, linewidth=0.8, zorder=0)
    axis.set_xlim(-reach, reach)
    axis.spines["left"].set_visible(False)
    axis.set_title(climb["title"], fontsize=7.8)
    axis.set_xlabel("points")


def _names(
    figure: Figure, steps: dict[str, list[str]], places: dict[tuple[str, str], float], width: float, height: float
) -> None:
    def write(text: str, line: float, **looks: Any) -> None:
        figure.text(12 / width, 1 - (_TOP + line * _LINE) / height, text, va="center", **looks)

    for title, names in steps.items():
        write(title, places[title, names[0]] - 0.95, fontsize=8.4, fontweight="bold")
        for name in names:
            # What is long is written smaller rather than into the panel.
            write(f"  {name}", places[title, name], fontsize=min(8.0, 8.0 * 38 / len(name)), color=style.SOFT)


def _key(figure: Figure, width: float, height: float) -> None:
    left = 14.0
    for text, colour in VERDICTS.values():
        figure.text(left / width, 1 - 16 / height, "●", color=colour, fontsize=9, va="center")
        figure.text((left + 13) / width, 1 - 16 / height, text, fontsize=8.5, va="center")
        left += 34 + 5.4 * len(text)


def augmentation() -> Figure:
    """Return a digit of the bundled sample as each kind of augmentation varies it."""
    dataset = data.load("mnist-sample")
    # Of a 2 one sees whether it is turned or mirrored, which of most zeros one does not.
    twos = dataset.train.labels == 2
    shown = replace(dataset, train=data.Split(dataset.train.images[twos], dataset.train.labels[twos]))
    exhibit = augmentation_exhibit(AUGMENTATION, shown)
    assert exhibit is not None
    # Flips alone show whether a class survives; all together is for those that were kept.
    exhibit["rows"] = [row for row in exhibit["rows"] if row["kind"] != "together"]
    return images.augmentation(exhibit, dataset.input_shape, is_ink=True)


def schedules() -> Figure:
    """Return the learning rates of the schedules that the full ladder tries, over 15 epochs.

    Those of ReduceLROnPlateau depend on the losses: here on one that falls for five epochs and then stays.
    """
    falling = [2.0 - 0.3 * min(epoch, 5) for epoch in range(_EPOCHS)]
    kinds: Sequence[tuple[str, Schedule, float]] = (
        ("constant", Constant(), 0.05),
        ("StepLR", StepDecay(every=_EPOCHS // 3), 0.05),
        ("ReduceLROnPlateau, loss level from epoch 6", Plateau(), 0.05),
        ("cosine", Cosine(), 0.05),
        ("OneCycleLR, three times the peak", OneCycle(), 0.15),
    )
    steps = []
    for number, (title, schedule, rate) in enumerate(kinds, start=1):
        table = RateTable(Recipe(epochs=_EPOCHS, learning_rate=rate, schedule=schedule), 20)
        rates = [one for epoch in range(_EPOCHS) for one in table.epoch(epoch, falling)]
        steps.append({"number": number, "title": title, "epochs": _EPOCHS, "learning_rates": rates})
    return charts.schedules(steps)


def poolings(measured: Measured) -> dict[str, Figure]:
    """Return the nets that a climb's step about pooling compared, drawn: by "earlier", "stood" or "later"."""
    from techniques_page import pooled

    climb, rows = pooled(measured)
    found = {}
    for row in rows:
        summary = describe(Net.parse(row["net"]), tuple(climb["input_shape"]))
        name = "stood" if row["stood"] else row["candidate"].rpartition(" ")[2]
        found[name] = architecture(json.loads(tables.render(summary, "json")))
    return found


def few_colours(content: bytes) -> bytes:
    """Return a PNG file in 64 colours, which grey digits and grey text need no more of."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(content)) as picture:
        picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
    return stream.getvalue()
