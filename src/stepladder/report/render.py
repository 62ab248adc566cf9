"""The facts of a classic climb to its pages. Nothing is computed from runs or data here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from stepladder import facts as facts_module
from stepladder.files import write_bytes, write_text
from stepladder.pictures import charts, images
from stepladder.pictures.architecture import architecture
from stepladder.pictures.draw import of_data
from stepladder.pictures.field import field
from stepladder.pictures.style import save
from stepladder.report.page import render_page
from stepladder.report.parts import fill

PICTURES = "pictures"

Facts = dict[str, Any]
Figures = dict[str, tuple[str, Figure]]
"""By name: what a picture shows, for those who do not see it, and the picture."""


@dataclass(frozen=True)
class Pages:
    """Where the pages were written."""

    html: Path
    markdown: Path


@dataclass(frozen=True)
class Picture:
    """One drawing: its file name, what it shows (for those who do not see it), and its bytes."""

    name: str
    description: str
    content: bytes

    @property
    def path(self) -> str:
        """Return the path that the Markdown page links to."""
        return f"{PICTURES}/{self.name}"


def write_climb(folder: Path) -> Pages:
    """Render report.html and report.md with its pictures into a classic climb's folder.

    Raises:
        RunError: if the folder holds no facts.
    """
    facts = facts_module.read(folder)
    pictures = draw(facts)
    return write_pages(folder, pictures, render_page(facts), render(facts, pictures, "guide.md.j2"))


def write_pages(folder: Path, pictures: dict[str, Picture], html: str, markdown: str) -> Pages:
    """Write both pages, and the pictures of the Markdown one, into a climb's folder."""
    for picture in pictures.values():
        write_bytes(folder / picture.path, picture.content)
    pages = Pages(folder / "report.html", folder / "report.md")
    write_text(pages.html, html)
    write_text(pages.markdown, markdown)
    return pages


def render(facts: Facts, pictures: dict[str, Picture], template: str) -> str:
    """Return a Markdown page as text."""
    return fill(template, {**facts, "pictures": pictures}, {}, html=False)


def draw(facts: Facts) -> dict[str, Picture]:
    """Return the pictures of a climb by name.

    Where there is no augmentation, no other schedule or no published result, there is no picture of it.
    """
    steps, split, target = facts["steps"], facts["data"]["split"], facts["goal"]["target"]
    figures = net_figures(facts["best"], facts["data"])
    figures["curves"] = (
        f"Learning curves of all steps: loss and accuracy over the epochs, in training and on the {split} images",
        charts.curves(steps, target, split),
    )
    figures["schedules"] = (
        "Learning rate of each step over the epochs",
        charts.schedules([*steps, *facts["alternatives"]]),
    )
    if facts["alternatives"]:
        figures["alternatives"] = (
            f"Loss and accuracy of the same net under different learning-rate schedules, on the {split} images",
            charts.curves([steps[-1], *facts["alternatives"]], target, split),
        )
    if facts["published"]:
        figures["published"] = (
            "Test accuracy against parameters: this net among published results",
            charts.published(facts["published"], steps),
        )
    return as_files(figures, facts["data"])


def net_figures(best: Facts, data: Facts) -> Figures:
    """Return the pictures of one trained net.

    Args:
        best: the exhibits of a run.
        data: of the data set.
    """
    split, shape, classes = data["split"], data["input_shape"], data["classes"]
    is_ink = bool(data.get("is_handwriting", True))
    example = (best["examples"] or best["mistakes"] or [None])[0]
    figures: Figures = {
        "architecture": ("The net layer by layer, with shapes, parameters and MACs", architecture(best["inspect"])),
        "field": (
            "The receptive field of one output value, layer by layer, on an image and as a staircase",
            field(best["inspect"], images.pixels(example, shape) if example else None),
        ),
        "confusion": (
            f"Confusion matrix of the last step's net on the {split} images",
            charts.confusion(best["confusion"], classes),
        ),
        "errors": (
            "The misclassified images of which the net was most certain, with predicted and true label",
            images.errors(best["mistakes"], classes, shape, is_ink=is_ink),
        ),
    }
    if best["augmentation"]:
        figures["augmentation"] = (
            "One training image as each kind of augmentation varies it, and as all do together",
            images.augmentation(best["augmentation"], shape, is_ink=is_ink),
        )
    return figures


def as_files(figures: Figures, data: Facts) -> dict[str, Picture]:
    """Return figures as SVG files; those of images and accuracies say what they are of, if that is the sample.

    Pictures may be taken out of the report. Those of the net, its field and the learning rates are of no data.
    """
    for name in figures.keys() - {"architecture", "field", "schedules", "published"}:
        of_data(figures[name][1], data)
    return {
        name: Picture(f"{name}.svg", description, save(figure, "svg"))
        for name, (description, figure) in figures.items()
    }
