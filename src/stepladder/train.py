"""Training as a generator of epoch rows, kept in a run folder from which it can go on at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from torch import nn

from stepladder import data, environment, randomness
from stepladder.errors import SpecError
from stepladder.initialise import prepare_module
from stepladder.inputs import Images, Normalisation
from stepladder.keeping import conclude, gather, restore, row_of
from stepladder.loop import EvaluationPass, Loop, Progress
from stepladder.notation import Net
from stepladder.profile_view import Profiler
from stepladder.runs import Checkpoint, EpochRow, EpochTime, RunFolder
from stepladder.spec import Experiment


@dataclass(frozen=True)
class Materials:
    """The images of an experiment, on the device: training, evaluated every epoch, and how they are scaled.

    ``test`` is there under the holdout protocol only: the test images, which are looked at once, when all is done.
    """

    training: Images
    evaluated: Images
    test: Images | None
    split: str
    normalisation: Normalisation
    classes: int
    input_shape: tuple[int, int, int]


def train(
    experiment: Experiment,
    dataset: data.Dataset,
    folder: Path | None = None,
    *,
    threads: int | None = None,
    device: str | None = None,
    report: Callable[[Progress], None] | None = None,
    profiler: Profiler | None = None,
) -> Iterator[tuple[EpochRow, EpochTime]]:
    """Yield one row an epoch, the epochs that the folder already holds first.

    When the last row has been yielded and the generator is asked once more, the finished net, its predictions and
    its result are written.

    Args:
        experiment: what to train.
        dataset: the data set that the experiment names.
        folder: the run folder; None keeps nothing.
        threads: torch's threads; None leaves them alone. A run that goes on keeps those it began with, since another
            number of threads rounds differently.
        device: "cpu", "cuda" or "mps"; None takes a GPU where there is one.
        report: called after every training step; on a GPU after an epoch's last, since it would wait to be asked.
        profiler: listens to where the time goes.

    Raises:
        SpecError: if the net does not fit the data, or the device cannot be used.
        RunError: if the folder is in use, or holds another experiment or a run on other images.
        TrainingError: if the loss stops being a number.
    """
    if folder is None:
        yield from _Session(experiment, dataset, None, threads, device, report, profiler).epochs()
        return
    with RunFolder(folder, experiment, dataset.fingerprint) as opened:
        yield from _Session(experiment, dataset, opened, threads, device, report, profiler).epochs()


def build_module(experiment: Experiment, input_shape: tuple[int, int, int]) -> nn.Module:
    """Return the experiment's net with its first weights, drawn from the seed; no global state changes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(randomness.derive(experiment.seed, "initialise"))
        return Net.parse(experiment.net).build(input_shape)


def prepare(experiment: Experiment, dataset: data.Dataset, device: torch.device) -> Materials:
    """Return the experiment's images on the device.

    Raises:
        SpecError: if the holdout asked for is larger than the training set allows.
    """
    pixels, labels = dataset.train.images, dataset.train.labels
    evaluated, split = dataset.test, "test"
    if experiment.protocol != "reference":
        if dataset.validation is None and experiment.holdout_size >= len(labels):
            raise SpecError(
                "the holdout would take every training image",
                given=f"holdout_size = {experiment.holdout_size}, training images: {len(labels)}",
                repair=f"choose a holdout_size of {len(labels) // 6} or so",
            )
        kept, held = dataset.split_holdout(experiment.holdout_size)
        evaluated, split = data.Split(pixels[held], labels[held]), "holdout"
        pixels, labels = pixels[kept], labels[kept]
    return Materials(
        training=_on_device(data.Split(pixels, labels), device),
        evaluated=_on_device(evaluated, device),
        test=_on_device(dataset.test, device) if experiment.protocol == "holdout" else None,
        split=split,
        normalisation=Normalisation.of(experiment.recipe.inputs, pixels),
        classes=len(dataset.classes),
        input_shape=dataset.input_shape,
    )


