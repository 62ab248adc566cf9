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

import numpy
import torch
from torch import nn
from torch.nn import functional

from stepladder import data, environment, randomness
from stepladder.augment import augment
from stepladder.averaging import build_averaging
from stepladder.errors import RunError, SpecError
from stepladder.initialise import prepare_module
from stepladder.inputs import Images
from stepladder.keeping import conclude, gather, kept_state, restore, row_of
from stepladder.loop import EvaluationPass, Progress, TrainingPass, not_a_number, steps_per_epoch
from stepladder.optimisers import build_optimiser, set_rate
from stepladder.runs import Checkpoint, EpochRow, EpochTime, RunFolder
from stepladder.schedule import RateTable
from stepladder.spec import Experiment, Recipe
from stepladder.together import SeparateDropout, State, join, joined, separate
from stepladder.train import Materials, build_module, check_outputs, choose_device, prepare

ENGINE = "batched"
"""What environment.json names as the engine."""

# Whatever treats each number by itself can be batched. A field that is not named here has to keep its default.
_BATCHED = {
    *("epochs", "batch_size", "optimiser", "learning_rate", "bias_rate", "momentum", "nesterov", "weight_decay"),
    *("label_smoothing", "averaging", "tail_averaging", "lookahead", "initialisation", "first_layer", "norm_momentum"),
    *("schedule", "augmentation", "precision", "matrix_rate"),  # the last is Muon's alone
}
_ELEMENTWISE = ("sgd", "adam", "adamw")
_IMAGES_AT_ONCE = 1000
"""Of all seeds, in evaluation."""

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
        RunError: if a folder is in use, holds another experiment, or if the folders are at different epochs.
        TrainingError: if the loss of a seed stops being a number.
    """
    if (found := obstacle(experiment.recipe)) is not None:
        raise SpecError("this cannot be trained for many seeds at once", given=found, repair="train seed by seed")
    if not seeds or len(set(seeds)) < len(seeds):
        raise SpecError("seeds have to differ, and there has to be one", given=str(list(seeds)), repair="name others")
    experiments = [experiment.model_copy(update={"seed": seed}) for seed in seeds]
    with ExitStack() as stack:
        opened = [stack.enter_context(RunFolder(*pair)) for pair in zip(folders or (), experiments, strict=False)]
        return (yield from _epochs(experiments, dataset, opened, threads, choose_device(device), report))


def _epochs(
    experiments: list[Experiment],
    dataset: data.Dataset,
    folders: list[RunFolder],
    threads: int | None,
    device: torch.device,
    report: Callable[[Progress], None] | None,
) -> Generator[Epoch, None, list[State]]:
    starts = _common_checkpoints(folders)
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


class ManyLoop:
    """Nets side by side, their one optimiser and everything that one epoch needs.

    Args:
        experiments: equal but for their seeds.
        materials: the images, on the device.
        device: where to compute.
    """

    def __init__(self, experiments: Sequence[Experiment], materials: Materials, device: torch.device) -> None:
        self.seeds = [experiment.seed for experiment in experiments]
        self.recipe = experiments[0].recipe
        self.training = materials.training
        self.normalisation = materials.normalisation
        self.device = device
        self.steps = steps_per_epoch(len(self.training), self.recipe.batch_size)
        modules = [self._first_net(experiment, materials) for experiment in experiments]
        self._shape = materials.input_shape
        example = torch.zeros(2, *self._shape, device=device).contiguous(memory_format=torch.channels_last)
        self.module: nn.Module = joined(modules, example).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._dropouts = [layer for layer in self.module.modules() if isinstance(layer, SeparateDropout)]
        self.optimiser = build_optimiser(self.module, self.recipe)
        self._averaging = build_averaging(self.module, self.recipe, self.recipe.epochs * self.steps)
        self._rates = RateTable(self.recipe, self.steps)

    @property
    def average(self) -> State | None:
        """The average of the weights that is evaluated in their place, by their names; None if there is none."""
        return self._averaging.state if self._averaging is not None else None

    def state(self) -> State:
        """Return the weights and statistics that are evaluated, of all seeds; ``separate`` takes them apart."""
        return dict(self.module.state_dict()) if self.average is None else dict(self.average)

    def train_epoch(self, epoch: int, report: Callable[[Progress], None] | None = None) -> list[TrainingPass]:
        """Train for one epoch, its index from 0, and return what was seen, seed by seed.

        Nothing waits for the device until the epoch ends. ``report`` is called then.

        Raises:
            TrainingError: if a loss stopped being a finite number; the module goes back to where the epoch began.
        """
        self.module.train()
        rates = self._rates.epoch(epoch, [])
        start = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        losses = torch.zeros((self.steps, len(self.seeds)), device=self.device)
        correct = torch.zeros(len(self.seeds), dtype=torch.int64, device=self.device)
        counts = []
        began = perf_counter()
        for step, chosen in enumerate(torch.split(self._orders(epoch), self.recipe.batch_size)[: self.steps]):
            set_rate(self.optimiser, rates[step])
            labels = self.training.labels[chosen]
            logits, loss = self._forward(self._batch(chosen, epoch, step), labels, epoch, step)
            losses[step] = loss.detach()
            self.optimiser.zero_grad(set_to_none=True)
            # A seed's loss depends on its own weights alone, so the gradients of the sum are the gradients of each.
            loss.sum().backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            if self._averaging is not None:
                self._averaging.update(epoch * self.steps + step)
            correct += (logits.argmax(1) == labels).sum(0)
            counts.append(len(labels))
        seen, right = losses.double().cpu().numpy(), correct.tolist()
        if not numpy.isfinite(seen).all():
            self.module.load_state_dict(start)
            bad = int(numpy.argmin(numpy.isfinite(seen).all(1)))
            raise not_a_number(epoch, bad, float(seen[bad].sum()), self.recipe, rates[bad])
        if report is not None:
            accuracy = sum(right) / sum(counts) / len(right)
            report(Progress(epoch + 1, self.steps, self.steps, seen[-1].mean(), accuracy, perf_counter() - began))
        means = numpy.average(seen, axis=0, weights=counts).tolist()
        return [
            TrainingPass(mean, hits, sum(counts), last, rates[-1])
            for mean, hits, last in zip(means, right, seen[-1].tolist(), strict=True)
        ]

    @torch.inference_mode()
    def evaluate(self, images: Images) -> list[EvaluationPass]:
        """Return loss, right answers and logits of every seed's net, without augmentation or dropout."""
        self.module.eval()
        count, logits = len(self.seeds), []
        for pixels in torch.split(images.pixels, max(1, _IMAGES_AT_ONCE // count)):
            inputs = self.normalisation.apply(self.normalisation.scale(pixels)).repeat(1, count, 1, 1)
            with self._precision():
                outputs = torch.func.functional_call(self.module, self.average or {}, inputs)
            logits.append(outputs.view(len(pixels), count, -1).to(torch.float32))
        found = []
        for mine in torch.cat(logits).unbind(1):
            loss = functional.cross_entropy(mine, images.labels).item()
            found.append(EvaluationPass(loss, int((mine.argmax(1) == images.labels).sum()), len(images), mine.clone()))
        return found

    def _first_net(self, experiment: Experiment, materials: Materials) -> nn.Sequential:
        module = build_module(experiment, materials.input_shape)
        check_outputs(module, materials)
        prepare_module(module, self.recipe, self.training, self.normalisation, experiment.seed)
        assert isinstance(module, nn.Sequential)
        return module

    def _orders(self, epoch: int) -> torch.Tensor:
        """Return the order of the images of every seed, int64 of shape (N, seeds)."""
        streams = (randomness.numpy_stream(seed, "shuffle", epoch) for seed in self.seeds)
        orders = [stream.permutation(len(self.training)).astype(numpy.int64) for stream in streams]
        return torch.from_numpy(numpy.stack(orders, 1)).to(self.device)

    def _batch(self, chosen: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        """Return (B, seeds·C, rows, columns) from the images chosen, (B, seeds)."""
        streams = [randomness.torch_stream(seed, "augment", epoch, step, device=self.device) for seed in self.seeds]
        scaled = self.normalisation.scale(self.training.pixels[chosen.T.flatten()])
        varied = self.normalisation.apply(augment(scaled, self.recipe.augmentation, streams))
        rows, columns = varied.shape[2:]
        apart = varied.view(len(self.seeds), len(chosen), -1, rows, columns).transpose(0, 1)
        return apart.reshape(len(chosen), -1, rows, columns).contiguous(memory_format=torch.channels_last)

    def _forward(
        self, inputs: torch.Tensor, labels: torch.Tensor, epoch: int, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, K, seeds) and the mean loss of every seed."""
        for layer, dropout in enumerate(self._dropouts):
            dropout.restart(self.seeds, layer, epoch, step)
        with self._precision():
            outputs = self.module(inputs).to(torch.float32)
        logits = outputs.view(len(labels), len(self.seeds), -1).transpose(1, 2)
        smoothing = self.recipe.label_smoothing
        return logits, functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none").mean(0)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.recipe.precision == "bfloat16")


def _common_checkpoints(folders: Sequence[RunFolder]) -> list[Checkpoint]:
    """Return each folder's checkpoint after the last epoch that all of them hold; nothing where all are new.

    Folders are written one after another, so a stop leaves some of them one epoch ahead.

    Raises:
        RunError: if they are further apart.
    """
    newest = [folder.checkpoint() for folder in folders]
    done = [len(one.rows) if one else 0 for one in newest]
    if not any(done):
        return []
    common = [folder.checkpoint(min(done)) for folder in folders]
    if min(done) == 0 and max(done) == 1:
        return []
    found = [one for one in common if one is not None and len(one.rows) == min(done)]
    if len(found) < len(folders):
        raise RunError(
            "these runs are at different epochs, so they cannot go on at once",
            given=", ".join(f"{folder.path}: {count}" for folder, count in zip(folders, done, strict=True)),
            repair="go on with each by itself: stepladder train with --seed and its folder as --run",
        )
    return found
