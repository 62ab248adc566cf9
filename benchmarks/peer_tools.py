"""The tools that inspect nets, asked as their own pages show it, and what they say in one form."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import pkgutil
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

import torch
from torch import nn

from peer_nets import Given

Size = tuple[int | str, ...]
"""A receptive field along each axis; a text where the tool says something other than a number."""


@dataclass(frozen=True)
class Line:
    """One row of what a tool shows: the class of a layer or the name of a function, and the parameters beside it."""

    kind: str
    parameters: int | None = None


@dataclass(frozen=True)
class Account:
    """What a tool says of a net; None where it says nothing.

    Args:
        parameters: its total.
        trainable: its total of those that training changes.
        macs: its total of multiply-adds.
        flops: its total of floating-point operations.
        field: the receptive field that it gives for the last layer.
        rows: what its table shows.
        text: what it prints.
    """

    parameters: int | None = None
    trainable: int | None = None
    macs: int | None = None
    flops: int | None = None
    field: Size | None = None
    rows: tuple[Line, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Answer:
    """A verdict, and what the tool said or what was seen."""

    verdict: Literal["yes", "no", "wrong"]
    said: str = ""

    def __str__(self) -> str:
        """Return what stands in a cell."""
        return f"{self.verdict}: {self.said}" if self.said else self.verdict


class Tool(ABC):
    """A tool.

    Attributes:
        name: for people.
        package: what is installed.
        module: what is imported.
    """

    name: str
    package: str
    module: str

    @property
    def version(self) -> str | None:
        """The version that is installed; None if there is none."""
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None

    @abstractmethod
    def ask(self, net: nn.Module, given: Sequence[Given]) -> Account:
        """Return what the tool says of a net for inputs of certain shapes; whatever it raises is let through."""

    def describe(self, net: nn.Module, given: Sequence[Given]) -> Account:
        """Return what ``ask`` does, without warnings and with all that the tool prints in the account's text."""
        printed = io.StringIO()
        with quietly(), contextlib.redirect_stdout(printed):
            account = self.ask(net, given)
        return Account(**(vars(account) | {"text": account.text or printed.getvalue()}))

    def names(self) -> set[str]:
        """Return the names of all modules, classes and functions of the package and of their arguments."""
        found: set[str] = set()
        for module in self._modules():
            found.add(module.__name__)
            for name, value in vars(module).items():
                if getattr(value, "__module__", "").partition(".")[0] != self.module:
                    continue
                found.add(name)
                for one in (value, *(vars(value).values() if inspect.isclass(value) else ())):
                    with contextlib.suppress(TypeError, ValueError):
                        found |= set(inspect.signature(one).parameters)
                if inspect.isclass(value):
                    found |= set(vars(value))
        return {name for name in found if not name.startswith("__")}

    def _modules(self) -> Iterator[Any]:
        with quietly():
            package = importlib.import_module(self.module)
            yield package
            for info in pkgutil.walk_packages(package.__path__, f"{self.module}."):
                with contextlib.suppress(ImportError):
                    yield importlib.import_module(info.name)


class Torchsummary(Tool):
    """Prints a table and returns nothing."""

    name = package = module = "torchsummary"

    def ask(self, net: nn.Module, given: Sequence[Given]) -> Account:
        """Return what stands in the table; it has no way to name the type of an input."""
        from torchsummary import summary

        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            summary(net, [one.shape for one in given], device="cpu")
        text = printed.getvalue()
        return Account(
            parameters=_number(r"Total params: ([\d,]+)", text),
            trainable=_number(r"Trainable params: ([\d,]+)", text),
            rows=_lines(r"(?m)^ +(\w+)-\d+ .* ([\d,]+)$", text),
            text=text,
        )


class Torchinfo(Tool):
    """Returns an object that prints itself."""

    name = package = module = "torchinfo"

    def ask(self, net: nn.Module, given: Sequence[Given]) -> Account:
        """Return what the object holds."""
        import torchinfo

        shapes, dtypes = [(1, *one.shape) for one in given], [one.dtype for one in given]
        stored = torchinfo.summary(net, input_size=shapes, dtypes=dtypes, device=device_of(net), verbose=0)
        return Account(
            parameters=stored.total_params,
            trainable=stored.trainable_params,
            macs=stored.total_mult_adds,
            rows=tuple(Line(layer.class_name, layer.num_params) for layer in stored.summary_list),
            text=str(stored),
        )


