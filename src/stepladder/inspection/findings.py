"""What is worth changing or knowing about a net: one rule a function, each with its evidence and its repair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from stepladder.inspection.summary import Finding, Row

WIDENING = 4
"""Times as many channels in one step as count as a jump."""
_FEW_CHANNELS = 8
"""Channels from which on a widening can be a jump: the first layers have to widen an image's few."""


@dataclass(frozen=True)
class Subject:
    """What the rules look at.

    Args:
        rows: the net's rows.
        outputs: indices of the rows that give what the net gives.
        image: sizes of the input along the axes of the receptive field.
        objects: sizes of what is to be recognised along the same axes; the image's where nothing else is said.
        readers: for each row the indices of the rows that take what it gives.
    """

    rows: Sequence[Row]
    outputs: tuple[int, ...]
    image: tuple[int, ...]
    objects: tuple[int, ...]
    readers: Sequence[Sequence[int]]


def find(
    rows: Sequence[Row], outputs: tuple[int, ...], image: tuple[int, ...], objects: tuple[int, ...] | None = None
) -> tuple[Finding, ...]:
    """Return everything that the rules find, rule by rule, in the order of the rows."""
    readers: list[list[int]] = [[] for _ in rows]
    for index, row in enumerate(rows):
        for source in dict.fromkeys(row.inputs):
            if source >= 0:
                readers[source].append(index)
    subject = Subject(rows, outputs, image, objects or image, readers)
    return tuple(finding for rule in _RULES for finding in rule(subject))


def _wasted_biases(subject: Subject) -> Iterator[Finding]:
    for index, row in enumerate(subject.rows):
        readers = [subject.rows[reader] for reader in subject.readers[index]]
        if (
            row.role in ("convolution", "transposed", "linear")
            and row.bias
            and index not in subject.outputs
            and readers
            and all("batchnorm" in reader.kind.lower().replace("_", "") for reader in readers)
        ):
            repair = f"write {row.token.removesuffix('b')}" if row.token else "say bias=False"
            yield Finding(
                "bias before batch-norm",
                row.name,
                f"batch normalisation subtracts the mean, so the {row.bias} biases of {row.label} change nothing",
                f"{repair}: {row.bias} parameters fewer",
            )


def _small_final_field(subject: Subject) -> Iterator[Finding]:
    for index in subject.outputs:
        row = subject.rows[index] if index >= 0 else None
        if row is None or row.field is None or any(size is None for size in row.field.size):
            continue
        if row.field.of or len(row.field.size) != len(subject.objects):
            continue
        if not row.field.covers(subject.objects):
            what = "pixels" if subject.objects == subject.image else "pixels that what it looks for takes"
            yield Finding(
                "small receptive field",
                row.name,
                f"the last layer sees {_sizes(row.field.size)} of {_sizes(subject.objects)} {what}",
                "pool earlier, add a convolution, or end with " + ("GAP" if row.token else "global average pooling"),
            )


def _covered(subject: Subject) -> Iterator[Finding]:
    covered = [
        row
        for row in subject.rows
        if row.role == "convolution"
        and row.window is not None
        and max(row.window.kernel) > 1
        and row.field_in is not None
        and row.field_in.covers(subject.image)
        and prod(row.input_shape[1:]) > 1
    ]
    if covered:
        first = covered[0]
        others = f" and {len(covered) - 1} after it" if len(covered) > 1 else ""
        spent = sum(row.parameters for row in covered)
        assert first.field_in is not None
        yield Finding(
            "field already covers the image",
            first.name,
            f"{first.label}{others} take values that see {_sizes(first.field_in.size)} of {_sizes(subject.image)} "
            f"pixels already: they can refine, but see nothing new ({spent:,} parameters)",
            "if the budget is short, take layers or strides away here, or use 1×1 kernels",
        )


