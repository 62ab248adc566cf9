"""Options of a command line, written again as they were given."""

from __future__ import annotations


def given_options(**options: object) -> tuple[str, ...]:
    """Return the words of the options that were given, in their order; None stands for one that was not.

    >>> given_options(data="own", size=None, data_dir="all data")
    ('--data', 'own', '--data-dir', 'all data')

    Args:
        options: values by the options' names, with underscores for their dashes.
    """
    return tuple(
        word
        for name, value in options.items()
        if value is not None
        for word in (f"--{name.replace('_', '-')}", str(value))
    )
