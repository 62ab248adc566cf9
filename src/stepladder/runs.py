"""The run folder: the only reader and writer of it.

    experiment.toml       everything that decides the result
    epochs.jsonl          one line an epoch, nothing in it depends on the clock
    timing.jsonl          seconds an epoch
    log.txt               the same rows in the reference guide's form
    checkpoint.safetensors, checkpoint.previous.safetensors
                          where to go on from; each holds the rows up to it as well
    environment.json      versions, processor, threads, git commit
    weights.safetensors   the finished net
    predictions.safetensors  logits on the evaluated images, for analysis without the net
    result.json           what was reached; there when and only when the run is finished

The newest readable checkpoint is the truth. Every other file follows from it and is written again on resuming, so
a run that is killed at any byte of any write goes on and ends in the same bits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from stepladder import files
from stepladder.displayed import Displayed
from stepladder.errors import RunError
from stepladder.spec import Experiment

if TYPE_CHECKING:
    import torch

FORMAT = 1

_EXPERIMENT = "experiment.toml"
_EPOCHS = "epochs.jsonl"
_TIMING = "timing.jsonl"
_LOG = "log.txt"
_CHECKPOINT = "checkpoint.safetensors"
_PREVIOUS = "checkpoint.previous.safetensors"
_ENVIRONMENT = "environment.json"
_WEIGHTS = "weights.safetensors"
_PREDICTIONS = "predictions.safetensors"
_RESULT = "result.json"
_LOCK = ".lock"
_METADATA = "stepladder"
_END = "# end of experiment "


@dataclass(frozen=True)
class EpochRow:
    """What one epoch gave. Equal runs give equal rows, bit for bit: no clock is in here.

    ``train_*`` is as seen while training, with augmentation and dropout; ``evaluation_*`` is on the images named by
    ``split`` ("test" or "holdout") with both off. Losses are means an image in nats; ``learning_rate`` is that of
    the epoch's last step.
    """

    epoch: int
    steps: int
    learning_rate: float
    last_batch_loss: float
    train_loss: float
    train_correct: int
    train_count: int
    split: str
    evaluation_loss: float
    evaluation_correct: int
    evaluation_count: int

    @property
    def train_accuracy(self) -> float:
        """Return the share of right answers while training, in percent."""
        return 100 * self.train_correct / self.train_count

    @property
    def evaluation_accuracy(self) -> float:
        """Return the share of right answers on the evaluated images, in percent."""
        return 100 * self.evaluation_correct / self.evaluation_count


@dataclass(frozen=True)
class EpochTime:
    """Wall-clock seconds of one epoch."""

    train: float
    evaluation: float


@dataclass(frozen=True)
class Checkpoint:
    """Where a run can go on from: all tensors after ``len(rows)`` finished epochs."""

    rows: tuple[EpochRow, ...]
    times: tuple[EpochTime, ...]
    threads: int
    tensors: dict[str, torch.Tensor]


@dataclass(frozen=True)
class FinishedRun(Displayed):
    """A finished run as read from its folder; reading it needs no torch."""

    folder: Path
    experiment: Experiment
    rows: tuple[EpochRow, ...]
    times: tuple[EpochTime, ...]
    result: dict[str, Any]
    environment: dict[str, Any]

    def __str__(self) -> str:
        """Return the run in one line: name, data, accuracies of the last epoch, parameters."""
        last = self.rows[-1]
        return (
            f"{self.folder.name}: {self.result['data']['title']}, training {last.train_accuracy:.2f}%, {last.split} "
            f"{last.evaluation_accuracy:.2f}% at epoch {last.epoch}, {self.result['parameters']:,} parameters, "
            f"seed {self.experiment.seed}"
        )

    @property
    def seconds(self) -> float:
        """Return the wall-clock seconds of all its epochs, summed."""
        return sum(time.train + time.evaluation for time in self.times)

    def refuse_other_images(self, images: str) -> None:
        """Raise a RunError unless the run was trained on the images of this fingerprint."""
        _compare_images(self.folder, str(self.result["data"]["fingerprint"]), images)

    def predictions(self) -> tuple[Any, Any]:
        """Return (logits float32 of shape (N, K), labels int64 of shape (N,)) as NumPy arrays.

        Raises:
            RunError: if the file is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = self.folder / _PREDICTIONS
        try:
            arrays = load_file(path)
            return arrays["logits"], arrays["labels"]
        except (OSError, SafetensorError, KeyError) as error:
            raise _damaged(path, error) from None

    def weights(self) -> dict[str, Any]:
        """Return the net's state as NumPy arrays, by the names of ``Net.build``'s modules.

        Raises:
            RunError: if the file is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = self.folder / _WEIGHTS
        try:
            return dict(load_file(path))
        except (OSError, SafetensorError) as error:
            raise _damaged(path, error) from None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Return (channels, rows, columns) of the images that the net takes."""
        # The first runs were written without it, and all of them are on MNIST.
        channels, rows, columns = self.result["data"].get("input_shape", (1, 28, 28))
        return channels, rows, columns

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes; the net's outputs are in their order."""
        return tuple(self.result["data"].get("classes", "0123456789"))


