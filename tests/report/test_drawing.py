from __future__ import annotations

import numpy as np
from PIL import Image

from pipeline.report.drawing import jpeg_bytes, placed


def test_noise_can_be_encoded(seed):
    """Its JPEG takes more than a byte for each pixel."""
    noise = np.random.default_rng(seed).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    assert len(jpeg_bytes(Image.fromarray(noise))) > 400 * 400


def test_equal_pixels_give_equal_bytes_whatever_the_source_tells():
    image = Image.new("RGB", (40, 30), (10, 90, 200))
    plain = jpeg_bytes(image)
    image.info["comment"] = b"holiday"
    assert jpeg_bytes(image) == plain != jpeg_bytes(image, comment=b"drawn")


def test_a_box_is_kept_inside_the_picture():
    box = np.array([-5, 10, 20, 500], np.float32)
    assert placed(box, 2, (100, 80)) == (0, 20, 40, 79)
    assert placed(box, 2, (100, 80), inset=3) == (3, 20, 40, 76)
