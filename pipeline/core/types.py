"""The records that stages exchange: frozen, arrays by field (struct of arrays), checked when built.

Axis legend, used everywhere: N proposals, M pairs, A verbs, C object categories, H HOI classes, D embedding width,
T scored triplets, I images. Boxes are float32 [*, 4] xyxy in continuous original-image pixels.
Ids (`x_id`) index a vocabulary, indices (`x_index`) a row of another record; both are 0-based. Empty is legal.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Form, check_forms, row_blocks
from pipeline.core.errors import DataError

_LARGEST_SIDE = 1 << 24  # pixels: beyond it float32 boxes no longer tell neighboring pixels apart
_LARGEST_NUMBER = 1 << 63
_SHA256 = re.compile("[0-9a-f]{64}")

FloatArray = NDArray[np.float32]
HalfArray = NDArray[np.float16]
IntArray = NDArray[np.int64]


def check_record(record: Any, axes: Mapping[str, tuple[int | str, ...]], ids: Collection[str] = ()) -> None:
    """Check shapes and types of a record's arrays: whole numbers for `ids`, floats for the others."""
    forms = {name: Form(np.signedinteger if name in ids else np.floating, axes[name]) for name in axes}
    try:
        check_forms(vars(record), forms)
    except DataError as error:
        raise DataError(f"{type(record).__name__}.{error}") from None


def pair_axes(rows: str) -> dict[str, tuple[int | str, ...]]:
    """Axes of a pair's columns: image, class and boxes; `rows` is the letter of the row axis."""
    return {"image_index": (rows,), "hoi_id": (rows,), "human_boxes": (rows, 4), "object_boxes": (rows, 4)}


