"""Equal images: inside a split they waste training, between splits they make the test say too much."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy

from stepladder.data.collection import Collection

_NAMED = 3


@dataclass(frozen=True)
class Leak:
    """Images of one split that another has too, pixel by pixel.

    Args:
        first: the split that is trained on, or the earlier one.
        second: the other.
        pairs: indices into the collection, (of the first split, of the second), one for each image of the second.
    """

    first: str
    second: str
    pairs: tuple[tuple[int, int], ...]

    def sentence(self, collection: Collection) -> str:
        """Return the leak in words, with the names of a few images."""
        named = "; ".join(f"{collection.names[one]} = {collection.names[two]}" for one, two in self.pairs[:_NAMED])
        more = f" and {len(self.pairs) - _NAMED:,} more" if len(self.pairs) > _NAMED else ""
        are = "image is" if len(self.pairs) == 1 else "images are"
        return f"a leak: {len(self.pairs):,} {self.second} {are} in {self.first} too: {named}{more}"


def digests(images: numpy.ndarray) -> numpy.ndarray:
    """Return a digest of each image's pixels, bytes of shape (N,): equal for equal images."""
    found = [hashlib.blake2b(numpy.ascontiguousarray(image).data, digest_size=16).hexdigest() for image in images]
    return numpy.array(found, dtype="S32")


def leaks(collection: Collection, parts: Mapping[str, numpy.ndarray]) -> list[Leak]:
    """Return which splits have images in common.

    Args:
        collection: of all images.
        parts: split → indices of its images.
    """
    keys = digests(collection.images)
    names = list(parts)
    found = []
    for place, first in enumerate(names):
        known = {keys[index]: int(index) for index in reversed(parts[first])}
        for second in names[place + 1 :]:
            pairs = tuple((known[keys[index]], int(index)) for index in parts[second] if keys[index] in known)
            if pairs:
                found.append(Leak(first, second, pairs))
    return found


def repeated(collection: Collection, indices: numpy.ndarray) -> list[tuple[int, ...]]:
    """Return the groups of equal images among these, as indices into the collection, the largest first."""
    groups: dict[bytes, list[int]] = {}
    for index, key in zip(indices, digests(collection.images[indices]), strict=True):
        groups.setdefault(bytes(key), []).append(int(index))
    return sorted((tuple(group) for group in groups.values() if len(group) > 1), key=len, reverse=True)
