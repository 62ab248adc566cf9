"""One picture of a net, an experiment, a run or a climb, by its kind."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepladder.errors import DataError, RunError, SpecError
from stepladder.inspection import tables
from stepladder.inspection.oneline import describe
from stepladder.notation import Net, parse_input_shape
from stepladder.runs import FinishedRun, open_finished, read_experiment
from stepladder.spec import Experiment, Plateau, Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stepladder.data import Dataset

Facts = dict[str, Any]
Load = Callable[[str], "Dataset"]

KINDS = ("architecture", "field", "augmentation", "schedule", "curves", "errors", "confusion")
SUFFIXES = ("svg", "png", "pdf")

_OF_A_NET = ("architecture", "field")
_OF_AN_EXPERIMENT = ("architecture", "field", "augmentation", "schedule")
_RATES_AN_EPOCH = 100


@dataclass(frozen=True)
class Subject:
    """What is drawn.

    Args:
        text: as it was given.
        word: what it is: "a net", "an experiment", "an unfinished run", "a run" or "a climb".
        kinds: the pictures there are of it.
        experiment: what an experiment or run trains; None otherwise.
        run: the finished run, where it is one.
        facts: of a climb, where it is one.
    """

    text: str
    word: str
    kinds: tuple[str, ...]
    experiment: Experiment | None = None
    run: FinishedRun | None = None
    facts: Facts | None = None


def suffix_of(path: Path) -> str:
    """Return the format that a file's name asks for, one of ``SUFFIXES``.

    Raises:
        SpecError: if it is none of them.
    """
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in SUFFIXES:
        raise SpecError(
            "a picture's format is the end of its file's name",
            given=str(path),
            repair=f"end it in {', '.join('.' + one for one in SUFFIXES)}",
        )
    return suffix


def subject_of(text: str) -> Subject:
    """Return what a text names: a climb's folder, a run folder, an experiment file, or else a one-line net.

    Raises:
        RunError: if a folder holds none of these.
        SpecError: if an experiment file cannot be read.
    """
    path = Path(text)
    try:
        # No text at all would name the folder that we are in.
        is_folder, is_file = text != "" and path.is_dir(), path.is_file()
    except (OSError, ValueError):
        is_folder = is_file = False  # too long for a path, so it is a net
    if is_folder:
        return _of_folder(text, path)
    if is_file or text.endswith(".toml"):
        return Subject(text, "an experiment", _OF_AN_EXPERIMENT, _read_experiment(path))
    return Subject(text, "a net", _OF_A_NET)


def draw(text: str, kind: str, load: Load, input_shape: str | None = None) -> Figure:
    """Return the picture of a kind.

    Args:
        text: a one-line net, an experiment file, a run folder or a climb's folder.
        kind: one of ``KINDS``.
        load: returns the data set of a name; called only for pictures that show its images.
        input_shape: such as ``1x28x28``; None for that of the run, or else MNIST's.

    Raises:
        SpecError: if there is no such kind, or not of this subject.
        StepladderError: if the subject cannot be read, or its net does not fit the shape.
    """
    if kind not in KINDS:
        nearest = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean '{nearest[0]}'? " if nearest else ""
        raise SpecError("there is no picture of this kind", given=kind, repair=f"{hint}known: {', '.join(KINDS)}")
    subject = subject_of(text)
    if kind not in subject.kinds:
        raise SpecError(
            f"{subject.word} has no picture of this kind",
            given=f"{kind} of {_short(text)}",
            repair=f"of {subject.word} there are: {', '.join(subject.kinds)}",
        )
    if subject.facts is not None:
        return _of_climb(subject.facts, kind)
    if kind in _OF_A_NET:
        return _net_picture(subject, kind, load, input_shape)
    assert subject.experiment is not None
    if kind == "augmentation":
        return _augmentation(subject, subject.experiment, load)
    if kind == "schedule":
        return _schedule(subject, subject.experiment)
    assert subject.run is not None
    return _of_run(subject.run, kind, load)


def curves(runs: Mapping[str, FinishedRun], target: float | None = None) -> Figure:
    """Return the learning curves of finished runs on shared axes.

    Args:
        runs: by the name that the legend gives them, evaluated on one split.
        target: accuracy in percent to draw a line at.
    """
    from stepladder.pictures import charts

    steps = [
        {"number": number, "title": name, "runs": [{"rows": [asdict(row) for row in run.rows]}]}
        for number, (name, run) in enumerate(runs.items(), start=1)
    ]
    first = next(iter(runs.values()))
    return of_data(charts.curves(steps, target, first.rows[-1].split), first.result["data"])


def of_data(figure: Figure, data: Facts) -> Figure:
    """Return a picture of images or accuracies; that of the sample says so, since it may end up anywhere.

    Args:
        figure: the picture.
        data: of the data set, with "name" and "title".
    """
    from stepladder.data import sample
    from stepladder.pictures import style

    return style.labelled(figure, data["title"]) if data["name"] == sample.NAME else figure


def field_of(net: Net, dataset: Dataset) -> Figure:
    """Return what one output value of a net sees of the data set's first test image, layer by layer.

    Raises:
        ShapeError: if the net does not fit the images.
    """
    from stepladder.pictures.field import field

    return field(json.loads(tables.render(describe(net, dataset.input_shape), "json")), dataset.test.images[0])


def augmentation_of(recipe: Recipe, dataset: Dataset) -> Figure:
    """Return the data set's first training image as the recipe varies it.

    Raises:
        SpecError: if the recipe has no augmentation.
    """
    from stepladder.exhibits import augmentation_exhibit
    from stepladder.pictures import images

    exhibit = augmentation_exhibit(recipe.augmentation, dataset)
    if exhibit is None:
        raise _no_augmentation("this recipe")
    figure = images.augmentation(exhibit, dataset.input_shape, is_ink=dataset.is_handwriting)
    return of_data(figure, {"name": dataset.name, "title": dataset.title})


def schedules(runs: Mapping[str, FinishedRun]) -> Figure:
    """Return the learning rates of finished runs over their epochs, by the name that the legend gives them."""
    from stepladder.facts import learning_rates
    from stepladder.pictures import charts

    return charts.schedules(
        [
            {
                "number": number,
                "title": name,
                "epochs": len(run.rows),
                "learning_rates": learning_rates(run.experiment.recipe, run),
            }
            for number, (name, run) in enumerate(runs.items(), start=1)
        ]
    )


def _is_ink(data: Facts) -> bool:
    """Return whether images are bright strokes on black; what earlier versions kept is all of such."""
    return bool(data.get("is_handwriting", True))


def _of_folder(text: str, path: Path) -> Subject:
    from stepladder import facts, story

    if story.is_story(path):
        path = story.final_run(path)
    if (path / facts.FACTS).is_file():
        return Subject(text, "a climb", KINDS, facts=facts.read(path))
    if not (path / "experiment.toml").is_file():
        raise RunError(
            "this is neither a run folder nor a climb's",
            given=text,
            repair=f"name a folder that holds experiment.toml or {facts.FACTS}",
        )
    experiment = read_experiment(path)
    if not (path / "result.json").is_file():
        return Subject(text, "an unfinished run", _OF_AN_EXPERIMENT, experiment)
    return Subject(text, "a run", KINDS, experiment, open_finished(path))


def _read_experiment(path: Path) -> Experiment:
    try:
        return Experiment.from_toml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            "the experiment file cannot be read", given=f"{path} ({error})", repair="name a TOML file"
        ) from None


def _net_picture(subject: Subject, kind: str, load: Load, input_shape: str | None) -> Figure:
    net = Net.parse(subject.experiment.net if subject.experiment else subject.text)
    if input_shape is not None:
        shape = parse_input_shape(input_shape)
    else:
        shape = subject.run.input_shape if subject.run else (1, 28, 28)
    facts = json.loads(tables.render(describe(net, shape), "json"))
    if kind == "architecture":
        from stepladder.pictures.architecture import architecture

        return architecture(facts)
    from stepladder.pictures.field import field

    if subject.experiment is None or (subject.run and subject.run.input_shape != shape):
        return field(facts)
    image = load(subject.experiment.data).test.images[0]
    # Another input shape than the data set's is a question about the net alone.
    return field(facts, image if image.shape == shape else None)


def _augmentation(subject: Subject, experiment: Experiment, load: Load) -> Figure:
    if experiment.recipe.augmentation.is_none:
        raise _no_augmentation(subject.text)  # before the data is looked for
    return augmentation_of(experiment.recipe, load(experiment.data))


def _schedule(subject: Subject, experiment: Experiment) -> Figure:
    from stepladder.pictures import charts
    from stepladder.schedule import RateTable

    recipe = experiment.recipe
    rows = subject.run.rows if subject.run else ()
    if isinstance(recipe.schedule, Plateau) and not rows:
        raise SpecError(
            "the learning rates of reduce-on-plateau depend on the losses",
            given=f"schedule of {subject.text}",
            repair="train it, then draw the run's schedule",
        )
    table = RateTable(recipe, _RATES_AN_EPOCH)
    watched = [row.train_loss if experiment.protocol == "reference" else row.evaluation_loss for row in rows]
    rates = [rate for epoch in range(recipe.epochs) for rate in table.epoch(epoch, watched)]
    title = f"{recipe.schedule.kind}, {recipe.epochs} epochs"
    return charts.schedules([{"number": 1, "title": title, "epochs": recipe.epochs, "learning_rates": rates}])


def _of_run(run: FinishedRun, kind: str, load: Load) -> Figure:
    from stepladder.evaluate import evaluate
    from stepladder.pictures import charts, images

    if kind == "curves":
        return curves({f"{run.folder.resolve().name}, seed {run.experiment.seed}": run})
    evaluation = evaluate(*run.predictions())
    if kind == "confusion":
        return of_data(charts.confusion(evaluation.confusion, run.classes), run.result["data"])
    from stepladder.exhibits import evaluated, pack

    dataset = load(run.experiment.data)
    if dataset.fingerprint != run.result["data"]["fingerprint"]:
        raise DataError(
            "these are not the images that the run was evaluated on",
            given=f"{dataset.title} from {dataset.source}",
            repair=f"give the folder of {run.result['data']['title']} as --data-dir",
        )
    shown = evaluated(run, dataset).images
    mistakes = [asdict(one) | {"pixels": pack(shown[one.index])} for one in evaluation.mistakes]
    figure = images.errors(mistakes, run.classes, dataset.input_shape, is_ink=dataset.is_handwriting)
    return of_data(figure, run.result["data"])


def _of_climb(facts: Facts, kind: str) -> Figure:
    from stepladder.pictures import charts, images
    from stepladder.pictures.architecture import architecture
    from stepladder.pictures.field import field

    best, shape = facts["best"], facts["data"]["input_shape"]
    if kind == "architecture":
        return architecture(best["inspect"])
    if kind == "field":
        examples = best.get("examples") or best["mistakes"][:1]
        return field(best["inspect"], images.pixels(examples[0], shape) if examples else None)
    if kind == "schedule":
        return charts.schedules([*facts["steps"], *facts["alternatives"]])
    if kind == "curves":
        return of_data(charts.curves(facts["steps"], facts["goal"]["target"], facts["data"]["split"]), facts["data"])
    if kind == "errors":
        return of_data(
            images.errors(best["mistakes"], facts["data"]["classes"], shape, is_ink=_is_ink(facts["data"])),
            facts["data"],
        )
    if kind == "confusion":
        return of_data(charts.confusion(best["confusion"], facts["data"]["classes"]), facts["data"])
    if not best.get("augmentation"):
        raise _no_augmentation("the climb's last step")
    return of_data(images.augmentation(best["augmentation"], shape, is_ink=_is_ink(facts["data"])), facts["data"])


def _no_augmentation(given: str) -> SpecError:
    return SpecError(
        "there is no augmentation to draw",
        given=given,
        repair="draw an experiment whose recipe has one, such as rotation = 10",
    )


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
