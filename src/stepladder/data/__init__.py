"""Data sets by name or path: whole in memory, from a folder, the cache, a mirror, a package, or one's own files."""

from stepladder.data.catalog import NAMES
from stepladder.data.dataset import Dataset, Split, statistics
from stepladder.data.download import READING
from stepladder.data.entries import DOWNLOADED, MNIST, Catalog
from stepladder.data.finding import load
from stepladder.data.reference import parse_size, short_name
from stepladder.data.split import split_holdout

__all__ = [
    "DOWNLOADED",
    "MNIST",
    "NAMES",
    "READING",
    "Catalog",
    "Dataset",
    "Split",
    "load",
    "parse_size",
    "short_name",
    "split_holdout",
    "statistics",
]
