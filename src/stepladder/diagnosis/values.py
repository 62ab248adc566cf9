"""The facts of a diagnosis: plain frozen values that rules read and that can be written as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import log
from typing import Any

from stepladder.evaluate import Interval, wilson
from stepladder.spec import Experiment


@dataclass(frozen=True)
class Score:
    """Right answers among so many images, and the mean cross-entropy in nats."""

    correct: int
    count: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Return the share of right answers, in percent."""
        return 100 * self.correct / self.count

    @property
    def interval(self) -> Interval:
        """Return the 95% interval of the accuracy, in percent."""
        return wilson(self.correct, self.count)


@dataclass(frozen=True)
class Epoch:
    """One epoch: the rate of its first and last step, and what was seen; accuracies in percent, losses in nats.

    ``train_*`` is with augmentation and dropout. ``holdout_*`` is None where the test set was logged instead.
    """

    first_rate: float
    last_rate: float
    train_loss: float
    train_accuracy: float
    holdout_loss: float | None
    holdout_accuracy: float | None


@dataclass(frozen=True)
class LayerState:
    """A layer on one batch of training images.

    Args:
        layer: the layer in the notation, with its number, such as ``3 ReLU``.
        spread: standard deviation of what it gives.
        dead: share of its channels, or values, that are 0 for every image of the batch; None where it is no ReLU.
        gradient: root mean square of its weights' gradient; None without weights.
        update: what one step changes of its weights, as a share of their norm; None without weights.
    """

    layer: str
    spread: float
    dead: float | None
    gradient: float | None
    update: float | None


@dataclass(frozen=True)
class NetFacts:
    """Where the net looks and where its parameters are.

    Args:
        parameters: all of them.
        field: (rows, columns) that a value sees of the image before maps are averaged or flattened.
        averages: whether maps are averaged over their places before the last layer, so that the field is all it sees.
        dense_share: share of the parameters in linear layers over flattened maps, from 0 to 1.
        narrowest: channels of the narrowest convolution or linear layer before the last; None if there is none.
        depth: convolutions and linear layers.
        norms: layers of batch normalisation.
        activations: nonlinear layers.
        dropout: the shares that are dropped, layer by layer.
        ends_in_softmax: whether the net gives probabilities in place of logits.
    """

    parameters: int
    field: tuple[int, int]
    averages: bool
    dense_share: float
    narrowest: int | None
    depth: int
    norms: int
    activations: int
    dropout: tuple[float, ...]
    ends_in_softmax: bool


