"""Which rows of a net become one box of its graph's picture, and which boxes stand in one frame."""

from __future__ import annotations

from collections import Counter
from typing import Any

from stepladder.pictures.graph import words
from stepladder.pictures.graph.channels import channels_of
from stepladder.pictures.graph.nodes import Frame, Graph, Node
from stepladder.pictures.graph.words import Facts

MOST_NODES = 60
"""Nodes above which a net is folded where no depth is given."""

_ALIKE = ("kind", "output_shape", "parameters", "shared", "macs", "kernel", "stride", "padding", "dilation")
"""What rows of identical blocks have in common."""


def graph_of(facts: Facts, depth: int | None = None) -> Graph:
    """Return the graph of a net.

    Args:
        facts: what ``stepladder inspect --format json`` gives.
        depth: rows that lie in fewer modules are nodes, the others are folded into their block, as in the table;
            None for as deep as at most ``MOST_NODES`` nodes allow.
    """
    if depth is not None:
        return _Builder(facts, max(depth, 1)).graph()
    deepest = max((block["depth"] + 1 for block in facts["blocks"]), default=0) + 1
    for tried in range(deepest, 1, -1):
        found = _Builder(facts, tried).graph()
        if sum(1 for node in found.root.nodes() if node.rows) <= MOST_NODES:
            return found
    return _Builder(facts, 1).graph()


