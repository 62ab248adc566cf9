"""A net as something to change: its layers without widths, the widths, the head, and what follows each layer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stepladder.errors import ShapeError
from stepladder.inspection.oneline import describe
from stepladder.inspection.summary import Summary
from stepladder.layers import Shape
from stepladder.notation import Net


@dataclass(frozen=True)
class Blueprint:
    """A chain of convolutions and poolings with a head.

    Args:
        body: the layers' words without their widths, such as ``C3`` and ``MP2``.
        widths: channels of each convolution in the body.
        classes: values that the net gives.
        dense: whether a linear layer weighs each place of the last maps; otherwise they are averaged first.
        norm: whether batch normalisation follows each convolution.
        dropout: the share of values dropped after each convolution.
    """

    body: tuple[str, ...]
    widths: tuple[int, ...]
    classes: int
    dense: bool = True
    norm: bool = False
    dropout: float = 0.0

    @property
    def net(self) -> str:
        """Return the net in one line."""
        widths = iter(self.widths)
        words = [f"{next(widths)}{word}" if word.startswith("C") else word for word in self.body]
        chain = ["BN"] if self.norm else []
        chain += ["ReLU"]
        chain += [f"D{self.dropout:g}"] if self.dropout else []
        head = f"FL {self.classes}F" if self.dense else f"GAP {self.classes}C1"
        return str(Net.parse(f"[{' '.join(chain)}] {' '.join(words)} {head}"))

    def summary(self, image: Shape) -> Summary | None:
        """Return what the net is made of for images of a shape; None if it does not fit them."""
        try:
            return describe(Net.parse(self.net), image)
        except ShapeError:
            return None

    def parameters(self, image: Shape) -> int | None:
        """Return how many parameters it has for images of a shape; None if it does not fit them."""
        summary = self.summary(image)
        return None if summary is None else summary.totals.parameters

    def widened(self, image: Shape, budget: int) -> Blueprint:
        """Return the net with all its widths enlarged, or narrowed, alike, as far as it stays below the budget.

        No width falls below 2; if even then the net is not below the budget, that one is returned.
        """
        found = replace(self, widths=(2,) * len(self.widths))
        # Widths grow with their sum in steps of one, in proportion, so that each step costs little.
        whole = sum(self.widths)
        for total in range(2 * len(self.widths), 64 * whole):
            widths = tuple(max(2, round(width * total / whole)) for width in self.widths)
            if widths == found.widths:
                continue
            wider = replace(self, widths=widths)
            parameters = wider.parameters(image)
            if parameters is None or parameters >= budget:
                break
            found = wider
        return found

    def tilted(self, by: float) -> Blueprint:
        """Return the net with its late convolutions widened and its early ones narrowed, or the other way round.

        The last width is multiplied by 2 to the power of half of ``by``, the first divided by it, those between in
        steps.
        """
        last = max(1, len(self.widths) - 1)
        widths = (width * 2 ** (by * (place / last - 0.5)) for place, width in enumerate(self.widths))
        return replace(self, widths=tuple(max(2, round(width)) for width in widths))

    def with_pooling_moved(self, by: int) -> Blueprint | None:
        """Return the net with its first pooling moved over so many convolutions; None if there is no place for it."""
        place = next((index for index, word in enumerate(self.body) if word.startswith("MP")), None)
        if place is None:
            return None
        there = place + by
        if not 0 < there < len(self.body) or any(
            word.startswith("MP") for word in self.body[min(place + 1, there) : there + 1]
        ):
            return None
        body = [word for index, word in enumerate(self.body) if index != place]
        body.insert(there, self.body[place])
        return replace(self, body=tuple(body))
