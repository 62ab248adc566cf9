"""Many seeds of one experiment trained at once, as one net: what a GPU that one small net leaves idle is good for.

Each seed has its own first weights, order of images, augmentation, dropout masks, statistics and optimiser state, drawn
from the very streams that a run of its own draws from. Results equal those of separate runs of torch's plain loop on
the same device within rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

import torch

from stepladder import data, environment
from stepladder.errors import RunError, SpecError
from stepladder.keeping import conclude, gather, kept_state, restore, row_of
from stepladder.loop import EvaluationPass, Progress
from stepladder.many_loop import ManyLoop
from stepladder.runs import Checkpoint, EpochRow, EpochTime, RunFolder
from stepladder.spec import Experiment, Recipe
from stepladder.together import State, join, separate
from stepladder.train import choose_device, prepare

ENGINE = "batched"
"""What environment.json names as the engine."""

# Whatever treats each number by itself can be batched. A field that is not named here has to keep its default.
_BATCHED = {
    *("epochs", "batch_size", "optimiser", "learning_rate", "bias_rate", "momentum", "nesterov", "weight_decay"),
    *("label_smoothing", "averaging", "tail_averaging", "lookahead", "initialisation", "first_layer", "norm_momentum"),
    *("schedule", "augmentation", "inputs", "precision", "matrix_rate"),  # the last is Muon's alone
}
_ELEMENTWISE = ("sgd", "adam", "adamw")

Epoch = tuple[tuple[EpochRow, ...], EpochTime]


def obstacle(recipe: Recipe) -> str | None:
    """Return which field of the recipe cannot be trained for many seeds at once, such as ``optimiser = muon``.

    None if all can.
    """
    if recipe.optimiser not in _ELEMENTWISE:
        return f"optimiser = {recipe.optimiser}"
    if recipe.schedule.kind == "plateau":
        return "schedule.kind = plateau"  # every seed would have a rate of its own
    for name, field in type(recipe).model_fields.items():
        if name not in _BATCHED and getattr(recipe, name) != field.default:
            return f"{name} = {getattr(recipe, name)}"
    return None


def train_many(
    experiment: Experiment,
    dataset: data.Dataset,
    seeds: Sequence[int],
    folders: Sequence[Path] | None = None,
    *,
    threads: int | None = None,
    device: str | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Generator[Epoch, None, list[State]]:
    """Train all seeds at once; yield, for each epoch, one row a seed and the time, those of the folders first.

    The generator's own result (``states = yield from train_many(...)``) is one state a seed, by the names of the
    modules that ``Net.build`` gives, so each loads into the ordinary net.

    Args:
        experiment: what to train; its seed is replaced.
        dataset: the data set that the experiment names.
        seeds: all different.
        folders: one run folder a seed, kept as ``train`` keeps it; None keeps nothing.
        threads: torch's threads; None leaves them alone, or as the folders' runs began.
        device: "cpu", "cuda" or "mps"; None takes a GPU where there is one.
        report: called after every epoch's steps, with means over the seeds.

    Yields:
        Rows in the order of the seeds; seconds as each seed's share of the epoch.

    Raises:
        SpecError: if the net does not fit the data, or the experiment cannot be trained for many seeds at once.
        RunError: if a folder is in use, holds another experiment or a run on other images, or if the folders are at
            different epochs.
        TrainingError: if the loss of a seed stops being a number.
    """
    if (found := obstacle(experiment.recipe)) is not None:
        raise SpecError("this cannot be trained for many seeds at once", given=found, repair="train seed by seed")
    if not seeds or len(set(seeds)) < len(seeds):
        raise SpecError("seeds have to differ, and there has to be one", given=str(list(seeds)), repair="name others")
    experiments = [experiment.model_copy(update={"seed": seed}) for seed in seeds]
    with ExitStack() as stack:
        opened = [
            stack.enter_context(RunFolder(path, one, dataset.fingerprint))
            for path, one in zip(folders or (), experiments, strict=False)
        ]
        return (yield from _epochs(experiments, dataset, opened, threads, choose_device(device), report))


def can_go_on(experiments: Sequence[Experiment], folders: Sequence[Path]) -> bool:
    """Return whether the runs in the folders are at the same epoch, or new, so that ``train_many`` takes them.

    Raises:
        RunError: if a folder is in use or holds another experiment.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(RunFolder(*pair)) for pair in zip(folders, experiments, strict=True)]
        return _common_checkpoints(opened) is not None


