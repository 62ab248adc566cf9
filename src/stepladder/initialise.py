"""How a net starts: first weights other than torch's, and what a recipe sets on its layers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from stepladder import randomness
from stepladder.errors import SpecError
from stepladder.inputs import Images, Normalisation
from stepladder.spec import Recipe

_IMAGES = 2_000
"""Whose patches are looked at: MNIST's first filters change by less than a hundredth with more."""
_FLOOR = 1e-2
"""Added to each direction's variance: what hardly ever varies, such as the corners, is not blown up to noise."""


def prepare_module(
    module: nn.Module, recipe: Recipe, training: Images, normalisation: Normalisation, seed: int
) -> nn.Module:
    """Return the module, freshly built, as the recipe wants it to start; the same module, changed in place.

    Args:
        module: the net with its first weights.
        recipe: how to train.
        training: the images to train on; only they are looked at.
        normalisation: how pixels become inputs.
        seed: what random choices derive from.

    Raises:
        SpecError: if the net has no convolution that could start as the recipe asks.
    """
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.momentum = recipe.norm_momentum
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    if recipe.initialisation == "he":
        make_he(module)
    elif recipe.initialisation == "dirac":
        for convolution in convolutions[1:]:
            make_dirac(convolution)
    if recipe.first_layer != "random":
        if not convolutions or convolutions[0].groups != 1:
            raise SpecError(
                "the net has no first convolution to start from whitened patches",
                given=f"first_layer = {recipe.first_layer}",
                repair="begin the net with a convolution without groups, or set first_layer = random",
            )
        whiten(convolutions[0], training, normalisation, seed)
        convolutions[0].weight.requires_grad_(recipe.first_layer != "whitening-frozen")
    return module


@torch.no_grad()
def make_he(module: nn.Module) -> None:
    """Scale the first weights so that values neither grow nor shrink from layer to layer; biases start at 0.

    Torch's first weights let values shrink by a factor of about 2.4 a layer with ReLU, and a net without batch
    normalisation then hardly begins to learn. The last layer's become a tenth of torch's, so that the first loss is
    that of a guess.

    Source: He et al., Delving Deep into Rectifiers, 2015: a deviation of sqrt(2 / inputs). Torch's are uniform with
    1 / sqrt(3 · inputs).
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in layers:
        layer.weight.mul_(0.1 if layer is layers[-1] else 6**0.5)
        if layer.bias is not None:
            layer.bias.zero_()


@torch.no_grad()
def make_dirac(convolution: nn.Conv2d) -> None:
    """Let the first outputs pass the inputs on as they are, as many as there are of both; the rest stay random.

    A deep net then starts as a shallow one. Even kernels have no middle and are left alone, and so are groups.

    Source: Zagoruyko and Komodakis, DiracNets: Training Very Deep Neural Networks Without Skip-Connections, 2017.
    """
    weight = convolution.weight
    if convolution.groups == 1 and all(size % 2 for size in weight.shape[2:]):
        nn.init.dirac_(weight[: weight.shape[1]])


@torch.no_grad()
def whiten(convolution: nn.Conv2d, training: Images, normalisation: Normalisation, seed: int) -> None:
    """Let the outputs be the patches' principal components, each with variance about 1, and their negatives.

    The negatives make up for the ReLU that follows, which cuts each component's lower half. Of more outputs than
    twice the components the last stay random.

    Source: Page, How to Train Your ResNet, 2019; the negatives: Jordan, airbench, 2024.
    """
    inputs = _sample(training, seed)
    patches = functional.unfold(
        normalisation.apply(normalisation.scale(inputs)),
        kernel_size=(convolution.kernel_size[0], convolution.kernel_size[1]),
        dilation=(convolution.dilation[0], convolution.dilation[1]),
    )
    rows = patches.transpose(1, 2).reshape(-1, patches.shape[1]).cpu().double()
    rows -= rows.mean(0)
    variances, directions = torch.linalg.eigh(rows.T @ rows / len(rows))
    whitened = (directions / (variances + _FLOOR).sqrt()).T.flip(0)  # those that vary most first
    half = min((convolution.out_channels + 1) // 2, len(whitened))
    both = torch.cat([whitened[:half], -whitened[:half]])[: convolution.out_channels]
    weight = convolution.weight
    weight[: len(both)] = both.reshape(-1, *weight.shape[1:]).to(weight)


def _sample(training: Images, seed: int) -> torch.Tensor:
    numbers = randomness.numpy_stream(seed, "whiten")
    chosen = numbers.permutation(len(training))[:_IMAGES]
    return training.pixels[torch.from_numpy(chosen).to(training.pixels.device)]
