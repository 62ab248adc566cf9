"""What modules and functions are for, told by torch's own names."""

from __future__ import annotations

import re

from torch import nn

from stepladder.inspection.summary import Role

_BY_WORD: tuple[tuple[str, Role], ...] = (
    ("convtranspose", "transposed"),
    ("conv_transpose", "transposed"),
    ("conv", "convolution"),
    ("attention", "attention"),
    ("embedding", "embedding"),
    ("linear", "linear"),
    ("dropout", "dropout"),
    ("dropblock", "dropout"),
    ("unpool", "upsample"),
    ("pool", "pool"),
    ("softmax", "softmax"),
    ("softmin", "softmax"),
    ("norm", "norm"),
    ("upsample", "upsample"),
    ("upsampling", "upsample"),
    ("interpolate", "upsample"),
    ("pixelshuffle", "upsample"),
    ("pixel_shuffle", "upsample"),
    ("unflatten", "other"),
    ("flatten", "flatten"),
    ("lstm", "recurrent"),
    ("gru", "recurrent"),
    ("rnn", "recurrent"),
)
_ACTIVATIONS = frozenset(
    ("relu", "relu6", "elu", "selu", "celu", "gelu", "silu", "mish", "sigmoid", "tanh", "hardtanh", "hardswish", "glu")
) | frozenset(
    ("hardsigmoid", "leaky_relu", "prelu", "rrelu", "logsigmoid", "softplus", "softsign", "softshrink", "hardshrink")
)
_JOINS: dict[str, Role] = {
    "add": "add",
    **dict.fromkeys(("cat", "concat", "concatenate", "hstack", "vstack", "stack"), "concat"),
}


def torch_class(module: nn.Module) -> type[nn.Module]:
    """Return the class of torch's own that a module is, or is made from; nn.Module itself if there is none."""
    for kind in type(module).__mro__:
        if kind.__module__.startswith("torch.nn.modules.") and issubclass(kind, nn.Module):
            return kind
    return nn.Module


def is_layer(module: nn.Module) -> bool:
    """Return whether a module is one layer of torch's own, or made from one: its insides are not looked into."""
    kind = torch_class(module)
    if kind is nn.Module or kind.__module__ in ("torch.nn.modules.container", "torch.nn.modules.module"):
        return False
    inside = [name for name in module._modules if name != "parametrizations"]
    return not inside or kind is nn.MultiheadAttention


def kind_of(module: nn.Module) -> str:
    """Return the name of a module's class, as its author knows it."""
    return type(module).__name__.removeprefix("Parametrized")


def role_of_module(module: nn.Module) -> Role:
    """Return what a layer does."""
    kind = torch_class(module)
    name = kind.__name__.lower().removeprefix("lazy")
    role = _by_word(name)
    if kind.__module__ == "torch.nn.modules.activation" and role == "other":
        return "activation"
    return role


def function_name(name: str) -> str:
    """Return a function's name without what tells operators and in-place variants apart: ``__iadd__`` is ``add``."""
    if re.fullmatch(r"__\w+__", name):
        name = name.strip("_")
        if name[:1] in ("i", "r") and name[1:] in ("add", "sub", "mul", "truediv", "matmul", "pow"):
            name = name[1:]
    return name.rstrip("_") or name


def role_of_function(name: str) -> Role:
    """Return what a function does, by its name without underscores around it."""
    if name in _JOINS:
        return _JOINS[name]
    if name in _ACTIVATIONS:
        return "activation"
    return _by_word(name.lower())


def _by_word(name: str) -> Role:
    return next((role for word, role in _BY_WORD if word in name), "other")
