"""What the tools that inspect nets are asked, each question with the answer that is right.

An answer is ``yes`` (right, or able), ``no`` (it says nothing, or fails) or ``wrong`` (it says something else, or does
harm), and what was said or seen.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import nn

import peer_nets
from peer_abilities import BUDGET, COMMAND, DIFFERENCE, FINDINGS, FOLDING, FORMATS, NOTEBOOK, PICTURE
from peer_nets import IMAGE, MAPS, PIXELS, SEQUENCE, WORDS, Given
from peer_tools import Account, Answer, Tool

Build = Callable[[], nn.Module]
Ask = Callable[[Tool], Answer]


@dataclass(frozen=True)
class Question:
    """One row of the table.

    Args:
        group: of rows.
        text: what is asked, with the right answer where that is a number.
        ask: gives a tool's answer.
    """

    group: str
    text: str
    ask: Ask


def failed(error: Exception) -> Answer:
    """Return the answer of a tool that raised something."""
    return Answer("no", f"fails with {type(error).__name__}")


def number(build: Build, given: Sequence[Given], read: Callable[[Account], Any], right: Any) -> Ask:
    """Return how to ask for a number: yes if it is right, wrong if it is another, no if there is none.

    Args:
        build: makes the net.
        given: its inputs.
        read: takes the number from what the tool says.
        right: the number.
    """

    def ask(tool: Tool) -> Answer:
        try:
            said = read(tool.describe(build(), given))
        except Exception as error:
            return failed(error)
        if said is None:
            return Answer("no")
        return Answer("yes") if said == right else Answer("wrong", _shown(said))

    return ask


def parameters(build: Build, given: Sequence[Given], right: int) -> Ask:
    """Return how to ask for the total of the parameters."""
    return number(build, given, lambda account: account.parameters, right)


def field(build: Build, given: Sequence[Given], *right: int) -> Ask:
    """Return how to ask for the receptive field of the last layer; one size stands for all axes."""

    def read(account: Account) -> Any:
        # A tool that gives one size for all axes gives the right one if they are equal.
        return account.field if account.field is None or len(set(account.field)) > 1 else account.field[:1]

    return number(build, given, read, right)


def whole_field(tool: Tool) -> Answer:
    """Return whether the field after global pooling is the whole image or more."""
    try:
        said = tool.describe(peer_nets.pooled(), IMAGE).field
    except Exception as error:
        return failed(error)
    if said is None:
        return Answer("no")
    enough = all(size == "all" or (isinstance(size, int) and size >= 12) for size in said)
    return Answer("yes") if enough else Answer("wrong", _shown(said))


def left(build: Build, look: Callable[[nn.Module], Any], changed: str, given: Sequence[Given] = IMAGE) -> Ask:
    """Return how to ask whether something is the same after a description as before.

    Args:
        build: makes the net.
        look: what has to be the same, as something that can be compared.
        changed: what to say if it is not.
        given: inputs.
    """

    def ask(tool: Tool) -> Answer:
        net = build()
        before = look(net)
        try:
            tool.describe(net, given)
        except Exception as error:
            answer = failed(error)
        else:
            answer = Answer("yes")
        return answer if look(net) == before else Answer("wrong", changed)

    return ask


def left_after_an_exception(tool: Tool) -> Answer:
    """Return whether modes, hooks and buffers are as they were after a net has raised something."""
    net = peer_nets.raises()
    before = modes(net), hooks(net), state(net)
    try:
        tool.describe(net, IMAGE)
    except Exception as error:
        raised = error
    else:
        raised = None
    after = modes(net), hooks(net), state(net)
    changed = [name for name, old, new in zip(("modes", "hooks", "buffers"), before, after, strict=True) if old != new]
    if changed:
        return Answer("wrong", f"{', '.join(changed)} left changed")
    return (
        Answer("yes")
        if raised is not None and "no more than" in _chain(raised)
        else Answer("no", "hides the exception")
    )


def modes(net: nn.Module) -> dict[str, bool]:
    """Return each module's mode: whether it is training."""
    return {name: module.training for name, module in net.named_modules()}


def hooks(net: nn.Module) -> list[int]:
    """Return how many hooks hang on each module."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return [sum(len(getattr(module, kind)) for kind in kinds) for module in net.modules()]


def state(net: nn.Module) -> dict[str, Any]:
    """Return the values of the state_dict."""
    return {name: value.tolist() for name, value in net.state_dict().items()}


def keys(net: nn.Module) -> list[str]:
    """Return the keys of the state_dict."""
    return list(net.state_dict())


def random_states(net: nn.Module) -> Any:
    """Return the states of the global random generators of torch, numpy and Python."""
    numpy_state = numpy.random.get_state()
    return torch.get_rng_state().tolist(), numpy_state[1].tolist(), numpy_state[2], random.getstate()


def lazy_still(net: nn.Module) -> bool:
    """Return whether the first layer has not learnt its input's channels."""
    return isinstance(net[0], nn.LazyConv2d)


