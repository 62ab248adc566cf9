"""What is said of layers and functions that do not fit: each one is run, with values and on tensors without any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from stepladder.errors import InspectionError, ShapeError
from stepladder.inspection.failures import explain, refuse
from stepladder.inspection.misfits.given import Given
from stepladder.inspection.misfits.modules import of_module
from stepladder.inspection.places import place_of
from stepladder.inspection.summary import Failure, Summary, Totals

Shape = tuple[int, ...]


def raised(call: Callable[..., object], tensors: Sequence[Tensor]) -> Exception | None:
    try:
        call(*tensors)
    except Exception as error:
        return error
    return None


def given(shapes: Sequence[Shape], dtype: torch.dtype, device: str) -> list[Tensor]:
    return [torch.zeros((1, *shape), dtype=dtype, device=device) for shape in shapes]


def fails(
    build: Callable[[], nn.Module], *shapes: Shape, dtype: torch.dtype = torch.float32, outside: bool = False
) -> Failure:
    """Return what is said of a module for shapes without the batch; the same must be said on both devices."""
    said = []
    for device in ("cpu", "meta"):
        with torch.device(device):
            module = build()
        tensors = given(shapes, dtype, device)
        error = raised(module, tensors)
        if error is not None:
            whole = [tuple(tensor.shape) for tensor in tensors]
            dtypes = [str(dtype).removeprefix("torch.")] * len(shapes)
            kind = type(module).__name__
            said.append(explain(error, kind, module, "", whole, dtypes, outside=outside, net=module))
    assert said, "this module takes these shapes"
    assert all(one == said[0] for one in said)
    return said[0]


def layer(kind: Callable[..., nn.Module], *arguments: Any, **keywords: Any) -> Callable[[], nn.Module]:
    return lambda: kind(*arguments, **keywords)


LAYERS: list[tuple[Callable[[], nn.Module], Sequence[Shape], str, str]] = [
    (layer(nn.Conv2d, 3, 8, 3), [(4, 8, 8)], "3 channels (in_channels=3)", "say in_channels=4"),
    (layer(nn.Conv2d, 4, 8, 3, groups=2), [(6, 8, 8)], "4 channels", "say in_channels=6"),
    (layer(nn.Conv2d, 3, 8, 3), [(8, 8, 3)], "3 channels", "x.permute(0, 3, 1, 2)"),
    (layer(nn.Conv1d, 3, 8, 3), [(5, 8)], "3 channels", "say in_channels=5"),
    (layer(nn.Conv2d, 3, 8, 3), [(12,)], "maps: 3×rows×columns", "x.view(-1, 3, rows, columns)"),
    (layer(nn.Conv2d, 3, 8, 3), [(3, 4, 8, 8)], "maps: 3×rows×columns", "use nn.Conv3d"),
    (layer(nn.Conv2d, 3, 8, 3), [(8, 8)], "maps: 3×rows×columns", "keep the axis of the channels"),
    (layer(nn.Conv2d, 3, 8, (9, 3)), [(3, 8, 8)], "at least 9 rows × 3 columns", "padding=(4, 1)"),
    (layer(nn.Conv2d, 3, 8, 3, dilation=4), [(3, 8, 8)], "at least 9 rows × 9 columns", "padding=4"),
    (layer(nn.Conv2d, 3, 8, 3, padding="valid"), [(3, 2, 8)], "at least 3 rows", "padding=1"),
    (
        layer(nn.Conv2d, 3, 8, 3, padding=9, padding_mode="reflect"),
        [(3, 8, 8)],
        "more than 9 rows",
        "pad by 7 at most",
    ),
    (layer(nn.ConvTranspose2d, 3, 8, 3), [(4, 8, 8)], "3 channels (in_channels=3)", "say in_channels=4"),
    (layer(nn.Linear, 10, 5), [(12,)], "10 values in the last axis", "say in_features=12"),
    (layer(nn.Linear, 1568, 5), [(32, 7, 7)], "1,568 values", "put nn.Flatten() before it"),
    (layer(nn.Linear, 32, 5), [(32, 7, 7)], "32 values", "nn.AdaptiveAvgPool2d(1) and nn.Flatten()"),
    (layer(nn.Linear, 100, 5), [(32, 7, 7)], "100 values", "in_features=1568, or global average pooling"),
    (layer(nn.Linear, 9216, 5), [(6400,)], "9,216 values", "of the size that it is made for"),
    (layer(nn.Linear, 5, 2), [(5, 7)], "5 values", "x.transpose(1, 2)"),
    (layer(nn.Linear, 35, 2), [(5, 7)], "35 values", "nn.Flatten()"),
    (layer(nn.BatchNorm2d, 4), [(3, 8, 8)], "4 channels (num_features=4)", "say num_features=3"),
    (layer(nn.BatchNorm2d, 4), [(4,)], "maps of 4 channels", "use nn.BatchNorm1d"),
    (layer(nn.BatchNorm1d, 4), [(4, 8, 8)], "vectors or sequences of 4 channels", "use nn.BatchNorm2d"),
    (layer(nn.BatchNorm1d, 4), [(4,)], "more than one value a channel", "eval()"),
    (layer(nn.InstanceNorm2d, 4, affine=True), [(6, 5, 5)], "4 channels", "say num_features=6"),
    (layer(nn.GroupNorm, 2, 4), [(6, 8, 8)], "4 channels (num_channels=4)", "say num_channels=6"),
    (layer(nn.LayerNorm, 6), [(6, 8, 8)], "6 values in its last axis", "nn.GroupNorm(1, 6)"),
    (layer(nn.LayerNorm, 6), [(3, 8)], "6 values in its last axis", "say normalized_shape=8"),
    (layer(nn.LayerNorm, (6, 8)), [(3, 8)], "6×8 in its last axes", "say normalized_shape=(3, 8)"),
    (layer(nn.PReLU, 4), [(6, 5, 5)], "4 channels (num_parameters=4)", "say num_parameters=6"),
    (layer(nn.MaxPool2d, 4), [(3, 2, 8)], "at least 4 rows", "nn.AdaptiveAvgPool2d(1)"),
    (layer(nn.AvgPool2d, 4), [(3, 2, 2)], "at least 4 rows", "pool less before it"),
    (layer(nn.AvgPool1d, 4), [(3, 2)], "at least 4 positions", "pool less before it"),
    (layer(nn.MaxPool2d, 2, padding=2), [(3, 8, 8)], "at most half its kernel: 1", "say padding=1"),
    (layer(nn.MaxPool2d, 2), [(3,)], "maps: channels×rows×columns", "leave out what flattens"),
    (layer(nn.AdaptiveAvgPool2d, 1), [()], "maps: channels×rows×columns", "leave out what flattens"),
    (layer(nn.Embedding, 10, 4), [(8,)], "whole numbers from 0 to 9", "x.long()"),
    (layer(nn.LSTM, 8, 4, batch_first=True), [(5, 6)], "8 values a step (input_size=8)", "say input_size=6"),
    (layer(nn.GRU, 8, 4, batch_first=True), [(8, 6)], "8 values a step", "x.transpose(1, 2)"),
    (layer(nn.LSTM, 8, 4), [(3, 5, 6)], "a sequence of 8 values a step", "x.flatten(2).transpose(1, 2)"),
    (layer(nn.LSTMCell, 8, 4), [(6,)], "8 values a step", "say input_size=6"),
    (layer(nn.MultiheadAttention, 8, 2), [(5, 6)] * 3, "8 values a position (embed_dim=8)", "nn.Linear(6, 8)"),
    (layer(nn.MultiheadAttention, 8, 2), [(8, 6)] * 3, "8 values a position", "x.transpose(1, 2)"),
    (layer(nn.MultiheadAttention, 8, 2), [(8, 6, 6)] * 3, "a sequence", "x.flatten(2).transpose(1, 2)"),
    (layer(nn.Bilinear, 8, 4, 2), [(8,), (5,)], "4 values (in2_features=4)", "say in2_features=5"),
    (layer(nn.PixelShuffle, 2), [(3, 4, 4)], "channels that 2² = 4 divides", "give 4 channels"),
    (layer(nn.ReflectionPad2d, 5), [(3, 4, 4)], "more than 5 rows", "pad by 3 at most"),
    (layer(nn.CircularPad2d, 5), [(3, 4, 4)], "more than 5 rows", "pad by 4 at most"),
    (layer(nn.Flatten, 3), [(3,)], "more than 3 axes", "leave it out"),
    (layer(nn.Unflatten, 1, (3, 4)), [(10,)], "sizes whose product is 10", "change the sizes"),
]


@pytest.mark.parametrize(
    ("build", "shapes", "needs", "repair"), LAYERS, ids=[f"{build()}-{shapes}" for build, shapes, _, _ in LAYERS]
)
def test_a_layer_says_what_it_needs(
    build: Callable[[], nn.Module], shapes: Sequence[Shape], needs: str, repair: str
) -> None:
    failure = fails(build, *shapes)
    assert needs in failure.needs
    assert repair in failure.repair
    assert failure.shape


# What each of the repairs above leads to: these must run, and nothing may be said against them.
FITTING: list[tuple[Callable[[], nn.Module], Sequence[Shape]]] = [
    (layer(nn.Conv2d, 4, 8, 3), [(4, 8, 8)]),
    (layer(nn.Conv2d, 3, 8, (9, 3), padding=(4, 1)), [(3, 8, 8)]),
    (layer(nn.Conv2d, 3, 8, 9, padding="same"), [(3, 8, 8)]),
    (layer(nn.Conv2d, 3, 8, 3, padding=7, padding_mode="reflect"), [(3, 8, 8)]),
    (layer(nn.Conv2d, 3, 8, 3, padding=8, padding_mode="circular"), [(3, 8, 8)]),
    (layer(nn.ConvTranspose2d, 4, 8, 9), [(4, 2, 2)]),
    (layer(nn.Linear, 12, 5), [(3, 12)]),
    (layer(nn.BatchNorm2d, 3), [(3, 8, 8)]),
    (layer(nn.InstanceNorm2d, 6, affine=True), [(6, 5, 5)]),
    (layer(nn.GroupNorm, 1, 6), [(6, 8, 8)]),
    (layer(nn.LayerNorm, (3, 8)), [(3, 8)]),
    (layer(nn.PReLU, 1), [(6, 5, 5)]),
    (layer(nn.MaxPool2d, 2, padding=1), [(3, 8, 8)]),
    (layer(nn.MaxPool2d, 4, ceil_mode=True), [(3, 5, 5)]),
    (layer(nn.AvgPool1d, 4), [(3, 8)]),
    (layer(nn.AdaptiveAvgPool2d, 1), [(3, 8, 8)]),
    (layer(nn.LSTM, 6, 4), [(5, 6)]),
    (layer(nn.MultiheadAttention, 8, 2, kdim=6, vdim=5, batch_first=True), [(5, 8), (7, 6), (7, 5)]),
    (layer(nn.PixelShuffle, 2), [(4, 4, 4)]),
    (layer(nn.ReflectionPad2d, 3), [(3, 4, 4)]),
    (layer(nn.CircularPad2d, 4), [(3, 4, 4)]),
    (layer(nn.Flatten), [(3, 4, 4)]),
    (layer(nn.LazyLinear, 4), [(7,)]),
]


@pytest.mark.parametrize(("build", "shapes"), FITTING, ids=[f"{build()}-{shapes}" for build, shapes in FITTING])
def test_nothing_is_said_of_a_layer_that_fits(build: Callable[[], nn.Module], shapes: Sequence[Shape]) -> None:
    module = build()
    whole = tuple((1, *shape) for shape in shapes)
    assert of_module(module, Given(whole, ["float32"] * len(whole))) is None
    module(*given(shapes, torch.float32, "cpu"))


def test_an_input_of_the_net_is_repaired_on_the_command_line() -> None:
    assert "--input 3x8x8" in fails(layer(nn.Conv2d, 3, 8, 3), (4, 8, 8), outside=True).repair
    assert "--input 3x8x8" in fails(layer(nn.Conv2d, 3, 8, 3), (8, 8), outside=True).repair
    assert "--input 8:int64" in fails(layer(nn.Embedding, 10, 4), (8,), outside=True).repair
    whole = fails(layer(nn.Linear, 3, 4), (5,), outside=True)
    assert whole.repair == "say in_features=5, or give --input 3"


def test_values_of_another_type_are_told() -> None:
    failure = fails(layer(nn.Conv2d, 3, 8, 3), (3, 8, 8), dtype=torch.int64, outside=True)
    assert failure.got == "3×8×8, int64 values"
    assert failure.needs == "float32 values, as its weights are"
    assert "--input 3x8x8" in failure.repair
    assert "nn.Embedding" in failure.repair
    assert "x.to(torch.float32)" in fails(layer(nn.Linear, 3, 8), (3,), dtype=torch.float64).repair


@pytest.mark.parametrize(
    ("build", "shape", "dtype"),
    [
        (layer(nn.ConvTranspose2d, 3, 8, 3), (4, 8, 8), torch.float32),
        (layer(nn.Linear, 3, 8), (3,), torch.int64),
        (layer(nn.Linear, 3, 8), (3,), torch.float64),
        (layer(nn.Conv2d, 3, 8, 3), (3, 8, 8), torch.float16),
    ],
)
def test_what_tensors_without_values_let_pass_is_refused(
    build: Callable[[], nn.Module], shape: Shape, dtype: torch.dtype
) -> None:
    whole, name = (1, *shape), str(dtype).removeprefix("torch.")
    assert raised(build(), given([shape], dtype, "cpu")) is not None
    with torch.device("meta"):
        module = build()
    with pytest.raises(RuntimeError, match="does not fit"):
        refuse(module, [whole], [name])
    assert explain(RuntimeError(), "layer", module, "", [whole], [name]).needs


def test_a_layer_with_a_forward_of_its_own_is_not_refused() -> None:
    class Casting(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input.float())

    refuse(Casting(3, 8), [(1, 3)], ["int64"])
    refuse(nn.Linear(3, 8), [(1, 3)], ["float32"])
    with torch.autocast("cpu", torch.bfloat16):
        refuse(nn.Linear(3, 8), [(1, 3)], ["bfloat16"])


FUNCTIONS: list[tuple[str, Callable[..., object], Sequence[Shape], str, str]] = [
    ("add", torch.add, [(64, 56, 56), (32, 56, 56)], "as many channels in both", "nn.Conv2d(32, 64, 1)"),
    ("__iadd__", lambda a, b: a.add_(b), [(64, 28, 28), (64, 26, 26)], "rows and columns", "(kernel - 1) / 2"),
    (
        "add",
        torch.add,
        [(128, 28, 28), (64, 56, 56)],
        "rows and columns and channels",
        "nn.Conv2d(64, 128, 1, stride=2)",
    ),
    ("aten.add.Tensor", torch.add, [(64, 28, 28), (64, 56, 56)], "as many rows", "stride=2), or a pooling"),
    ("mul", torch.mul, [(64, 28, 28), (64,)], "a number a channel", "x[:, :, None, None]"),
    ("mul", torch.mul, [(64,), (32,)], "equal sizes", "nn.Linear(32, 64)"),
    ("add", torch.add, [(10, 64), (10, 32)], "equal sizes", "nn.Linear(32, 64)"),
    ("cat", lambda a, b: torch.cat([a, b], 1), [(64, 28, 28), (32, 26, 26)], "all axes but 1", "(kernel - 1) / 2"),
    ("cat", lambda a, b: torch.cat([a, b], 1), [(64, 28, 28), (32, 14, 14)], "all axes but 1", "nn.Upsample"),
    ("cat", lambda a, b: torch.cat([a, b], 2), [(64, 28, 28), (32, 28, 28)], "all axes but 2", "dim=1"),
    ("cat", lambda a, b: torch.cat([a, b], 1), [(64, 28, 28), (32,)], "as many axes", "flatten all of them"),
    ("stack", lambda a, b: torch.stack([a, b]), [(3,), (4,)], "equal shapes", "torch.cat"),
    ("view", lambda x: x.view(-1, 400), [(16, 4, 4)], "a shape of 256 values", "x.flatten(1)"),
    ("reshape", lambda x: x.reshape(-1, 400), [(16, 4, 4)], "a shape of 256 values", "say in_features=256"),
    ("view", lambda x: x.view(1, 16, 9), [(16, 4, 4)], "a shape of 256 values", "product is 256"),
    ("view", lambda x: x.mT.view(1, -1), [(16, 4, 4)], "in the order of the axes", "write reshape"),
    ("matmul", torch.matmul, [(4, 8), (4, 8)], "the last axis of the first", "b.transpose(-2, -1)"),
    ("linear", F.linear, [(8,), (6,)], "6 values in the last axis", "give the weight 8 columns"),
    ("embedding", F.embedding, [(3,), (4,)], "whole numbers", "x.long()"),
    (
        "scaled_dot_product_attention",
        F.scaled_dot_product_attention,
        [(2, 5, 8), (2, 5, 6), (2, 5, 8)],
        "queries and keys of one size",
        "the same size a head",
    ),
    ("permute", lambda x: x.permute(0, 2, 1), [(3, 4, 4)], "a tensor of 3 axes", "name all 4 axes"),
    ("mean", lambda x: x.mean((2, 3)), [(3,)], "an axis 2", "leave out what flattens"),
    ("getitem", lambda x: x[:, 5], [(3, 4)], "more than 5 values along axis 1", "below 3"),
    ("split", lambda x: x.split([1, 1], 1), [(3, 4)], "3 values along axis 1", "x.chunk(n, dim)"),
    ("einsum", lambda a, b: torch.einsum("bij,bjk->bik", a, b), [(4, 8), (4, 8)], "letter j", "another letter"),
]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("name", "call", "shapes", "needs", "repair"), FUNCTIONS)
def test_a_function_says_what_it_needs(
    name: str, call: Callable[..., object], shapes: Sequence[Shape], needs: str, repair: str, device: str
) -> None:
    tensors = given(shapes, torch.float32, device)
    error = raised(call, tensors)
    assert error is not None
    whole = [tuple(tensor.shape) for tensor in tensors]
    failure = explain(error, name, None, name, whole, ["float32"] * len(whole), layer="block.add")
    assert failure.layer == "block.add"
    assert needs in failure.needs
    assert repair in failure.repair
    assert f"({place_of(error)})" in failure.got, "a function has no name in the net, so the line is told"
    assert Path(__file__).name in failure.got


class Two(nn.Module):
    def forward(self, image: Tensor, mask: Tensor | None = None, *, scale: Tensor) -> Tensor:
        return image * scale


def test_arguments_that_are_missing_or_too_many_are_told_with_the_signature() -> None:
    missing = fails(Two, (3,))
    assert missing.needs.startswith("the arguments of forward(image: ")
    assert "--input scale=SHAPE" in missing.repair
    many = fails(Two, (3,), (3,), (3,))
    assert many.repair == "give --input 2 times"
    module = Two()
    error = raised(lambda x: module(x, scal=x), given([(3,)], torch.float32, "cpu"))
    assert error is not None
    failure = explain(error, "Two", module, "", [(1, 3)], net=module)
    assert "did you mean 'scale'?" in failure.repair


def test_what_a_forward_raises_itself_is_told_with_its_line() -> None:
    class Own(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("only squares")

    failure = fails(Own, (3, 4, 5))
    assert not failure.shape
    assert failure.got.startswith("3×4×5; it raised ValueError: only squares (")
    assert f"{Path(__file__).name}, line " in failure.got
    assert Path(__file__).name in failure.repair


def test_a_layer_that_only_calls_itself_a_convolution_is_told_by_its_message() -> None:
    class Odd(nn.Conv2d):
        def __init__(self) -> None:
            nn.Module.__init__(self)

        def forward(self, x: Tensor) -> Tensor:
            return x.mean(7)

    assert "an axis 7" in fails(Odd, (3, 8, 8)).needs


def test_a_module_without_a_forward_is_told() -> None:
    failure = fails(nn.Module, (3,))
    assert "a forward: Module has none" in failure.needs


def test_a_decision_by_values_is_told_as_such() -> None:
    error = raised(lambda x: x.sum().item(), given([(3,)], torch.float32, "meta"))
    assert error is not None
    failure = explain(error, "sum", None, "item", [(1, 3)])
    assert not failure.shape
    assert "inspection knows only shapes" in failure.needs


def test_whole_shapes_are_told_whole() -> None:
    error = raised(nn.Linear(3, 4), [torch.ones(1, 5)])
    assert error is not None
    assert explain(error, "Linear", nn.Linear(3, 4), "", [(1, 5)], batch=None).got == "1×5, 5 values"


def test_the_error_carries_the_table_and_travels_between_processes() -> None:
    import pickle

    failure = fails(layer(nn.Conv2d, 3, 8, 3), (4, 8, 8))
    error = InspectionError(Summary("Net", (), (), Totals(0, 0, 0), (), failure=failure))
    assert isinstance(error, ShapeError)
    assert str(error).startswith("Conv2d does not fit: it needs 3 channels (in_channels=3)\n  given: 4×8×8, 4 channels")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.summary == error.summary
