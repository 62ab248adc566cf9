"""What a command's argument names: a run folder, Python code, an experiment, or else a net."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from stepladder.errors import SpecError

Kind = Literal["run", "code", "experiment file", "experiment", "net"]


def kind_of(text: str) -> Kind:
    """Return what a text names, by the first of these rules that holds.

    A folder that is there is a run's. A colon after a dotted name or a ``.py`` file names Python code. What ends in
    ``.toml``, or is a file that is there, is an experiment file. The names of experiments are theirs. All else is a net
    in the one-line notation, in which there is no colon.
    """
    path = Path(text)
    try:
        # No text at all would name the folder that we are in.
        is_folder, is_file = text != "" and path.is_dir(), path.is_file()
    except (OSError, ValueError):
        is_folder = is_file = False  # too long for a path
    if is_folder:
        return "run"
    if text.endswith(".toml"):
        return "experiment file"
    from stepladder.inspection.references import is_reference

    if is_reference(text):
        return "code"
    if is_file:
        return "experiment file"
    # What a net begins with, a name does not; without this each net would wait for pydantic.
    if text[:1].isalpha() and " " not in text:
        from stepladder.experiments import named

        if named(text) is not None:
            return "experiment"
    return "net"


def net_text(text: str) -> str:
    """Return the one-line net that the text is, or that the named experiment, experiment file or run folder holds.

    Python code is none of these: its text comes back as it is.

    Raises:
        RunError: if the folder is no run's.
        SpecError: if the file cannot be read.
    """
    kind = kind_of(text)
    if kind == "run":
        from stepladder.runs import read_experiment

        return read_experiment(Path(text)).net
    if kind == "experiment file":
        from stepladder.files import read_text
        from stepladder.spec import Experiment

        return Experiment.from_toml(read_text(Path(text), "the experiment file"), text).net
    if kind == "experiment":
        from stepladder.experiments import named

        known = named(text)
        assert known is not None
        return known.net
    return text


def check_known(what: str, given: str, known: Iterable[str]) -> None:
    """Let a name pass that is one of the known ones.

    Raises:
        SpecError: if it is none of them; it says the nearest.
    """
    names = list(known)
    if given not in names:
        raise unknown(what, given, names)


def unknown(what: str, given: str, known: Sequence[str]) -> SpecError:
    """Return the error for a name that is none of the known ones, with the nearest of them."""
    import difflib

    nearest = difflib.get_close_matches(given, known, n=1)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    return SpecError(f"there is no {what} of this name", given=given, repair=f"{hint}known: {', '.join(known)}")