def computes_nothing(tool: Tool) -> Answer:
    """Return whether the net was called with shapes only."""
    seen: list[bool] = []
    try:
        tool.describe(peer_nets.witness(seen), IMAGE)
    except Exception as error:
        return failed(error)
    return Answer("no", "runs it") if not seen or any(seen) else Answer("yes")


def handles(build: Build, given: Sequence[Given], right: int) -> Ask:
    """Return how to ask for a special net: its parameters if the tool counts any, or else whether there are rows."""

    def ask(tool: Tool) -> Answer:
        try:
            account = tool.describe(build(), given)
        except Exception as error:
            return failed(error)
        if account.parameters is None:
            return Answer("yes") if account.rows else Answer("no")
        return Answer("yes") if account.parameters == right else Answer("wrong", _shown(account.parameters))

    return ask


def norm_row(account: Account) -> int | None:
    """Return the parameters that stand beside the batch-norm."""
    return next((row.parameters for row in account.rows if row.kind == "BatchNorm2d"), None)


def product_macs(tool: Tool) -> Answer:
    """Return whether a product of matrices outside layers is counted, as MACs or as twice as many FLOPs."""
    try:
        account = tool.describe(peer_nets.product(), SEQUENCE)
    except Exception as error:
        return failed(error)
    if account.macs is None:
        return Answer("no")
    if account.macs == 800:
        return Answer("yes")
    return Answer("wrong", f"{account.macs:,}" + (" (1,600 FLOPs beside it)" if account.flops == 1600 else ""))


def functions_are_rows(tool: Tool) -> Answer:
    """Return whether an addition and an activation that are no modules have rows."""
    try:
        kinds = [row.kind.lower() for row in tool.describe(peer_nets.residual(), MAPS).rows]
    except Exception as error:
        return failed(error)
    seen = [name for name in ("add", "relu") if any(name in kind for kind in kinds)]
    if len(seen) == 2:
        return Answer("yes")
    return Answer("no", f"{seen[0]} only" if seen else "")


def never_called_is_told(tool: Tool) -> Answer:
    """Return whether the layer that is never called stands in the table, marked as such."""
    try:
        account = tool.describe(peer_nets.never_called(), IMAGE)
    except Exception as error:
        return failed(error)
    lines = [line for line in account.text.splitlines() if "Linear" in line or "spare" in line]
    if not lines:
        return Answer("no")
    return (
        Answer("yes")
        if any("never" in line or "--" in line or "not called" in line for line in lines)
        else Answer("no")
    )


def macs_by_name(tool: Tool) -> Answer:
    """Return whether the right number of multiply-adds is there under that name."""
    try:
        account = tool.describe(peer_nets.convolution_alone(), IMAGE)
    except Exception as error:
        return failed(error)
    if account.macs is None:
        return Answer("no")
    if account.macs != 1800:
        return Answer("wrong", f"{account.macs:,}")
    text = account.text.lower()
    return Answer("yes") if "mac" in text or "mult" in text else Answer("no", "a number without a name")


def shape_failure(tool: Tool) -> Answer:
    """Return whether a net that does not fit gives the table up to there, the layer and what it needs."""
    try:
        account = tool.describe(peer_nets.mismatched(), IMAGE)
    except Exception as error:
        told = f"{_chain(error)} {_table(error)}"
    else:
        told = account.text
    table = "second" in told and ("2×6×6" in told or "2, 6, 6" in told)
    layer = "head" in told and "99" in told and "72" in told
    if table and layer:
        return Answer("yes")
    return Answer("no", "names layers without shapes" if "Conv2d" in told else "")


def _table(error: Exception) -> str:
    summary = getattr(error, "summary", None)
    return "" if summary is None else str(summary)


def _chain(error: BaseException | None) -> str:
    """Return the messages of an exception and of what it came from."""
    said = []
    while error is not None:
        said.append(str(error))
        error = error.__cause__ or error.__context__
    return " ".join(said)


def _shown(said: Any) -> str:
    if isinstance(said, tuple):
        return "×".join(str(one) for one in said)
    return f"{said:,}" if isinstance(said, int) else str(said)


