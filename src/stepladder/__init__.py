"""stepladder: measured steps to a small convolutional network.

>>> from stepladder import Net, describe
>>> describe(Net.parse("8C3 MP2 GAP 10C1"), (1, 28, 28)).totals.parameters
168
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepladder.advised import advise_folder as advise
    from stepladder.analysis import analyse
    from stepladder.data import load as load_data
    from stepladder.errors import StepladderError
    from stepladder.evaluate import evaluate as evaluate_predictions
    from stepladder.inspection.anything import inspect
    from stepladder.inspection.oneline import describe
    from stepladder.ladder import Ladder, Step, classic
    from stepladder.many import train_many
    from stepladder.notation import Net
    from stepladder.preflight import preflight as check_before_training
    from stepladder.proposals.propose import design
    from stepladder.range_test import range_test as find_learning_rate
    from stepladder.results import compare_runs, open_climb, open_run
    from stepladder.runs import guide_log
    from stepladder.spec import Augmentation, Experiment, Recipe
    from stepladder.train import train as train_epochs
    from stepladder.trained import load as load_net

__all__ = [
    "Augmentation",
    "Experiment",
    "Ladder",
    "Net",
    "Recipe",
    "Step",
    "StepladderError",
    "advise",
    "analyse",
    "check_before_training",
    "classic",
    "compare_runs",
    "describe",
    "design",
    "evaluate_predictions",
    "find_learning_rate",
    "guide_log",
    "inspect",
    "load_data",
    "load_net",
    "open_climb",
    "open_run",
    "train_epochs",
    "train_many",
]

# Names that differ from those in their modules do so because a module of the package has the shorter one (train,
# evaluate, preflight, range_test), or because it would say too little on its own (load).
_HOMES = {
    "Augmentation": "spec.Augmentation",
    "Experiment": "spec.Experiment",
    "Ladder": "ladder.Ladder",
    "Net": "notation.Net",
    "Recipe": "spec.Recipe",
    "Step": "ladder.Step",
    "StepladderError": "errors.StepladderError",
    "advise": "advised.advise_folder",
    "analyse": "analysis.analyse",
    "check_before_training": "preflight.preflight",
    "classic": "ladder.classic",
    "compare_runs": "results.compare_runs",
    "describe": "inspection.oneline.describe",
    "design": "proposals.propose.design",
    "evaluate_predictions": "evaluate.evaluate",
    "find_learning_rate": "range_test.range_test",
    "guide_log": "runs.guide_log",
    "inspect": "inspection.anything.inspect",
    "load_data": "data.load",
    "load_net": "trained.load",
    "open_climb": "results.open_climb",
    "open_run": "results.open_run",
    "train_epochs": "train.train",
    "train_many": "many.train_many",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the command line starts faster without pydantic and torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'stepladder' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].rpartition(".")
    return getattr(import_module(f"stepladder.{module}"), attribute)


def __dir__() -> list[str]:
    """Return the public names beside what is imported already, so that a notebook can complete them."""
    return sorted({*globals(), *__all__})
