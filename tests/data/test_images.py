import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision.transforms.functional import normalize, to_tensor

from pipeline.core.errors import DataError
from pipeline.data.images import CLIP_MEAN, CLIP_STD, normalize_pixels, open_image, square_pixels

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


@pytest.fixture
def png(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "x.png")
    return tmp_path / "x.png"


def test_pixels_are_read_as_stored(png):
    np.testing.assert_array_equal(np.asarray(open_image(png)), PIXELS)


def test_missing_and_not_an_image(tmp_path):
    with pytest.raises(DataError, match=r"none.png: image does not exist; restore it"):
        open_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name in ("text.png", "empty.jpg"):
        with pytest.raises(DataError, match=rf"{name}: image cannot be decoded .*; convert or replace the file"):
            open_image(tmp_path / name)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.bmp", "x.gif", "x.webp"])
def test_truncated_images(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(PIXELS).save(path)
    assert open_image(path).size == (20, 12)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 20, max(1, len(whole) // 25)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="cannot be decoded"):
            open_image(path)


def test_a_decompression_bomb_is_refused(png, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)
    with pytest.raises(DataError, match=r"240 pixels, expected 150 at most"):
        open_image(png)


@pytest.mark.parametrize(
    ("image", "name", "colour"),
    [
        (Image.new("CMYK", (3, 2), (0, 255, 255, 0)), "x.tif", (255, 0, 0)),
        (Image.new("L", (3, 2), 100), "x.png", (100, 100, 100)),
        (Image.new("1", (3, 2), 1), "x.png", (255, 255, 255)),
        (Image.new("LA", (3, 2), (70, 128)), "x.png", (70, 70, 70)),
        (Image.new("RGBA", (3, 2), (9, 8, 7, 0)), "x.png", (9, 8, 7)),
        (Image.fromarray(np.full((2, 3), 30000, np.uint16)), "x.png", (117, 117, 117)),
        (Image.fromarray(np.full((2, 3), 65535, np.uint16)), "x.tif", (255, 255, 255)),
    ],
)
def test_other_pixel_formats_become_rgb(tmp_path, image, name, colour):
    image.save(tmp_path / name)
    found = open_image(tmp_path / name)
    assert found.mode == "RGB"
    assert found.getpixel((2, 1)) == colour


@pytest.mark.parametrize("options", [{}, {"transparency": 1}, {"transparency": bytes([0, 128])}])
def test_palettes_become_rgb(tmp_path, options):
    image = Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, 250, 10, 20])
    image.save(tmp_path / "x.png", **options)
    assert open_image(tmp_path / "x.png").getpixel((0, 0)) == (250, 10, 20)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_of_32_bits_are_refused_rather_than_saturated(tmp_path, dtype):
    Image.fromarray(np.full((2, 3), 30000, dtype)).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match="expected 8 or 16 bits"):
        open_image(tmp_path / "x.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.png", "x.webp", "x.tif"])
def test_exif_rotation_is_not_applied(tmp_path, orientation, name):
    """Annotations refer to the pixels as stored."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(tmp_path / name, exif=exif, lossless=True)
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / name)), PIXELS)


@pytest.mark.parametrize("compression", ["tiff_lzw", "group4"])
def test_a_packed_tiff_is_read_as_stored(tmp_path, compression):
    stored = Image.fromarray(PIXELS).convert("1" if compression == "group4" else "RGB")
    stored.save(tmp_path / "x.tif", compression=compression, tiffinfo={0x0112: 6})
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "x.tif")), np.asarray(stored.convert("RGB")))
    assert open_image(tmp_path / "x.tif", upright=True).size == (12, 20)


def test_normalisation_equals_torchvisions():
    expected = normalize(to_tensor(PIXELS), CLIP_MEAN, CLIP_STD)
    found = normalize_pixels(torch.from_numpy(PIXELS).permute(2, 0, 1))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_square_pixels():
    image = Image.fromarray(PIXELS)
    assert square_pixels(image, 16).shape == (3, 16, 16)
    assert square_pixels(image, 16).dtype == torch.uint8
    square = image.crop((0, 0, 12, 12))
    np.testing.assert_array_equal(square_pixels(square, 12).permute(1, 2, 0).numpy(), PIXELS[:, :12])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.tif"])
def test_upright_images_are_turned_as_pillow_turns_them(tmp_path, orientation, name):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(tmp_path / name, exif=exif)
    with Image.open(tmp_path / name) as stored:
        expected = ImageOps.exif_transpose(stored).convert("RGB")
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / name, upright=True)), np.asarray(expected))
    assert open_image(tmp_path / name).size == (20, 12)
    assert open_image(tmp_path / name, upright=True).size == ((20, 12) if orientation < 5 else (12, 20))


def test_an_unreadable_orientation_turns_nothing(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff\x01\x12")
    assert open_image(tmp_path / "x.jpg", upright=True).size == (20, 12)
