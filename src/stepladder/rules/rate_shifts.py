"""Which advice may shift the best learning rate, so that it is judged only at a rate of its own, and which does not."""

from __future__ import annotations

SHIFTS = {
    "activation": "what is cut off at 0 changes how large gradients are",
    "batch normalisation": "larger steps are safe where each layer's inputs are of mean 0 and deviation 1",
    "batch size": "gradients over fewer images are noisier, and there are more steps",
    "capacity": "gradients and steps go with the width of a layer",
    "global average pooling": "a mean over places passes on less of the gradient than weights for each of them",
    "input normalisation": "the first layer's gradients go with the size of its inputs",
    "learning-rate schedule": "a rate that falls, or that is held for a moment only, may begin higher",
    "optimiser": "its rates are of another kind",
    "receptive field": "a deeper net takes other steps",
    "softmax": "it shrinks the gradients that come back from the loss",
    "weight decay": "it decides how large weights are, and so how far a step turns them",
}
"""Techniques whose best rate may be another one, each with the reason."""

STAYS = {
    "augmentation": "it changes the images, and neither net nor loss; what it does needs all epochs to show",
    "dropout": "as little as is advised leaves the size of gradients as it is, in the mean",
    "epochs": "rates are tuned over shorter runs anyway, and all candidates of a step are trained equally long",
    "holdout": "it changes neither net nor recipe",
    "label smoothing": "as little as is advised hardly changes the gradients until nearly all images are known",
    "learning rate": "the rate is what is asked about",
    "weight averaging": "the steps stay as they are; their average is what is looked at",
}
"""Techniques whose best rate stays where it is, or is nothing to ask for, each with the reason."""


def shifts_rate(technique: str) -> bool:
    """Return whether advice of a technique may shift the best learning rate; of one that nobody knows it may."""
    return technique not in STAYS
