"""Answers of a finished run's net for people's own image files."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from stepladder import facts, story
from stepladder.data.pictures import as_input
from stepladder.errors import DataError, StepladderError
from stepladder.handwriting import prepare
from stepladder.image_files import open_picture
from stepladder.runs import FinishedRun, open_finished
from stepladder.trained import TrainedNet, load

STYLES = ("text", "json")
_BATCH = 256
_BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


@dataclass(frozen=True)
class Choice:
    """A class and the probability, in [0, 1], that the net gives it."""

    name: str
    probability: float


@dataclass(frozen=True, eq=False)
class Answer:
    """What the net says to one image file, or why it says nothing.

    Args:
        path: the file, as the user wrote it.
        choices: all classes, the likeliest first; none when there is an error.
        pixels: what the net saw, uint8 of shape (channels, rows, columns); None when there is an error.
        error: why there is no answer; None when there is one.
    """

    path: str
    choices: tuple[Choice, ...] = ()
    pixels: numpy.ndarray | None = None
    error: StepladderError | None = None


def predict(folder: Path, paths: Iterable[str]) -> list[Answer]:
    """Return an answer for each image file, in the order given; a file that cannot be used stops no other.

    >>> predict(Path("climbs/classic-mnist"), ["seven.jpg"])[0].choices[0]  # doctest: +SKIP
    Choice(name='7', probability=0.9998)

    Args:
        folder: a run folder, or that of a climb: then the first run of its last step.
        paths: image files of any size and kind that Pillow reads.

    Raises:
        RunError: if the folder holds no finished run, or a damaged one.
    """
    run = open_finished(run_folder(folder))
    net = load(run)
    is_ink = is_handwriting(run)
    answers = []
    batch: list[Answer] = []
    for path in paths:
        batch.append(_look(path, net.input_shape, is_ink))
        if len(batch) == _BATCH:
            answers += _answered(batch, net)
            batch = []
    return answers + _answered(batch, net)


def run_folder(folder: Path) -> Path:
    """Return the folder itself, or, if a climb is kept there, that of the first run of its last step or final net.

    Raises:
        RunError: if the climb's facts are damaged, or of a later format, or there is no final net yet.
    """
    if story.is_story(folder):
        return story.final_run(folder)
    if (folder / facts.FACTS).is_file():
        return folder / str(facts.read(folder)["steps"][-1]["runs"][0]["folder"])
    return folder


def expand(patterns: Iterable[str]) -> list[str]:
    """Return the files that patterns such as ``*.png`` stand for; what is a file, or matches none, stays as it is.

    Most shells do this themselves; that of Windows leaves it to the program.
    """
    expanded: list[str] = []
    for pattern in patterns:
        try:
            is_there = Path(pattern).exists()
        except (OSError, ValueError):
            is_there = True  # no path at all; opening it will say so
        expanded += [pattern] if is_there else sorted(glob.glob(pattern)) or [pattern]  # noqa: PTH207 (keeps the words as written)
    return expanded


def render(answers: Sequence[Answer], style: str, *, top: int = 3, show: bool = False) -> str:
    """Return the answers as text or JSON, with the ``top`` likeliest classes of each.

    With ``show`` what the net saw comes along: as block characters in text, as numbers in JSON. Text leaves out
    files without an answer.
    """
    if style == "json":
        found = [_as_json(answer, top, show) for answer in answers]
        return json.dumps({"answers": found}, indent=None if show else 2, ensure_ascii=False) + "\n"
    answered = [answer for answer in answers if answer.error is None]
    width = max((len(answer.path) for answer in answered), default=0)
    lines = []
    for answer in answered:
        shares = "   ".join(f"{choice.name} {100 * choice.probability:6.2f}%" for choice in answer.choices[:top])
        lines.append(f"{answer.path:<{width}}   {shares}")
        if show and answer.pixels is not None:
            lines += ["", *blocks(answer.pixels), ""]
    return "".join(f"{line}\n" for line in lines)


def blocks(pixels: numpy.ndarray) -> list[str]:
    """Return an image, uint8 of shape (channels, rows, columns), as lines of block characters, two rows a line."""
    grey = pixels.mean(axis=0)
    bright = grey > 0.4 * max(float(grey.max()), 1.0)
    if len(bright) % 2:
        bright = numpy.pad(bright, ((0, 1), (0, 0)))
    inner = ["".join(_BLOCKS[bool(a), bool(b)] for a, b in zip(*pair, strict=True)) for pair in _pairs(bright)]
    edge = "─" * bright.shape[1]
    return [f"  ┌{edge}┐", *(f"  │{line}│" for line in inner), f"  └{edge}┘"]


def _pairs(rows: numpy.ndarray) -> Iterable[tuple[numpy.ndarray, numpy.ndarray]]:
    return zip(rows[::2], rows[1::2], strict=True)


def is_handwriting(run: FinishedRun) -> bool:
    """Return whether a run's images are bright strokes on black, so that pictures are prepared as MNIST was made."""
    # Runs of earlier versions do not say it, and all of them are on MNIST.
    return bool(run.result["data"].get("is_handwriting", True))


def _look(path: str, input_shape: tuple[int, int, int], is_ink: bool) -> Answer:
    if not is_ink:
        try:
            return Answer(path, pixels=as_input(Path(path), input_shape))
        except StepladderError as error:
            return Answer(path, error=error)
    try:
        picture = open_picture(Path(path))
    except StepladderError as error:
        return Answer(path, error=error)
    try:
        return Answer(path, pixels=prepare(picture, input_shape))
    except StepladderError as error:
        given = f"{path}, {error.given}" if error.given else path
        return Answer(path, error=DataError(error.what, given=given, repair=error.repair))


def _answered(looks: Sequence[Answer], net: TrainedNet) -> list[Answer]:
    images = [look.pixels for look in looks if look.pixels is not None]
    if not images:
        return list(looks)
    logits = net.logits(numpy.stack(images)).astype(numpy.float64)
    exponentials = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    shares = iter(exponentials / exponentials.sum(axis=1, keepdims=True))
    return [
        look if look.pixels is None else Answer(look.path, _ranked(next(shares), net.classes), look.pixels)
        for look in looks
    ]


def _ranked(shares: numpy.ndarray, classes: Sequence[str]) -> tuple[Choice, ...]:
    order = numpy.argsort(-shares, kind="stable")
    return tuple(Choice(classes[index], float(shares[index])) for index in order)


def _as_json(answer: Answer, top: int, show: bool) -> dict[str, Any]:
    if answer.error is not None:
        error = answer.error
        return {"path": answer.path, "error": {"what": error.what, "given": error.given, "repair": error.repair}}
    found: dict[str, Any] = {
        "path": answer.path,
        "classes": [{"name": choice.name, "probability": choice.probability} for choice in answer.choices[:top]],
    }
    if show and answer.pixels is not None:
        found["pixels"] = answer.pixels.tolist()
    return found
