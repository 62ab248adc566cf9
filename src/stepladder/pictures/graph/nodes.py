"""What the picture of a net's graph consists of: nodes, the frames around them and the edges between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(eq=False)
class Node:
    """One box of the picture: an input, an output, a layer with what follows it, or a folded block.

    Args:
        identity: unique in the picture, such as ``row-12`` after its first row.
        colour: a key of ``words.COLOURS``.
        title: what it does; of a folded block its class.
        chain: what follows the first layer, such as ``BN · ReLU``; of a folded block its name.
        shape: of what comes out.
        channels: values at each place of what comes out.
        sees: the receptive field for people.
        rows: indices of the rows that it stands for.
        parameters: of all its rows.
        macs: likewise, for one image.
        is_shared: whether it has no parameters but those that are counted in an earlier box.
        times: how many identical blocks one after the other it stands for.
        shares: parameters by colour, of a folded block.
        sign: of a join that is drawn as a circle.
        is_concat: whether maps are laid side by side.
        parts: of a concatenation the colours and channels of what is laid side by side.
    """

    identity: str
    colour: str
    title: str
    chain: str = ""
    shape: tuple[int, ...] = ()
    channels: int = 1
    sees: str = ""
    rows: tuple[int, ...] = ()
    parameters: int = 0
    macs: int = 0
    is_shared: bool = False
    times: int = 1
    shares: tuple[tuple[str, int], ...] = ()
    sign: str = ""
    is_concat: bool = False
    parts: tuple[tuple[str, int], ...] = ()


@dataclass(eq=False)
class Frame:
    """A block that is drawn around the nodes and frames that it holds, in the order of their rows."""

    name: str
    kind: str
    children: list[Node | Frame] = field(default_factory=list)

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes in it, however deep."""
        for child in self.children:
            if isinstance(child, Frame):
                yield from child.nodes()
            else:
                yield child


@dataclass(frozen=True)
class Graph:
    """What is drawn: everything in one outermost frame without a name, and the edges from node to node."""

    root: Frame
    edges: tuple[tuple[Node, Node], ...]
