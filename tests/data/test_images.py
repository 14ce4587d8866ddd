import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision.transforms.functional import normalize, to_tensor

from pipeline.core.bags import CLIP_MEAN, CLIP_STD
from pipeline.core.errors import DataError
from pipeline.data.images import open_image
from pipeline.data.pixels import normalize_pixels, square_pixels

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


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


def test_an_image_over_pillows_limit_is_refused(tmp_path, monkeypatch):
    Image.fromarray(PIXELS).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)
    with pytest.raises(DataError, match=r"240 pixels, expected 150 at most"):
        open_image(tmp_path / "x.png")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.tif"])
def test_images_are_read_as_stored_and_turned_upright_as_pillow_turns_them(tmp_path, orientation, name):
    """As stored by default, since annotations refer to those pixels."""
    path, exif = tmp_path / name, Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(path, exif=exif, lossless=True)
    with Image.open(path) as stored:
        expected = ImageOps.exif_transpose(stored).convert("RGB")
    upright = open_image(path, upright=True)
    np.testing.assert_array_equal(np.asarray(upright), np.asarray(expected))
    assert upright.size == ((20, 12) if orientation < 5 else (12, 20))
    assert open_image(path).size == (20, 12)
    if name != "x.jpg":  # lossy
        np.testing.assert_array_equal(np.asarray(open_image(path)), PIXELS)


@pytest.mark.parametrize("compression", ["tiff_lzw", "group4"])
def test_a_packed_tiff_is_read_as_stored(tmp_path, compression):
    stored = Image.fromarray(PIXELS).convert("1" if compression == "group4" else "RGB")
    stored.save(tmp_path / "x.tif", compression=compression, tiffinfo={0x0112: 6})
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "x.tif")), np.asarray(stored.convert("RGB")))
    assert open_image(tmp_path / "x.tif", upright=True).size == (12, 20)


def test_normalization_equals_torchvisions():
    expected = normalize(to_tensor(PIXELS), CLIP_MEAN, CLIP_STD)
    found = normalize_pixels(torch.from_numpy(PIXELS).permute(2, 0, 1))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_square_pixels():
    image = Image.fromarray(PIXELS)
    assert square_pixels(image, 16).shape == (3, 16, 16)
    assert square_pixels(image, 16).dtype == torch.uint8
    square = image.crop((0, 0, 12, 12))
    np.testing.assert_array_equal(square_pixels(square, 12).permute(1, 2, 0).numpy(), PIXELS[:, :12])


def test_an_unreadable_orientation_turns_nothing(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff\x01\x12")
    assert open_image(tmp_path / "x.jpg", upright=True).size == (20, 12)
