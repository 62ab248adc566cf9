"""Data sets by name: whole in memory, from a folder, the cache, a mirror, or the bundled sample."""

from stepladder.data.catalog import MNIST, Catalog, load
from stepladder.data.dataset import Dataset, Split, statistics
from stepladder.data.split import split_holdout

__all__ = ["MNIST", "Catalog", "Dataset", "Split", "load", "split_holdout", "statistics"]
