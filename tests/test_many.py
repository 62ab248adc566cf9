"""Many seeds at once equal runs of their own, within rounding; what is kept of them is what each would keep."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any, TypeVar

import pytest
import torch
from typer.testing import CliRunner

import many_seeds
from conftest import GUIDE_NET, write_mnist
from stepladder.cli import app
from stepladder.data import Dataset
from stepladder.errors import RunError, SpecError, TrainingError
from stepladder.initialise import prepare_module
from stepladder.loop import Loop, Progress
from stepladder.many import can_go_on, obstacle, train_many
from stepladder.many_loop import ManyLoop
from stepladder.notation import Net
from stepladder.runs import RunFolder, open_finished
from stepladder.spec import Experiment, Recipe
from stepladder.together import State, join, joined, separate
from stepladder.train import build_module, prepare, train
from stepladder.workers import (
    EpochFinished,
    Event,
    Finished,
    Job,
    Started,
    Stepped,
    _groups_to_train,
    execute,
    group_by_seed,
    train_together,
)

CPU = torch.device("cpu")
SEEDS = (3, 0, 8)
Yielded = TypeVar("Yielded")


def experiment_of(net: str, seed: int = 0, **recipe: object) -> Experiment:
    values = {"epochs": 2, "batch_size": 64, "learning_rate": 0.05, **recipe}
    return Experiment.read({"net": net, "recipe": values, "seed": seed}, "the experiment")


def alone(experiment: Experiment, dataset: Dataset) -> Loop:
    """Return torch's plain loop over one seed."""
    materials = prepare(experiment, dataset, CPU)
    module = build_module(experiment, materials.input_shape)
    prepare_module(module, experiment.recipe, materials.training, materials.normalisation, experiment.seed)
    recipe, normalisation = experiment.recipe, materials.normalisation
    return Loop(module, recipe, materials.training, normalisation, experiment.seed, CPU, "plain")


def drained(stream: Generator[Yielded, None, list[State]]) -> tuple[list[Yielded], list[State]]:
    """Return what a generator yields and what it returns."""
    found = []
    while True:
        try:
            found.append(next(stream))
        except StopIteration as end:
            return found, end.value


# --- the net ---------------------------------------------------------------------------------------------------------

NETS = [
    (GUIDE_NET, (1, 28, 28)),
    ("[BN SiLU D0.2] 6C3g3s2p1b MP3s2 8C3d2p2b AP2 GAP 10C1b", (3, 20, 14)),
    ("8C3 FL BN 12F/BN/GELU/D0.3 10Fb", (1, 7, 7)),
    ("8C3 GAP 10C1b SM", (1, 7, 7)),
]


@pytest.mark.parametrize(("net", "shape"), NETS)
def test_side_by_side_every_net_computes_what_it_does_alone(net: str, shape: tuple[int, int, int]) -> None:
    modules = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        modules.append(Net.parse(net).build(shape).to(memory_format=torch.channels_last))
    inputs = [torch.randn(6, *shape).contiguous(memory_format=torch.channels_last) for _ in SEEDS]
    together = joined(modules, inputs[0]).eval()
    outputs = together(torch.cat(inputs, 1).contiguous(memory_format=torch.channels_last)).view(6, len(SEEDS), -1)
    for number, (module, own) in enumerate(zip(modules, inputs, strict=True)):
        torch.testing.assert_close(outputs[:, number], module.eval()(own).flatten(1), rtol=1e-4, atol=1e-5)


