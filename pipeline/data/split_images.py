"""Images of a split, opened: those that `prepare` recorded, or none.

The digest is checked whenever an image is read. So a link inside the image root may lead anywhere (DVC's cache, a
colleague's disk) as long as it leads to the recorded image: a stranger's manifest can't make others be read.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from pipeline.core.errors import DataError
from pipeline.data.images import check_usable_size, open_image
from pipeline.data.split import SplitManifest


def open_split_image(manifest: SplitManifest, index: int, root: Path) -> Image.Image:
    """Return one image of a split, RGB, turned as the manifest says.

    Args:
        root: repository root that the manifest's image root is relative to.

    Raises:
        DataError: as `open_image` and `check_usable_size`, or of another digest or size than recorded.
    """
    record, path = manifest.images[index], manifest.image_path(index, root)
    image = open_image(path, upright=manifest.upright, sha256=record.sha256)
    expected = (record.width, record.height)
    if image.size != expected:
        raise DataError(
            f"{path}: image is {image.size} pixels (width, height), the manifest says {expected}; run prepare again"
        )
    check_usable_size(path, image.size)
    return image