def _heavy_head(subject: Subject) -> Iterator[Finding]:
    total = sum(row.parameters for row in subject.rows)
    for row in subject.rows:
        if row.role != "linear" or row.parameters * 2 <= total:
            continue
        flattened = _before(subject, row)
        if flattened is None or len(flattened.input_shape) < 2:
            continue
        channels, positions = flattened.input_shape[0], prod(flattened.input_shape[1:])
        weights = row.parameters - row.bias
        if positions <= 1 or weights % positions:
            continue
        yield Finding(
            "heavy head",
            row.name,
            f"{row.label} holds {row.parameters:,} of {total:,} parameters: it weighs each of {positions} positions of "
            f"{channels} maps by itself",
            f"put {'GAP' if row.token else 'global average pooling'} before it: "
            f"{weights - weights // positions:,} parameters fewer",
        )


def _before(subject: Subject, row: Row) -> Row | None:
    """Return the row that flattens what this one takes, past rows that change each value by itself."""
    for _ in range(4):
        if len(row.inputs) != 1 or row.inputs[0] < 0:
            return None
        row = subject.rows[row.inputs[0]]
        if row.role == "flatten":
            return row
        if row.role not in ("dropout", "activation", "norm"):
            return None
    return None


def _unseen_pixels(subject: Subject) -> Iterator[Finding]:
    for row in subject.rows:
        window = row.window
        if window is None or row.role not in ("convolution", "pool") or len(row.input_shape) != len(window.kernel) + 1:
            continue
        axes = range(len(window.kernel))
        if any(window.stride[axis] > window.reach(axis) and row.output_shape[axis + 1] > 1 for axis in axes):
            if _seen_elsewhere(subject, row):
                continue
            yield Finding(
                "stride larger than kernel",
                row.name,
                f"{row.label} moves by {_sizes(window.stride)} with a kernel of {_sizes(window.kernel)}: it steps over "
                "values that no window covers",
                "make the kernel at least as large as the stride",
            )
            continue
        sizes = row.input_shape[1:]
        # Values at the far edge that only padding could have brought into a window. Half a window left over is how
        # strides meet even sizes in most nets; what matters is values that nothing sees.
        unseen = [
            sizes[axis]
            - ((row.output_shape[axis + 1] - 1) * window.stride[axis] - window.padding[axis] + window.reach(axis))
            for axis in axes
        ]
        if any(count > 0 for count in unseen):
            yield Finding(
                "edge left out",
                row.name,
                f"{row.label} leaves out {max(unseen)} of {_sizes(sizes)} rows or columns at the edge",
                "pad it, or change a layer before it so that the size divides evenly",
            )


def _seen_elsewhere(subject: Subject, row: Row) -> bool:
    """Return whether what a row steps over is taken by another, as beside the shortcuts of residual nets."""
    beside = {reader for source in row.inputs if source >= 0 for reader in subject.readers[source]}
    beside |= {
        index for index, other in enumerate(subject.rows) if set(other.inputs) & {one for one in row.inputs if one < 0}
    }
    return any(
        (window := subject.rows[index].window) is None
        or all(window.stride[axis] <= window.reach(axis) for axis in range(len(window.stride)))
        for index in beside
    )


