"""Which images and which detections the pictures and the gallery show, read from a run's matched detections.

Images: an even sample of the split, independent of the results. Detections: of each HOI class its best-scored ones in
the whole split, as many as the class has annotated pairs. There precision equals recall, so that all classes, variants
and scales of scores show equally much. The number of pairs per image is limited. A pair is drawn once, with a label for
each of its triplets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.types import Detections, FloatArray, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.error_types import DUPLICATE, RIGHT
from pipeline.evaluation.fusion import Factors
from pipeline.store.detections_dump import COLUMNS, MATCHES, DetectionsDump, factor_columns
from pipeline.truth.ground_truth import GroundTruth

Verdict = Literal["right", "wrong", "missed"]
Corners = tuple[bytes, bytes]  # a pair's boxes, exactly
_ROWS_PER_IMAGE = 30  # of the gallery, on average: bounds the size of the page


@dataclass(frozen=True)
class Findings:
    """Some detections of a split, K, and what the evaluation of the whole split says about each.

    `errors` int8 [K], a place in `error_types.ERROR_TYPES`, -1 where the setting does not count it; `matched_index`
    int32 [K], the annotation that the detection points at, -1 for none; `factors` [K].
    """

    detections: Detections
    errors: NDArray[np.int8]
    matched_index: NDArray[np.int32]
    factors: Factors

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Which detections are right, bool [K]."""
        return self.errors == RIGHT

    def is_repeated(self, row: int) -> bool:
        """Whether a row is wrong only because a better-scored detection claimed its annotation."""
        return bool(self.errors[row] == DUPLICATE)


@dataclass(frozen=True)
class ScoredRun:
    """A variant's detections, as far as they are shown.

    `best`: of each class its best-scored ones in the split, as many as it has annotated pairs, best first.
    `gallery`: all detections of the gallery's images that score at least `floor`, by image, best first.
    `break_even`: the score above which there are as many detections in the split as annotated pairs.
    """

    best: Findings
    gallery: Findings
    floor: float
    break_even: float


@dataclass(frozen=True)
class Label:
    """One HOI class of a pair: "verb object", score (None for a missed annotation), and the verdict."""

    name: str
    score: float | None
    verdict: Verdict
    repeated: bool = False  # wrong only because a better-scored detection claimed the annotation


@dataclass(frozen=True)
class DrawnPair:
    """Human and object box float32 [4] in image pixels, with all labels of the pair, best first."""

    human_box: FloatArray
    object_box: FloatArray
    labels: tuple[Label, ...]

    @property
    def verdict(self) -> Verdict:
        """Right if any label is, else wrong if any is, else missed."""
        verdicts = [label.verdict for label in self.labels]
        return "right" if "right" in verdicts else "wrong" if "wrong" in verdicts else "missed"


def compared(names: Iterable[str]) -> tuple[str, str | None]:
    """The variant that the page shows first, and the one that it is compared with: ours and baseline where present."""
    names = list(names)
    first = "ours" if "ours" in names else names[-1]
    others = [name for name in ("baseline", *names) if name in names and name != first]
    return first, others[0] if others else None


