"""Nets that no table of layers foresees: each is described rightly, or an honest "unknown" is said; none is a crash."""

from __future__ import annotations

import random
import threading
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from torch import Tensor, nn

from laws import check_laws
from peer_nets import Applied
from stepladder.errors import InspectionError
from stepladder.inspection.module import inspect
from stepladder.inspection.summary import Input, Row, Summary

ASKS = "its control flow asks for values"


def described(net: nn.Module, inputs: Any, **options: Any) -> Summary:
    """Return the summary of a net after what holds for all summaries was checked."""
    summary = inspect(net, inputs, **options)
    check_laws(summary, net)
    return summary


def of_function(function: Callable[..., Any], inputs: Any = (4, 8, 8), **modules: nn.Module) -> Summary:
    """Return the summary of a net that is one function of itself and its inputs."""
    return described(Applied(function, **modules), inputs)


def kinds(summary: Summary) -> list[str]:
    return [row.kind for row in summary.rows]


def given_by(summary: Summary) -> list[Row]:
    """The rows that give what the net gives."""
    return [summary.rows[index] for index in summary.outputs]


def asks_for_values(summary: Summary) -> bool:
    return any(ASKS in note for note in summary.notes)


# Control flow


def test_a_branch_that_depends_on_values_is_taken_as_random_inputs_take_it() -> None:
    def either(net: nn.Module, x: Tensor) -> Tensor:
        return net.left(x) if x.sum() > 0 else net.right(x)

    summary = of_function(either, (4,), left=nn.Linear(4, 2), right=nn.Linear(4, 3))
    assert asks_for_values(summary)
    layers = [row for row in summary.rows if row.kind == "Linear"]
    assert [row.note for row in layers] == ["", "never called"]
    assert summary.totals.parameters == 10 + 15
    assert summary.totals.macs == layers[0].output_shape[0] * 4


def test_a_loop_as_long_as_a_value_says() -> None:
    def looped(net: nn.Module, x: Tensor) -> Tensor:
        for _ in range(3 + int(x.abs().max().item() * 0)):
            x = net.layer(x)
        return x

    summary = of_function(looped, (4,), layer=nn.Linear(4, 4))
    assert asks_for_values(summary)
    layers = [row for row in summary.rows if row.kind == "Linear"]
    assert [(row.parameters, row.shared, row.macs) for row in layers] == [(20, 0, 16), (0, 20, 16), (0, 20, 16)]


def test_a_loop_until_a_tensor_is_small() -> None:
    halves = nn.Linear(4, 4, bias=False)
    nn.init.eye_(halves.weight).data.mul_(0.5)

    def shrunk(net: nn.Module, x: Tensor) -> Tensor:
        while x.abs().max() > 0.1:
            x = net.halves(x)
        return x

    summary = of_function(shrunk, (4,), halves=halves)
    assert asks_for_values(summary)
    layers = [row for row in summary.rows if row.kind == "Linear"]
    assert len(layers) > 1
    assert [row.note for row in layers] == ["", *["called again"] * (len(layers) - 1)]


def test_an_early_exit_leaves_the_rest_uncalled() -> None:
    def exits(net: nn.Module, x: Tensor) -> Tensor:
        x = net.first(x)
        if x.max() < 1000:
            return net.exit(x)
        return net.rest(x)

    summary = of_function(exits, (4,), first=nn.Linear(4, 4), exit=nn.Linear(4, 2), rest=nn.Linear(4, 2))
    assert {row.name: row.note for row in summary.rows if row.parameters} == {
        "first": "",
        "exit": "",
        "rest": "never called",
    }
    assert [row.name for row in given_by(summary)] == ["exit"]


def test_what_a_mask_chooses_has_the_size_that_random_inputs_give_it() -> None:
    summary = of_function(lambda net, x: x[x > 0] * 2, (100,))
    assert asks_for_values(summary)
    (size,) = given_by(summary)[0].output_shape
    assert 0 < size < 100


def test_a_mask_that_keeps_the_shape_asks_for_no_values() -> None:
    def masked(net: nn.Module, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0) + x.masked_fill(x < 0, 1.0)

    summary = of_function(masked)
    assert not asks_for_values(summary)
    assert given_by(summary)[0].output_shape == (4, 8, 8)


