"""What `predict` reports: an image's best triplets by name, with boxes, score and its factors, as JSON and as text.

The file of one run holds all images and those that were skipped; it never replaces another kind of file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import printable
from pipeline.core.types import Detections, FloatArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.fusion import Factors
from pipeline.report.number_text import rounded_box, significant
from pipeline.store.files import write_text
from pipeline.store.targets import check_json_target

BOX_DIGITS, SCORE_DIGITS = 2, 6  # decimals of pixels, significant digits
_KEYS = ("checkpoint", "detector", "fusion", "images", "skipped")
# Control characters that JSON takes as they are, and a terminal may obey.
_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


@dataclass(frozen=True)
class NamedDetection:
    """One triplet: boxes float32 [4] xyxy in pixels of the upright image; `parts`: factors of the score in use."""

    verb: str
    object_name: str
    score: float
    human_box: FloatArray
    object_box: FloatArray
    parts: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, rounded."""
        return {
            "verb": self.verb,
            "object": self.object_name,
            "score": significant(self.score, SCORE_DIGITS),
            "human_box": rounded_box(self.human_box, BOX_DIGITS),
            "object_box": rounded_box(self.object_box, BOX_DIGITS),
            "parts": {name: significant(value, SCORE_DIGITS) for name, value in self.parts.items()},
        }


def best_of_image(
    detections: Detections, factors: Factors, vocabulary: Vocabulary, row: int, *, top_k: int, threshold: float
) -> list[NamedDetection]:
    """Return the triplets of image `row` that score at least `threshold`, at most `top_k`, by falling score.

    Row order breaks ties.
    """
    rows = np.flatnonzero((detections.image_index == row) & (detections.scores >= threshold))
    rows = rows[np.argsort(-detections.scores[rows], kind="stable")][:top_k]
    return [_named(detections, factors, vocabulary, int(index)) for index in rows]


def _named(detections: Detections, factors: Factors, vocabulary: Vocabulary, index: int) -> NamedDetection:
    verb_id, object_id = vocabulary.hoi_classes[int(detections.hoi_id[index])]
    columns = {name: factors.values[name] for name in factors.in_use if name != "detector"}
    assert factors.human is not None and factors.object is not None
    columns |= {"human_detector": factors.human, "object_detector": factors.object}
    return NamedDetection(
        verb=vocabulary.verbs[verb_id],
        object_name=vocabulary.objects[object_id],
        score=float(detections.scores[index]),
        human_box=detections.human_boxes[index],
        object_box=detections.object_boxes[index],
        parts={name: float(column[index]) for name, column in columns.items()},
    )


def image_record(path: str, size: tuple[int, int], detections: Sequence[NamedDetection]) -> dict[str, Any]:
    """Return one image as JSON values; `size` is (width, height) of the upright image."""
    shown = [entry.to_json() for entry in detections]
    return {"path": path, "width": size[0], "height": size[1], "detections": shown}


def summary_line(path: str, detections: Sequence[NamedDetection]) -> str:
    """Return one image as a line of text for a terminal: its triplets with their scores."""
    found = ", ".join(f"{entry.verb} {entry.object_name} {entry.score:.3f}" for entry in detections)
    return f"{printable(path)}: {found or 'nothing found above the threshold'}"


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
