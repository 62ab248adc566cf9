"""Image files of every kind become the same bytes: upright, on white, grey or in colour, of one size."""

from collections import Counter
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from stepladder.data import own, pictures
from stepladder.data.decoded import default_size
from stepladder.errors import DataError

RAMP = numpy.arange(48, dtype=numpy.uint8).reshape(6, 8) * 5


def saved(path: Path, image: Image.Image, **options: object) -> numpy.ndarray:
    image.save(path, **options)
    return pictures.read(path, pictures.look(path).size)


@given(pixels=arrays.arrays(numpy.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_grey_pixels_come_back(pixels: numpy.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("pictures") / "grey.png"
    assert (saved(path, Image.fromarray(pixels)) == pixels).all()
    in_colour = saved(path, Image.fromarray(pixels).convert("RGB"))
    assert in_colour.shape == pixels.shape  # grey by its pixels, whatever its mode
    assert (in_colour == pixels).all()


@given(pixels=arrays.arrays(numpy.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_coloured_pixels_come_back(pixels: numpy.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = saved(tmp_path_factory.mktemp("pictures") / "colour.png", Image.fromarray(pixels))
    assert (pictures.with_channels(found, 3) == pixels.transpose(2, 0, 1)).all()


def test_transparent_is_white(tmp_path: Path) -> None:
    layer = numpy.zeros((4, 4, 4), dtype=numpy.uint8)
    layer[:2, :, 3] = 255
    found = saved(tmp_path / "alpha.png", Image.fromarray(layer))
    assert found.tolist() == [[0] * 4] * 2 + [[255] * 4] * 2
    palette = Image.fromarray(RAMP).convert("P")
    assert saved(tmp_path / "palette.png", palette, transparency=palette.getpixel((7, 5)))[5, 7] == 255


def test_palette_and_one_bit(tmp_path: Path) -> None:
    assert (saved(tmp_path / "palette.gif", Image.fromarray(RAMP).convert("P")) == RAMP).all()
    bits = Image.fromarray((RAMP > 100).astype(numpy.uint8) * 255).convert("1")
    assert (saved(tmp_path / "bits.png", bits) == (RAMP > 100) * 255).all()


def test_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    dim = RAMP.astype(numpy.uint16) * 257 // 2
    found = saved(tmp_path / "deep.png", Image.fromarray(dim))
    assert numpy.abs(found.astype(int) - RAMP // 2).max() <= 1  # not stretched to its own brightest value


def test_float_pictures_of_one_data_set_have_one_white(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(10):
            pixels = RAMP.astype(numpy.float32) + 0.5 * index
            pixels[0, 0] = 1000 if (name, index) == ("a", 0) else 250 + index  # above 255 in some, and twice 500 once
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.tif")
    found = own.collect(tmp_path).images
    assert found[0, 0, 0, 0] == 255
    assert found[1:, 0, 0, 0].max() == 66  # 259 of 1,000
    Image.fromarray(numpy.float32([[0, 0.5], [1, 1.01]])).save(tmp_path / "over.tif")
    assert pictures.read(tmp_path / "over.tif", (2, 2)).tolist() == [[0, 128], [255, 255]]


def test_cmyk(tmp_path: Path) -> None:
    cyan = Image.new("CMYK", (4, 4), (255, 0, 0, 0))
    found = saved(tmp_path / "cmyk.tif", cyan)
    assert found[0, 0].tolist() == [0, 255, 255]


def test_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° to see it upright
    image = Image.fromarray(RAMP)
    found = saved(tmp_path / "turned.png", image, exif=exif)
    assert found.shape == (8, 6)
    assert (found == numpy.rot90(RAMP, -1)).all()


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_as_any_other(orientation: int, compression: str | None, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(RAMP)
    found = saved(tmp_path / "turned.tif", image, exif=exif, compression=compression)
    expected = saved(tmp_path / "turned.png", image, exif=exif)
    assert found.shape == expected.shape
    assert (found == expected).all()


def test_another_size(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "ramp.png")
    assert pictures.read(tmp_path / "ramp.png", (3, 5)).shape == (3, 5)
    assert pictures.as_input(tmp_path / "ramp.png", (3, 4, 4)).shape == (3, 4, 4)
    with pytest.raises(DataError, match="one channel or three"):
        pictures.as_input(tmp_path / "ramp.png", (2, 4, 4))


def test_too_many_pixels_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(RAMP).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(DataError, match=r"too many pixels: 6×8, more than 40"):
        pictures.as_input(tmp_path / "large.png", (1, 6, 8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match="too many pixels"):
        pictures.as_input(tmp_path / "large.png", (1, 6, 8))


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(30), b"<svg/>", b"\xff\xd8\xff\xe0"])
def test_what_is_no_picture_is_one_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(pictures.UnreadablePictureError):
        pictures.read(tmp_path / "broken.png", (8, 8))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({(28, 28): 5}, (28, 28)),
        ({(30, 40): 9, (1, 1): 1}, (30, 40)),
        ({(30, 40): 8, (20, 50): 2}, (30, 30)),
        ({(300, 400): 3, (500, 200): 4}, (64, 64)),
    ],
)
def test_default_size(sizes: dict[tuple[int, int], int], expected: tuple[int, int]) -> None:
    assert default_size(Counter(sizes))[0] == expected