def resnet50() -> nn.Module:
    """Return ResNet-50 without its head, as newer libraries build it: its published field is 427."""
    from zoo import ZOO

    with torch.device("meta"):
        net = ZOO["resnet50"].build().features
    return net.eval().to_empty(device="cpu")  # with whatever values: to draw them takes longer than the rest


nets = peer_nets
COUNTS, STATE, FIELDS, MACS, NETS, USE = "Parameters", "Leaves the net alone", "Receptive field", "MACs", "Nets", "Use"

QUESTIONS: tuple[Question, ...] = (
    Question(COUNTS, "a bare parameter beside layers: 27", parameters(nets.bare_parameter, IMAGE, 27)),
    Question(COUNTS, "one convolution called three times: 38", parameters(nets.called_thrice, MAPS, 38)),
    Question(COUNTS, "a layer that is never called: 10,120", parameters(nets.never_called, IMAGE, 10_120)),
    Question(COUNTS, "the layer that is never called is marked", never_called_is_told),
    Question(COUNTS, "one ReLU shared by several blocks: 120", parameters(nets.shared_activation, PIXELS, 120)),
    Question(COUNTS, "embedding and head tied: 40", parameters(nets.tied, WORDS, 40)),
    Question(
        COUNTS,
        "frozen weight, live bias: 2 trainable",
        number(nets.frozen_weight, IMAGE, lambda account: account.trainable, 2),
    ),
    Question(COUNTS, "batch-norm's row: 4, its buffers apart", number(nets.normalised, IMAGE, norm_row, 4)),
    Question(STATE, "batch-norm statistics", left(nets.normalised, state, "moves them")),
    Question(STATE, "modes, with a frozen batch-norm", left(nets.frozen_norm, modes, "sets it to training")),
    Question(STATE, "random generators", left(nets.own_class, random_states, "draws")),
    Question(STATE, "keys of the state_dict", left(nets.own_class, keys, "adds keys")),
    Question(STATE, "lazy layers stay lazy", left(nets.lazy, lazy_still, "fills them")),
    Question(STATE, "all of it after an exception, which is told", left_after_an_exception),
    Question(STATE, "no arithmetic on the weights", computes_nothing),
    Question(FIELDS, "two 3×3 convolutions: 5", field(nets.two_convolutions, IMAGE, 5)),
    Question(FIELDS, "pooling called as a function: 8", field(nets.functional_pooling, IMAGE, 8)),
    Question(FIELDS, "dilation: 7", field(nets.dilated, IMAGE, 7)),
    Question(FIELDS, "branches: 5", field(nets.branched, IMAGE, 5)),
    Question(FIELDS, "asymmetric kernels: 3×7", field(nets.asymmetric, IMAGE, 3, 7)),
    Question(FIELDS, "transposed convolution: 2", field(nets.transposed, IMAGE, 2)),
    Question(FIELDS, "global pooling: the whole image", whole_field),
    Question(FIELDS, "ResNet-50: 427", field(resnet50, (Given((3, 32, 32)),), 427)),
    Question(MACS, "a convolution: 1,800, called MACs or multiply-adds", macs_by_name),
    Question(
        MACS,
        "a linear layer over a sequence: 320",
        number(nets.linear_over_sequence, SEQUENCE, lambda account: account.macs, 320),
    ),
    Question(MACS, "a matrix product without a layer: 800", product_macs),
    Question(NETS, "functions are rows: addition and activation", functions_are_rows),
    Question(NETS, "several inputs", handles(nets.two_inputs, (IMAGE[0], Given((1, 7, 5))), 40)),
    Question(NETS, "whole numbers as inputs", handles(nets.words, WORDS, 40)),
    Question(NETS, "a part that returns a dictionary", handles(nets.gives_dict, IMAGE, 23)),
    Question(NETS, "an LSTM: 300", handles(nets.recurrent, SEQUENCE, 300)),
    Question(NETS, "lazy layers: 40", handles(nets.lazy, IMAGE, 40)),
    Question(NETS, "a billion parameters without their memory", parameters(nets.billion, (Given((10_000,)),), 10**9)),
    Question(NETS, "a shape that does not fit: the table so far, the layer and its need", shape_failure),
    Question(USE, "nested modules fold", FOLDING),
    Question(USE, "verdict on a parameter budget", BUDGET),
    Question(USE, "findings with repairs", FINDINGS),
    Question(USE, "formats besides text", FORMATS),
    Question(USE, "two nets side by side", DIFFERENCE),
    Question(USE, "a picture of the graph", PICTURE),
    Question(USE, "shows itself as HTML in a notebook", NOTEBOOK),
    Question(USE, "a command line", COMMAND),
)
