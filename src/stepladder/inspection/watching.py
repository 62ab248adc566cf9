"""What lets a trace see calls of modules, of torch's functions and of elementary operations while a net runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class Watcher(Protocol):
    """What is told of every call, and makes it."""

    def call(self, module: nn.Module, original: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call a module."""

    def function(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Call one of torch's functions."""

    def operation(self, call: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Call an elementary operation."""


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Tell the watcher of every call while the context lasts."""
    with _calls(watcher), _Operations(watcher), _Functions(watcher):
        yield


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: torch's compiler, which takes a second to import, need not be told to keep away."""
        return False

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watcher = watcher

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.watcher.operation(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self.watcher = watcher

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.watcher.function(func, args, kwargs or {})


@contextmanager
def _calls(watcher: Watcher) -> Iterator[None]:
    """Let the watcher see every call of a module, also one that raises, which hooks would not."""
    original = nn.Module.__call__

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return watcher.call(module, original, args, kwargs)

    nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]
