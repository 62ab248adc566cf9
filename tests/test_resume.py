"""A run that is killed at any moment and started again ends in the same bits."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import write_mnist
from kill_driver import EXPERIMENT, drive
from stepladder import data
from stepladder.errors import RunError, SpecError, TrainingError
from stepladder.loop import Loop, TrainingPass
from stepladder.runs import RunFolder, open_finished
from stepladder.train import train

# Where there is a fork server it imports torch once, for all the processes that die here.
PROCESSES = multiprocessing.get_context(
    "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
)
PROCESSES.set_forkserver_preload(["torch", "stepladder.data", "stepladder.train"])
COMPARED = ("epochs.jsonl", "weights.safetensors", "predictions.safetensors")


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mnist(tmp_path_factory.mktemp("data"), train=160, test=60)


@pytest.fixture(scope="module")
def whole(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert _drive(data_folder, folder, "never") == 0
    return folder


def _drive(data_folder: Path, run: Path, moment: str) -> int:
    """Train in a process of its own; return its exit code, which is a signal's number with a minus if it died."""
    process = PROCESSES.Process(target=drive, args=(data_folder, run, moment))
    process.start()
    process.join(120)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def _assert_same(run: Path, whole: Path) -> None:
    for name in COMPARED:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert not list(run.glob(".*.tmp"))
    assert open_finished(run).rows == open_finished(whole).rows


# 5 steps an epoch, 4 epochs. An epoch writes a checkpoint, the rows, the times and the log: every kind of file is cut
# at some point, and the deaths fall before, inside and after the first checkpoint.
MOMENTS = [
    "step:1",
    "step:5",
    "step:8",
    "step:13",
    "step:20",
    "write:1:0",
    "write:2:10",
    "write:3:100",
    "write:7:5000",
    "write:8:1",
    "write:14:0",
    "write:20:50",
    "write:21:40",
    "rename:3",
    "rename:8",
    "rename:13",
    "rename:22",
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_once_and_started_again(moment: str, data_folder: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _drive(data_folder, run, moment) == -signal.SIGKILL
    assert _drive(data_folder, run, "never") == 0
    _assert_same(run, whole)


def test_killed_again_and_again(data_folder: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for moment in ("step:3", "step:7", "write:5:30", "step:6", "rename:9"):
        assert _drive(data_folder, run, moment) == -signal.SIGKILL
    assert _drive(data_folder, run, "never") == 0
    _assert_same(run, whole)


def _train(run: Path, data_folder: Path) -> list[int]:
    """Go on in this process; return the epochs that were trained here, not read."""
    trained: list[int] = []
    dataset = data.load(data_dir=data_folder)
    threads = torch.get_num_threads()
    try:
        for _ in train(
            EXPERIMENT,
            dataset,
            run,
            threads=1,
            device="cpu",
            report=lambda progress: trained.append(progress.epoch),
        ):
            pass
    finally:
        torch.set_num_threads(threads)
    return sorted(set(trained))


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint.safetensors",
        "epochs.jsonl",
        "timing.jsonl",
        "experiment.toml",
        "weights.safetensors",
        "predictions.safetensors",
        "result.json",
        "environment.json",
        "log.txt",
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.97])
def test_any_file_cut_anywhere_is_made_whole(
    name: str, share: float, data_folder: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: int(len(content) * share)])
    (run / "result.json").unlink(missing_ok=True)
    _train(run, data_folder)
    _assert_same(run, whole)


