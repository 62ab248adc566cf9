"""Layers that are special: lazy, recurrent, attending, rewritten, compiled, quantised, or not to be copied."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrizations, rnn
from torch.utils.checkpoint import checkpoint

from laws import check_laws
from peer_nets import Applied
from stepladder.inspection.module import inspect
from stepladder.inspection.summary import Input, Summary


@contextmanager
def deprecated() -> Iterator[None]:
    """Let torch's older ways be used without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def described(net: nn.Module, inputs: Any, **options: Any) -> Summary:
    """Return the summary of a net after what holds for all summaries was checked."""
    summary = inspect(net, inputs, **options)
    check_laws(summary, net)
    return summary


def of_function(function: Callable[..., Any], inputs: Any = (4, 8, 8), **modules: nn.Module) -> Summary:
    """Return the summary of a net that is one function of itself and its inputs."""
    return described(Applied(function, **modules), inputs)


def size(net: nn.Module) -> int:
    return sum(one.numel() for one in net.parameters())


# Lazy


@pytest.mark.parametrize(
    ("lazy", "same"),
    [
        (lambda: [nn.LazyConv2d(8, 3)], lambda: [nn.Conv2d(4, 8, 3)]),
        (lambda: [nn.LazyConvTranspose2d(8, 3)], lambda: [nn.ConvTranspose2d(4, 8, 3)]),
        (lambda: [nn.LazyLinear(5)], lambda: [nn.Linear(8, 5)]),
        (lambda: [nn.LazyBatchNorm2d()], lambda: [nn.BatchNorm2d(4)]),
        (
            lambda: [nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(5)],
            lambda: [nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(288, 5)],
        ),
    ],
    ids=["convolution", "transposed", "linear", "norm", "net"],
)
def test_a_lazy_layer_is_described_as_what_it_becomes_and_stays_lazy(
    lazy: Callable[[], list[nn.Module]], same: Callable[[], list[nn.Module]]
) -> None:
    net = nn.Sequential(*lazy())
    summary, eager = described(net, (4, 8, 8)), described(nn.Sequential(*same()), (4, 8, 8))
    assert all(is_lazy(one) for one in net.parameters())
    assert summary.rows == eager.rows
    assert summary.totals == eager.totals


# Recurrent


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("ways", [1, 2])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_recurrent_layer(kind: type[nn.Module], ways: int, layers: int) -> None:
    net = kind(6, 5, layers, batch_first=True, bidirectional=ways == 2)
    (row,) = described(net, (7, 6)).rows
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[row.kind]
    assert row.role == "recurrent"
    assert row.output_shape == (7, 5 * ways)
    assert row.parameters == size(net)
    # Each moment is multiplied by the weights once, in each layer and each direction.
    assert row.macs == 7 * ways * gates * 5 * sum(taken + 5 for taken in (6, 5 * ways)[:layers])
    assert row.field is not None
    assert row.field.size == (7,)


def test_sequences_of_different_length_packed_together() -> None:
    class Packs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(6, 5, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            packed = rnn.pack_padded_sequence(x, torch.tensor([7, 4]), batch_first=True)
            return rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]

    summary = described(Packs(), (2, 7, 6), batch=None)
    (row,) = (row for row in summary.rows if row.kind == "LSTM")
    assert row.parameters == size(nn.LSTM(6, 5))
    assert row.macs == (7 + 4) * 4 * 5 * (6 + 5)


def test_a_loop_over_a_cell() -> None:
    def stepped(net: nn.Module, x: Tensor) -> Tensor:
        hidden = memory = x.new_zeros(x.shape[0], 5)
        for moment in range(x.shape[1]):
            hidden, memory = net.cell(x[:, moment], (hidden, memory))
        return hidden

    cell = nn.LSTMCell(6, 5)
    rows = of_function(stepped, (3, 6), cell=cell).rows
    assert [(row.name, row.parameters, row.shared) for row in rows] == [
        ("cell", size(cell), 0),
        ("cell", 0, size(cell)),
        ("cell", 0, size(cell)),
    ]
    assert [row.macs for row in rows] == [4 * 5 * (6 + 5)] * 3
    assert rows[2].inputs == (-1, 1)


