"""The report of a climb: one HTML page that opens offline, and a Markdown guide beside its pictures."""

from pathlib import Path

from stepladder.report.render import Pages, write_climb
from stepladder.report.story import write_story
from stepladder.story import is_story

__all__ = ["Pages", "write_report", "write_story"]


def write_report(folder: Path) -> Pages:
    """Render a climb's report.html and report.md into its folder, from its facts alone.

    Raises:
        RunError: if the folder holds no facts, or damaged ones.
    """
    return write_story(folder) if is_story(folder) else write_climb(folder)