class RunFolder:
    """A run folder opened for writing by this process alone; use it as a context manager.

    Args:
        path: the folder; it is made if it is missing.
        experiment: what is to be trained there.
        images: fingerprint of the data set; None where nothing is trained, and it does not matter.

    Raises:
        RunError: if another process has the folder open, or it holds another experiment, a run on other images or a
            later format.
    """

    def __init__(self, path: Path, experiment: Experiment, images: str | None = None) -> None:
        self.path = path
        self.experiment = experiment
        self.images = images
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                "the run folder cannot be made",
                given=f"{path} ({error.strerror})",
                repair="choose another folder",
            ) from None
        self._lock = FileLock(path / _LOCK, timeout=0)

    def __enter__(self) -> RunFolder:
        try:
            self._lock.acquire()
        except Timeout:
            raise RunError(
                "another process is working in this run folder",
                given=str(self.path),
                repair="wait until it ends, stop it, or choose another folder",
            ) from None
        except OSError as error:
            raise RunError(
                "the run folder cannot be written",
                given=f"{self.path} ({error.strerror})",
                repair="choose a folder that you may write to",
            ) from None
        try:
            self._refuse_other_experiments()
            if self.images is not None:
                refuse_other_images(self.path, self.images)
            files.remove_leftovers(self.path)
            files.write_text(self.path / _EXPERIMENT, self._experiment_text())
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def checkpoint(self, epochs: int | None = None) -> Checkpoint | None:
        """Return the newest readable checkpoint, or None when the run has to start from the beginning.

        Args:
            epochs: the most finished epochs it may hold; None takes the newest. The last two epochs are kept.
        """
        for name in (_CHECKPOINT, _PREVIOUS):
            found = self._read_checkpoint(self.path / name)
            if found is not None and (epochs is None or len(found.rows) <= epochs):
                return found
        return None

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep the state after an epoch, then the files that people read."""
        from safetensors.torch import save

        header = {
            "format": FORMAT,
            "experiment": self.experiment.identity,
            "rows": [asdict(row) for row in checkpoint.rows],
            "times": [asdict(time) for time in checkpoint.times],
            "threads": checkpoint.threads,
            "digest": tensor_digest(checkpoint.tensors),
            "images": self.images,
        }
        newest = self.path / _CHECKPOINT
        if newest.exists() and self._read_checkpoint(newest) is not None:
            newest.replace(self.path / _PREVIOUS)
        files.write_bytes(newest, save(checkpoint.tensors, metadata=_metadata(header)))
        self.write_rows(checkpoint)

    def write_rows(self, checkpoint: Checkpoint) -> None:
        """Write the rows, the times and the log that belong to a checkpoint."""
        from stepladder.data import sample

        files.write_text(self.path / _EPOCHS, _lines(checkpoint.rows))
        files.write_text(self.path / _TIMING, _lines(checkpoint.times))
        log = [guide_log(row, time) for row, time in zip(checkpoint.rows, checkpoint.times, strict=True)]
        if self.experiment.data == sample.NAME:
            # No file with accuracies may be taken for one of the full set.
            log.insert(0, f"{sample.TITLE}\n")
        files.write_text(self.path / _LOG, "\n".join(log))

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Record the machine and the versions."""
        files.write_json(self.path / _ENVIRONMENT, environment)

    def finish(
        self,
        weights: Mapping[str, torch.Tensor],
        predictions: Mapping[str, torch.Tensor],
        result: Mapping[str, Any],
    ) -> None:
        """Write the finished net, its predictions and, last of all, the result."""
        from safetensors.torch import save

        header = {"format": FORMAT, "net": self.experiment.net}
        files.write_bytes(self.path / _WEIGHTS, save(dict(weights), metadata=_metadata(header)))
        files.write_bytes(self.path / _PREDICTIONS, save(dict(predictions)))
        digests = {name: _file_digest(self.path / name) for name in (_EPOCHS, _WEIGHTS, _PREDICTIONS)}
        files.write_json(
            self.path / _RESULT,
            {"format": FORMAT, "experiment": self.experiment.identity, **result, "files": digests},
        )

    def is_finished(self) -> bool:
        """Return whether the result is there and the files that it vouches for are whole."""
        try:
            result = json.loads((self.path / _RESULT).read_text(encoding="utf-8"))
            digests = result["files"].items()
            whole = all(_file_digest(self.path / name) == digest for name, digest in digests)
            return whole and result["experiment"] == self.experiment.identity
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return False

    def _refuse_other_experiments(self) -> None:
        path = self.path / _EXPERIMENT
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return
        if _END not in text:
            # A file cut short may still be TOML, of some other experiment. It says nothing.
            return
        stored = Experiment.from_toml(text, str(path))
        if stored == self.experiment:
            return
        # Where no epoch was finished nothing can be lost: a mistake in the command must not cost the folder.
        if any((self.path / name).exists() for name in (_CHECKPOINT, _PREVIOUS, _EPOCHS, _RESULT)):
            raise RunError(
                "this run folder holds another experiment",
                given=f"{self.path}: {_differences(stored, self.experiment)}",
                repair="choose another folder, or remove this one",
            )

    def _experiment_text(self) -> str:
        return f"{self.experiment.to_toml()}{_END}{self.experiment.identity}\n"

    def _read_checkpoint(self, path: Path) -> Checkpoint | None:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as stored:
                header = json.loads((stored.metadata() or {})[_METADATA])
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            rows = tuple(EpochRow(**row) for row in header["rows"])
            times = tuple(EpochTime(**time) for time in header["times"])
            if header["experiment"] != self.experiment.identity:
                return None
            if header["digest"] != tensor_digest(tensors):
                return None
            return Checkpoint(rows, times, header["threads"], tensors)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return None


