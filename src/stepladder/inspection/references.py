"""Names of Python code: ``package.module:callable``, ``nets/mine.py:Net(10, width=0.5)``."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Any

from stepladder.errors import SpecError

_FILE = re.compile(r"(.+?\.py)(?::(.*))?", re.DOTALL | re.IGNORECASE)
_DOTTED = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):(|\s*[^\W\d].*)", re.DOTALL)
_NO_COLON = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")
_ELSEWHERE = re.compile(r"([^\s:]*[^\s:\d]):([^\W\d].*)", re.DOTALL)
_EXAMPLE = "package.module:callable, or nets/mine.py:Net(num_classes=10)"


@dataclass(frozen=True)
class Reference:
    """Where a module is to be found, and what to call it with.

    Args:
        text: as it was given.
        module: the dotted name of the Python module, or the path of its file.
        is_file: whether it is a path.
        path: the names after the colon, from the Python module inwards.
        called: whether arguments were given.
        arguments: by position.
        keywords: by name.
    """

    text: str
    module: str
    is_file: bool
    path: tuple[str, ...]
    called: bool = False
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)


def is_reference(text: str) -> bool:
    """Return whether the text names Python code: a colon after a dotted name or a file; the file system is not asked.

    Names of files that end in ``.py`` and dotted names without a colon are meant as code as well, so that the message
    can say what is missing.
    """
    return any(pattern.fullmatch(text.strip()) for pattern in (_FILE, _DOTTED, _NO_COLON, _ELSEWHERE))


def parse_reference(text: str) -> Reference:
    """Return what the text names. Arguments are Python literals; nothing is evaluated.

    Raises:
        SpecError: if there is no colon, nothing after it, or something else than a name and literals.
    """
    text = text.strip()
    if match := _FILE.fullmatch(text):
        module, rest, is_file = match[1], match[2], True
    elif match := _DOTTED.fullmatch(text) or _ELSEWHERE.fullmatch(text):
        module, rest = match[1], match[2]
        is_file = match.re is _ELSEWHERE
        if is_file:
            raise SpecError(
                "before the colon stands neither the dotted name of a Python module nor a file that ends in .py",
                given=text,
                repair=f"write {_EXAMPLE}",
            )
    else:
        module, _, rest = text.rpartition(".")
        raise SpecError(
            "this names Python code, but not what to build: there is no colon",
            given=text,
            repair=f"write {module}:{rest}" if module else f"write {_EXAMPLE}",
        )
    if rest is None or not rest.strip():
        raise SpecError(
            "this names Python code, but not what to build: "
            + ("there is no colon" if rest is None else "nothing follows the colon"),
            given=text,
            repair=f"write {module}:Net, with the name of a class, a function or a module in it",
        )
    return _read(text, module, rest.strip(), is_file)


def _read(text: str, module: str, rest: str, is_file: bool) -> Reference:
    try:
        node = ast.parse(rest, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise SpecError(
            f"what follows the colon cannot be read ({getattr(error, 'msg', error)})",
            given=text,
            repair="write a name, or a name with arguments: Net(10, width=0.5)",
        ) from None
    call = node if isinstance(node, ast.Call) else None
    path: list[str] = []
    inner = call.func if call else node
    while isinstance(inner, ast.Attribute):
        path.insert(0, inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name):
        raise SpecError(
            "what follows the colon is a name, or a name with arguments in brackets",
            given=text,
            repair="write Net or Net(10, width=0.5); to build in steps, write a function in a file and name that",
        )
    path.insert(0, inner.id)
    arguments, keywords = _literals(call, text) if call else ((), {})
    return Reference(text, module, is_file, tuple(path), call is not None, arguments, keywords)


def _literals(call: ast.Call, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    arguments: list[Any] = []
    keywords: dict[str, Any] = {}
    mistakes = []
    for name, node in [(None, node) for node in call.args] + [(one.arg or "**", one.value) for one in call.keywords]:
        if name == "**":
            mistakes.append(f"**{ast.unparse(node)}: write each argument by itself")
            continue
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            quotes = f"; as text, write '{node.id}'" if isinstance(node, ast.Name) else ""
            mistakes.append(f"{ast.unparse(node)} is no literal{quotes}")
            continue
        if name is None:
            arguments.append(value)
        else:
            keywords[name] = value
    if mistakes:
        raise SpecError.of(
            "the arguments",
            mistakes,
            given=text,
            repair="use Python literals: numbers, text, True, False, None, and lists, tuples and dicts of them; for "
            "anything else write a function in a file and name that",
        )
    return tuple(arguments), keywords
