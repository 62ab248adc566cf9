"""The data sets known by name: what they are, whose, and the digests of their files."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ROLES = ("train_images", "train_labels", "test_images", "test_labels")

Form = Literal["files", "zip of files", "tar of records"]


@dataclass(frozen=True)
class Catalog:
    """One data set that can be downloaded.

    Args:
        name: what ``--data`` calls it.
        title: what every output prints.
        files: role → (file name, digest of that file). The roles are those of ``ROLES``, or "archive" alone. Digests
            are SHA-256, or MD5 where no other is published.
        mirrors: base addresses, tried in order.
        licence: whose terms it stands under.
        page: where it is described.
        classes: names of the classes; labels index them.
        image_size: (rows, columns).
        channels: of an image.
        folders: where the files may lie inside a folder that the user names.
        timeout: seconds to wait for a mirror.
        form: IDX files one by one, a zip archive of such, or a tar archive of CIFAR-10's records.
        members: role → names inside the archive.
        is_transposed: whether rows and columns are exchanged in the files.
        first_label: the smallest label in the files.
        wide_labels: whether labels are integers of 32 bits, many a row, of which the first is the class.
        is_handwriting: see ``Dataset``.
        remark: what the table of data sets adds.
    """

    name: str
    title: str
    files: Mapping[str, tuple[str, str]]
    mirrors: tuple[str, ...]
    licence: str = ""
    page: str = ""
    classes: tuple[str, ...] = tuple(string.digits)
    image_size: tuple[int, int] = (28, 28)
    channels: int = 1
    folders: tuple[str, ...] = field(default=(".",))
    timeout: float = 5.0
    form: Form = "files"
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_transposed: bool = False
    first_label: int = 0
    wide_labels: bool = False
    is_handwriting: bool = True
    remark: str = ""


def _files(digests: str, pattern: str = "{part}-{what}-idx{axes}-ubyte.gz") -> dict[str, tuple[str, str]]:
    """Return the four files of MNIST's names, whose digests stand in the order of ``ROLES``."""
    found = {}
    for role, digest in zip(ROLES, digests.split(), strict=True):
        part, _, what = role.partition("_")
        name = pattern.format(part="t10k" if part == "test" else part, what=what, axes=3 if what == "images" else 1)
        found[role] = (name, digest)
    return found


MNIST = Catalog(
    name="mnist",
    title="MNIST",
    files=_files(
        """
        440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609
        3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c
        8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6
        f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6
        """
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
    licence="CC BY-SA 3.0",
    page="http://yann.lecun.com/exdb/mnist/",
    folders=("mnist", "MNIST/raw", "raw", "."),
)

FASHION_MNIST = Catalog(
    name="fashion-mnist",
    title="Fashion-MNIST",
    files=_files(
        """
        3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84
        a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845
        346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073
        67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5
        """
    ),
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",),
    licence="MIT",
    page="https://github.com/zalandoresearch/fashion-mnist",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    # Its files bear MNIST's names, so they are taken from a folder of their own only.
    folders=("fashion-mnist", "FashionMNIST/raw"),
    is_handwriting=False,
)

KMNIST = Catalog(
    name="kmnist",
    title="Kuzushiji-MNIST",
    files=_files(
        """
        51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4
        e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17
        edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5
        20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c
        """
    ),
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist",),
    licence="CC BY-SA 4.0",
    page="http://codh.rois.ac.jp/kmnist/",
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    folders=("kmnist", "KMNIST/raw"),
)

QMNIST = Catalog(
    name="qmnist",
    title="QMNIST",
    files={
        "train_images": ("qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
        "train_labels": ("qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        "test_images": ("qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
        "test_labels": ("qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
    },
    mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master",),
    licence="BSD",
    page="https://github.com/facebookresearch/qmnist",
    folders=("qmnist", "QMNIST/raw", "."),
    wide_labels=True,
    remark="checked by MD5, which is all that is published; 60,000 test images",
)


def _emnist(name: str, title: str, classes: str, first_label: int) -> Catalog:
    members = {
        f"{part}_{what}": (f"gzip/{name}-{part}-{what}-idx{axes}-ubyte.gz",)
        for part in ("train", "test")
        for what, axes in (("images", 3), ("labels", 1))
    }
    return Catalog(
        name=name,
        title=title,
        files={"archive": ("gzip.zip", "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e")},
        mirrors=("https://biometrics.nist.gov/cs_links/EMNIST",),
        licence="none stated; made by the United States' NIST",
        page="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        classes=tuple(classes),
        folders=("emnist", "EMNIST", "EMNIST/raw", "."),
        form="zip of files",
        members=members,
        is_transposed=True,
        first_label=first_label,
        remark="one archive of 562 MB for both",
    )


EMNIST_LETTERS = _emnist("emnist-letters", "EMNIST Letters", string.ascii_uppercase, 1)
# Capitals that look like their small letters share a class with them.
EMNIST_BALANCED = _emnist(
    "emnist-balanced", "EMNIST Balanced", string.digits + string.ascii_uppercase + "abdefghnqrt", 0
)

CIFAR10 = Catalog(
    name="cifar10",
    title="CIFAR-10",
    files={"archive": ("cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd")},
    mirrors=("https://www.cs.toronto.edu/~kriz",),
    licence="none stated; its authors ask to be cited",
    page="https://www.cs.toronto.edu/~kriz/cifar.html",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    image_size=(32, 32),
    channels=3,
    folders=("cifar10", "CIFAR10", "."),
    form="tar of records",
    members={
        "train_images": tuple(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6)),
        "test_images": ("cifar-10-batches-bin/test_batch.bin",),
    },
    is_handwriting=False,
    remark="170 MB",
)

DOWNLOADED: dict[str, Catalog] = {
    one.name: one for one in (MNIST, FASHION_MNIST, KMNIST, QMNIST, EMNIST_LETTERS, EMNIST_BALANCED, CIFAR10)
}
