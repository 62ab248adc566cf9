"""Modules by name: what is found and built, that nothing else changes, and one clear message for every mistake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from stepladder.errors import SpecError
from stepladder.inspection.inputs import parse_inputs, parse_sizes
from stepladder.inspection.loading import loaded
from stepladder.inspection.references import is_reference, parse_reference
from stepladder.inspection.summary import Input
from stepladder.inspection.unfilled import unfilled

MINE = """
import random as chance

from torch import nn

from blocks import convolution


class Net(nn.Module):
    def __init__(self, classes=10, *, width=1.0, names=()):
        super().__init__()
        self.first = convolution(3, int(8 * width))
        self.head = nn.Linear(8, classes)
        self.names = names

    def forward(self, x):
        from blocks import pool

        return self.head(pool(self.first(x)))


class Broken(nn.Module):
    def __init__(self):
        raise RuntimeError("no such width")


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(nn.Linear(3, 3).weight.detach())
        self.largest = self.scale.max().item()


class zoo:
    tiny = Net(2)


def number():
    return 7


def nothing():
    pass


small = Net(3)
"""
BLOCKS = """
from torch import nn


def convolution(channels, wanted):
    return nn.Conv2d(channels, wanted, 3)


def pool(x):
    return x.mean((2, 3))
"""
FILES = {
    "nets/mine.py": MINE,
    "nets/blocks.py": BLOCKS,
    "nets/random.py": "raise ImportError('this is not the standard library')",
    "nets/syntax.py": "import torch\n\ndef build(:\n    pass\n",
    "nets/bytes.py": "\0\1\2",
    "nets/needs.py": "import torch\nimport not_there_at_all\n",
    "nets/program.py": "import sys\n\nsys.exit(3)\n",
    "nets/fails.py": "widths = {}\nwidths['small']\n",
    "other/mine.py": MINE.replace("Net(3)", "Net(5)"),
    "other/blocks.py": BLOCKS.replace("wanted, 3", "wanted, 5"),
    "package/__init__.py": "",
    "package/blocks.py": BLOCKS,
    "package/inner/__init__.py": "",
    "package/inner/net.py": MINE.replace("from blocks", "from ..blocks"),
    "top.py": "from torch import nn\n\nlinear = nn.Linear(3, 4)\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules, in which we are."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def build(subject: nn.Module | Callable[[], nn.Module]) -> nn.Module:
    return subject if isinstance(subject, nn.Module) else subject()


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("nets/mine.py:Net", 224 + 90),
        ("nets/mine.py:Net()", 224 + 90),
        ("nets/mine.py:Net(5, width=1, names=('a', 'b.py:c'))", 224 + 45),
        ("nets/mine.py:small", 224 + 27),
        ("nets/mine.py:zoo.tiny", 224 + 18),
        ("package/inner/net.py:Net", 224 + 90),
        ("package.inner.net:Net", 224 + 90),
        ("top:linear", 16),
        ("torch.nn:Linear(3, out_features=4, bias=False)", 12),
    ],
)
def test_a_module_is_found_and_built(text: str, parameters: int, folder: Path) -> None:
    with loaded(text) as subject:
        assert sum(parameter.numel() for parameter in build(subject).parameters()) == parameters


def test_a_file_is_found_by_its_full_path_too(folder: Path) -> None:
    with loaded(f"{folder / 'nets' / 'mine.py'}:Net(names=['x'])") as subject:
        assert build(subject).names == ["x"]


def test_a_drive_letter_is_no_module() -> None:
    reference = parse_reference(r"C:\nets\mine.py:Net(10)")
    assert (reference.module, reference.is_file, reference.path) == (r"C:\nets\mine.py", True, ("Net",))
    assert not is_reference(r"C:\runs\first")


def test_what_is_imported_shadows_nothing_and_is_gone_afterwards(folder: Path) -> None:
    path, modules = list(sys.path), dict(sys.modules)
    with loaded("nets/mine.py:Net") as subject:
        first = build(subject)
        # Neighbours are found as late as in forward.
        assert first(torch.ones(1, 3, 8, 8)).shape == (1, 10)
        assert "mine" not in sys.modules
    with loaded("other/mine.py:Net") as subject:
        second = build(subject)
    assert first.first.kernel_size == (3, 3)
    assert second.first.kernel_size == (5, 5), "each file has its own neighbours"
    assert sys.path == path
    new = set(sys.modules) - set(modules)
    assert not {name for name in new if "blocks" in name or "mine" in name or "random" in name}
    assert all(sys.modules[name] is module for name, module in modules.items())


def test_everything_is_restored_after_an_error_too(folder: Path) -> None:
    path, register = list(sys.path), nn.Module.register_parameter
    with pytest.raises(SpecError), loaded("nets/mine.py:Broken") as subject, unfilled():
        build(subject)
    assert sys.path == path
    assert nn.Module.register_parameter is register
    assert "blocks" not in sys.modules


def test_what_code_prints_goes_to_the_standard_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("talks.py").write_text(
        "from torch import nn\nprint('importing')\nNet = lambda: print('building') or nn.ReLU()\n"
    )
    with loaded("talks.py:Net") as subject:
        build(subject)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "importing\nbuilding\n"


MISTAKES = [
    ("nets/mine.py", "there is no colon"),
    ("nets/mine.py:", "nothing follows the colon"),
    ("torch.nn.Linear", "write torch.nn:Linear"),
    ("nets/mine:Net", "neither the dotted name of a Python module nor a file"),
    ("nets/min.py:Net", "did you mean 'mine.py'"),
    ("nets.py:Net", "there is no such file"),
    ("torch.nnn:Linear", "did you mean 'nn'"),
    ("torhc.nn:Linear", "did you mean 'torch'"),
    ("nets/mine.py:Nett", "did you mean 'Net'"),
    ("nets/mine.py:Transformer", "there are Net, Broken, Reads, small"),
    ("nets/mine.py:zoo.tinny", "did you mean 'tiny'"),
    ("nets/mine.py:Net(1, 2)", "its signature is Net(classes=10, *, width=1.0, names=())"),
    ("nets/mine.py:Net(witdh=2)", "did you mean 'width'"),
    ("torch.nn:Linear", "missing a required argument: 'in_features'"),
    ("nets/mine.py:Net(width=half)", "as text, write 'half'"),
    ("nets/mine.py:Net(width=__import__('os').getpid())", "is no literal"),
    ("nets/mine.py:Net(*[1])", "is no literal"),
    ("nets/mine.py:Net(**{'width': 1})", "write each argument by itself"),
    ("nets/mine.py:Net(10", "cannot be read"),
    ("nets/mine.py:Net()()", "a name, or a name with arguments"),
    ("nets/mine.py:small(3)", "is a module already"),
    ("nets/mine.py:number", "'number' gives an int, not a torch.nn.Module"),
    ("nets/mine.py:nothing", "'nothing' gives None"),
    ("nets/blocks.py:nn", "is a module: neither a torch.nn.Module nor something that can be called"),
    ("nets/mine.py:Broken", "RuntimeError: no such width (nets/mine.py, line 24)"),
    ("nets/syntax.py:build", "(nets/syntax.py, line 3)"),
    ("nets/bytes.py:build", "this is not Python that can be read"),
    ("nets/needs.py:build", "imports 'not_there_at_all', which was not (nets/needs.py, line 2)"),
    ("nets/program.py:build", "ended the program"),
    ("nets/fails.py:build", "KeyError: 'small' (nets/fails.py, line 2)"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[text for text, _ in MISTAKES])
def test_a_mistake_is_one_clear_message(text: str, message: str, folder: Path) -> None:
    assert is_reference(text)
    with pytest.raises(SpecError) as caught, loaded(text) as subject:
        build(subject)
    assert message in str(caught.value).replace("\\", "/")
    assert caught.value.repair


@pytest.mark.parametrize(
    "text", ["8C3 MP2 GAP 10C1", "[BN ReLU D0.05] 8C3/none 10F", "GAP", "D0.05", "fast", "", "10F"]
)
def test_a_net_is_no_reference(text: str) -> None:
    assert not is_reference(text)


def test_weights_are_not_filled_and_tied_ones_stay_tied() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(50, 8)
            self.head = nn.Linear(8, 50, bias=False)
            self.head.weight = self.words.weight
            shared = nn.Parameter(torch.ones(3), requires_grad=False)
            self.first = shared
            self.second = shared
            self.lazy = nn.LazyLinear(4)
            self.register_buffer("steps", torch.arange(5))
            self.register_buffer("mask", torch.zeros(2000, 2000))

    with unfilled():
        module = Tied()
    assert module.head.weight is module.words.weight
    assert module.first is module.second
    assert not module.first.requires_grad
    assert {parameter.device.type for parameter in (module.head.weight, module.first)} == {"meta"}
    assert module.steps.tolist() == [0, 1, 2, 3, 4], "small buffers keep their values"
    assert module.mask.is_meta
    assert nn.parameter.is_lazy(module.lazy.weight)
    assert nn.Linear(2, 2).weight.device.type == "cpu"


def test_code_that_reads_its_weights_is_built_with_them(folder: Path) -> None:
    with loaded("nets/mine.py:Reads") as subject, unfilled():
        module = build(subject)
        assert nn.Linear(2, 2).weight.is_meta, "only that module is built with values"
    assert module.scale.device.type == "cpu"
    assert module.largest == pytest.approx(module.scale.max().item())


LARGE = """
import resource
import sys
from torch import nn
from stepladder.inspection.loading import loaded
from stepladder.inspection.unfilled import unfilled

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with loaded("large.py:build") as build, unfilled():
    module = build()
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(sum(parameter.numel() for parameter in module.parameters()), grown * (1 if sys.platform == "darwin" else 1024))
"""
LARGE_NET = """
from torch import nn


