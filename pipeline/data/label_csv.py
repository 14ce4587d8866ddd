"""Image-level labels in CSV: a row per image and interaction, `image,verb,object`, optionally `split`.

A row with neither verb nor object says that the image shows no interaction. Names are lower-cased and their spaces
become underscores; verbs are in base form ("ride", "sit on"), as prompts expect. Lines are counted as editors do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pipeline.core.errors import DataError, did_you_mean
from pipeline.core.names import SPLITS
from pipeline.data.csv_file import read_rows

_ODD_PARTS = frozenset(["", ".", ".."])  # of a path; one without them is as short as can be
_REQUIRED, _OPTIONAL = ("image", "verb", "object"), ("split",)


@dataclass(slots=True)
class LabeledImage:
    """One image: first line that names it, its split (None without that column), and line of each (verb, object)."""

    path: str
    line: int
    split: str | None
    pairs: dict[tuple[str, str], int] = field(default_factory=dict)


def read_label_csv(path: Path) -> dict[str, LabeledImage]:
    """Return the labeled images by their path, which is relative to the folder of the CSV.

    Raises:
        DataError: not UTF-8, not CSV, without the columns or rows, or a row that contradicts itself or another; names
            file and line.
    """
    images: dict[str, LabeledImage] = {}
    for line, row in read_rows(path, _REQUIRED, _OPTIONAL):
        where = f"{path} line {line}"
        name = image_path_of(row["image"], where)
        split = split_of(row["split"], where) if "split" in row else None
        image = images.setdefault(name, LabeledImage(name, line, split))
        if image.split != split:
            raise DataError(f'{where}: "{name}" is in split {split}, line {image.line} says {image.split}; keep one')
        _add_pair(image, plain_name(row["verb"]), plain_name(row["object"]), line, where)
    if not images:
        raise DataError(f"{path}: has no rows; expected image,verb,object and a row per image and interaction")
    return images


def read_class_csv(path: Path) -> list[tuple[str, str]]:
    """Return the (verb, object) pairs of a list of classes, verb,object.

    Raises:
        DataError: as `read_label_csv`, or a row lacks one of the two.
    """
    pairs = []
    for line, row in read_rows(path, _REQUIRED[1:]):
        verb, name = plain_name(row["verb"]), plain_name(row["object"])
        if not verb or not name:
            raise DataError(f'{path} line {line}: "{verb},{name}" is no class; expected a verb and an object')
        pairs.append((verb, name))
    return pairs


def image_path_of(text: str, where: str) -> str:
    """Return the path of an image as rows name it; raises DataError where it leaves the folder of the file."""
    if not _ODD_PARTS.intersection(text.split("/")):
        return text
    path = PurePosixPath(text)
    if not path.parts:
        raise DataError(f"{where}: names no image; expected a path relative to the folder of this file")
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f'{where}: path "{text}" leaves the folder of this file; expected a path inside it')
    return path.as_posix()


def split_of(text: str, where: str) -> str:
    """Return the split that a row names; raises DataError where there is none of that name."""
    name = text.lower()
    if name not in SPLITS:
        raise DataError(f'{where}: split is "{text}"{did_you_mean(name, SPLITS)}; expected {", ".join(SPLITS)}')
    return name


@lru_cache(maxsize=4096)
def plain_name(text: str) -> str:
    """Return a verb or object as the vocabulary spells it: lower case, underscores for spaces."""
    return "_".join(text.lower().replace("_", " ").split())


def _add_pair(image: LabeledImage, verb: str, object_name: str, line: int, where: str) -> None:
    if bool(verb) != bool(object_name):
        present, absent = ("verb", "object") if verb else ("object", "verb")
        raise DataError(
            f'{where}: {present} "{verb or object_name}" without {absent}; expected both, '
            "or neither for an image without interaction"
        )
    pair = (verb, object_name)
    if pair in image.pairs:
        label = f'"{verb} {object_name}"' if verb else "no interaction"
        raise DataError(f'{where}: {label} of "{image.path}" stands in line {image.pairs[pair]} already; delete one')
    if image.pairs and ("" in (verb, *next(iter(image.pairs)))):
        raise DataError(
            f'{where}: "{image.path}" has an interaction and is also said to have none (line {image.line}); delete one'
        )
    image.pairs[pair] = line
