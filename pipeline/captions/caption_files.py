"""Files of captions: CSV with the columns image and caption, or COCO-captions JSON.

An image may have several captions. It is named by its path under the image root, its id, or its file name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError
from pipeline.data.csv_file import read_rows
from pipeline.store.json_file import load_json, looks_like

_COLUMNS = ("image", "caption")


@dataclass(frozen=True)
class ImageCaption:
    """One caption, and the image as the file names it."""

    image: str
    text: str


def read_captions(path: Path) -> list[ImageCaption]:
    """Return the captions of a file, in its order.

    Raises:
        DataError: missing, not UTF-8, of another form, or without captions.
    """
    captions = _of_json(path, load_json(path)) if path.suffix.lower() == ".json" else _of_csv(path)
    if not captions:
        raise DataError(f"{path}: has no captions; expected a row per caption: image,caption")
    return captions


def _of_csv(path: Path) -> list[ImageCaption]:
    found = []
    for line, row in read_rows(path, _COLUMNS, None):
        if not row["image"]:
            raise DataError(f"{path} line {line}: names no image; expected its path or file name")
        found.append(ImageCaption(row["image"], row["caption"]))
    return found


def _of_json(path: Path, data: Any) -> list[ImageCaption]:
    try:
        names = {image["id"]: _text(image["file_name"]) for image in data["images"]}
        return [ImageCaption(names[entry["image_id"]], _text(entry["caption"])) for entry in data["annotations"]]
    except (KeyError, TypeError) as error:
        missing = f"no {error}" if isinstance(error, KeyError) else looks_like(data)
        raise DataError(
            f'{path}: not COCO captions ({missing}); expected {{"images": [{{"id", "file_name"}}], '
            '"annotations": [{"image_id", "caption"}]}'
        ) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