def test_states_are_taken_apart_into_what_was_joined() -> None:
    modules = [Net.parse(NETS[2][0]).build(NETS[2][1]) for _ in SEEDS]
    states = [copy.deepcopy(module.state_dict()) for module in modules]
    together = joined(modules, torch.zeros(2, *NETS[2][1]))
    assert together.state_dict().keys() == states[0].keys()
    for parts in (separate(together.state_dict(), len(SEEDS)), separate(join(states), len(SEEDS))):
        for part, state in zip(parts, states, strict=True):
            assert all(torch.equal(part[name], value) for name, value in state.items())


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "recipe", "tolerance"),
    [
        # Where nothing has a kink, rounding stays rounding.
        ("[BN SiLU D0.2] 8C3s2p1 AP3s2 12C3 GAP 10C1b", {"weight_decay": 1e-3, "learning_rate": 0.2}, 1e-4),
        (
            "[BN GELU D0.1] 8C3s2 AP2 16F 10Fb",
            {"optimiser": "adamw", "learning_rate": 3e-3, "label_smoothing": 0.1},
            1e-3,
        ),
        (
            "[BN SiLU D0.1] 8C3s2 AP4 10F",
            {"bias_rate": 8, "averaging": 0.8, "schedule": {"kind": "one-cycle"}, "norm_momentum": 0.3},
            1e-4,
        ),
    ],
)
def test_a_few_steps_equal_those_of_separate_runs(
    net: str, recipe: dict[str, Any], tolerance: float, tiny: Dataset
) -> None:
    """Same first weights, images, augmentation, masks and steps: what differs is the order of sums."""
    recipe = {"augmentation": {"rotation": 7, "shift": 1}, **recipe}
    experiments = [experiment_of(net, seed, **recipe) for seed in SEEDS]
    materials = prepare(experiments[0], tiny, CPU)
    layout = torch.contiguous_format if recipe.get("bias_rate") else torch.channels_last  # masks depend on neither
    loop = ManyLoop(experiments, materials, CPU, layout)
    passes, evaluations = loop.train_epoch(0), loop.evaluate(materials.evaluated)
    for number, experiment in enumerate(experiments):
        own = alone(experiment, tiny)
        expected, evaluation = own.train_epoch(0, []), own.evaluate(materials.evaluated)
        found = passes[number]
        assert found.loss == pytest.approx(expected.loss, rel=tolerance)
        assert found.last_batch_loss == pytest.approx(expected.last_batch_loss, rel=tolerance)
        assert (found.count, found.learning_rate) == (expected.count, expected.learning_rate)
        assert abs(found.correct - expected.correct) <= 2
        assert evaluations[number].loss == pytest.approx(evaluation.loss, rel=tolerance)
        state = separate(loop.state(), len(SEEDS))[number]
        for name, value in own.state().items():
            scale = float(value.float().abs().max()) + 1e-3
            torch.testing.assert_close(state[name], value, rtol=0, atol=tolerance * scale, msg=name)
    # Seeds do differ: the comparison above is not of equal nets.
    first, second, _ = separate(loop.module.state_dict(), len(SEEDS))
    assert not torch.allclose(first["conv1.weight"], second["conv1.weight"], rtol=0.5)


def test_the_guides_net_moves_as_separate_runs_do(tiny: Dataset) -> None:
    """ReLU and the largest of a window turn rounding into a step now and then: distances are compared, not numbers.

    Three steps apart from each other by rounding are nearer than a tenth of the way; by a wrong order, image or mask
    they would be about as far apart as they came.
    """
    recipe = {"augmentation": {"rotation": 7, "shift": 1}, "batch_size": 128}
    experiments = [experiment_of(GUIDE_NET, seed, **recipe) for seed in SEEDS]
    materials = prepare(experiments[0], tiny, CPU)
    loop = ManyLoop(experiments, materials, CPU, torch.channels_last)
    passes = loop.train_epoch(0)
    states = separate(loop.state(), len(SEEDS))
    for number, experiment in enumerate(experiments):
        own = alone(experiment, tiny)
        first = _joined_parameters(own.state())
        expected = own.train_epoch(0, [])
        assert passes[number].loss == pytest.approx(expected.loss, rel=0.02)
        here, there = _joined_parameters(own.state()), _joined_parameters(states[number])
        moved = float((here - first).norm())
        assert float((here - there).norm()) < 0.1 * moved
        other = _joined_parameters(states[number - 1])
        assert float((here - other).norm()) > 0.5 * moved