def _epochs(
    experiments: list[Experiment],
    dataset: data.Dataset,
    folders: list[RunFolder],
    threads: int | None,
    device: torch.device,
    report: Callable[[Progress], None] | None,
) -> Generator[Epoch, None, list[State]]:
    starts = _common_checkpoints(folders)
    if starts is None:
        raise RunError(
            "these runs are at different epochs, so they cannot go on at once",
            given=", ".join(str(folder.path) for folder in folders),
            repair="go on with each by itself: stepladder train with --seed and its folder as --run",
        )
    if starts:
        threads = starts[0].threads
    if threads is not None:
        torch.set_num_threads(threads)
    threads = torch.get_num_threads()
    # A row of rows an epoch, a list of rows a seed.
    rows = [list(start.rows) for start in starts] or [[] for _ in experiments]
    times = list(starts[0].times) if starts else []
    yield from zip(zip(*rows, strict=True), times, strict=True)
    if starts and len(times) == experiments[0].recipe.epochs and all(folder.is_finished() for folder in folders):
        return [kept_state(start.tensors) for start in starts]
    materials = prepare(experiments[0], dataset, device)
    loop = ManyLoop(experiments, materials, device)
    if starts:
        restore(loop, join([start.tensors for start in starts]))
    machine = environment.describe(threads, device.type, ENGINE) | {"seeds_at_once": len(experiments)}
    for folder in folders:
        folder.write_environment(machine)
    for folder, start in zip(folders, starts, strict=False):
        folder.write_rows(start)
    last: list[EvaluationPass] | None = None
    for epoch in range(len(times), experiments[0].recipe.epochs):
        began = perf_counter()
        passes = loop.train_epoch(epoch, report)
        trained = perf_counter()
        last = loop.evaluate(materials.evaluated)
        times.append(EpochTime((trained - began) / len(rows), (perf_counter() - trained) / len(rows)))
        for mine, training, evaluation in zip(rows, passes, last, strict=True):
            mine.append(row_of(epoch, loop.steps, training, evaluation, materials.split))
        if folders:
            for folder, mine, state in zip(folders, rows, separate(gather(loop), len(rows)), strict=True):
                folder.save_checkpoint(Checkpoint(tuple(mine), tuple(times), threads, state))
        yield tuple(mine[-1] for mine in rows), times[-1]
    states = separate(loop.state(), len(rows))
    if folders:
        # Asked for again when the runs were stopped between their last epoch and their results.
        last = last or loop.evaluate(materials.evaluated)
        tests = loop.evaluate(materials.test) if materials.test is not None else [None] * len(rows)
        parameters = sum(parameter.numel() for parameter in loop.module.parameters()) // len(rows)
        for folder, mine, state, evaluation, test in zip(folders, rows, states, last, tests, strict=True):
            conclude(folder, dataset, materials, mine, state, parameters, evaluation, test)
    return states


def _common_checkpoints(folders: Sequence[RunFolder]) -> list[Checkpoint] | None:
    """Return each folder's checkpoint after the last epoch that all hold; none where one is new; None if they differ.

    Folders are written one after another, so a stop leaves some of them one epoch ahead of the others.
    """
    done = [len(newest.rows) if (newest := folder.checkpoint()) else 0 for folder in folders]
    if not done or (min(done) == 0 and max(done) <= 1):
        return []
    found = [folder.checkpoint(min(done)) for folder in folders]
    common = [one for one in found if one is not None and len(one.rows) == min(done)]
    return common if len(common) == len(folders) else None
