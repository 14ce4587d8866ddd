"""A folder of drawn predictions: a JPEG for each image, named after it, never over a file that is no such picture.

Each picture carries a mark in its JPEG comment: by it a later run knows the pictures that it may replace, and leaves
them out where it is to predict on the whole folder.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pipeline.core.errors import DataError
from pipeline.store.files import atomic_path
from pipeline.store.targets import check_target

_MARK = b"drawn by weakhoi predict"
_STEM_BYTES = 180  # of the image's name; a file's name may have 255, its temporary's included


def is_drawn(path: Path) -> bool:
    """Whether a file is a picture that a `PictureFolder` saved; False for what cannot be read."""
    try:
        if not path.is_file():  # opening a pipe would wait forever
            return False
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=("JPEG",)) as image:
            return image.info.get("comment") == _MARK
    except Exception:  # damaged headers raise whatever Pillow trips over
        return False


class PictureFolder:
    """Saves the pictures of some images as STEM-hoi.jpg; images of the same stem become STEM-hoi-2.jpg and so on.

    Raises:
        DataError: one of these names is taken by a file that is no such picture.
        ArtifactError: the folder cannot be written.
    """

    def __init__(self, folder: Path, sources: Sequence[Path]) -> None:
        self.files: dict[Path, Path] = {}
        taken: set[str] = set()
        for source in sources:
            stem, number = _cut(source.stem), 1
            name = f"{stem}-hoi.jpg"
            while name.lower() in taken:  # some file systems ignore case
                number += 1
                name = f"{stem}-hoi-{number}.jpg"
            taken.add(name.lower())
            self.files[source] = folder / name
        check_target(folder / "picture")
        for file in self.files.values():
            if os.path.lexists(file) and not is_drawn(file):
                raise DataError(
                    f"{file}: is there already and no picture that predict drew; it is never written over: "
                    "choose another folder for --draw, or move the file away"
                )

    def save(self, source: Path, picture: Image.Image) -> Path:
        """Write the picture of one of the images; return its file.

        Raises:
            ArtifactError: the folder cannot be written.
        """
        with atomic_path(self.files[source]) as temporary:
            picture.save(temporary, format="JPEG", quality=90, subsampling=0, comment=_MARK)
        return self.files[source]


def _cut(stem: str) -> str:
    """A stem whose picture's name is not too long."""
    name = os.fsencode(stem)
    return stem if len(name) <= _STEM_BYTES else name[:_STEM_BYTES].decode("utf-8", "ignore")