def _joined_parameters(state: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([value.reshape(-1) for name, value in sorted(state.items()) if name.endswith(("weight", "bias"))])


def test_rows_folders_and_states_are_those_of_ordinary_runs(tiny: Dataset, tmp_path: Path) -> None:
    experiment = experiment_of("8C3 MP2 GAP 10C1", optimiser="adam", learning_rate=0.01)
    folders = [tmp_path / f"seed{seed}" for seed in SEEDS]
    seen: list[Progress] = []
    epochs, states = drained(train_many(experiment, tiny, SEEDS, folders, device="cpu", report=seen.append))
    assert [(one.epoch, one.step) for one in seen] == [(1, 5), (2, 5)]
    for number, seed in enumerate(SEEDS):
        own = experiment.model_copy(update={"seed": seed})
        run, rows = open_finished(folders[number]), [rows[number] for rows, _ in epochs]
        assert run.experiment == own
        assert list(run.rows) == rows
        assert run.environment["engine"] == "batched"
        assert run.environment["seeds_at_once"] == len(SEEDS)
        # The ordinary net takes the state, and gives the logits that were kept.
        net = Net.parse(own.net).build(tiny.input_shape)
        net.load_state_dict(states[number])
        logits, labels = run.predictions()
        materials = prepare(own, tiny, CPU)
        with torch.inference_mode():
            scaled = materials.normalisation.apply(materials.normalisation.scale(materials.evaluated.pixels))
            found = net.eval()(scaled).flatten(1)
        torch.testing.assert_close(found, torch.tensor(logits), rtol=1e-3, atol=1e-4)
        assert rows[-1].evaluation_correct == (logits.argmax(1) == labels).sum()
        # An ordinary run takes the folder for finished and passes its rows through.
        assert [row for row, _ in train(own, tiny, folders[number], device="cpu")] == rows


def test_all_rows_look_like_those_of_train(tiny: Dataset) -> None:
    experiment = experiment_of("8C3 MP2 GAP 10C1").model_copy(update={"protocol": "holdout", "holdout_size": 50})
    epochs, _ = drained(train_many(experiment, tiny, [0, 1], device="cpu"))
    for number, seed in enumerate((0, 1)):
        own = train(experiment.model_copy(update={"seed": seed}), tiny, device="cpu")
        for (rows, _), (row, _) in zip(epochs, own, strict=True):
            found, expected = ({**asdict(one), "split": one.split == "holdout"} for one in (rows[number], row))
            assert found == pytest.approx(expected, rel=0.02, abs=2)


# --- going on --------------------------------------------------------------------------------------------------------

RESUMED = {"optimiser": "adamw", "averaging": 0.5, "epochs": 3, "learning_rate": 0.01, "augmentation": {"rotation": 9}}
RESUMED_NET = "[BN ReLU D0.1] 6C3 MP4 GAP 10C1"


class KilledError(Exception):
    """Stands for a process that ends without a word."""


@pytest.mark.parametrize("moment", ["between epochs", "between folders", "before the last result"])
def test_a_run_that_stopped_goes_on_to_the_same_bits(
    moment: str, tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_of(RESUMED_NET, **RESUMED)
    whole, again = ([tmp_path / name / str(seed) for seed in SEEDS] for name in ("whole", "again"))
    drained(train_many(experiment, tiny, SEEDS, whole, device="cpu"))
    name = "finish" if moment == "before the last result" else "save_checkpoint"
    original, calls, last = getattr(RunFolder, name), 0, {"between epochs": 3, "between folders": 5}.get(moment, 1)

    def dying(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > last:
            raise KilledError
        original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, name, dying)
        with pytest.raises(KilledError):
            drained(train_many(experiment, tiny, SEEDS, again, device="cpu"))
    epochs, _ = drained(train_many(experiment, tiny, SEEDS, again, device="cpu"))
    assert len(epochs) == 3
    for one, other in zip(whole, again, strict=True):
        for kept in ("epochs.jsonl", "weights.safetensors", "predictions.safetensors", "result.json"):
            assert (one / kept).read_bytes() == (other / kept).read_bytes(), kept


def test_folders_at_different_epochs_are_refused_and_finished_ones_passed_through(
    tiny: Dataset, tmp_path: Path
) -> None:
    experiment = experiment_of("4C3 GAP 10C1", epochs=2)
    folders = [tmp_path / "0", tmp_path / "1"]
    rows = [list(train(experiment, tiny, folders[0], device="cpu"))]
    with pytest.raises(RunError, match="different epochs") as caught:
        drained(train_many(experiment, tiny, [0, 1], folders, device="cpu"))
    assert f"{folders[0]}, {folders[1]}" in str(caught.value)
    assert not can_go_on([experiment, experiment.model_copy(update={"seed": 1})], folders)
    rows.append(list(train(experiment.model_copy(update={"seed": 1}), tiny, folders[1], device="cpu")))
    before = (folders[0] / "environment.json").read_bytes()
    epochs, states = drained(train_many(experiment, tiny, [0, 1], folders, device="cpu"))
    assert [found[0] for found, _ in epochs] == [row for row, _ in rows[0]]
    assert [found[1] for found, _ in epochs] == [row for row, _ in rows[1]]
    weights = open_finished(folders[1]).weights()
    assert all((states[1][name].numpy() == value).all() for name, value in weights.items())
    assert (folders[0] / "environment.json").read_bytes() == before


# --- what cannot be --------------------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_all_and_keeps_the_last_good_epoch(tiny: Dataset, tmp_path: Path) -> None:
    experiment = experiment_of("[ReLU] 8C3 GAP 10C1", learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"epoch 1, step \d; the step was not taken"):
        drained(train_many(experiment, tiny, SEEDS, [tmp_path / str(seed) for seed in SEEDS], device="cpu"))
    assert not list(tmp_path.rglob("checkpoint*"))


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        ({"optimiser": "muon"}, "optimiser = muon"),
        ({"schedule": {"kind": "plateau"}}, "schedule.kind = plateau"),
    ],
)
def test_what_cannot_be_batched_is_named(recipe: dict[str, Any], named: str, tiny: Dataset) -> None:
    with pytest.raises(SpecError, match="many seeds at once") as caught:
        drained(train_many(experiment_of("8C3 GAP 10C1", **recipe), tiny, [0, 1], device="cpu"))
    assert named in str(caught.value)