def choose_device(name: str | None) -> torch.device:
    """Return the named device, or a GPU where there is one.

    Raises:
        SpecError: if the name is no device's, or this machine or this build of torch has none such.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    reason = "no device of this name"
    if name.partition(":")[0] in ("cpu", "cuda", "mps"):
        try:
            device = torch.device(name)
            torch.zeros(1, device=device)
        except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
            reason = str(error).partition("\n")[0]
        else:
            return device
    raise SpecError(
        "this device cannot be used", given=f"{name} ({reason})", repair="choose cpu, or cuda where there is a GPU"
    )


class _Session:
    """One process's work on one run, from wherever the folder's checkpoint stands to the end."""

    def __init__(
        self,
        experiment: Experiment,
        dataset: data.Dataset,
        folder: RunFolder | None,
        threads: int | None,
        device: str | None,
        report: Callable[[Progress], None] | None,
        profiler: Profiler | None,
    ) -> None:
        self.experiment = experiment
        self.dataset = dataset
        self.folder = folder
        self.report = report
        self.profiler = profiler
        self.device = choose_device(device)
        self.start = folder.checkpoint() if folder else None
        if self.start is not None:
            threads = self.start.threads
        if threads is not None:
            torch.set_num_threads(threads)
        self.threads = torch.get_num_threads()

    def epochs(self) -> Iterator[tuple[EpochRow, EpochTime]]:
        rows = list(self.start.rows) if self.start else []
        times = list(self.start.times) if self.start else []
        yield from zip(rows, times, strict=True)
        if self.folder and self.folder.is_finished() and len(rows) == self.experiment.recipe.epochs:
            return
        loop, materials = self._set_up()
        if self.folder:
            self.folder.write_environment(environment.describe(self.threads, self.device.type, loop.engine))
            if self.start is not None:
                self.folder.write_rows(self.start)
        evaluation: EvaluationPass | None = None
        for epoch in range(len(rows), self.experiment.recipe.epochs):
            began = perf_counter()
            training = loop.train_epoch(epoch, self._watched(rows), self.report)
            trained = perf_counter()
            evaluation = loop.evaluate(materials.evaluated)
            times.append(EpochTime(trained - began, perf_counter() - trained))
            rows.append(row_of(epoch, loop.steps, training, evaluation, materials.split))
            if self.folder:
                with loop.stage("checkpoint"):
                    state = gather(loop)
                    self.folder.save_checkpoint(Checkpoint(tuple(rows), tuple(times), self.threads, state))
            if self.profiler is not None:
                self.profiler.finish_epoch(rows[-1], times[-1])
            yield rows[-1], times[-1]
        if self.folder:
            self._finish(self.folder, loop, materials, rows, evaluation)

    def _set_up(self) -> tuple[Loop, Materials]:
        materials = prepare(self.experiment, self.dataset, self.device)
        module = build_module(self.experiment, materials.input_shape)
        check_outputs(module, materials)
        recipe, seed = self.experiment.recipe, self.experiment.seed
        prepare_module(module, recipe, materials.training, materials.normalisation, seed)
        loop = Loop(
            module,
            self.experiment.recipe,
            materials.training,
            materials.normalisation,
            self.experiment.seed,
            self.device,
        )
        if self.start is not None:
            restore(loop, self.start.tensors)
        if self.profiler is not None:
            self.profiler.attach(loop)
        return loop, materials

    def _watched(self, rows: list[EpochRow]) -> list[float]:
        """Return the losses that reduce-on-plateau watches: the test set decides nothing."""
        if self.experiment.protocol != "reference":
            return [row.evaluation_loss for row in rows]
        return [row.train_loss for row in rows]

    def _finish(
        self,
        folder: RunFolder,
        loop: Loop,
        materials: Materials,
        rows: list[EpochRow],
        evaluation: EvaluationPass | None,
    ) -> None:
        # Asked for again when the run was killed between its last epoch and its result.
        last = evaluation or loop.evaluate(materials.evaluated)
        once = loop.evaluate(materials.test) if materials.test is not None else None
        parameters = sum(parameter.numel() for parameter in loop.module.parameters())
        conclude(folder, self.dataset, materials, rows, loop.state(), parameters, last, once)


def _on_device(split: data.Split, device: torch.device) -> Images:
    # Copies: the data set's arrays are read-only, and torch has no read-only tensors.
    pixels = torch.tensor(split.images, device=device)
    labels = torch.tensor(split.labels, dtype=torch.int64, device=device)
    return Images(pixels, labels)


def check_outputs(module: nn.Module, materials: Materials) -> None:
    """Raise a SpecError if the net does not give one value a class."""
    module.eval()
    with torch.inference_mode():
        outputs = module(torch.zeros(1, *materials.input_shape)).flatten(1).shape[1]
    if outputs != materials.classes:
        raise SpecError(
            "the net's outputs are not the data set's classes",
            given=f"{outputs} outputs for {materials.classes} classes",
            repair=f"end the net with one value a class, such as 'GAP {materials.classes}C1' or '{materials.classes}F'",
        )