def read_experiment(folder: Path) -> Experiment:
    """Return the experiment of a run folder, finished or not.

    Raises:
        RunError: if the folder holds no experiment.
        SpecError: if it holds one of a later format, or a damaged one.
    """
    path = folder / _EXPERIMENT
    try:
        return Experiment.from_toml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError):
        repair = "name a folder that holds experiment.toml"
        if inner := sorted(folder.glob(f"runs/*/{_EXPERIMENT}")):
            repair = f"a climb keeps its runs one level deeper: name one of them, such as {inner[0].parent}"
        raise RunError("this is no run folder", given=str(folder), repair=repair) from None


def open_finished(folder: Path) -> FinishedRun:
    """Return the finished run in a folder.

    Raises:
        RunError: if the folder holds no finished run, a damaged one, or one of a later format.
    """
    experiment = read_experiment(folder)
    if not (folder / _RESULT).is_file():
        raise RunError("this run is not finished", given=str(folder), repair="start its command again to finish it")
    try:
        rows = [EpochRow(**json.loads(line)) for line in _read_lines(folder / _EPOCHS)]
        times = [EpochTime(**json.loads(line)) for line in _read_lines(folder / _TIMING)]
        result = json.loads((folder / _RESULT).read_text(encoding="utf-8"))
        environment = json.loads((folder / _ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(folder, error) from None
    return FinishedRun(folder, experiment, tuple(rows), tuple(times), result, environment)


def guide_log(row: EpochRow, time: EpochTime) -> str:
    """Return one epoch in the form of the reference guide's log."""
    rate = row.steps / time.train if time.train else 0.0
    heading = "Test set" if row.split == "test" else f"{row.split.capitalize()} set"
    return (
        f"Epoch {row.epoch}\n"
        f"Train: Loss={row.last_batch_loss:.4f} Batch_id={row.steps - 1} Accuracy={row.train_accuracy:.2f}: "
        f"100%|██████████| {row.steps}/{row.steps} [{_clock(time.train)}<00:00, {rate:.2f}it/s]\n"
        f"{heading}: Average loss: {row.evaluation_loss:.4f}, "
        f"Accuracy: {row.evaluation_correct}/{row.evaluation_count} ({row.evaluation_accuracy:.2f}%)\n"
    )


def tensor_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 over names, shapes, types and bytes: equal when the tensors are bit-equal."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _differences(stored: Experiment, asked: Experiment) -> str:
    old, new = _flat(stored.model_dump(mode="json")), _flat(asked.model_dump(mode="json"))
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return "; ".join(f"{name} is {old.get(name)!r} there, {new.get(name)!r} now" for name in names)


def refuse_other_images(folder: Path, images: str) -> None:
    """Raise a RunError where rows and weights from other images would be gone on with.

    A data set of one's own has their digest in its name, which the experiment holds; one of the catalogue does not.

    Args:
        folder: of a run, finished or not, or of none yet.
        images: fingerprint of those that are to be trained on.
    """
    found = [_images_of_result(folder / _RESULT)]
    found += [_images_of_checkpoint(folder / name) for name in (_CHECKPOINT, _PREVIOUS)]
    for one in found:
        if one is not None:
            _compare_images(folder, one, images)


def _compare_images(folder: Path, found: str, images: str) -> None:
    if found != images:
        raise RunError(
            "the run was trained on other images than these",
            given=f"{folder}: fingerprint {found[:12]}; now: {images[:12]}",
            repair="name the data that it was trained on, or choose another folder",
        )


def _images_of_result(path: Path) -> str | None:
    """Return the fingerprint of what a run was trained on; None if it is not finished, or damaged."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["data"]["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _images_of_checkpoint(path: Path) -> str | None:
    """Return the fingerprint of what a checkpoint was trained on; None if there is none, or none that says it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stored:
            # Those of earlier versions do not say it.
            found = json.loads((stored.metadata() or {})[_METADATA]).get("images")
    except (OSError, SafetensorError, KeyError, ValueError, AttributeError):
        return None
    return None if found is None else str(found)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _lines(values: Sequence[EpochRow] | Sequence[EpochTime]) -> str:
    return "".join(json.dumps(asdict(value)) + "\n" for value in values)


def _read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _metadata(values: Mapping[str, Any]) -> dict[str, str]:
    # One entry: safetensors writes several in an order that changes from call to call, and equal runs are to give
    # equal bytes.
    return {_METADATA: json.dumps(values)}


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def _damaged(path: Path, error: Exception) -> RunError:
    return RunError(
        "a file of this run is missing or damaged",
        given=f"{path} ({error})",
        repair="start the run's command again: it goes on from its last checkpoint",
    )
