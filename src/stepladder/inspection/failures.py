"""Where a net cannot go on: what the layer was given, what it needs, and what is likely to help."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence

from torch import nn

from stepladder.inspection.misfits.functions import of_function
from stepladder.inspection.misfits.given import Given, Misfit, count, text
from stepladder.inspection.misfits.modules import of_module
from stepladder.inspection.places import place_of, said
from stepladder.inspection.summary import Failure
from stepladder.layers import Shape

_LENIENT = (nn.Linear, nn.modules.conv._ConvNd)


def explain(
    error: BaseException,
    kind: str,
    module: nn.Module | None,
    function: str,
    shapes: Sequence[Shape],
    dtypes: Sequence[str] = (),
    *,
    layer: str = "",
    arguments: Sequence[object] = (),
    keywords: Mapping[str, object] | None = None,
    outside: bool = False,
    net: nn.Module | None = None,
    batch: int | None = 1,
) -> Failure:
    """Return why a layer or function cannot take what it is given.

    What the module's attributes and the shapes say counts first, what torch said second, since torch says different
    things on different devices.

    Args:
        error: what was raised.
        kind: the row's kind: the class of the module or the name of the function.
        module: the module that failed; None for a function.
        function: the function that failed, as torch calls it; empty if it is not known.
        shapes: of the tensors that the module or the function was given, with the batch.
        dtypes: of the same tensors, such as ``float32``.
        layer: the row's name; ``kind`` where it is empty.
        arguments: of the function, by position; tensors among them are passed over. If there are neither these nor
            keywords, what the message says of them counts.
        keywords: of the function, by name.
        outside: whether the first tensor is an input of the net, as it was given.
        net: the net as a whole, to tell its own forward from those inside.
        batch: size of the axis that was put in front of each input; None if shapes were given whole.
    """
    given = Given(tuple(shapes), tuple(dtypes), outside, batch)
    got = " and ".join(text(shape, batch) for shape in shapes) or "no tensors"
    place = place_of(error)
    try:
        wrong = _from_shapes(error, module, function, given, arguments, keywords or {}, net)
    except (AttributeError, LookupError, TypeError, ValueError):
        wrong = None  # a layer that calls itself what it is not: what torch said has to do
    wrong = wrong or _from_message(error, given)
    if wrong is None:
        where = place and f" ({place})"
        got = f"{got}; it raised {said(error)}{where}"
        wrong = Misfit("", _look(place, outside or module is net), shape=False)
    else:
        # The name of a layer says where it is; the line helps to find a function.
        where = f" ({place})" if place and module is None else ""
        more = f", {wrong.got}" if wrong.got and wrong.got != got else ""
        got = (f"{got}{more}" if shapes else wrong.got or got) + where
    return Failure(layer or kind, kind, got, wrong.needs, wrong.repair, wrong.shape)


def _from_shapes(
    error: BaseException,
    module: nn.Module | None,
    function: str,
    given: Given,
    arguments: Sequence[object],
    keywords: Mapping[str, object],
    net: nn.Module | None,
) -> Misfit | None:
    if isinstance(error, TypeError) and ".forward()" in str(error):
        return _wrong_call(error, module, net, given)
    wrong = of_module(module, given) if module is not None else None
    if wrong is None and function:
        if not arguments and not keywords:
            arguments = _arguments_said(str(error))
        wrong = of_function(function, given, arguments, keywords)
    return wrong


def refuse(module: nn.Module, shapes: Sequence[Shape], dtypes: Sequence[str]) -> None:
    """Raise what an ordinary device would, where tensors without values let a layer pass that does not fit.

    On the meta device torch asks neither for the channels of transposed convolutions nor for equal types of values and
    weights. Layers whose forward is not torch's own are left alone.

    Raises:
        RuntimeError: if the layer does not fit; ``explain`` says why.
    """
    lenient = isinstance(module, _LENIENT) and type(module).forward.__module__.startswith("torch.")
    if lenient and of_module(module, Given(tuple(shapes), tuple(dtypes))) is not None:
        raise RuntimeError(f"{type(module).__name__} does not fit")


def forward_of(module: nn.Module) -> str:
    """Return what a module's forward takes, as it is written: ``forward(x, *, mask=None)``."""
    return "forward" + re.sub(r" -> .*$", "", str(inspect.signature(module.forward)))


