"""Nets in one line: ``8C3 16C3 MP2 8C1 12C3 16C3 20C3 GAP 16C1 10C1``.

The notation is that of the MNIST literature. Each word is a layer: ``8C3`` a convolution to 8 channels with 3×3
kernels, ``MP2`` and ``AP2`` pooling, ``GAP`` global average pooling, ``128F`` a linear layer. Suffixes of a
convolution: ``s2`` stride, ``p1`` padding, ``d2`` dilation, ``g8`` groups, ``b`` with a bias. ``BN``, ``ReLU``,
``SiLU``, ``GELU``, ``D0.05`` (dropout) and ``FL`` (flatten) are layers too. ``SM``, softmax, can only be the last.

What follows a convolution or linear layer is its *chain*: ``8C3/BN/ReLU/D0.05``, or ``8C3/none``. Brackets at the
front set the chain of all layers without one of their own: ``[BN ReLU D0.05] 8C3 16C3 ...``; without brackets it is
``[BN ReLU]``. The last convolution or linear layer gives the logits and is bare unless it has its own chain.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stepladder.displayed import Displayed
from stepladder.errors import NotationError, ShapeError, SpecError
from stepladder.layers import (
    GELU,
    AveragePool,
    BatchNorm,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Pair,
    ReLU,
    Shape,
    SiLU,
    Softmax,
    Weighted,
)

if TYPE_CHECKING:
    from torch import nn

Chain = tuple[Layer, ...]

DEFAULT_CHAIN: Chain = (BatchNorm(), ReLU())
LARGEST_NUMBER = 65_536
_EXAMPLES = ("8C3", "MP2", "AP2", "GAP", "10F", "BN", "ReLU", "SiLU", "GELU", "D0.05", "FL")
_CHAIN_EXAMPLES = ("BN", "ReLU", "SiLU", "GELU", "D0.05", "none")
_MISTAKES_SHOWN = 20

_SIMPLE: dict[str, Layer] = {
    layer.token().lower(): layer
    for layer in (GlobalAveragePool(), BatchNorm(), ReLU(), SiLU(), GELU(), Flatten(), Softmax())
}
_CONVOLUTION = re.compile(r"(\d+)c(\d+(?:x\d+)?)(.*)", re.IGNORECASE | re.ASCII)
_LINEAR = re.compile(r"(\d+)f(b?)", re.IGNORECASE | re.ASCII)
_POOLING = re.compile(r"([ma]p)(\d+(?:x\d+)?)(.*)", re.IGNORECASE | re.ASCII)
_DROPOUT = re.compile(r"d(\d*\.?\d+(?:e-?\d+)?)", re.IGNORECASE | re.ASCII)
_SUFFIX = re.compile(r"([spdg])(\d+(?:x\d+)?)|(b)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Net(Displayed):
    """An architecture: elementary layers in order, each of which becomes one torch module.

    >>> net = Net.parse("8C3 MP2 GAP 10C1")
    >>> len(net.layers)
    6
    >>> str(net)
    '8C3 MP2 GAP 10C1'
    """

    layers: tuple[Layer, ...]

    @classmethod
    def parse(cls, text: str) -> Net:
        """Return the net that the text describes.

        Raises:
            NotationError: with every mistake at once, each with its column and the nearest valid word.
        """
        return cls(tuple(_Parser(text).layers()))

    def __str__(self) -> str:
        """Return the canonical text: the shortest that reads back to this very net."""
        return _write(self.layers)

    def groups(self) -> list[tuple[Layer, Chain]]:
        """Return each layer that is no part of a chain, in order, with the chain that follows it."""
        return list(_group(self.layers))

    def shapes(self, input_shape: Shape) -> list[Shape]:
        """Return the shape that goes into each layer and, last, the one that comes out of the net.

        Raises:
            ShapeError: if a layer does not fit; names the layer, what it got and the repair.
        """
        shapes = [input_shape]
        for position, layer in enumerate(self.layers, start=1):
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except ShapeError as error:
                got = "×".join(map(str, shapes[-1]))
                raise ShapeError(
                    f"layer {position}, '{layer.token()}', does not fit: {error.what}",
                    given=f"{got} from the layers before it, {'×'.join(map(str, input_shape))} into the net",
                    repair=error.repair,
                ) from None
        return shapes

    def build(self, input_shape: Shape) -> nn.Sequential:
        """Return the net as a torch.nn.Sequential of stock modules, named ``conv1``, ``norm2`` and so on.

        Raises:
            ShapeError: if a layer does not fit.
        """
        from collections import OrderedDict

        from torch import nn

        shapes = self.shapes(input_shape)
        modules = (
            (f"{layer.kind.removesuffix('2d').lower()}{position}", layer.build(shape))
            for position, (layer, shape) in enumerate(zip(self.layers, shapes, strict=False), start=1)
        )
        return nn.Sequential(OrderedDict(modules))

    def parameters(self, input_shape: Shape) -> int:
        """Return the trainable parameters for an input shape, without torch."""
        shapes = self.shapes(input_shape)
        return sum(layer.parameters(shape) for layer, shape in zip(self.layers, shapes, strict=False))


def parse_input_shape(text: str) -> tuple[int, int, int]:
    """Return (channels, rows, columns) from ``1x28x28``.

    Raises:
        SpecError: if the text is not three positive whole numbers.
    """
    parts = re.split(r"[x×,]", text.strip().lower())
    sizes = [int(part) for part in parts if re.fullmatch(r"[0-9]{1,5}", part.strip())]
    if len(parts) != 3 or len(sizes) != 3 or min(sizes) < 1:
        raise SpecError(
            "an input shape is three whole numbers: channels, rows, columns",
            given=text,
            repair="write 1x28x28",
        )
    return sizes[0], sizes[1], sizes[2]


@dataclass(frozen=True)
class _Word:
    text: str
    column: int


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.mistakes: list[str] = []

    def layers(self) -> list[Layer]:
        header, words = self._split()
        default = DEFAULT_CHAIN if header is None else self._chain(header)
        parsed = [self._word(word) for word in words]
        for word, (layer, _) in list(zip(words, parsed, strict=True))[:-1]:
            if isinstance(layer, Softmax):
                self._mistake(word, "can only be the last word: it turns logits into probabilities")
        if not words and not self.mistakes:
            self.mistakes.append("there is no layer: write one, such as '8C3 MP2 GAP 10C1'")
        if self.mistakes:
            raise self._error()
        last = max((i for i, (layer, _) in enumerate(parsed) if isinstance(layer, Weighted)), default=-1)
        layers: list[Layer] = []
        for index, (layer, chain) in enumerate(parsed):
            assert layer is not None
            if isinstance(layer, Linear) and not any(isinstance(one, Flatten) for one in layers):
                layers.append(Flatten())
            layers.append(layer)
            if isinstance(layer, Weighted):
                usual = () if index == last else default
                layers.extend(usual if chain is None else chain)
        return layers

    def _split(self) -> tuple[list[_Word] | None, list[_Word]]:
        """Return the words between the brackets, if there are any, and the words of the net."""
        opened = re.match(r"\s*\[", self.text)
        if not opened:
            return None, self._words(0, len(self.text))
        closing = self.text.find("]", opened.end())
        if closing < 0:
            self.mistakes.append(f"column {opened.end()}: the bracket is never closed; put ']' after the chain")
            return [], []
        header = self._words(opened.end(), closing)
        return header, self._words(closing + 1, len(self.text))

    def _words(self, start: int, end: int) -> list[_Word]:
        found = re.compile(r"\S+").finditer(self.text, start, end)
        return [_Word(match.group(), match.start() + 1) for match in found]

    def _word(self, word: _Word) -> tuple[Layer | None, Chain | None]:
        head, *rest = word.text.split("/")
        layer = self._layer(_Word(head, word.column), _EXAMPLES)
        if not rest:
            return layer, None
        if layer is not None and not isinstance(layer, Weighted):
            self._mistake(word, "only convolutions and linear layers carry a chain; write its parts as words")
            return layer, None
        links, column = [], word.column + len(head) + 1
        for link in rest:
            links.append(_Word(link, column))
            column += len(link) + 1
        if len(links) == 1 and links[0].text.lower() == "none":
            return layer, ()
        return layer, self._chain(links)

    def _chain(self, words: Sequence[_Word]) -> Chain:
        chain = []
        for word in words:
            layer = self._layer(word, _CHAIN_EXAMPLES)
            if isinstance(layer, BatchNorm | ReLU | SiLU | GELU | Dropout):
                chain.append(layer)
            elif layer is not None:
                self._mistake(word, f"cannot stand in a chain; what can: {', '.join(_CHAIN_EXAMPLES[:-1])}")
        return tuple(chain)

    def _layer(self, word: _Word, examples: Sequence[str]) -> Layer | None:
        text = word.text
        if text.lower() in _SIMPLE:
            return _SIMPLE[text.lower()]
        try:
            if match := _CONVOLUTION.fullmatch(text):
                channels, kernel = _number(match[1], "channels"), _pair(match[2], "kernel")
                suffixes = _suffixes(match[3], "spdgb")
                return Convolution(
                    channels,
                    kernel,
                    stride=_at_least_one(suffixes.get("s", (1, 1)), "stride"),
                    padding=suffixes.get("p", (0, 0)),
                    dilation=_at_least_one(suffixes.get("d", (1, 1)), "dilation"),
                    groups=_at_least_one(suffixes.get("g", (1, 1)), "groups")[0],
                    bias="b" in suffixes,
                )
            if match := _LINEAR.fullmatch(text):
                return Linear(_number(match[1], "outputs"), bias=bool(match[2]))
            if match := _POOLING.fullmatch(text):
                kernel, suffixes = _pair(match[2], "kernel"), _suffixes(match[3], "sp")
                stride = _at_least_one(suffixes.get("s", kernel), "stride")
                kind = MaxPool if match[1].lower() == "mp" else AveragePool
                return kind(kernel, stride, suffixes.get("p", (0, 0)))
            if match := _DROPOUT.fullmatch(text):
                probability = float(match[1]) if len(match[1]) < 30 else 2.0
                if not probability < 1:
                    raise ValueError("the probability of dropout must be at least 0 and below 1")
                return Dropout(probability)
        except ValueError as error:
            self._mistake(word, str(error))
            return None
        self._mistake(word, f"is no layer; did you mean '{_nearest(text, examples)}'?")
        return None

    def _mistake(self, word: _Word, what: str) -> None:
        shown = word.text if len(word.text) <= 40 else word.text[:37] + "..."
        self.mistakes.append(f"column {word.column}: '{shown}' {what}")

    def _error(self) -> NotationError:
        shown = self.mistakes[:_MISTAKES_SHOWN]
        if len(self.mistakes) > len(shown):
            shown.append(f"and {len(self.mistakes) - len(shown)} more")
        given = self.text if len(self.text) <= 200 else self.text[:197] + "..."
        example = "words are like 8C3, MP2, GAP, 10C1 or 10F"
        return NotationError.of("the net cannot be read", shown, given=given or "nothing", repair=example)


def _number(text: str, what: str) -> int:
    # The length first: turning thousands of digits into a number is slow, and Python refuses it.
    value = int(text) if len(text.lstrip("0")) <= 6 else LARGEST_NUMBER + 1
    if not 1 <= value <= LARGEST_NUMBER:
        raise ValueError(f"has {what} out of range: 1 to {LARGEST_NUMBER:,}")
    return value


def _pair(text: str, what: str, smallest: int = 1) -> Pair:
    parts = text.lower().split("x")
    values = [0 if not part.strip("0") and smallest == 0 else _number(part, what) for part in parts]
    return values[0], values[-1]


def _suffixes(text: str, allowed: str) -> dict[str, Pair]:
    found: dict[str, Pair] = {}
    position = 0
    while position < len(text):
        match = _SUFFIX.match(text, position)
        letter = (match[1] or match[3]).lower() if match else ""
        if match is None or letter not in allowed:
            raise ValueError(
                f"ends in '{text[position:][:20]}', which is no suffix; suffixes here: "
                + ", ".join(_SUFFIX_HELP[letter] for letter in allowed)
            )
        if letter in found:
            raise ValueError(f"says '{letter}' twice")
        if letter == "g" and "x" in match[2].lower():
            raise ValueError("needs one number of groups")
        found[letter] = _pair(match[2], _SUFFIX_NAMES[letter], 0 if letter == "p" else 1) if match[2] else (1, 1)
        position = match.end()
    return found


_SUFFIX_NAMES = {"s": "stride", "p": "padding", "d": "dilation", "g": "groups"}
_SUFFIX_HELP = {
    "s": "s2 (stride)",
    "p": "p1 (padding)",
    "d": "d2 (dilation)",
    "g": "g8 (groups)",
    "b": "b (bias)",
}


def _at_least_one(values: Pair, what: str) -> Pair:
    if min(values) < 1:
        raise ValueError(f"has a {what} below 1")
    return values


def _nearest(text: str, examples: Sequence[str]) -> str:
    """Return the example that is most like the word, keeping the word's own numbers where it has some."""
    lowered = text.lower()[:40]
    by_letters = {re.sub(r"[\d.]", "", example).lower(): example for example in examples}
    letters = re.sub(r"[^a-z]", "", lowered)
    close = difflib.get_close_matches(letters, by_letters, n=1, cutoff=0.3)
    return by_letters[close[0]] if close else examples[0]


