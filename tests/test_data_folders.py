"""One's own images in folders of classes and in CSV files: what is found, how it is split, what is refused."""

import errno
import os
import shutil
import sys
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from own_images import mnist_folder, photo_folder
from stepladder import data
from stepladder.commands import ascend
from stepladder.data import decoded, own
from stepladder.data.collection import Collection, sorted_classes
from stepladder.data.origins import Origins
from stepladder.data.reference import Reference, parse_size
from stepladder.errors import DataError, SpecError
from stepladder.proposals import propose


def picture(path: Path, value: int, size: tuple[int, int] = (8, 8)) -> Path:
    """Write a grey image with one pixel more, so that images of different values differ."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = numpy.full(size, value % 256, dtype=numpy.uint8)
    pixels[0, 0] = value // 256
    Image.fromarray(pixels).save(path)
    return path


def two_classes(root: Path, each: int = 10) -> Path:
    for offset, name in enumerate(("b", "a")):
        for index in range(each):
            picture(root / name / f"{index}.png", 20 * index + offset)
    return root


def test_splits_and_labels_of_a_folder(tmp_path: Path) -> None:
    dataset = data.load(str(mnist_folder(tmp_path / "digits of mine")))
    sample = data.load("mnist-sample")
    assert dataset.classes == ("3", "5", "8")
    assert (dataset.title, dataset.input_shape, len(dataset.train), len(dataset.test)) == (
        "digits of mine",
        (1, 28, 28),
        24,
        24,
    )
    first_five = sample.train.images[sample.train.labels == 5][0]
    assert (dataset.train.images[dataset.train.labels == 1][0] == first_five).all()
    assert data.short_name(dataset.name) == "digits-of-mine"


def as_stored(path: str) -> numpy.ndarray:
    with Image.open(path) as stored:
        return numpy.asarray(stored)


@pytest.mark.parametrize("splits", [True, False], ids=["with a validation split", "without any split"])
def test_every_training_image_knows_its_file(splits: bool, tmp_path: Path) -> None:
    folder = mnist_folder(tmp_path / "digits", splits=splits)
    if splits:
        shutil.move(folder / "test", folder / "val")
        mnist_folder(folder, each=4)  # its test images once more, the first four of a class
    (folder / ("train/5" if splits else "5") / "train0000.png").write_bytes(b"no picture, left out")
    dataset = data.load(str(folder))
    assert dataset.origins is not None
    assert len(dataset.origins) == len(dataset.train)
    for index, image in enumerate(dataset.train.images):
        assert (as_stored(dataset.origins[index]) == image[0]).all()
        assert Path(dataset.origins[index]).parent.name == dataset.classes[dataset.train.labels[index]]


def test_a_csv_files_images_know_their_files_in_any_spelling(tmp_path: Path) -> None:
    mnist_folder(tmp_path, splits=False)
    lines = [f"{path.parent.name}\\{path.name},{path.parent.name}" for path in sorted(tmp_path.glob("*/*.png"))]
    (tmp_path / "list.csv").write_text("\n".join(["file,label", *lines]), encoding="utf-8")
    dataset = data.load(str(tmp_path / "list.csv"))
    assert dataset.origins is not None
    assert all((as_stored(dataset.origins[index]) == dataset.train.images[index, 0]).all() for index in (0, -1))


def test_names_of_files_take_little_more_than_their_letters() -> None:
    names = [f"cat/großes Bild {index}.jpg" for index in range(1000)]
    found = Origins.of(names, Path("photos"))
    assert [found[index] for index in (0, 999, -1)] == [
        str(Path("photos", "cat", f"großes Bild {index}.jpg")) for index in (0, 999, 999)
    ]
    assert found.nbytes <= sum(len(name.encode()) for name in names) + 8 * len(names)
    with pytest.raises(IndexError):
        found[1000]


def test_the_catalogues_images_come_from_no_file() -> None:
    assert data.load("digits").origins is None


def test_a_missing_test_split_is_made_and_said(tmp_path: Path) -> None:
    told: list[str] = []
    dataset = data.load(str(photo_folder(tmp_path / "photos")), notify=told.append)
    assert dataset.input_shape == (3, 32, 32)
    assert numpy.bincount(dataset.test.labels).tolist() == [4, 4]
    assert any("no test split" in line for line in told)
    again = data.load(str(tmp_path / "photos"))
    assert (again.test.images == dataset.test.images).all()


def test_validation_is_the_holdout_or_stands_in_for_the_test(tmp_path: Path) -> None:
    for split, start in (("train", 0), ("val", 100), ("test", 200)):
        for name in ("a", "b"):
            for index in range(10):
                picture(tmp_path / split / name / f"{index}.png", start + 2 * index + (name == "b"))
    dataset = data.load(str(tmp_path))
    kept, held = dataset.split_holdout(5)
    assert (len(dataset.train), len(dataset.test), len(kept), len(held)) == (40, 20, 20, 20)
    assert {int(image[0, 1, 1]) for image in dataset.train.images[held]} == set(range(100, 120))
    shutil.rmtree(tmp_path / "test")
    told: list[str] = []
    dataset = data.load(str(tmp_path), notify=told.append)
    assert (len(dataset.train), len(dataset.test), dataset.validation) == (20, 20, None)
    assert any("validation images serve as it" in line for line in told)


def test_equal_images_of_ones_own_are_held_out_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for index in range(80):
            picture(tmp_path / name / f"{index:02}.png", 2 * (index // 4) + (name == "b"))
    told: list[str] = []
    dataset = data.load(str(tmp_path), notify=told.append)
    kept, held = dataset.split_holdout(24)
    pictures_kept, pictures_held = ({dataset.train.images[one].tobytes() for one in part} for part in (kept, held))
    assert len(held) == 24
    assert not pictures_kept & pictures_held
    assert any("96 of 128 training images repeat another, such as a/0" in line for line in told)


def test_images_that_all_differ_are_held_out_as_the_catalogues_are(tmp_path: Path) -> None:
    dataset = data.load(str(two_classes(tmp_path, each=20)))
    assert (dataset.split_holdout(6)[1] == data.split_holdout(dataset.train.labels, size=6)[1]).all()


def test_later_runs_read_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = two_classes(tmp_path / "images")
    seen: list[str] = []
    first = data.load(str(folder), progress=lambda what, *_: seen.append(what))
    assert "reading images" in seen

    def refuse(*_: object) -> None:
        raise AssertionError("an image file was read again")

    monkeypatch.setattr(decoded.pictures, "read", refuse)
    again = data.load(str(folder))
    assert again.fingerprint == first.fingerprint
    assert again.notes == first.notes
    kept = next(Path(os.environ["STEPLADDER_CACHE"]).glob("decoded/*.npz"))
    monkeypatch.undo()
    monkeypatch.setenv("STEPLADDER_CACHE", str(kept.parent.parent))
    kept.write_bytes(kept.read_bytes()[:100])  # damaged: decoded again
    assert data.load(str(folder)).fingerprint == first.fingerprint


def test_a_refusal_that_may_pass_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = two_classes(tmp_path / "images")
    opened = Image.open

    def refuse(path: Path) -> Image.Image:
        if path.name == "3.png":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path)

    monkeypatch.setattr(Image, "open", refuse)
    assert own.collect(folder).unreadable == (("b/3.png", "Permission denied"), ("a/3.png", "Permission denied"))[::-1]
    monkeypatch.setattr(Image, "open", opened)
    assert own.collect(folder).unreadable == ()


def test_images_in_colour_take_three_times_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photo_folder(tmp_path / "photos", each=10)
    monkeypatch.setattr(decoded, "MOST_BYTES", 2 * 20 * 32 * 32)
    with pytest.raises(DataError, match="more than") as caught:
        data.load(str(folder))
    assert "20 images of 32×32 pixels in colour" in caught.value.given


@pytest.mark.parametrize(("side", "size"), [(4, 32), (300, 64)])
def test_sizes_that_no_net_is_proposed_for_are_told_of(side: int, size: int, tmp_path: Path) -> None:
    assert own.SIDES == propose._SIZES
    for index in range(20):
        picture(tmp_path / "ab"[index % 2] / f"{index}.png", index, (side, side))
    told: list[str] = []
    data.load(str(tmp_path), notify=told.append)
    assert any(f"{side}×{side} pixels" in line and f"--size {size}" in line for line in told)


def test_images_that_change_under_a_run_are_noticed(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "images")
    name = data.load(str(folder)).name
    assert data.load(name).name == name
    picture(folder / "a" / "0.png", 255)
    with pytest.raises(DataError, match="no longer those"):
        data.load(name)


def test_hidden_broken_and_other_files_and_loops(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "images")
    (folder / "a" / ".DS_Store").write_bytes(b"x")
    (folder / "a" / "notes.txt").write_text("no image")
    (folder / "a" / "broken.png").write_bytes((folder / "a" / "1.png").read_bytes()[:40])
    (folder / "a" / "text.jpg").write_text("no image either")
    (folder / "b" / "again").symlink_to(folder, target_is_directory=True)
    (folder / "b" / "gone.png").symlink_to(folder / "nothing")
    (folder / "c").symlink_to(folder / "c")
    told: list[str] = []
    dataset = data.load(str(folder), notify=told.append)
    assert len(dataset.train) + len(dataset.test) == 20
    text = "\n".join(told)
    for part in ("1 hidden file", ".txt (1)", "a/broken.png", "a/text.jpg", "b/gone.png", "symbolic link", "3 files"):
        assert part in text


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names of files are Unicode there")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = two_classes(tmp_path)
    (folder / "a").rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9"))
    assert data.load(str(folder)).classes == ("b", "caf?")


def test_images_need_classes_that_differ(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is empty"):
        data.load(str(tmp_path))
    picture(tmp_path / "0.png", 1)
    with pytest.raises(DataError, match="subfolder a class"):
        data.load(str(tmp_path))
    for index in range(20):
        picture(tmp_path / "only" / f"{index}.png", index)
    with pytest.raises(DataError, match="one class only"):
        data.load(str(tmp_path))
    picture(tmp_path / "other" / "0.png", 99)
    told: list[str] = []
    dataset = data.load(str(tmp_path), notify=told.append)
    assert (dataset.train.labels == 1).sum() == 1
    assert any("no test image for other" in line for line in told)


@pytest.mark.parametrize(
    ("names", "repair"),
    [
        (["x_train.npy", "y_train.npy"], "call the files images.npy and labels.npy"),
        (["images.npy"], "call the files images.npy and labels.npy"),
        (["labels.csv"], "name the file itself: {}/labels.csv"),
        (["notes.md"], "name a folder of class subfolders"),
    ],
)
def test_a_folder_of_other_files_is_not_called_empty(names: list[str], repair: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(DataError, match="it holds no images") as caught:
        data.load(str(tmp_path))
    assert ", ".join(names) in caught.value.given
    assert caught.value.repair.startswith(repair.format(tmp_path))


@pytest.mark.parametrize("how", ["empty", "test only", "unreadable"])
def test_one_class_alone_with_training_images(how: str, tmp_path: Path) -> None:
    split = "train" if how == "test only" else ""
    for index in range(20):
        picture(tmp_path / split / "cat" / f"{index}.png", index)
    if how == "test only":
        for name in ("cat", "dog"):
            picture(tmp_path / "test" / name / "0.png", 99 + len(name))
    else:
        (tmp_path / "dog").mkdir()
    if how == "unreadable":
        (tmp_path / "dog" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="only one class has training images") as caught:
        data.load(str(tmp_path))
    assert "none for dog" in caught.value.given
    assert ("dog/0.png (no image format" in caught.value.given) == (how == "unreadable")


def test_the_datas_own_holdout_is_judged(tmp_path: Path) -> None:
    for split, start in (("train", 0), ("val", 100), ("test", 200)):
        for name in ("a", "b") if split != "val" else ("a",):
            for index in range(10 if split != "val" else 4):
                picture(tmp_path / split / name / f"{index}.png", start + 2 * index + (name == "b"))
    told: list[str] = []
    dataset = data.load(str(tmp_path), notify=told.append)
    assert any("no validation image for b" in line for line in told)
    assert any("fewer than 10 validation images, which are the holdout, for a" in line for line in told)
    assert any("needs 10 a class: 20; here are 4" in line for line in told)
    with pytest.raises(SpecError, match="own validation split is too small") as caught:
        ascend._held_out(dataset)
    assert "4 validation images of 2 classes" in caught.value.given


def test_how_many_images_a_climb_decides_on_is_told_with_what_is_given(tmp_path: Path) -> None:
    told: list[str] = []
    dataset = data.load(str(two_classes(tmp_path / "few", each=40)), notify=told.append)
    numbers = "50 training images a class, 100 in all; here are 64"
    assert any(line.endswith(numbers) for line in told)
    with pytest.raises(SpecError, match="too few training images to hold some out") as caught:
        ascend._held_out(dataset)
    assert "64 training images of 2 classes, of which 12 would be held out" in caught.value.given
    assert "gather 100 training images or more, 50 a class" in caught.value.repair
    told.clear()
    enough = data.load(str(two_classes(tmp_path / "enough", each=63)), notify=told.append)
    assert ascend._held_out(enough) == 20
    assert not any("climb --ladder full" in line for line in told)


def test_too_few_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few training images"):
        data.load(str(two_classes(tmp_path, each=5)))


def test_a_class_of_the_test_alone_and_a_leak_are_warned_of(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for index in range(10):
            picture(tmp_path / "train" / name / f"{index}.png", 20 * index + (name == "b"))
    shutil.copytree(tmp_path / "train" / "a", tmp_path / "test" / "a")
    picture(tmp_path / "test" / "c" / "0.png", 7)
    told: list[str] = []
    dataset = data.load(str(tmp_path), notify=told.append)
    assert dataset.classes == ("a", "b", "c")
    text = "\n".join(told)
    assert "no training image for c" in text
    assert "no test image for b" in text
    assert "10 test images are in train too: train/a/0.png = test/a/0.png" in text


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bus", "train"):
        for index in range(10):
            picture(tmp_path / name / f"{index}.png", 20 * index + len(name))
    assert data.load(str(tmp_path)).classes == ("bus", "train")


def test_a_folder_called_train_beside_classes_is_one_of_them(tmp_path: Path) -> None:
    for name in ("bus/2019", "train/2019"):
        for index in range(10):
            picture(tmp_path / name / f"{index}.png", 20 * index + len(name))
    told: list[str] = []
    assert data.load(str(tmp_path), notify=told.append).classes == ("bus", "train")
    assert any("train is taken for a class" in line for line in told)


def test_a_split_without_class_folders_is_no_class(tmp_path: Path) -> None:
    two_classes(tmp_path / "train")
    picture(tmp_path / "test" / "0.png", 1)
    with pytest.raises(DataError, match="test has no class subfolders, and train has"):
        data.load(str(tmp_path))
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(DataError, match="test has no class subfolders"):
        data.load(str(tmp_path))


def test_an_empty_split_is_left_out(tmp_path: Path) -> None:
    for split in ("train", "test"):
        two_classes(tmp_path / split)
    (tmp_path / "val").mkdir()
    told: list[str] = []
    dataset = data.load(str(tmp_path), notify=told.append)
    assert (dataset.classes, len(dataset.train), dataset.validation) == (("a", "b"), 20, None)
    assert any("empty, and left out: val" in line for line in told)


def test_splits_without_train_are_no_classes(tmp_path: Path) -> None:
    for split in ("val", "test"):
        two_classes(tmp_path / split)
    with pytest.raises(DataError, match="there are no training images"):
        data.load(str(tmp_path))


@pytest.mark.parametrize("split", ["", "train"])
def test_a_link_that_leads_back_is_no_class(split: str, tmp_path: Path) -> None:
    two_classes(tmp_path / split)
    (tmp_path / split / "again").symlink_to(".", target_is_directory=True)
    told: list[str] = []
    dataset = data.load(str(tmp_path), notify=told.append)
    assert (dataset.classes, len(dataset.train) + len(dataset.test)) == (("a", "b"), 20)
    assert any("symbolic link" in line and "again" in line for line in told)


@pytest.mark.parametrize("header", ["file,label,split\n", "", "Split;Class;Filename\n"])
def test_csv(header: str, tmp_path: Path) -> None:
    lines = []
    for index in range(40):
        picture(tmp_path / "images" / f"{index}.png", 5 * index)
        cells = [f"images/{index}.png", ("cat", "dog")[index % 2], "test" if index >= 30 else "train"]
        lines.append(";".join(reversed(cells)) if ";" in header else ",".join(cells))
    table = tmp_path / "labels.csv"
    table.write_text(header + "\n".join([*lines, lines[0].replace("0.png", "missing.png")]) + "\n")
    told: list[str] = []
    dataset = data.load(str(table), notify=told.append)
    assert (dataset.classes, len(dataset.train), len(dataset.test)) == (("cat", "dog"), 30, 10)
    assert dataset.train.labels.tolist() == [0, 1] * 15
    assert any("images/missing.png (there is no such file)" in line for line in told)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lists no images"),
        ("colour,weight\n1,2\n", "no file that this CSV file lists"),
        ("a,b,c,d\n", "no column of file names"),
        ("file,label\na.png,\n", "line 2"),
        ("file,label,split\na.png,x,somewhere\n", "no split that is known"),
        ('file,label\n"a.png,x\n', "cannot be read"),
    ],
)
def test_csv_that_is_none(content: str, message: str, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(content)
    with pytest.raises(DataError, match=r"(?s)" + message):
        data.load(str(table))


@pytest.mark.parametrize("name", ["images.zip", "model.pkl", "one.png", "notes.md"])
def test_files_that_are_no_data_set(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(DataError) as caught:
        data.load(str(tmp_path / name))
    assert name in caught.value.given
    assert caught.value.repair


def test_numbers_are_sorted_as_numbers() -> None:
    assert sorted_classes({"10", "9", "1"}) == ("1", "9", "10")
    assert sorted_classes({"10", "9", "x"}) == ("10", "9", "x")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=2, max_size=60))
def test_a_made_split_keeps_equal_images_together(rows: list[tuple[int, int]]) -> None:
    labels = numpy.array([label for label, _ in rows])
    images = numpy.array([[[[value, label]]] for label, value in rows], dtype=numpy.uint8)
    names = tuple(str(index) for index in range(len(rows)))
    found = own.assign(Collection(images, labels, ("",) * len(rows), names, ("a", "b", "c", "d"), "made"))
    assert sorted([*found.train, *found.test]) == list(range(len(rows)))
    inside, outside = ({images[index].tobytes() for index in part} for part in (found.train, found.test))
    assert not inside & outside
    for label in set(labels):
        different = {value for one, value in rows if one == label}
        assert any(labels[found.train] == label)
        assert any(labels[found.test] == label) == (len(different) > 1)


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="@#\0"), min_size=1, max_size=20),
    st.none() | st.tuples(st.integers(1, 1024), st.integers(1, 1024)),
    st.none() | st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
)
def test_references_read_back(what: str, size: tuple[int, int] | None, digest: str | None) -> None:
    reference = Reference(f"no such folder/{what}", size, digest)
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize("text", ["0", "-1", "28x", "x28", "28x28x28", "2000", "1e3", "", "²"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(DataError, match="a size is"):
        parse_size(text)