def test_layers_dropped_by_pythons_random_numbers() -> None:
    class Drops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(12))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                if random.random() < 0.5:
                    x = layer(x)
            return x

    random.seed(0)
    before = random.getstate()
    summary = described(Drops(), (4,))
    assert random.getstate() == before
    assert {row.note for row in summary.rows} == {"", "never called"}
    assert summary.totals.macs == 16 * sum(not row.note for row in summary.rows)


def test_a_branch_without_values_to_decide_it_is_a_failure_that_says_so() -> None:
    with torch.device("meta"):
        net = Applied(lambda net, x: net.layer(x) if x.sum() > 0 else x, layer=nn.Linear(4, 4))
    with pytest.raises(InspectionError, match="value"):
        inspect(net, (4,))
    # A function that builds the net can build it with values.
    summary = inspect(lambda: Applied(lambda net, x: net.layer(x) * x.sum().item(), layer=nn.Linear(4, 4)), (4,))
    assert asks_for_values(summary)


def test_a_net_that_reads_its_weights_while_it_is_built() -> None:
    def build() -> nn.Module:
        layer = nn.Conv2d(3, 4, 3)
        channels = int(layer(torch.zeros(1, 3, 8, 8)).abs().sum() * 0) + 4
        return nn.Sequential(layer, nn.Conv2d(channels, 2, 1))

    assert inspect(build, (3, 8, 8)).totals.parameters == 112 + 10


def test_recursion() -> None:
    class Deeper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor, depth: int = 3) -> Tensor:
            return self(self.layer(x), depth - 1) if depth else x

    summary = described(Deeper(), (4,))
    assert [row.name for row in summary.rows] == ["layer"] * 3


# Inputs


