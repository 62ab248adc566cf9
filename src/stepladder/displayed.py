"""What lets a value show itself in a notebook: HTML there, text everywhere else."""

from __future__ import annotations

from typing import Any


class Displayed:
    """A value that notebooks show as HTML (``stepladder.notebook``), beside the text that ``str`` gives.

    IPython looks for both methods by name; nothing of it is imported here, and the HTML is written only when asked
    for.
    """

    def _repr_html_(self) -> str:
        from stepladder.notebook import html

        return html(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # Not _repr_pretty_: IPython prefers the __repr__ that dataclass writes into each class, a dump of all fields.
        return {"text/plain": str(self)}