def _arguments_said(message: str) -> list[int]:
    """Return the axis or the shape that a message of torch names, in place of a function's arguments."""
    if match := re.search(r"except in dimension (-?\d+)", message):
        return [int(match[1])]
    if match := re.search(r"shape '\[([\d, -]+)\]' is invalid for input of size", message):
        return [int(size) for size in match[1].split(",")]
    return []


def _look(place: str, outside: bool) -> str:
    option = "give the inputs that the net is made for (--input)" if outside else ""
    line = f"look at {place}" if place else ""
    return ", or ".join(one for one in (line, option) if one) or "give the net an input that it is made for (--input)"


_CALL = re.compile(r"([\w.<>]+)\.forward\(\) (.*)", re.DOTALL)


def _wrong_call(error: BaseException, module: nn.Module | None, net: nn.Module | None, given: Given) -> Misfit | None:
    """Return what is wrong with how many arguments a forward was given."""
    match = _CALL.match(str(error))
    if match is None:
        return None
    owner = next((one for one in (module, net) if one is not None and type(one).__qualname__ == match[1]), None)
    if owner is None:
        return Misfit("other arguments", "call it with those", f"{match[1]}.forward() {match[2]}")
    parameters = list(inspect.signature(owner.forward).parameters.values())
    needs = f"the arguments of {forward_of(owner)}"
    named = re.findall(r"'(\w+)'", match[2])
    if owner is not net:
        return Misfit(needs, f"call it with them: {type(owner).__name__}.forward() {match[2]}")
    if match[2].startswith("missing"):
        options = " ".join(f"--input {name}=SHAPE" for name in named)
        return Misfit(needs, f"give one --input for each, with its name or in this order: {options} as well")
    if "unexpected keyword" in match[2] and named:
        nearest = difflib.get_close_matches(named[0], [one.name for one in parameters], n=1)
        hint = f"did you mean '{nearest[0]}'? " if nearest else ""
        return Misfit(needs, f"{hint}there is no '{named[0]}': give --input only for those", f"'{named[0]}'")
    most = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
    return Misfit(needs, f"give --input {count(most, 'time')}", count(len(given.shapes), "input"))


def _from_message(error: BaseException, given: Given) -> Misfit | None:
    message = " ".join(str(error).split())
    for pattern, rule in _MESSAGES:
        if match := pattern.search(message):
            return rule(match, given)
    return None


def _one_value(match: re.Match[str], given: Given) -> Misfit:
    return Misfit(
        "more than one value a channel while it is in training mode",
        "call eval() on the net before, leave the normalisation out where one value a channel is left, or take a batch "
        "of two",
    )


def _no_such_axis(match: re.Match[str], given: Given) -> Misfit:
    axes, asked = int(match[2]) + 1, int(match[3])
    return Misfit(
        f"an axis {asked}, the batch being axis 0",
        "leave out what flattens before it, count the axes from the last one (-1), or give an input with "
        f"{'as many axes' if asked < 0 else f'{asked} axes'} and the batch",
        f"a tensor of {count(axes, 'axis', 'axes')} with the batch",
    )


def _no_such_index(match: re.Match[str], given: Given) -> Misfit:
    index, axis, size = (int(match[at]) for at in (1, 2, 3))
    return Misfit(
        f"more than {count(index, 'value')} along axis {axis}"
        if index >= 0
        else f"at least {-index} along axis {axis}",
        f"use an index below {size}, or give an input that is larger there",
        f"index {index} of {count(size, 'value')} along axis {axis}",
    )