# Attention


def test_attention_of_a_sequence_to_another() -> None:
    def crossed(net: nn.Module, queries: Tensor, others: Tensor) -> Tensor:
        return net.attention(queries, others, others)[0]

    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    (row,) = of_function(crossed, [(3, 8), (5, 8)], attention=attention).rows
    assert (row.role, row.parameters, row.inputs) == ("attention", size(attention), (-1, -2))
    # Queries, and what comes out: 3 × 8 × 8 each. Keys and values: 5 × 8 × 8 each. Scores and sums: 3 × 5 × 8 each.
    assert row.macs == 2 * 3 * 64 + 2 * 5 * 64 + 2 * 3 * 5 * 8
    assert row.output_shape == (3, 8)


@pytest.mark.parametrize("masked", [False, True])
def test_an_encoder_with_and_without_a_mask(masked: bool) -> None:
    def encoded(net: nn.Module, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if masked else None
        return net.encoder(x, mask=mask)

    with deprecated():  # it warns where nested tensors do not help
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3)
        summary = of_function(encoded, (5, 8), encoder=encoder)
    assert summary.totals.parameters == size(encoder)
    layer = 4 * 5 * 64 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16
    assert summary.totals.macs == 3 * layer
    assert [row.kind for row in summary.rows].count("MultiheadAttention") == 3


def test_a_transformer() -> None:
    with deprecated():
        net = nn.Transformer(8, 2, 1, 2, 16, batch_first=True)
        summary = described(net, {"src": (5, 8), "tgt": (3, 8)})
    assert [row.kind for row in summary.rows].count("MultiheadAttention") == 1 + 2 * 2
    assert summary.rows[summary.outputs[0]].output_shape == (3, 8)
    encoder = 4 * 5 * 64 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16
    itself, other = 4 * 3 * 64 + 2 * 3 * 3 * 8, 2 * 3 * 64 + 2 * 5 * 64 + 2 * 3 * 5 * 8
    assert summary.totals.macs == encoder + 2 * (itself + other + 2 * 3 * 8 * 16)


# Weights that are worked out


@pytest.mark.parametrize(
    ("rewrite", "more"),
    [(parametrizations.weight_norm, 6), (parametrizations.spectral_norm, 0), (parametrizations.orthogonal, 0)],
    ids=["weight_norm", "spectral_norm", "orthogonal"],
)
def test_parametrised_weights(rewrite: Callable[[nn.Module], nn.Module], more: int) -> None:
    plain = described(nn.Linear(8, 6), (8,)).rows[0]
    rows = described(nn.Sequential(rewrite(nn.Linear(8, 6))), (8,)).rows
    # Weight norm has a length beside each of six directions; the others have as many parameters as the plain layer.
    assert [(row.name, row.kind) for row in rows] == [("0", "Linear")]
    assert rows[0].parameters == plain.parameters + more
    assert rows[0].output_shape == (6,)
    assert rows[0].macs >= plain.macs  # working out the weights takes products, too


@pytest.mark.parametrize("rewrite", [nn.utils.weight_norm, nn.utils.spectral_norm])
def test_weights_rewritten_by_the_older_hooks(rewrite: Callable[[nn.Module], nn.Module]) -> None:
    with deprecated():
        net = nn.Sequential(rewrite(nn.Conv2d(4, 6, 3)), nn.ReLU())
    summary = described(net, (4, 8, 8))
    assert [row.kind for row in summary.rows] == ["Conv2d", "ReLU"]
    assert summary.rows[0].parameters == size(net)
    assert summary.rows[0].output_shape == (6, 6, 6)


