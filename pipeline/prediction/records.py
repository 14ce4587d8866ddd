"""What `predict` reports: an image's best triplets by name, with boxes, score and its factors, as JSON.

The file of one run holds all images and those that were skipped; it never replaces another kind of file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.core.types import Detections, FloatArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.fusion import Factors
from pipeline.report.number_text import rounded_box, score_text, significant
from pipeline.store.files import write_text
from pipeline.store.targets import check_json_target

BOX_DIGITS, SCORE_DIGITS = 2, 6  # decimals of pixels, significant digits
_KEYS = ("checkpoint", "detector", "fusion", "images", "skipped")
# Control characters that JSON takes as they are, and a terminal may obey.
_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


class Triplet(NamedTuple):
    """A person, what the person does, and to which object.

    Attributes:
        verb, object: names, as the dataset spells them ("sit_on").
        score: in 0..1, the product of the factors, each to its weight.
        boxes: float32 [2, 4], the person's, then the object's: x1, y1, x2, y2 in pixels of the upright image, right and
            bottom exclusive.
        factors: of the score, those in use, by name; each in 0..1.
    """

    verb: str
    object: str
    score: float
    boxes: FloatArray
    factors: dict[str, float]

    @property
    def human_box(self) -> FloatArray:
        """The person's box, float32 [4]."""
        return self.boxes[0]

    @property
    def object_box(self) -> FloatArray:
        """The object's box, float32 [4]."""
        return self.boxes[1]

    @property
    def text(self) -> str:
        """As in "sit on horse 0.38": names in words, two decimals, or two significant digits below 0.1."""
        return f"{self.verb} {self.object}".replace("_", " ") + f" {score_text(self.score)}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, rounded."""
        return {
            "verb": self.verb,
            "object": self.object,
            "score": significant(self.score, SCORE_DIGITS),
            "human_box": rounded_box(self.human_box, BOX_DIGITS),
            "object_box": rounded_box(self.object_box, BOX_DIGITS),
            "parts": {name: significant(value, SCORE_DIGITS) for name, value in self.factors.items()},
        }


def best_of_image(
    detections: Detections, factors: Factors, vocabulary: Vocabulary, row: int, *, top_k: int, threshold: float
) -> list[Triplet]:
    """Return the triplets of image `row` that score at least `threshold`, at most `top_k`, by falling score.

    Row order breaks ties.
    """
    rows = np.flatnonzero((detections.image_index == row) & (detections.scores >= threshold))
    rows = rows[np.argsort(-detections.scores[rows], kind="stable")][:top_k]
    return [_triplet(detections, factors, vocabulary, int(index)) for index in rows]


def _triplet(detections: Detections, factors: Factors, vocabulary: Vocabulary, index: int) -> Triplet:
    verb_id, object_id = vocabulary.hoi_classes[int(detections.hoi_id[index])]
    columns = {name: factors.values[name] for name in factors.in_use if name != "detector"}
    assert factors.human is not None and factors.object is not None
    columns |= {"human_detector": factors.human, "object_detector": factors.object}
    return Triplet(
        verb=vocabulary.verbs[verb_id],
        object=vocabulary.objects[object_id],
        score=float(detections.scores[index]),
        boxes=np.stack([detections.human_boxes[index], detections.object_boxes[index]]),
        factors={name: float(column[index]) for name, column in columns.items()},
    )


def check_predictions_target(path: Path) -> None:
    """Refuse, before the work, a path where predictions could not or must not be written.

    Raises:
        DataError: a file is there that holds no predictions of ours.
        ArtifactError: the path cannot be written.
    """
    check_json_target(path, _KEYS, what="predictions", option="--json")


def write_predictions(path: Path, document: dict[str, Any]) -> None:
    """Write the document atomically, or into a pipe."""
    write_text(path, predictions_text(document))


def predictions_text(document: dict[str, Any]) -> str:
    """Return the document as JSON, one-space indent, a line end at its end."""
    if missing := set(_KEYS) - document.keys():  # by which a later run could not tell it from another file
        raise ValueError(f"predictions without {sorted(missing)}")
    return json.dumps(document, indent=1, ensure_ascii=False).translate(_ESCAPES) + "\n"
