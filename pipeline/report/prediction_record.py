"""What `predict` tells of an image: its best triplets by name, with boxes, score and the score's parts; plain JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.errors import printable
from pipeline.core.types import Detections, FloatArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.fusion import Factors

BOX_DIGITS, SCORE_DIGITS = 2, 6  # decimals of pixels, significant digits


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
            "score": _rounded(self.score),
            "human_box": _rounded_box(self.human_box),
            "object_box": _rounded_box(self.object_box),
            "parts": {name: _rounded(value) for name, value in self.parts.items()},
        }


def best_of_image(
    detections: Detections, factors: Factors, vocabulary: Vocabulary, row: int, *, top_k: int, threshold: float
) -> list[NamedDetection]:
    """Return the triplets of image `row` that score at least `threshold`, at most `top_k`, by falling score.

    Row order breaks ties, as everywhere.
    """
    rows = np.flatnonzero((detections.image_index == row) & (detections.scores >= threshold))
    rows = rows[np.argsort(-detections.scores[rows], kind="stable")][:top_k]
    return [_named(detections, factors, vocabulary, int(index)) for index in rows]


def _named(detections: Detections, factors: Factors, vocabulary: Vocabulary, index: int) -> NamedDetection:
    verb_id, object_id = vocabulary.hoi_classes[int(detections.hoi_id[index])]
    columns = {name: factors.values[name] for name in factors.in_use if name != "detector"}
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


def _rounded(value: float) -> float:
    return float(f"{value:.{SCORE_DIGITS}g}")


def _rounded_box(box: FloatArray) -> list[float]:
    return [round(float(value), BOX_DIGITS) for value in box]