class _Builder:
    """Gathers rows into units (lists of rows that become one node), and units into frames.

    Args:
        facts: of the net.
        depth: from which blocks are folded.
    """

    def __init__(self, facts: Facts, depth: int) -> None:
        self.facts = facts
        self.rows: list[dict[str, Any]] = facts["rows"]
        self.depth = depth
        # Deeper blocks lie in one that is folded.
        self.frames = [
            block for block in facts["blocks"] if block["depth"] < depth and block["rows"][0] < block["rows"][1]
        ]
        self.readers: list[list[int]] = [[] for _ in self.rows]
        for index, row in enumerate(self.rows):
            for source in dict.fromkeys(row["inputs"]):
                if 0 <= source < index:
                    self.readers[source].append(index)
        self.channels, self.input_channels = channels_of(facts)
        self.unit: dict[int, int] = {}  # row: first row of its unit
        self.block: dict[int, dict[str, Any]] = {}  # first row of a unit: the block that it is
        self.times: Counter[int] = Counter()

    def graph(self) -> Graph:
        """Return the graph."""
        self._gather()
        self._merge_repeated()
        nodes = {first: self._node(first, rows) for first, rows in self._units().items()}
        root = Frame("", "")
        inputs = [self._input(number) for number in range(len(self.facts["inputs"]))]
        root.children += inputs
        self._fill(root, nodes)
        edges: dict[tuple[Node, Node], None] = {}
        for index, row in enumerate(self.rows):
            for source in row["inputs"]:
                before = nodes[self.unit[source]] if source >= 0 else inputs[-1 - source]
                after = nodes[self.unit[index]]
                if before is not after:
                    edges[before, after] = None
        for number, source in enumerate(self.facts["outputs"]):
            output = self._output(number, source)
            root.children.append(output)
            edges[nodes[self.unit[source]] if source >= 0 else inputs[-1 - source], output] = None
        return Graph(root, tuple(edges))

    def _gather(self) -> None:
        """Give each row its unit: the block that is folded, the layer that it follows, or itself."""
        never = [index for index, row in enumerate(self.rows) if row["note"] == "never called"]
        self.unit = {index: never[0] if row["note"] == "never called" else index for index, row in enumerate(self.rows)}
        # A block of which one node is left is no frame any more, and then what follows it may be written on it too.
        while True:
            owner = self._owners()
            for index, row in enumerate(self.rows):
                if self.unit[index] == index:
                    self.unit[index] = self._followed(index, row, owner)
            lone = [block for block in self.frames if len({self.unit[index] for index in range(*block["rows"])}) < 2]
            if not lone:
                break
            self.frames = [block for block in self.frames if not any(block is one for one in lone)]
        for block in self.frames:
            if block["depth"] == self.depth - 1:
                first, last = block["rows"]
                self.block[first] = block
                self.unit.update(dict.fromkeys(range(first, last), first))
        self.frames = [block for block in self.frames if block["depth"] < self.depth - 1]
        self._drop_doubled_frames()

    def _owners(self) -> list[int]:
        """Return for each row the number of the innermost frame that it lies in; -1 for none."""
        owner = [-1] * len(self.rows)
        for number, block in enumerate(self.frames):
            owner[slice(*block["rows"])] = [number] * (block["rows"][1] - block["rows"][0])
        return owner

    def _followed(self, index: int, row: dict[str, Any], owner: list[int]) -> int:
        """Return the unit of the layer that a row is written on; the row itself if it is a node of its own."""
        source = row["inputs"][0] if len(set(row["inputs"])) == 1 else -1
        if row["note"] == "never called" or not 0 <= source < index:
            return index
        readers = self.readers[source]
        if row["kind"] == "Identity" and not self.readers[index] and index not in self.facts["outputs"]:
            readers = [index]  # what reads on reads past it
        light = row["role"] in words.FOLDABLE or (row["role"] == "other" and not row["parameters"] and not row["macs"])
        if not light or readers != [index] or source in self.facts["outputs"] or owner[source] != owner[index]:
            return index
        return self.unit[source]

    def _drop_doubled_frames(self) -> None:
        """Keep of frames around the same nodes the innermost, and none around the whole net."""
        kept: dict[tuple[int, ...], dict[str, Any]] = {}
        called = {self.unit[index] for index, row in enumerate(self.rows) if row["note"] != "never called"}
        for block in self.frames:
            units = {self.unit[index] for index in range(*block["rows"])}
            if units != called:
                kept[tuple(sorted(units))] = block
        self.frames = [block for block in self.frames if any(block is one for one in kept.values())]

    def _merge_repeated(self) -> None:
        """Make one unit of folded blocks that are the same and follow each other."""
        owner = self._owners()
        before: int | None = None
        for first, block in sorted(self.block.items()):
            start, end = block["rows"]
            if before is not None and self._repeats(before, start, end, owner):
                self.unit.update(dict.fromkeys(range(start, end), before))
                self.times[before] += 1
            else:
                before = first
                self.times[first] = 1

    def _repeats(self, before: int, start: int, end: int, owner: list[int]) -> bool:
        """Whether the block of these rows does to what the unit gives what the unit's last block did to its source."""
        first = 2 * start - end
        if first < 0 or self.unit[start - 1] != before or owner[start] != owner[before]:
            return False
        if any(first <= index < start for index in self.facts["outputs"]):
            return False
        if any(reader >= end for index in range(first, start) for reader in self.readers[index]):
            return False
        follows = False
        for one, other in zip(self.rows[first:start], self.rows[start:end], strict=True):
            if any(one[name] != other[name] for name in _ALIKE) or len(one["inputs"]) != len(other["inputs"]):
                return False
            for source, again in zip(one["inputs"], other["inputs"], strict=True):
                if first <= again < start:
                    follows = True
                    if source >= first:
                        return False
                elif source - first != again - start if again >= start else source != again:
                    return False
        return follows

    def _units(self) -> dict[int, list[int]]:
        units: dict[int, list[int]] = {}
        for index in range(len(self.rows)):
            units.setdefault(self.unit[index], []).append(index)
        return units

    def _fill(self, root: Frame, nodes: dict[int, Node]) -> None:
        """Put the nodes into frames, and the frames into each other."""
        owner = self._owners()
        made: list[Frame] = []
        for number, block in enumerate(self.frames):
            made.append(Frame(block["name"], block["kind"]))
            around = [
                other
                for other in range(number)
                if self.frames[other]["rows"][0] <= block["rows"][0]
                and block["rows"][1] <= self.frames[other]["rows"][1]
            ]
            parent = made[around[-1]] if around else root
            made[-1].name = _inside(block["name"], self.frames[around[-1]]["name"] if around else "")
            parent.children.append(made[-1])
        for first, node in nodes.items():
            (made[owner[first]] if owner[first] >= 0 else root).children.append(node)
        for frame in (root, *made):
            frame.children.sort(key=_first_row)

    def _node(self, first: int, rows: list[int]) -> Node:
        head, last = self.rows[first], self.rows[rows[-1]]
        common: dict[str, Any] = {
            "identity": f"row-{first}",
            "rows": tuple(rows),
            "parameters": sum(self.rows[index]["parameters"] for index in rows),
            "macs": sum(self.rows[index]["macs"] for index in rows),
        }
        common["is_shared"] = not common["parameters"] and any(self.rows[index]["shared"] for index in rows)
        if head["note"] == "never called":
            return Node(colour="other", title="never called", chain=_counted(len(rows), "layer"), **common)
        common |= {
            "shape": tuple(last["output_shape"]),
            "channels": self.channels[rows[-1]],
            "sees": words.sees(last),
        }
        if first in self.block:
            block = self.block[first]
            shares: Counter[str] = Counter()
            for index in rows:
                shares[words.colour_key(self.rows[index])] += self.rows[index]["parameters"]
            if block["output_shapes"]:
                common["shape"] = tuple(block["output_shapes"][0])
            return Node(
                colour="block",
                title=block["kind"],
                chain=self._names(first),
                times=self.times[first],
                shares=tuple((key, shares[key]) for key in words.COLOURS if shares[key]),
                **common,
            )
        return Node(
            colour=words.colour_key(head),
            title=words.operation(head),
            chain=" · ".join(
                words.operation(self.rows[index]) for index in rows[1:] if self.rows[index]["kind"] != "Identity"
            ),
            sign=words.sign(head),
            is_concat=head["role"] == "concat",
            parts=self._parts(head) if head["role"] == "concat" else (),
            **common,
        )

    def _parts(self, row: dict[str, Any]) -> tuple[tuple[str, int], ...]:
        """Return the colours and channels of what a concatenation lays side by side."""
        sources, shapes = row["inputs"], row["input_shapes"]
        if len(sources) != len(shapes):
            # Several pieces of one map: there are more shapes than sources.
            sources = [sources[0] if len(sources) == 1 else None] * len(shapes)
        # What is laid side by side differs along that axis only.
        axis = next((axis for axis, sizes in enumerate(zip(*shapes, strict=False)) if len(set(sizes)) > 1), 0)
        return tuple(
            (self._colour(source), shape[axis] if shape else 1) for source, shape in zip(sources, shapes, strict=True)
        )

    def _colour(self, source: int | None) -> str:
        if source is None:
            return "join"
        if source < 0:
            return "input"
        first = self.unit[source]
        return "block" if first in self.block else words.colour_key(self.rows[first])

    def _names(self, first: int) -> str:
        """Return the name of a folded block, or those of several that were merged, such as ``1 … 5``."""
        around = self._owners()[first]
        name = _inside(self.block[first]["name"], self.frames[around]["name"] if around >= 0 else "")
        if self.times[first] == 1:
            return name
        last = max(start for start in self.block if self.unit[start] == first)
        return f"{name} … {self.block[last]['name'].rpartition('.')[2]}"

    def _input(self, number: int) -> Node:
        given = self.facts["inputs"][number]
        shape = tuple(given["shape"])
        several = len(self.facts["inputs"]) > 1
        title = given["name"] if several else "input"
        return Node(f"input-{number + 1}", "input", title, "", shape, self.input_channels[number])

    def _output(self, number: int, source: int) -> Node:
        several = len(self.facts["outputs"]) > 1
        title = f"output {number + 1}" if several else "output"
        if source < 0:
            return Node(f"output-{number + 1}", "input", title, "", tuple(self.facts["inputs"][-1 - source]["shape"]))
        row = self.rows[source]
        return Node(f"output-{number + 1}", "input", title, "", tuple(row["output_shape"]), self.channels[source])


def _inside(name: str, around: str) -> str:
    """Return the rest of a path, where what it begins with is written on the frame around it."""
    return name.removeprefix(f"{around}.") if around else name


def _first_row(child: Node | Frame) -> int:
    if isinstance(child, Frame):
        return min(_first_row(one) for one in child.children)
    return child.rows[0] if child.rows else -1


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