def sample_indices(num_images: int, count: int) -> IntArray:
    """Middle image of each of `count` equal stretches of a split, int64 [min(count, num_images)], ascending."""
    count = min(count, num_images)
    return ((np.arange(count) * 2 + 1) * num_images // (2 * count)) if count else np.zeros(0, np.int64)


def best_rows(
    hoi_id: NDArray[np.integer], scores: FloatArray, image_index: NDArray[np.integer], num_gt: IntArray
) -> IntArray:
    """Rows of each class's best-scored detections, as many as it has annotated pairs; int64, best scores first.

    Ties go by image, then by row, as in the evaluation.

    Args:
        hoi_id, scores, image_index: of the detections, [T].
        num_gt: annotated pairs of each class, int64 [H].
    """
    by_class = np.lexsort((image_index, -scores, hoi_id))
    num_detections = np.bincount(hoi_id, minlength=len(num_gt))
    rank = np.arange(len(by_class)) - np.repeat(np.cumsum(num_detections) - num_detections, num_detections)
    rows = by_class[rank < np.repeat(num_gt, num_detections)]
    return rows[np.lexsort((rows, -scores[rows]))]


def read_scored(dump: DetectionsDump, truth: GroundTruth, num_hois: int, gallery_images: IntArray) -> ScoredRun:
    """Read the detections that are shown; boxes and factors of no others.

    Args:
        dump: what `evaluate` wrote about the run.
        gallery_images: rows of the split.

    Raises:
        ArtifactError: damaged.
    """
    image_index, hoi_id, scores = (dump.read_column(name) for name in ("image_index", "hoi_id", "scores"))
    shown = np.flatnonzero(np.isin(image_index, gallery_images))
    floor = _floor(scores[shown], _ROWS_PER_IMAGE * len(gallery_images))
    shown = shown[scores[shown] >= floor]
    shown = shown[np.lexsort((shown, -scores[shown], image_index[shown]))]
    return ScoredRun(
        best=_findings(dump, best_rows(hoi_id, scores, image_index, np.bincount(truth.hoi_id, minlength=num_hois))),
        gallery=_findings(dump, shown),
        floor=floor,
        break_even=max(floor, _floor(scores, len(truth))),
    )


def _floor(scores: np.ndarray, count: int) -> float:
    """The score of the `count`-th best of these, of the last if there are fewer, 1 if there are none."""
    if not len(scores) or not count:
        return 1.0
    place = min(count, len(scores)) - 1
    return float(-np.partition(-scores, place)[place])


def _findings(dump: DetectionsDump, rows: IntArray) -> Findings:
    factors = factor_columns(dump.weights)
    columns = dump.take(rows, [*COLUMNS, *MATCHES, *factors])
    return Findings(
        detections=Detections(**{name: columns[name] for name in COLUMNS}),
        errors=columns["error"],
        matched_index=columns["matched"],
        factors=Factors({name: columns[f"factor.{name}"] for name in dump.weights}, dump.weights),
    )


def pairs_of_image(
    findings: Findings, truth: GroundTruth, vocabulary: Vocabulary, *, image: int, pairs_per_image: int
) -> tuple[DrawnPair, ...]:
    """What to draw on one image: detected pairs, best first, then annotated pairs that none of those found.

    An annotated class that was missed on a pair of which another class was found becomes a label of the found pair.

    Args:
        findings: of the whole split, best first.
    """
    detections = findings.detections
    own = np.flatnonzero(detections.image_index == image)
    groups = list(_group_rows(own, detections).values())[:pairs_per_image]
    labels = [[_detected(row, findings, vocabulary) for row in group] for group in groups]
    found: dict[int, int] = {}  # annotation: drawn pair
    for pair, group in enumerate(groups):
        found |= {int(findings.matched_index[row]): pair for row in group if findings.hits[row]}
    pair_of_boxes = {pair_corners(truth, annotation): pair for annotation, pair in found.items()}

    missed = [row for row in np.flatnonzero(truth.image_index == image).tolist() if row not in found]
    apart = []
    for boxes, group in _group_rows(missed, truth).items():
        absent = [Label(vocabulary.hoi_name(int(truth.hoi_id[row])), None, "missed") for row in group]
        if boxes in pair_of_boxes:
            labels[pair_of_boxes[boxes]] += absent
        else:
            apart.append(DrawnPair(truth.human_boxes[group[0]], truth.object_boxes[group[0]], tuple(absent)))
    drawn = [
        DrawnPair(detections.human_boxes[group[0]], detections.object_boxes[group[0]], tuple(names))
        for group, names in zip(groups, labels, strict=True)
    ]
    return (*drawn, *apart)


def _detected(row: int, findings: Findings, vocabulary: Vocabulary) -> Label:
    return Label(
        name=vocabulary.hoi_name(int(findings.detections.hoi_id[row])),
        score=float(findings.detections.scores[row]),
        verdict="right" if findings.hits[row] else "wrong",
        repeated=findings.is_repeated(row),
    )


def _group_rows(rows: Iterable[int], record: Detections | GroundTruth) -> dict[Corners, list[int]]:
    """Rows by the boxes of their pair, in the order in which the pairs first occur."""
    groups: dict[Corners, list[int]] = {}
    for row in rows:
        groups.setdefault(pair_corners(record, int(row)), []).append(int(row))
    return groups


def pair_corners(record: Detections | GroundTruth, row: int) -> Corners:
    """The two boxes of a row, by which rows of the same pair are found."""
    return record.human_boxes[row].tobytes(), record.object_boxes[row].tobytes()
