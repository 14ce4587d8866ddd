"""A folder of drawn predictions: a JPEG for each image, named after it, never over a file that this run wrote."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from pipeline.store.files import atomic_path


class PictureFolder:
    """Saves pictures as STEM-hoi.jpg; images of the same stem become STEM-hoi-2.jpg and so on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[str] = set()

    def save(self, source: Path, picture: Image.Image) -> Path:
        """Write the picture of one image; return its file.

        Raises:
            ArtifactError: the folder cannot be written.
        """
        name, number = f"{source.stem}-hoi.jpg", 1
        while name.lower() in self._taken:
            number += 1
            name = f"{source.stem}-hoi-{number}.jpg"
        self._taken.add(name.lower())
        with atomic_path(self._folder / name) as temporary:
            picture.save(temporary, format="JPEG", quality=90, subsampling=0)
        return self._folder / name