@dataclass(frozen=True)
class Confusion:
    """Images of one class that were taken for another: names, how many, of how many of that class."""

    label: str
    predicted: str
    count: int
    of: int

    @property
    def share(self) -> float:
        """Return the share of the class, from 0 to 1."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True)
class AugmentationEffect:
    """What one kind of augmentation alone, at its limit, does to training images.

    Args:
        kind: the field's name.
        limit: as text, such as ``180°``.
        accuracy: of the net on the images so changed, in percent.
        neighbours: of the pixel neighbours, in percent: how far the images still look like their own class.
        lookalike: share of the changed images that most neighbours agree on another class for, from 0 to 1.
        confusions: of the neighbours, the largest first: which class looks like which after the change.
    """

    kind: str
    limit: str
    accuracy: float
    neighbours: float
    lookalike: float
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True)
class Doubt:
    """A training image whose label is doubted.

    Args:
        index: its number among all training images, from 0.
        label: its class as it is.
        suggested: the class that its neighbours have.
        file: where it comes from: a file, or a place in an array; empty of the catalogue's images.
    """

    index: int
    label: str
    suggested: str
    file: str = ""


@dataclass(frozen=True)
class LabelFacts:
    """What speaks against the labels, without and with the net.

    Args:
        count: training images that were looked at.
        neighbours: accuracy of the ten nearest training images, in pixels, about each image's label, in percent.
        outvoted: share of images whose neighbours agree (8 of 10) on another label, from 0 to 1.
        contradicted: share that the net gives another class with a probability of at least 0.9.
        both: share for which both hold and name the same class.
        doubtful: images of which the net and half of the neighbours say the same other class or, where the net learned
            them by heart, the outvoted; the surest first; at most 1,000.
    """

    count: int
    neighbours: float
    outvoted: float
    contradicted: float
    both: float
    doubtful: tuple[Doubt, ...]


@dataclass(frozen=True)
class RangeFacts:
    """The range test: the learning rate that it suggests, the highest at which the loss fell, and whether it did."""

    suggested: float
    highest: float
    learns: bool


@dataclass(frozen=True)
class Facts:
    """Everything that rules read.

    Args:
        folder: the run's.
        experiment: what was trained; of a climb, for as many epochs as its final runs have.
        title: of the data.
        classes: their names.
        image: (channels, rows, columns).
        objects: (rows, columns) that what is to be recognised takes.
        train_count: training images.
        largest: share of the training images that the largest class has, in percent.
        steps: optimiser steps an epoch.
        epochs: all finished epochs, in order.
        failure: why training stopped; empty if it did not.
        train: the final weights on training images as they are, in evaluation mode; None if there are no final weights.
        holdout: the final weights on the holdout; None where there is none: the test set decides nothing.
        first_loss: of the first weights on one batch, in nats.
        input_mean: mean of what goes into the net.
        input_deviation: its standard deviation.
        net: the net.
        first: layers on one batch at the first weights.
        last: the same at the final weights.
        confusions: on the holdout, or else the training images; the largest first.
        augmentation: what each kind in use does alone.
        labels: what speaks against the labels.
        range_test: None where it was not made.
        seconds: that training took.
        undecided: of a climb: what its last step left open, as a sentence; empty otherwise.
        seeds: of a climb: runs of each candidate; 1 for a run.
        command: of a climb: the command that made it.
        budget: parameters that changed nets have to stay below; None if there is no limit.
        given: options that say where the data is, as they were given; empty takes what the run says.
        validation: images of the data's own validation split; None where it has none.
        step: of a climb: the title of the step whose run was looked at; empty of a run.
        planned: of a climb: the epochs of its final runs; None of a run.
    """

    folder: str
    experiment: Experiment
    title: str
    classes: tuple[str, ...]
    image: tuple[int, int, int]
    objects: tuple[int, int]
    train_count: int
    steps: int
    epochs: tuple[Epoch, ...]
    failure: str
    train: Score | None
    holdout: Score | None
    first_loss: float
    input_mean: float
    input_deviation: float
    net: NetFacts
    first: tuple[LayerState, ...]
    last: tuple[LayerState, ...]
    confusions: tuple[Confusion, ...]
    augmentation: tuple[AugmentationEffect, ...]
    labels: LabelFacts
    range_test: RangeFacts | None = None
    seconds: float = 0.0
    undecided: str = ""
    seeds: int = 1
    command: str = ""
    budget: int | None = None
    largest: float = 0.0
    given: tuple[str, ...] = ()
    validation: int | None = None
    step: str = ""
    planned: int | None = None

    @property
    def is_short(self) -> bool:
        """Return whether a climb gave the run fewer epochs than its final runs: what it did not learn, they may have.

        A run that failed is not short.
        """
        return self.planned is not None and not self.failure and len(self.epochs) < self.planned

    @property
    def guess(self) -> float:
        """Return the accuracy of always naming the largest class, in percent: what a net that knows nothing reaches."""
        return max(100 / len(self.classes), self.largest)

    @property
    def chance(self) -> float:
        """Return ln K, the loss of a net that knows nothing, in nats."""
        return log(len(self.classes))

    @property
    def judged(self) -> Score | None:
        """Return the score that advice is judged by: the holdout's, or else that of the training images."""
        return self.holdout or self.train

    @property
    def gap(self) -> float | None:
        """Return training accuracy less holdout accuracy, in points; None where one of them is missing."""
        if self.train is None or self.holdout is None:
            return None
        return self.train.accuracy - self.holdout.accuracy

    def as_values(self) -> dict[str, Any]:
        """Return everything as values that JSON can hold."""
        return {**asdict(self), "experiment": self.experiment.model_dump(mode="json")}