def _checkerboard(subject: Subject) -> Iterator[Finding]:
    for row in subject.rows:
        window = row.window
        if row.role != "transposed" or window is None:
            continue
        if any(kernel % stride for kernel, stride in zip(window.kernel, window.stride, strict=True)):
            kernel = tuple(
                -(-size // stride) * stride for size, stride in zip(window.kernel, window.stride, strict=True)
            )
            yield Finding(
                "checkerboard",
                row.name,
                f"{row.label} has a kernel of {_sizes(window.kernel)} that its stride of {_sizes(window.stride)} does "
                "not divide: neighbouring values get different numbers of terms",
                f"use a kernel of {_sizes(kernel)}, or enlarge first and convolve then",
            )


def _softmax_at_the_end(subject: Subject) -> Iterator[Finding]:
    for index in subject.outputs:
        row = subject.rows[index] if index >= 0 else None
        if row is not None and row.role == "softmax":
            log = "log" in row.kind.lower()
            yield Finding(
                "softmax at the end",
                row.name,
                f"the net gives {'log-probabilities' if log else 'probabilities'}, but cross-entropy in torch takes "
                "logits and applies log-softmax itself"
                + (": twice is the same, and wasted" if log else ": twice flattens the gradients"),
                (f"leave out {row.token}: train" if row.token else "train")
                + " on what comes before it"
                + (", or with nll_loss" if log else " and apply softmax where probabilities are read"),
            )


def _never_called(subject: Subject) -> Iterator[Finding]:
    for row in subject.rows:
        if row.note == "never called":
            held = f"its {row.parameters:,} parameters get no gradient" if row.parameters else "it has no parameters"
            yield Finding(
                "never called",
                row.name,
                f"{row.label} was not called for this input; {held}",
                "call it in forward, or delete it",
            )


def _dead_branches(subject: Subject) -> Iterator[Finding]:
    alive: set[int] = set()
    waiting = [index for index in subject.outputs if index >= 0]
    if not waiting:
        return
    while waiting:
        index = waiting.pop()
        if index not in alive:
            alive.add(index)
            waiting += [source for source in subject.rows[index].inputs if source >= 0]
    for index, row in enumerate(subject.rows):
        if index in alive or row.note == "never called" or not row.output_shapes:
            continue
        # The last row of a branch stands for all of it.
        if subject.readers[index]:
            continue
        branch = _only_for(subject, index, alive)
        spent = sum(subject.rows[one].parameters for one in branch)
        macs = sum(subject.rows[one].macs for one in branch)
        yield Finding(
            "dead branch",
            row.name,
            f"what {row.label} gives reaches no output; {len(branch)} layer{'s' if len(branch) > 1 else ''} with "
            f"{spent:,} parameters and {macs:,} MACs serve only that",
            "return it, join it to the rest, or delete the branch",
        )


def _only_for(subject: Subject, last: int, alive: set[int]) -> set[int]:
    branch: set[int] = set()
    waiting = [last]
    while waiting:
        index = waiting.pop()
        if index >= 0 and index not in alive and index not in branch:
            branch.add(index)
            waiting += subject.rows[index].inputs
    return branch


def _channel_jumps(subject: Subject) -> Iterator[Finding]:
    for row in subject.rows:
        if row.role != "convolution" or row.window is None or max(row.window.kernel) == 1 or row.groups > 1:
            continue
        if not row.input_shape or not row.output_shape:
            continue
        before, after = row.input_shape[0], row.output_shape[0]
        if before >= _FEW_CHANNELS and after >= WIDENING * before:
            yield Finding(
                "channel jump",
                row.name,
                f"{row.label} goes from {before} to {after} channels in one step and spends {row.parameters:,} "
                "parameters on it",
                "widen in steps of about two, or make the jump with a 1×1 convolution",
            )


def _misaligned(subject: Subject) -> Iterator[Finding]:
    for row in subject.rows:
        if row.field is None or row.field.aligned or row.role not in ("add", "concat"):
            continue
        before = [subject.rows[source].field for source in row.inputs if source >= 0]
        if all(field is None or field.aligned for field in before):
            yield Finding(
                "branches off centre",
                row.name,
                f"the branches that meet in {row.label} look at different places: their fields have different centres",
                "pad them alike: (kernel - 1) / 2 on each side where the stride is 1",
            )


_RULES: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    _wasted_biases,
    _small_final_field,
    _covered,
    _heavy_head,
    _unseen_pixels,
    _checkerboard,
    _softmax_at_the_end,
    _misaligned,
    _never_called,
    _dead_branches,
    _channel_jumps,
)


def _sizes(values: Sequence[object]) -> str:
    return "×".join(map(str, values))