class Named(nn.Module):
    """It takes an image, a vector and, where there is one, a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.vector = nn.Linear(6, 4), nn.Linear(3, 4)

    def forward(self, image: Tensor, vector: Tensor, *, mask: Tensor | None = None, scale: float = 2.0) -> Tensor:
        joined = self.image(image) + self.vector(vector) * scale
        return joined if mask is None else joined.masked_fill(mask, 0.0)


def test_inputs_by_name_in_any_order() -> None:
    summary = described(Named(), {"vector": (3,), "image": (6,)})
    assert [one.name for one in summary.inputs] == ["vector", "image"]
    assert {row.name: row.inputs for row in summary.rows if row.kind == "Linear"} == {"image": (-2,), "vector": (-1,)}


def test_an_input_that_may_be_left_out() -> None:
    without = described(Named(), {"image": (6,), "vector": (3,)})
    given = described(Named(), {"image": (6,), "vector": (3,), "mask": Input("mask", (4,), "bool")})
    assert kinds(given) == [*kinds(without), "masked_fill"]
    assert given.rows[-1].inputs[-1] == -3


def test_whole_numbers_as_input() -> None:
    summary = of_function(lambda net, words: net.words(words), Input("input", (7,), "int64"), words=nn.Embedding(10, 3))
    assert [(row.kind, row.parameters, row.output_shape) for row in summary.rows] == [("Embedding", 30, (7, 3))]


def test_an_input_that_is_never_read() -> None:
    summary = of_function(lambda net, x, y: net.layer(x), [(4,), (9,)], layer=nn.Linear(4, 2))
    assert [row.inputs for row in summary.rows] == [(-1,)]


def test_outputs_of_different_depth() -> None:
    def pyramid(net: nn.Module, x: Tensor) -> list[Tensor]:
        one = net.one(x)
        two = net.two(one)
        return [one, two, net.three(two)]

    layers = {name: nn.Conv2d(4, 4, 3, 2, 1) for name in ("one", "two", "three")}
    rows = given_by(of_function(pyramid, (4, 32, 32), **layers))
    assert [row.name for row in rows] == ["one", "two", "three"]
    assert [row.field.size for row in rows if row.field] == [(3, 3), (7, 7), (15, 15)]


# Outputs


@dataclass
class Result:
    """What a detector gives, say."""

    boxes: Tensor
    scores: Tensor
    label: str = "none"


Pair = namedtuple("Pair", ["boxes", "scores"])


@pytest.mark.parametrize(
    "packed",
    [
        lambda boxes, scores: {"boxes": boxes, "scores": scores},
        lambda boxes, scores: (boxes, scores),
        lambda boxes, scores: [boxes, [scores]],
        Pair,
        Result,
        lambda boxes, scores: {"all": [Result(boxes, scores), None, "words", 3]},
        lambda boxes, scores: iter([boxes, scores]),
    ],
    ids=["dict", "tuple", "nested", "namedtuple", "dataclass", "nested objects", "iterator"],
)
def test_outputs_in_a(packed: Callable[[Tensor, Tensor], Any]) -> None:
    summary = of_function(
        lambda net, x: packed(net.boxes(x), net.scores(x)), (4,), boxes=nn.Linear(4, 4), scores=nn.Linear(4, 1)
    )
    assert kinds(summary) == ["Linear", "Linear"]
    if packed(torch.zeros(1), torch.zeros(1)).__class__.__name__ != "list_iterator":  # reading it would use it up
        assert [row.name for row in given_by(summary)] == ["boxes", "scores"]


@pytest.mark.parametrize("value", [None, 3, 2.5, "words", (), {}])
def test_a_net_that_gives_no_tensor(value: object) -> None:
    def silent(net: nn.Module, x: Tensor) -> object:
        net.layer(x)
        return value

    summary = of_function(silent, (4,), layer=nn.Linear(4, 2))
    assert kinds(summary) == ["Linear"]
    assert summary.outputs == ()


@pytest.mark.parametrize("net", [nn.Identity(), nn.Sequential(), Applied(lambda net, x: x)])
def test_a_net_that_does_nothing(net: nn.Module) -> None:
    summary = described(net, (4, 8, 8))
    assert (summary.totals.parameters, summary.totals.macs) == (0, 0)
    assert all(row.kind == "Identity" for row in summary.rows)
    assert summary.outputs in ((-1,), (0,))
    assert "0" in str(summary)


def test_a_net_without_parameters() -> None:
    summary = described(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), (4, 8, 8))
    assert kinds(summary) == ["ReLU", "MaxPool2d"]
    assert summary.totals.parameters == 0


def test_modules_that_take_no_tensor() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.values = nn.Parameter(torch.zeros(5, 4))

        def forward(self) -> Tensor:
            return self.values * 2

    summary = of_function(lambda net, x: x + net.table().mean(0), (4,), table=Table())
    assert summary.totals.parameters == 20
    assert [row.name for row in summary.rows] == ["table.mul", "mean", "add"]


# What is shared


def test_an_embedding_that_is_the_decoder_too() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.decoder = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
            self.decoder.weight = self.words.weight

        def forward(self, words: Tensor) -> Tensor:
            return self.decoder(self.words(words))

    rows = described(Tied(), Input("input", (7,), "int64")).rows
    assert [(row.name, row.parameters, row.shared, row.note) for row in rows] == [
        ("words", 40, 0, ""),
        ("decoder", 0, 40, "shared"),
    ]


def test_one_module_thrice_in_a_sequence() -> None:
    layer = nn.Linear(4, 4)
    rows = described(nn.Sequential(layer, layer, layer), (4,)).rows
    assert [(row.parameters, row.shared, row.macs, row.note) for row in rows] == [
        (20, 0, 16, ""),
        (0, 20, 16, "called again"),
        (0, 20, 16, "called again"),
    ]


def test_a_module_in_a_list_is_none_of_the_nets_but_its_work_is_counted() -> None:
    class Hides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.hidden = [nn.Linear(4, 2)]

        def forward(self, x: Tensor) -> Tensor:
            return self.hidden[0](self.layer(x))

    summary = described(Hides(), (4,))
    assert summary.totals.parameters == 20
    assert summary.totals.macs == 16 + 8
    assert given_by(summary)[0].output_shape == (2,)


def test_a_layer_that_forward_makes() -> None:
    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer: nn.Module | None = None

        def forward(self, x: Tensor) -> Tensor:
            if self.layer is None:
                self.layer = nn.Conv2d(x.shape[1], 6, 3)
            return self.layer(x)

    net = Grows()
    summary = inspect(net, (4, 8, 8))
    assert [(row.name, row.kind, row.parameters, row.inputs) for row in summary.rows] == [
        ("layer", "Conv2d", 222, (-1,))
    ]
    assert net.layer is None


def test_work_in_another_thread_is_said_to_be_missing() -> None:
    def threaded(net: nn.Module, x: Tensor) -> Tensor:
        found: list[Tensor] = []
        worker = threading.Thread(target=lambda: found.append(net.layer(x)))
        worker.start()
        worker.join()
        return found[0]

    summary = of_function(threaded, (4,), layer=nn.Linear(4, 2))
    assert summary.totals.parameters == 10
    assert any("other threads" in note for note in summary.notes)
    assert not any(row.note == "never called" for row in summary.rows)


def test_a_module_that_holds_itself_in_a_list() -> None:
    class Knows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)
            self.me = [self]

        def forward(self, x: Tensor) -> Tensor:
            return self.me[0].layer(x)

    net = Knows()
    assert kinds(described(net, (4,))) == ["Linear"]
    assert net.me[0] is net


# What forward does beside


def test_a_forward_that_prints(capsys: pytest.CaptureFixture[str]) -> None:
    def prints(net: nn.Module, x: Tensor) -> Tensor:
        print(x.shape, x)
        return net.layer(x)

    assert kinds(of_function(prints, (4,), layer=nn.Linear(4, 2))) == ["Linear"]
    assert "Size" in capsys.readouterr().out


def test_a_forward_that_keeps_what_it_saw_in_a_list() -> None:
    class Collects(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.seen = nn.Linear(4, 4), []

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(2):
                self.seen.append(self.layer(x))
            return torch.cat(self.seen, 1)

    net = Collects()
    summary = described(net, (4,))
    assert kinds(summary) == ["Linear", "Linear", "cat"]
    assert given_by(summary)[0].output_shape == (8,)
    assert net.seen == []


def test_tensors_made_and_moved_to_where_the_input_is() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.places, self.layer = nn.Embedding(16, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = x.to(x.device)
            places = self.places(torch.arange(x.shape[1], device=x.device))
            zeros = torch.zeros(x.shape, dtype=x.dtype).to(x)
            return self.layer(x + places + zeros)

    summary = described(Positions(), (16, 4))
    assert not asks_for_values(summary)
    assert [row.kind for row in summary.rows if row.parameters] == ["Embedding", "Linear"]


def test_tensors_made_without_saying_where() -> None:
    def made(net: nn.Module, x: Tensor) -> Tensor:
        index = torch.arange(x.shape[1]).flip(0)
        mask = torch.ones(x.shape[1], x.shape[1]).tril().bool()
        x = x[:, index] * torch.tensor([1.0, 2.0, 3.0, 4.0]) + torch.linspace(0, 1, 4)
        scores = (x @ x.transpose(1, 2)).masked_fill(~mask, float("-inf"))
        return net.layer(scores.softmax(-1) @ x)

    summary = of_function(made, (6, 4), layer=nn.Linear(4, 2))
    assert not asks_for_values(summary)
    assert summary.totals.macs == 6 * 6 * 4 * 2 + 6 * 4 * 2


@pytest.mark.parametrize(
    "context",
    [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16), lambda: torch.device("cpu")],
    ids=["no_grad", "inference_mode", "autocast", "device"],
)
def test_a_forward_within(context: Callable[[], Any]) -> None:
    def inside(net: nn.Module, x: Tensor) -> Tensor:
        with context():
            return net.layer(x).relu() + torch.ones(2)

    summary = of_function(inside, (4,), layer=nn.Linear(4, 2))
    assert summary.totals.macs == 8
    assert kinds(summary) == ["Linear", "relu", "add"]


def test_a_forward_that_asks_for_determinism() -> None:
    def sure(net: nn.Module, x: Tensor) -> Tensor:
        before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True)
        try:
            return net.layer(x)
        finally:
            torch.use_deterministic_algorithms(before)

    assert of_function(sure, (4,), layer=nn.Linear(4, 2)).totals.macs == 8


@pytest.mark.parametrize("say_where", [True, False])
def test_writing_into_slices_of_a_new_tensor(say_where: bool) -> None:
    def written(net: nn.Module, x: Tensor) -> Tensor:
        result = torch.zeros(x.shape[0], 2, 8, 8, device=x.device if say_where else None)
        result[:, 0] = net.one(x)[:, 0]
        result[:, 1:] = net.two(x)
        return net.read(result) if net.read is not None else result

    layers = {"one": nn.Conv2d(4, 1, 3, padding=1), "two": nn.Conv2d(4, 1, 1)}
    summary = of_function(written, **layers, read=None)
    assert summary.totals.macs == 64 * 4 * 10
    assert {row.name for row in given_by(summary)} == {"one", "two"}
    last = of_function(written, **layers, read=nn.Conv2d(2, 1, 1)).rows[-1]
    assert last.inputs == (0, 1)
    assert last.field is not None
    assert last.field.unknown == "a map that is written piece by piece"


def test_writing_into_one_half_leaves_the_other_as_it_is() -> None:
    def halved(net: nn.Module, x: Tensor) -> Tensor:
        first, second = net.split(x).chunk(2, 1)
        first.add_(net.wide(second))
        return net.read(second)

    layers = {"split": nn.Conv2d(4, 8, 1), "wide": nn.Conv2d(4, 4, 5, padding=2), "read": nn.Conv2d(4, 2, 1)}
    summary = of_function(halved, **layers)
    last = summary.rows[-1]
    assert [summary.rows[index].name for index in last.inputs] == ["split"]
    assert last.field is not None
    assert last.field.size == (1, 1)


def test_a_class_with_a_call_of_its_own() -> None:
    class Calls(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def __call__(self, x: Tensor) -> Tensor:
            return self.layer(x) * 2

    assert of_function(lambda net, x: net.part(x), (4,), part=Calls()).totals.macs == 8
    assert described(Calls(), (4,)).totals.macs == 8


def test_a_net_that_takes_its_own_derivative() -> None:
    class Energy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            with torch.enable_grad():
                x = x.requires_grad_()
                energy = self.layer(x).square().sum()
                return torch.autograd.grad(energy, x, create_graph=True)[0]

    summary = described(Energy(), (4,))
    assert given_by(summary)[0].output_shape == (4,)
    assert summary.totals.macs >= 16  # the derivative's products count as well


# Sizes and axes


@pytest.mark.parametrize(("axes", "field"), [(1, (5,)), (2, (5, 5)), (3, (5, 5, 5))])
def test_nets_over_one_two_and_three_axes(axes: int, field: tuple[int, ...]) -> None:
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    pool = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[axes - 1]
    net = nn.Sequential(convolution(2, 4, 3), pool(3, 1), convolution(4, 4, 1))
    summary = described(net, (2, *[12] * axes))
    assert summary.rows[-1].output_shape == (4, *[8] * axes)
    assert summary.rows[-1].field is not None
    assert summary.rows[-1].field.size == field
    assert summary.totals.macs == 4 * 2 * 3**axes * 10**axes + 16 * 8**axes


def test_shapes_as_they_are_with_their_batch() -> None:
    whole = described(nn.Conv2d(3, 8, 3), (5, 3, 32, 32), batch=None)
    one = described(nn.Conv2d(3, 8, 3), (3, 32, 32))
    five = described(nn.Conv2d(3, 8, 3), (3, 32, 32), batch=5)
    assert whole.rows[0].output_shape == (5, 8, 30, 30)
    assert one.rows[0].output_shape == five.rows[0].output_shape == (8, 30, 30)
    assert whole.totals.macs == five.totals.macs == 5 * one.totals.macs
    assert whole.rows[0].field == five.rows[0].field == one.rows[0].field


def test_a_batch_of_none() -> None:
    summary = described(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten()), (3, 32, 32), batch=0)
    assert summary.totals.parameters == 224
    assert summary.totals.macs == 0
    assert [row.output_shape for row in summary.rows] == [(8, 30, 30), (8, 30, 30), (7200,)]


def test_an_image_without_a_batch() -> None:
    summary = described(nn.Conv2d(3, 8, 3), (3, 32, 32), batch=None)
    assert summary.rows[0].output_shape == (8, 30, 30)
    assert summary.rows[0].field is not None
    assert summary.rows[0].field.size == (3, 3)


def test_maps_that_become_empty() -> None:
    summary = of_function(lambda net, x: net.layer(x[:, :, 8:]), (4, 8, 8), layer=nn.Linear(8, 3))
    assert given_by(summary)[0].output_shape == (4, 0, 3)
    assert summary.totals.macs == 0


# Operations beyond layers


def test_einsum() -> None:
    summary = of_function(lambda net, x: torch.einsum("bchw,bdhw->bcd", x, net.layer(x)), layer=nn.Conv2d(4, 3, 1))
    assert given_by(summary)[0].output_shape == (4, 3)
    assert summary.totals.macs == 64 * 12 + 64 * 12
    assert given_by(summary)[0].inputs == (-1, 0)


def test_a_function_of_its_own_with_its_own_derivative() -> None:
    class Straight(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Tensor) -> Tensor:
            return x.sign()

        @staticmethod
        def backward(context: Any, gradient: Tensor) -> Tensor:
            return gradient

    summary = of_function(lambda net, x: net.layer(Straight.apply(net.layer(x))), layer=nn.Conv2d(4, 4, 3, padding=1))
    assert kinds(summary)[0] == kinds(summary)[-1] == "Conv2d"
    assert "sign" in kinds(summary)
    assert given_by(summary)[0].field is not None
    assert given_by(summary)[0].field.size == (5, 5)


def test_vmap() -> None:
    def mapped(net: nn.Module, x: Tensor) -> Tensor:
        return torch.func.vmap(net.layer)(x)

    summary = of_function(mapped, (6, 4), layer=nn.Linear(4, 2))
    assert summary.totals.macs == 6 * 8
    assert given_by(summary)[0].output_shape == (6, 2)


def test_functional_call_with_the_nets_own_weights() -> None:
    def called(net: nn.Module, x: Tensor) -> Tensor:
        halved = {name: value * 0.5 for name, value in net.layer.named_parameters()}
        return torch.func.functional_call(net.layer, halved, (x,))

    summary = of_function(called, (4,), layer=nn.Linear(4, 2))
    assert summary.totals.macs == 8
    assert not any("never" in row.note for row in summary.rows)


def test_complex_numbers_and_fourier_transforms() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 8, 5, dtype=torch.complex64))

        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.irfft2(torch.fft.rfft2(x) * self.weight, s=x.shape[-2:])

    summary = described(Spectral(), (4, 8, 8))
    assert summary.totals.parameters == 160
    last = given_by(summary)[0]
    assert last.output_shape == (4, 8, 8)
    assert last.field is not None
    assert last.field.size == (8, 8)


def test_a_sparse_matrix() -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)
            self.register_buffer("edges", torch.eye(6).to_sparse())

        def forward(self, x: Tensor) -> Tensor:
            return torch.sparse.mm(self.edges, self.layer(x))

    summary = described(Graph(), (6, 4), batch=None)
    assert given_by(summary)[0].output_shape == (6, 2)
    assert summary.totals.parameters == 10


def test_shapes_that_are_read_and_used() -> None:
    def folded(net: nn.Module, x: Tensor) -> Tensor:
        batch, channels, rows, columns = x.shape
        windows = x.reshape(batch, channels, rows // 4, 4, columns // 4, 4).permute(0, 2, 4, 3, 5, 1)
        return net.layer(windows.reshape(-1, 16, channels))

    summary = of_function(folded, layer=nn.Linear(4, 2))
    assert summary.totals.macs == 64 * 8
    assert given_by(summary)[0].output_shape == (4, 16, 2)


def test_functions_that_give_several_tensors() -> None:
    def several(net: nn.Module, x: Tensor) -> Tensor:
        values, indices = x.flatten(1).topk(5)
        left, right = F.normalize(values).split([2, 3], 1)
        return torch.cat([left, right], 1) + indices

    summary = of_function(several)
    assert given_by(summary)[0].output_shape == (5,)