def _write(layers: Sequence[Layer]) -> str:
    groups = list(_group(layers))
    last = max((i for i, (layer, _) in enumerate(groups) if isinstance(layer, Weighted)), default=-1)
    chains = [chain for i, (layer, chain) in enumerate(groups) if isinstance(layer, Weighted) and i != last]
    # The shortest text wins; among equals the chain that comes first, so that writing is a function of the net.
    candidates = [DEFAULT_CHAIN, *Counter(chains), ()]
    return min((_write_with(header, groups, last) for header in candidates), key=len)


def _group(layers: Sequence[Layer]) -> Iterator[tuple[Layer, Chain]]:
    """Yield each layer that is not part of a chain, with the chain that follows it."""
    index = 0
    flat = False
    while index < len(layers):
        layer = layers[index]
        index += 1
        chain: list[Layer] = []
        if isinstance(layer, Weighted):
            while index < len(layers) and isinstance(layers[index], BatchNorm | ReLU | SiLU | GELU | Dropout):
                chain.append(layers[index])
                index += 1
        if isinstance(layer, Flatten) and not flat:
            flat = True
            if index < len(layers) and isinstance(layers[index], Linear):
                continue  # the reader puts it in by itself
        yield layer, tuple(chain)


def _write_with(header: Chain, groups: Sequence[tuple[Layer, Chain]], last: int) -> str:
    words = [] if header == DEFAULT_CHAIN else ["[" + " ".join(layer.token() for layer in header) + "]"]
    for index, (layer, chain) in enumerate(groups):
        text = layer.token()
        if isinstance(layer, Weighted) and chain != (() if index == last else header):
            text += "/" + ("/".join(link.token() for link in chain) or "none")
        words.append(text)
    return " ".join(words)
