"""The package's face: its public names, and errors that travel."""

from __future__ import annotations

import ast
import pickle
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stepladder
from stepladder.errors import SpecError, StepladderError, TrainingError


def test_public_names_are_sorted_documented_and_there() -> None:
    assert stepladder.__all__ == sorted(stepladder.__all__)
    for name in stepladder.__all__:
        assert getattr(stepladder, name).__doc__
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = stepladder.nothing_here


def test_public_names_are_offered_and_hide_no_module() -> None:
    """``import stepladder.train`` puts the module in place of a public name that is spelt like it."""
    assert set(stepladder.__all__) <= set(dir(stepladder))
    modules = {module.name for module in pkgutil.iter_modules(stepladder.__path__)}
    assert not modules & set(stepladder.__all__)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import stepladder, sys; sys.exit(bool({'torch', 'numpy', 'pydantic', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def imported(source: str, package: str) -> Iterator[str]:
    """Yield the names of the modules that a module of a package imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
            module = base if node.level else str(node.module)
            yield module
            yield from (f"{module}.{one.name}" for one in node.names)


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("import stepladder.commands.common", "stepladder"),
        ("from stepladder.commands import common", "stepladder"),
        ("from stepladder import commands", "stepladder"),
        ("from . import commands", "stepladder"),
        ("def f():\n    from ..commands.common import say", "stepladder.rules"),
    ],
)
def test_every_way_to_import_commands_is_seen(line: str, package: str) -> None:
    assert "stepladder.commands" in {".".join(one.split(".")[:2]) for one in imported(line, package)}


def test_only_the_command_line_imports_commands() -> None:
    """What commands share with the package lies below them; the package never reaches up."""
    root = Path(stepladder.__file__).parent
    found = []
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0] in ("cli.py", "commands"):
            continue
        package = ".".join(("stepladder", *place.parent.parts))
        names = imported(path.read_text(encoding="utf-8"), package)
        if any(name.split(".")[:2] == ["stepladder", "commands"] for name in names):
            found.append(str(place))
    assert not found


def test_the_example_of_the_docstring() -> None:
    net = stepladder.Net.parse("8C3 MP2 GAP 10C1")
    assert stepladder.describe(net, (1, 28, 28)).totals.parameters == 168


@pytest.mark.parametrize("kind", [StepladderError, SpecError, TrainingError])
def test_errors_come_back_whole_from_a_worker(kind: type[StepladderError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what happened", given="this", repair="do that")))
    assert type(error) is kind
    assert (error.what, error.given, error.repair) == ("what happened", "this", "do that")
    assert str(error) == "what happened\n  given: this\n  to repair: do that"
