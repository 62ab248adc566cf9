"""Facts to pages. Everything comes from facts.json; nothing is computed from runs or data here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from stepladder import facts as facts_module
from stepladder.files import write_bytes, write_text
from stepladder.pictures import charts, images
from stepladder.pictures.architecture import architecture
from stepladder.pictures.draw import of_data
from stepladder.pictures.field import field
from stepladder.pictures.style import save
from stepladder.progress import clock
from stepladder.report.page import render_page
from stepladder.text import accuracy

PICTURES = "pictures"


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


def write_report(folder: Path) -> Pages:
    """Render report.html and report.md with its pictures into a climb's folder.

    Raises:
        RunError: if the folder holds no facts.
    """
    facts = facts_module.read(folder)
    pictures = draw(facts)
    for picture in pictures.values():
        write_bytes(folder / picture.path, picture.content)
    pages = Pages(folder / "report.html", folder / "report.md")
    write_text(pages.html, render_page(facts))
    write_text(pages.markdown, render(facts, pictures, "guide.md.j2"))
    return pages


def draw(facts: facts_module.Facts) -> dict[str, Picture]:
    """Return the pictures of a climb by name.

    Where there is no augmentation, no other schedule or no published result, there is no picture of it.
    """
    steps, split, best = facts["steps"], facts["data"]["split"], facts["best"]
    shape, classes, target = facts["data"]["input_shape"], facts["data"]["classes"], facts["goal"]["target"]
    is_ink = bool(facts["data"].get("is_handwriting", True))
    example = (best["examples"] or best["mistakes"] or [None])[0]
    figures: dict[str, tuple[str, Figure]] = {
        "architecture": ("The net layer by layer, with shapes, parameters and MACs", architecture(best["inspect"])),
        "field": (
            "The receptive field of one output value, layer by layer, on an image and as a staircase",
            field(best["inspect"], images.pixels(example, shape) if example else None),
        ),
        "curves": (
            f"Learning curves of all steps: loss and accuracy over the epochs, in training and on the {split} images",
            charts.curves(steps, target, split),
        ),
        "schedules": (
            "Learning rate of each step over the epochs",
            charts.schedules([*steps, *facts["alternatives"]]),
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
    # Pictures of images and accuracies may be taken out of the report; those of the net and the rates are of no data.
    for name in figures.keys() & {"curves", "alternatives", "confusion", "errors", "augmentation"}:
        of_data(figures[name][1], facts["data"])
    return {
        name: Picture(f"{name}.svg", description, save(figure, "svg"))
        for name, (description, figure) in figures.items()
    }


def render(facts: facts_module.Facts, pictures: dict[str, Picture], template: str) -> str:
    """Return the Markdown page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # Markdown, which has no escaping that a browser would need
        loader=PackageLoader("stepladder.report", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["accuracy"] = accuracy
    environment.filters["clock"] = clock
    environment.filters["thousands"] = lambda number: f"{number:,}"
    return environment.get_template(template).render(**facts, pictures=pictures)