def test_a_weight_that_another_net_makes() -> None:
    class Made(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maker = nn.Linear(4, 4 * 4 * 9)

        def forward(self, x: Tensor) -> Tensor:
            weight = self.maker(x.mean((0, 2, 3))).view(4, 4, 3, 3)
            return nn.functional.conv2d(x, weight, padding=1)

    summary = described(Made(), (4, 8, 8))
    assert summary.totals.macs == 4 * 144 + 64 * 144
    assert summary.rows[-1].output_shape == (4, 8, 8)
    assert summary.rows[-1].field is not None
    # What the weight sees, all the map, every value sees that it weighs.
    assert summary.rows[-1].field.unknown or min(size or 0 for size in summary.rows[-1].field.size) >= 8


# Wrapped


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_part_that_training_computes_twice(reentrant: bool) -> None:
    def saved(net: nn.Module, x: Tensor) -> Tensor:
        return net.last(checkpoint(net.first, x, use_reentrant=reentrant))

    with deprecated():  # it warns where no input has a gradient
        summary = of_function(saved, first=nn.Conv2d(4, 4, 3, padding=1), last=nn.Conv2d(4, 2, 1))
    assert [(row.name, row.inputs) for row in summary.rows] == [("first", (-1,)), ("last", (0,))]
    assert summary.totals.macs == 64 * (144 + 8)


@pytest.mark.parametrize("make", [torch.jit.script, lambda net: torch.jit.trace(net, torch.zeros(1, 4, 8, 8))])
def test_a_net_written_in_torchs_own_language(make: Callable[[nn.Module], nn.Module]) -> None:
    with deprecated():
        net = make(nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 3)).eval())
        summary = described(net, (4, 8, 8))
    assert summary.totals.parameters == size(net) == 222 + 651
    assert summary.totals.macs == 36 * 6 * 36 + 216 * 3
    assert summary.rows[summary.outputs[0]].output_shape == (3,)


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel])
def test_a_wrapper_is_taken_off(wrap: Callable[[nn.Module], nn.Module]) -> None:
    net = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU())
    with deprecated():
        wrapped = wrap(net)
    assert inspect(wrapped, (4, 8, 8)) == described(net, (4, 8, 8))


def test_a_compiled_part() -> None:
    with deprecated():
        part = torch.compile(nn.Conv2d(4, 6, 3))
        summary = described(nn.Sequential(part, nn.ReLU()), (4, 8, 8))
    assert [row.kind for row in summary.rows] == ["Conv2d", "ReLU"]
    assert summary.totals.macs == 36 * 6 * 36


# Types


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_values_of_other_sizes(dtype: torch.dtype) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(216, 3))

    summary, plain = described(build().to(dtype), (4, 8, 8)), described(build(), (4, 8, 8))
    assert summary.inputs[0].dtype == str(dtype).removeprefix("torch.")
    assert [row.output_bytes * 4 for row in summary.rows] == [row.output_bytes * dtype.itemsize for row in plain.rows]
    assert summary.totals.macs == plain.totals.macs


def test_layers_of_different_types_with_a_cast_between() -> None:
    summary = of_function(
        lambda net, x: net.narrow(net.wide(x).bfloat16()),
        (4,),
        wide=nn.Linear(4, 4),
        narrow=nn.Linear(4, 2, dtype=torch.bfloat16),
    )
    assert [(row.name, row.output_bytes) for row in summary.rows] == [("wide", 16), ("narrow", 4)]


def test_a_net_with_quantised_layers() -> None:
    with deprecated():
        net = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2)))
        summary = described(net, (8,))
    assert summary.totals.parameters == size(net) == 0  # its weights are no parameters of torch's
    assert summary.rows[-1].output_shape == (2,)


# Not to be copied


def with_a_lock(net: Any) -> None:
    net.lock = threading.Lock()


def with_a_generator(net: Any) -> None:
    net.numbers = (number for number in range(3))


def with_a_tensor_of_the_graph(net: Any) -> None:
    net.scale = nn.Parameter(torch.ones(1)) * 2


def with_a_torch_generator(net: Any) -> None:
    net.random = torch.Generator()


def with_a_file(net: Any) -> None:
    net.log = open(__file__)  # noqa: PTH123, SIM115


@pytest.mark.parametrize(
    "add", [with_a_lock, with_a_generator, with_a_tensor_of_the_graph, with_a_torch_generator, with_a_file]
)
def test_a_net_that_cannot_be_copied(add: Callable[[nn.Module], None]) -> None:
    net = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
    add(net)
    before = {name: (id(one), one._version) for name, one in net.state_dict(keep_vars=True).items()}
    attributes = dict(vars(net))
    plain = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
    assert described(net, (4, 8, 8)).rows == described(plain, (4, 8, 8)).rows
    assert {name: (id(one), one._version) for name, one in net.state_dict(keep_vars=True).items()} == before
    assert vars(net) == attributes
    assert net.training
    if add is with_a_file:
        net.log.close()