class Torchscan(Tool):
    """Returns a report of plain values."""

    name = "torch-scan"
    package = module = "torchscan"

    def ask(self, net: nn.Module, given: Sequence[Given]) -> Account:
        """Return what the report holds; the field is the number in the last layer's row."""
        import torchscan

        shapes, dtypes = [one.shape for one in given], [one.dtype for one in given]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            report = torchscan.summary(net, shapes, dtype=dtypes, receptive_field=True)
        totals = report["totals"]
        fields = [layer["metrics"].get("receptive_field") for layer in report["layers"]]
        known = [field["value"] for field in fields if field and field["value"] is not None]
        return Account(
            parameters=_whole(totals["parameters"]["value"]),
            trainable=_whole(totals["trainable_parameters"]["value"]),
            macs=_whole(totals["macs"]["known_value"]),
            flops=_whole(totals["operator_flops"]["known_value"]),
            field=(_whole(known[-1]),) if known else None,
            rows=_lines(r"(?m)^\S* *\S+ +(\w+) +[({].*[)}] +([\d,]+) +(?:True|False|-) ", printed.getvalue()),
            text=printed.getvalue(),
        )


class Thop(Tool):
    """Returns two numbers."""

    name = package = module = "thop"

    def ask(self, net: nn.Module, given: Sequence[Given]) -> Account:
        """Return the two numbers."""
        from thop import profile

        inputs = tuple(torch.zeros(1, *one.shape, dtype=one.dtype, device=device_of(net)) for one in given)
        macs, parameters = profile(net, inputs=inputs, verbose=False)
        return Account(parameters=int(parameters), macs=int(macs))


class RfaToolbox(Tool):
    """Returns a graph whose nodes hold receptive fields.

    It imports a name that Python 3.10 removed; ``benchmarks/peers.py --rfa FOLDER`` puts it back.
    """

    name = package = module = "rfa_toolbox"

    def ask(self, net: nn.Module, given: Sequence[Given]) -> Account:
        """Return the field of the graph's last node, the largest of its paths; inf is its word for the whole image."""
        from rfa_toolbox import create_graph_from_pytorch_model

        if len(given) != 1 or given[0].dtype != torch.float32:
            raise TypeError("one input shape, no type")
        graph = create_graph_from_pytorch_model(net, input_res=(1, *given[0].shape))
        nodes = list(graph.all_layers)
        sizes = [size if isinstance(size, tuple) else (size,) for size in nodes[-1].receptive_field_sizes]
        field = tuple("all" if max(axis) == float("inf") else int(max(axis)) for axis in zip(*sizes, strict=False))
        return Account(field=field, rows=tuple(Line(node.layer_info.name) for node in nodes))


class Stepladder(Tool):
    """The project itself."""

    name = package = module = "stepladder"

    def ask(self, net: nn.Module, given: Sequence[Given]) -> Account:
        """Return what the summary holds; the field is that of the row that gives what the net gives."""
        summary = summarise(net, given)
        field = summary.rows[summary.outputs[0]].field if summary.outputs else None
        return Account(
            parameters=summary.totals.parameters,
            trainable=summary.totals.trainable,
            macs=summary.totals.macs,
            field=None if field is None else tuple("?" if size is None else size for size in field.size),
            rows=tuple(Line(row.kind, row.parameters) for row in summary.rows),
            text=str(summary),
        )


def summarise(net: nn.Module, given: Sequence[Given]) -> Any:
    """Return stepladder's summary of a net."""
    from stepladder.inspection.module import inspect as inspect_module
    from stepladder.inspection.summary import Input

    inputs = tuple(Input("", one.shape, str(one.dtype).removeprefix("torch.")) for one in given)
    return inspect_module(net, inputs)


TOOLS: tuple[Tool, ...] = (Torchsummary(), Torchinfo(), Torchscan(), Thop(), RfaToolbox(), Stepladder())
"""In the order of the table's columns."""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Ignore warnings within: what other tools warn of is theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def device_of(net: nn.Module) -> torch.device:
    """Return where the net's parameters are; the processor if it has none."""
    return next((parameter.device for parameter in net.parameters()), torch.device("cpu"))


def _lines(pattern: str, text: str) -> tuple[Line, ...]:
    return tuple(Line(kind, int(number.replace(",", ""))) for kind, number in re.findall(pattern, text))


def _number(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text)
    return int(found[1].replace(",", "")) if found else None


def _whole(value: float | None) -> Any:
    return int(value) if value is not None and value == int(value) else value