def _scattered(match: re.Match[str], given: Given) -> Misfit:
    return Misfit(
        "values that lie in memory in the order of the axes",
        "write reshape in place of view: after permute or transpose the values lie in another order",
    )


def _unpacked(match: re.Match[str], given: Given) -> Misfit:
    wanted = match[2] or match[3] or "other"
    return Misfit(
        f"as many values as the line has names for: {wanted}",
        "name as many as there are (a shape has one a dimension, the batch first), or give an input with other axes",
    )


def _permuted(match: re.Match[str], given: Given) -> Misfit:
    return Misfit(
        f"a tensor of {match[2]} axes, the batch among them",
        f"name all {match[1]} axes in permute, or leave out what flattens or adds axes before it",
        f"one of {match[1]}",
    )


def _split(match: re.Match[str], given: Given) -> Misfit:
    return Misfit(
        f"{count(int(match[1]), 'value')} along axis {match[2]} in parts that add up to it",
        "split into parts that add up, or in n equal ones: x.chunk(n, dim)",
        f"parts of {match[3]}",
    )


def _subscript(match: re.Match[str], given: Given) -> Misfit:
    return Misfit(
        f"one size for the letter {match[1]} of einsum",
        "make both operands agree there, or use another letter",
        f"{match[1]} is {match[2]} in one operand and {match[3]} in another",
    )


def _unflattened(match: re.Match[str], given: Given) -> Misfit:
    return Misfit(
        f"sizes whose product is {match[2]}", "change the sizes, or say -1 for one of them", f"sizes [{match[1]}]"
    )


def _types(match: re.Match[str], given: Given) -> Misfit:
    option = f", or give {given.option(given.first)}" if given.outside and given.shapes else ""
    types = " and ".join(given.dtypes)
    return Misfit("values of one type", f"convert one of them: x.to(weight.dtype){option}", types)


def _without_values(match: re.Match[str], given: Given) -> Misfit:
    return Misfit(
        "the values of a tensor, and without those of its weights inspection knows only shapes",
        "build it with its weights, not on the meta device, decide by shapes in place of values (item(), if, int()), "
        "or inspect the parts before and after by themselves",
        shape=False,
    )


def _no_forward(match: re.Match[str], given: Given) -> Misfit:
    repair = "write forward(self, x), indented as a method of the class"
    return Misfit(f"a forward: {match[1]} has none", repair, shape=False)


_MESSAGES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Given], Misfit]], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"Expected more than 1 value per channel when training", _one_value),
        (r"Dimension out of range \(expected to be in range of \[(-?\d+), (-?\d+)\], but got (-?\d+)\)", _no_such_axis),
        (r"index (-?\d+) is out of bounds for dimension (\d+) with size (\d+)", _no_such_index),
        (r"view size is not compatible with input tensor's size and stride", _scattered),
        (r"(too many|not enough) values to unpack \(expected (?:at least )?(\d+)(?:, got (\d+))?", _unpacked),
        (r"input\.dim\(\) = (\d+) is not equal to len\(dims\) = (\d+)", _permuted),
        (
            r"split_sizes to sum exactly to (\d+) \(input tensor's size at dimension (-?\d+)\).*split_sizes=(\[.*?\])",
            _split,
        ),
        (
            r"einsum\(\): subscript (\w) has size (\d+) for operand \d+ which does not broadcast.* size (\d+)",
            _subscript,
        ),
        (r"Provided sizes \[([\d, -]+)\] don't multiply up to the size of dim -?\d+ \((\d+)\)", _unflattened),
        (r"should be the same|must have the same dtype|expected scalar type|same dtype", _types),
        (r"meta tensors?\b.*(?:item|no data)|item\(\) cannot be called on meta|copy out of meta", _without_values),
        (r"data-independent implementation does not exist", _without_values),
        (r'Module \[(\w+)\] is missing the required "forward" function', _no_forward),
    )
)