def test_fields_that_nobody_has_thought_about_are_refused_unless_unused() -> None:
    class Later(Recipe):
        clipping: float = 0.0

    assert obstacle(Later()) is None
    assert obstacle(Later(clipping=1.0)) == "clipping = 1.0"


def test_seeds_have_to_differ(tiny: Dataset) -> None:
    for seeds in ([], [1, 1]):
        with pytest.raises(SpecError, match="seeds have to differ"):
            drained(train_many(experiment_of("8C3 GAP 10C1"), tiny, seeds, device="cpu"))


# --- where people meet it --------------------------------------------------------------------------------------------


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return write_mnist(tmp_path / "data" / "mnist").parent


def jobs_of(experiment: Experiment, folder: Path, seeds: Sequence[int] = (0, 1)) -> list[Job]:
    return [Job(f"seed {seed}", experiment.model_copy(update={"seed": seed}), folder / str(seed)) for seed in seeds]


def test_jobs_are_grouped_where_their_seeds_alone_differ(tmp_path: Path) -> None:
    first = jobs_of(experiment_of("8C3 GAP 10C1"), tmp_path / "a")
    second = jobs_of(experiment_of("8C3 GAP 10C1", epochs=3), tmp_path / "b")
    mixed = [second[0], first[0], second[1], first[1]]
    assert group_by_seed(mixed) == [tuple(second), tuple(first)]


def test_a_worker_trains_a_group_at_once_and_says_so_for_each(data_dir: Path, tmp_path: Path) -> None:
    jobs = jobs_of(experiment_of("8C3 MP2 GAP 10C1", epochs=1), tmp_path / "runs")
    events = list(execute(jobs, workers=2, data_dir=data_dir, device="cpu", together=True))
    for job in jobs:
        assert [type(event) for event in events if event.job == job] == [Started, Stepped, EpochFinished, Finished]
        assert open_finished(job.folder).environment["seeds_at_once"] == 2


def test_finished_runs_are_left_alone_unless_their_group_was_stopped_between_results(
    data_dir: Path, tmp_path: Path
) -> None:
    jobs = jobs_of(experiment_of("4C3 GAP 10C1", epochs=1), tmp_path / "runs", (0, 1, 2))
    train_together(jobs[:2], lambda _: None, data_dir=data_dir, device="cpu", threads=1)
    assert _groups_to_train(jobs, jobs[:2], together=True) == [(jobs[2],)]
    (jobs[1].folder / "result.json").unlink()
    assert _groups_to_train(jobs[:2], jobs[:1], together=True) == [tuple(jobs[:2])]
    assert _groups_to_train(jobs[:2], jobs[:1], together=False) == [(jobs[1],)]
    assert _groups_to_train(jobs[:2], jobs[:2], together=False) == []


def test_what_cannot_be_batched_is_trained_one_by_one(data_dir: Path, tmp_path: Path) -> None:
    muon = jobs_of(experiment_of("8C3 MP2 GAP 10C1", epochs=1, optimiser="muon"), tmp_path / "muon")
    apart = jobs_of(experiment_of("8C3 MP2 GAP 10C1", epochs=2), tmp_path / "apart")
    train_together(apart[:1], lambda _: None, data_dir=data_dir, device="cpu", threads=1)
    for jobs in (muon, apart):
        events: list[Event] = []
        train_together(jobs, events.append, data_dir=data_dir, device="cpu", threads=1)
        assert [event.job for event in events if isinstance(event, Finished)] == jobs
        assert all("seeds_at_once" not in open_finished(job.folder).environment for job in jobs)


def test_the_command_trains_several_seeds(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(jobs: Sequence[Job], **options: Any) -> Iterator[Event]:
        events: list[Event] = []
        train_together(jobs, events.append, data_dir=options["data_dir"], device="cpu", threads=1)
        yield from events

    monkeypatch.setattr("stepladder.workers.execute", here)
    command = ["train", "8C3 MP2 GAP 10C1", "--run", str(tmp_path / "run"), "--seed", "4", "--seeds", "2"]
    command += ["--set", "epochs=1", "--data-dir", str(data_dir)]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    accuracies = [open_finished(tmp_path / "run" / f"seed{seed}").rows[-1].evaluation_accuracy for seed in (4, 5)]
    assert f"test {mean(accuracies):.2f} ± {stdev(accuracies):.2f}% over 2 seeds at epoch 1" in done.output
    with pytest.raises(SpecError, match="for one run"):
        CliRunner().invoke(app, [*command, "--profile"], catch_exceptions=False)


def test_the_benchmark_counts_an_image_once_a_seed() -> None:
    for contestant in many_seeds.contestants("cpu", [3], 256, "mnist-sample"):
        laps = contestant.laps(**contestant.arguments)
        first, second = next(laps), next(laps)
        assert first.amount == second.amount == 256 * second.details["seeds"]
        assert second.details["loss"] < first.details["loss"], contestant.name
