"""What a net is to be given, as the command line has it: ``3x224x224``, ``128:int64``, ``ids=128:int64``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from stepladder.errors import SpecError
from stepladder.inspection.summary import Input
from stepladder.layers import Shape

DTYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool", "complex64")
"""The types of values that an input can have."""

_OTHER_NAMES = {
    "float": "float32",
    "single": "float32",
    "half": "float16",
    "double": "float64",
    "int": "int64",
    "long": "int64",
    "byte": "uint8",
    "boolean": "bool",
    "complex": "complex64",
}
_LARGEST_SIZE = 2**31


def parse_inputs(texts: Sequence[str]) -> tuple[Input, ...]:
    """Return the inputs that the texts describe, each as ``[NAME=]SIZExSIZE…[:DTYPE]``.

    Sizes are separated by ``x``, ``×`` or commas; one size is a vector, and ``scalar`` has none. Without a name an
    input is the next positional argument, and its ``name`` is empty.

    >>> parse_inputs(["3x224x224", "mask=196:bool"])
    (Input(name='', shape=(3, 224, 224), dtype='float32'), Input(name='mask', shape=(196,), dtype='bool'))

    Raises:
        SpecError: with every mistake at once.
    """
    inputs: list[Input] = []
    mistakes: list[str] = []
    for text in texts:
        name, separator, rest = text.rpartition("=")
        sizes, colon, dtype = rest.partition(":")
        name, dtype = name.strip(), dtype.strip() if colon else "float32"
        wrong = []
        if separator and not name.isidentifier():
            wrong.append(f"'{name}' is no name of an argument: write NAME=SHAPE")
        elif name and any(one.name == name for one in inputs):
            wrong.append(f"'{name}' is given twice")
        elif not name and any(one.name for one in inputs):
            wrong.append("inputs without a name come before those with one")
        shape = _shape(sizes)
        if shape is None:
            wrong.append(f"'{sizes.strip()}' is no shape: write sizes from 1 up, such as 3x224x224, 128 or scalar")
        if dtype not in DTYPES:
            wrong.append(f"there is no dtype '{dtype}': {_nearest(dtype)}")
        mistakes += [f"'{text}': {one}" for one in wrong]
        if not wrong:
            assert shape is not None
            inputs.append(Input(name, shape, dtype))
    if mistakes:
        raise SpecError.of("the inputs", mistakes, repair="write them as 3x224x224, 128:int64 or ids=128:int64")
    return tuple(inputs)


def parse_sizes(text: str, what: str, example: str) -> Shape:
    """Return the sizes that a text such as ``20x20`` gives, without a dtype or a name.

    Args:
        text: what was given.
        what: what the sizes are, for the message.
        example: what would be right, for the message.

    Raises:
        SpecError: if the text is no sizes from 1 up.
    """
    shape = _shape(text)
    if not shape:
        raise SpecError(f"{what} is whole numbers from 1 up", given=text, repair=f"write {example}")
    return shape


def _shape(text: str) -> Shape | None:
    text = text.strip().lower()
    if text == "scalar":
        return ()
    parts = [part.strip() for part in re.split(r"[x×,]", text)]
    if not all(re.fullmatch(r"[0-9]{1,10}", part) for part in parts):
        return None
    sizes = tuple(map(int, parts))
    return sizes if all(1 <= size < _LARGEST_SIZE for size in sizes) else None


def _nearest(dtype: str) -> str:
    said = difflib.get_close_matches(dtype.lower().removeprefix("torch."), [*DTYPES, *_OTHER_NAMES], n=1)
    nearest = [_OTHER_NAMES.get(name, name) for name in said]
    return (f"did you mean {nearest[0]}? " if nearest else "") + f"known: {', '.join(DTYPES)}"