def test_a_changed_bit_in_a_checkpoint_is_noticed_and_the_one_before_serves(
    data_folder: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    path = run / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    (run / "result.json").unlink()
    assert _train(run, data_folder) == [4]
    _assert_same(run, whole)


def test_without_any_checkpoint_the_run_starts_from_the_beginning(
    data_folder: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for path in run.glob("checkpoint*"):
        path.write_bytes(path.read_bytes()[:1000])
    assert _train(run, data_folder) == [1, 2, 3, 4]
    _assert_same(run, whole)


def test_a_finished_run_is_not_trained_again(data_folder: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    before = (run / "result.json").stat().st_mtime_ns
    assert _train(run, data_folder) == []
    assert (run / "result.json").stat().st_mtime_ns == before


def _hold(run: str, ready: object, done: object) -> None:
    with RunFolder(Path(run), EXPERIMENT):
        ready.set()  # type: ignore[attr-defined]
        done.wait(60)  # type: ignore[attr-defined]


def test_a_second_process_is_refused(data_folder: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(tmp_path / "run"), ready, done))
    holder.start()
    try:
        assert ready.wait(60)
        with pytest.raises(RunError, match="another process is working"):
            _train(tmp_path / "run", data_folder)
    finally:
        done.set()
        holder.join()
    assert _train(tmp_path / "run", data_folder) == [1, 2, 3, 4]


def test_another_experiment_is_refused_and_the_difference_named(whole: Path) -> None:
    other = EXPERIMENT.model_copy(update={"seed": 4})
    with pytest.raises(RunError, match="seed is 3 there, 4 now"), RunFolder(whole, other):
        pass


def test_a_mistake_in_the_first_command_does_not_cost_the_folder(data_folder: Path, tmp_path: Path) -> None:
    """Until an epoch is finished there is nothing to lose, so another experiment may have the folder."""
    mistaken = EXPERIMENT.model_copy(update={"seed": 4})
    with RunFolder(tmp_path / "run", mistaken):
        pass
    assert _train(tmp_path / "run", data_folder) == [1, 2, 3, 4]
    with pytest.raises(RunError, match="seed is 3 there, 4 now"), RunFolder(tmp_path / "run", mistaken):
        pass


# The catalogue's names say nothing of the files in a folder of one's own: there may be others tomorrow.


@pytest.fixture(scope="module")
def mended(data_folder: Path) -> data.Dataset:
    """The same images under the same name, one label of them put right."""
    dataset = data.load("mnist", data_dir=data_folder)
    labels = dataset.train.labels.copy()
    labels[0] = (labels[0] + 1) % 10
    return replace(dataset, train=data.Split(dataset.train.images, labels))


def test_a_finished_run_is_not_taken_for_one_on_other_images(
    whole: Path, mended: data.Dataset, data_folder: Path
) -> None:
    with pytest.raises(RunError, match="trained on other images"):
        next(train(EXPERIMENT, mended, whole, threads=1))
    assert next(train(EXPERIMENT, data.load("mnist", data_dir=data_folder), whole, threads=1))


def test_a_run_that_failed_passes_nothing_on_to_other_images(
    mended: data.Dataset, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_epoch = Loop.train_epoch

    def comes_apart(loop: Loop, epoch: int, *rest: Any) -> TrainingPass:
        if epoch == 1:
            raise TrainingError("the loss became nan")
        return train_epoch(loop, epoch, *rest)

    dataset = data.load("mnist", data_dir=data_folder)
    monkeypatch.setattr(Loop, "train_epoch", comes_apart)
    with pytest.raises(TrainingError):
        list(train(EXPERIMENT, dataset, tmp_path, threads=1))
    monkeypatch.undo()
    with pytest.raises(RunError, match="trained on other images"):
        next(train(EXPERIMENT, mended, tmp_path, threads=1))
    # On its own images it is tried again: what failed is nowhere written down as a result.
    assert len(list(train(EXPERIMENT, dataset, tmp_path, threads=1))) == EXPERIMENT.recipe.epochs


def test_checkpoints_of_earlier_versions_which_do_not_name_their_images_go_on(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = data.load("mnist", data_dir=data_folder)
    monkeypatch.setattr("stepladder.train.RunFolder", lambda *given: RunFolder(*given[:2]))
    stream = train(EXPERIMENT, dataset, tmp_path, threads=1)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    monkeypatch.undo()
    assert len(list(train(EXPERIMENT, dataset, tmp_path, threads=1))) == EXPERIMENT.recipe.epochs


def test_a_climbs_folder_points_to_its_runs(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "runs" / "1-first-seed0")
    with pytest.raises(RunError, match=r"such as .*1-first-seed0"):
        open_finished(tmp_path)


def test_a_later_format_is_refused(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    text = (run / "experiment.toml").read_text()
    (run / "experiment.toml").write_text(text.replace("format = 1", "format = 99"))
    with pytest.raises(SpecError, match="format 99"):
        open_finished(run)


def test_the_run_folder_says_what_it_must(whole: Path) -> None:
    run = open_finished(whole)
    assert run.experiment == EXPERIMENT
    assert [row.epoch for row in run.rows] == [1, 2, 3, 4]
    assert run.environment["threads"] == 1
    assert {"torch", "processor", "device", "git_commit"} <= run.environment.keys()
    assert run.result["data"]["title"] == "MNIST"
    logits, labels = run.predictions()
    assert logits.shape == (60, 10)
    assert int((logits.argmax(1) == labels).sum()) == run.rows[-1].evaluation_correct
    lines = [json.loads(line) for line in (whole / "epochs.jsonl").read_text().splitlines()]
    assert "seconds" not in lines[0]
    log = (whole / "log.txt").read_text()
    assert log.startswith("Epoch 1\nTrain: Loss=")
    assert "Batch_id=4 Accuracy=" in log
    assert "Test set: Average loss: " in log
