"""The package's face: its public names, and errors that travel."""

from __future__ import annotations

import pickle
import pkgutil
import subprocess
import sys

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


def test_the_example_of_the_docstring() -> None:
    net = stepladder.Net.parse("8C3 MP2 GAP 10C1")
    assert stepladder.describe(net, (1, 28, 28)).totals.parameters == 168


@pytest.mark.parametrize("kind", [StepladderError, SpecError, TrainingError])
def test_errors_come_back_whole_from_a_worker(kind: type[StepladderError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what happened", given="this", repair="do that")))
    assert type(error) is kind
    assert (error.what, error.given, error.repair) == ("what happened", "this", "do that")
    assert str(error) == "what happened\n  given: this\n  to repair: do that"