def build(width=1600, blocks=48, words=50257):
    layers = [nn.TransformerEncoderLayer(width, 25, 4 * width, batch_first=True) for _ in range(blocks)]
    net = nn.Sequential(nn.Embedding(words, width), *layers, nn.Linear(width, words))
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
    return net
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_a_net_of_more_than_a_billion_parameters_is_built_in_little_memory(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text(LARGE_NET)
    command = [sys.executable, "-W", "error", "-c", LARGE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    parameters, grown = map(int, done.stdout.split())
    assert parameters > 1_500_000_000
    assert grown < 2**30, "its weights alone would take 6 GiB"


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("3x224x224", Input("", (3, 224, 224))),
        ("3,224,224", Input("", (3, 224, 224))),
        (" 3 X 224 × 224 ", Input("", (3, 224, 224))),
        ("128:int64", Input("", (128,), "int64")),
        ("ids=128:int64", Input("ids", (128,), "int64")),
        ("1", Input("", (1,))),
        ("scalar", Input("", ())),
        ("mask = 8x8 : bool", Input("mask", (8, 8), "bool")),
    ],
)
def test_an_input_is_read(text: str, given: Input) -> None:
    assert parse_inputs([text]) == (given,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3x", "'3x' is no shape"),
        ("0x3", "'0x3' is no shape"),
        ("", "'' is no shape"),
        ("3x-1", "no shape"),
        ("128:flot32", "did you mean float32"),
        ("128:long", "did you mean int64"),
        ("128:", "there is no dtype ''"),
        ("=3", "is no name of an argument"),
        ("2a=3", "'2a' is no name of an argument"),
    ],
)
def test_an_input_that_is_wrong_is_told(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_inputs([text])
    assert message in str(caught.value)


def test_all_mistakes_in_inputs_are_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_inputs(["a=3", "5x", "a=4:int", "6"])
    message = str(caught.value)
    assert "5 mistakes" in message
    for part in ("'5x' is no shape", "'a' is given twice", "no dtype 'int'", "without a name come before"):
        assert part in message


def test_sizes_are_read() -> None:
    assert parse_sizes("20x30", "it", "--object 20x20") == (20, 30)
    for wrong in ("scalar", "20x", "20x20:int64"):
        with pytest.raises(SpecError, match="write --object 20x20"):
            parse_sizes(wrong, "it", "--object 20x20")