def test_a_net_that_cannot_be_copied_and_uses_what_it_holds() -> None:
    class Holds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.lock = nn.Linear(4, 4), threading.Lock()
            self.scale = torch.full((4,), 2.0)
            self.pair = [torch.ones(4)]

        def forward(self, x: Tensor) -> Tensor:
            with self.lock:
                return self.layer(x) * self.scale + self.pair[0]

    net = Holds()
    summary = described(net, (4,))
    assert [row.kind for row in summary.rows] == ["Linear", "mul", "add"]
    assert not summary.notes
    assert not net.scale.is_meta


def test_embedded_bags_and_sparse_gradients() -> None:
    words = Input("input", (7,), "int64")
    assert described(nn.EmbeddingBag(10, 3), words).rows[0].output_shape == (3,)
    assert described(nn.Embedding(10, 3, sparse=True, padding_idx=0, max_norm=1.0), words).rows[0].parameters == 30


@pytest.mark.parametrize(
    ("layer", "inputs", "shape"),
    [
        (nn.Bilinear(3, 4, 5), [(3,), (4,)], (5,)),
        (nn.CosineSimilarity(), [(8,), (8,)], ()),
        (nn.Fold(8, 2, stride=2), (16, 16), (4, 8, 8)),
        (nn.Unfold(2, stride=2), (4, 8, 8), (16, 16)),
        (nn.PixelShuffle(2), (4, 8, 8), (1, 16, 16)),
        (nn.AdaptiveMaxPool2d(3), (4, 8, 8), (4, 3, 3)),
        (nn.FractionalMaxPool2d(2, output_size=4), (4, 8, 8), (4, 4, 4)),
        (nn.LPPool2d(2, 2), (4, 8, 8), (4, 4, 4)),
        (nn.LocalResponseNorm(3), (4, 8, 8), (4, 8, 8)),
        (nn.GroupNorm(2, 4), (4, 8, 8), (4, 8, 8)),
        (nn.RMSNorm(8), (4, 8, 8), (4, 8, 8)),
        (nn.InstanceNorm2d(4, affine=True), (4, 8, 8), (4, 8, 8)),
        (nn.Softmax2d(), (4, 8, 8), (4, 8, 8)),
        (nn.ReflectionPad2d(1), (4, 8, 8), (4, 10, 10)),
        (nn.CircularPad2d(1), (4, 8, 8), (4, 10, 10)),
        (nn.ChannelShuffle(2), (4, 8, 8), (4, 8, 8)),
        (nn.GLU(1), (4, 8, 8), (2, 8, 8)),
        (nn.PReLU(4), (4, 8, 8), (4, 8, 8)),
        (nn.RReLU(), (4, 8, 8), (4, 8, 8)),
        (nn.Upsample(scale_factor=2, mode="bicubic"), (4, 8, 8), (4, 16, 16)),
        (nn.Conv2d(4, 4, 3, padding="same", padding_mode="reflect"), (4, 8, 8), (4, 8, 8)),
        (nn.MaxPool2d(2, return_indices=True), (4, 8, 8), (4, 4, 4)),
        (nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10], div_value=2), [(8,), Input("", (), "int64")], ()),
        (nn.CrossEntropyLoss(), [(8,), Input("", (), "int64")], ()),
        (nn.MSELoss(), [(8,), (8,)], ()),
        (nn.CTCLoss(), [(5, 2, 4), *(Input("", shape, "int64") for shape in [(2, 3), (2,), (2,)])], ()),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, nn.Module) else "",
)
def test_every_other_layer_of_torchs(layer: nn.Module, inputs: Any, shape: tuple[int, ...]) -> None:
    summary = described(layer, inputs, batch=None) if isinstance(layer, nn.CTCLoss) else described(layer, inputs)
    assert summary.rows[summary.outputs[0]].output_shape == shape
    assert summary.totals.parameters == size(layer)