def unusable_boxes(boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which boxes [T, 4] are not finite or inverted, bool [T]."""
    unusable = np.empty(len(boxes), np.bool_)
    for rows in row_blocks(len(boxes)):
        corners = np.ascontiguousarray(boxes[rows].T)
        unusable[rows] = ~np.isfinite(corners).all(0) | (corners[2] < corners[0]) | (corners[3] < corners[1])
    return unusable


def check_boxes(boxes: FloatArray, where: str) -> None:
    """Refuse boxes that are not finite or that are inverted.

    Raises:
        DataError: names the first bad row.
    """
    bad = unusable_boxes(boxes)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(f"{where}: box {row} is {boxes[row].tolist()}; expected finite x1 <= x2, y1 <= y2 (xyxy)")


def check_text(value: Any, where: str) -> None:
    """Refuse what can't be a name of an image: empty, no text, with NUL, or not valid UTF-8.

    Raises:
        DataError: names what was found.
    """
    if not isinstance(value, str) or not value or "\0" in value or value != value.encode("utf-8", "ignore").decode():
        raise DataError(f"{where} is {shortened(value)}; expected a text of UTF-8 characters")


def is_sha256(value: Any) -> bool:
    """Whether a value is a digest as this project writes them: 64 hexadecimal digits, lower case."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def shortened(value: Any) -> str:
    """A value for a message, whatever its length, in ASCII."""
    if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
        return f"a number of {value.bit_length()} bits"  # Python refuses to print the longest
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a manifest: path is relative to the dataset's image root; size in pixels.

    Raises:
        DataError: an empty text, one that no file could hold (NUL, not UTF-8), a size that is no positive whole number,
            a digest that is no sha256.
    """

    image_id: str
    path: str
    width: int
    height: int
    sha256: str

    def __post_init__(self) -> None:
        for name in ("image_id", "path"):
            check_text(getattr(self, name), f"ImageRecord.{name}")
        for name in ("width", "height"):
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= _LARGEST_SIDE:
                raise DataError(
                    f'ImageRecord.{name} of "{self.image_id}" is {shortened(value)}; expected whole pixels, '
                    f"1 to {_LARGEST_SIDE}"
                )
        if not is_sha256(self.sha256):
            raise DataError(
                f'ImageRecord.sha256 of "{self.image_id}" is {shortened(self.sha256)}; expected 64 hexadecimal digits'
            )


@dataclass(frozen=True)
class ImageLabels:
    """The only supervision of training: HOI classes that occur somewhere in the image, int64 [R], sorted, unique.

    Raises:
        DataError: unsorted, repeated or negative ids, or no whole numbers.
    """

    image_id: str
    hoi_ids: IntArray

    def __post_init__(self) -> None:
        check_record(self, {"hoi_ids": ("R",)}, ids=["hoi_ids"])
        if (np.diff(self.hoi_ids) <= 0).any() or (self.hoi_ids < 0).any():
            raise DataError(
                f'ImageLabels.hoi_ids of "{self.image_id}" are {shortened(self.hoi_ids.tolist())}; '
                "expected ids from 0 in rising order, each once"
            )


@dataclass(frozen=True)
class Proposals:
    """Detections of one image: boxes float32 [N, 4], scores float32 [N] in 0..1, object_ids int64 [N].

    `class_probabilities` float16 [N, C] are the detector's, of every category (the background is left out, so that rows
    add up to less than 1); None where they are not known or not asked for.
    """

    boxes: FloatArray
    scores: FloatArray
    object_ids: IntArray
    class_probabilities: HalfArray | None = None

    def __post_init__(self) -> None:
        check_record(self, {"boxes": ("N", 4), "scores": ("N",), "object_ids": ("N",)}, ids=["object_ids"])
        if self.class_probabilities is not None:
            check_record(self, {"scores": ("N",), "class_probabilities": ("N", "C")})
            if not ((self.class_probabilities >= 0) & (self.class_probabilities <= 1)).all():
                raise DataError("Proposals.class_probabilities: outside 0..1; expected probabilities")
        check_boxes(self.boxes, "Proposals.boxes")
        if not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise DataError("Proposals.scores: outside 0..1; expected probabilities")
        if (self.object_ids < 0).any():
            raise DataError(f"Proposals.object_ids: {self.object_ids.min()} is negative; expected ids of a vocabulary")

    def __len__(self) -> int:
        return len(self.scores)

    def with_class_probabilities(self, num_objects: int) -> Proposals:
        """The same proposals; where the detector's are not known, the score for the category and zeros elsewhere."""
        if self.class_probabilities is not None:
            return self
        probabilities = np.zeros((len(self), num_objects), np.float16)
        probabilities[np.arange(len(self)), self.object_ids] = self.scores
        return replace(self, class_probabilities=probabilities)

    def take(self, rows: IntArray) -> Proposals:
        """Some of the proposals, int64 [n], in that order."""
        probabilities = None if self.class_probabilities is None else self.class_probabilities[rows]
        return Proposals(self.boxes[rows], self.scores[rows], self.object_ids[rows], probabilities)

    @classmethod
    def empty(cls) -> Proposals:
        """Proposals of an image in which nothing was found."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True)
class BankPrompts:
    """The sentences of a knowledge bank: of HOI classes, of object categories (the human among them) and of verbs."""

    prompts: tuple[str, ...]
    object_prompts: tuple[str, ...]
    verb_prompts: tuple[str, ...]


@dataclass(frozen=True)
class KnowledgeBank(BankPrompts):
    """Text embeddings of the sentences, with the text encoder that made them.

    Attributes:
        hoi_embeddings: of `prompts`, float32 [H, D], unit length.
        object_embeddings: of `object_prompts`, float32 [C, D], unit length.
        verb_embeddings: of `verb_prompts`, float32 [A, D], unit length.
        clip_name, clip_digest: of the text encoder.
    """

    hoi_embeddings: FloatArray
    object_embeddings: FloatArray
    verb_embeddings: FloatArray
    clip_name: str
    clip_digest: str

    def __post_init__(self) -> None:
        axes: dict[str, tuple[int | str, ...]] = {
            "hoi_embeddings": ("H", "D"),
            "object_embeddings": ("C", "D"),
            "verb_embeddings": ("A", "D"),
        }
        check_record(self, axes)
        for prompts, embeddings in (
            (self.prompts, self.hoi_embeddings),
            (self.object_prompts, self.object_embeddings),
            (self.verb_prompts, self.verb_embeddings),
        ):
            if len(prompts) != len(embeddings):
                raise DataError(f"KnowledgeBank: {len(prompts)} prompts for {len(embeddings)} embeddings")


@dataclass(frozen=True)
class Detections:
    """Scored triplets of a split, flat: image_index int32 [T], hoi_id int16 [T], boxes float32 [T, 4], scores [T].

    Row order breaks ties between equal scores.
    """

    image_index: NDArray[np.int32]
    hoi_id: NDArray[np.int16]
    human_boxes: FloatArray
    object_boxes: FloatArray
    scores: FloatArray

    def __post_init__(self) -> None:
        check_record(self, pair_axes("T") | {"scores": ("T",)}, ids=["image_index", "hoi_id"])

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: Any) -> Detections:
        """Some rows, by index, mask or slice."""
        return Detections(**{name: column[rows] for name, column in vars(self).items()})


@dataclass(frozen=True)
class StageManifest:
    """What a stage was made from and what it made; written last, it marks the stage as done. No clock times.

    inputs and outputs map repository-relative paths to sha256; params is the stage's resolved section.
    """

    stage: str
    arguments: dict[str, str]
    schema_version: int
    inputs: dict[str, str]
    params: dict[str, Any]
    params_digest: str
    outputs: dict[str, str]
    counts: dict[str, Any]
    versions: dict[str, str]
    seed: int
