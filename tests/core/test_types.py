import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.core.types import Detections, KnowledgeBank, Proposals

BOXES = np.array([[0, 0, 2, 2], [1, 1, 3, 3]], np.float32)
SCORES = np.array([0.9, 0.5], np.float32)
IDS = np.array([0, 1])


def test_proposals_hold_what_they_are_given_and_may_be_empty():
    assert len(Proposals(BOXES, SCORES, IDS)) == 2
    assert len(Proposals.empty()) == 0


def test_class_probabilities_that_are_not_known_follow_from_score_and_category():
    found = Proposals(BOXES, SCORES, IDS).with_class_probabilities(3)
    assert found.class_probabilities.dtype == np.float16
    assert found.class_probabilities.tolist() == [[pytest.approx(0.9, abs=1e-3), 0, 0], [0, 0.5, 0]]
    assert found.with_class_probabilities(3) is found
    assert Proposals.empty().with_class_probabilities(3).class_probabilities.shape == (0, 3)


@pytest.mark.parametrize(
    ("columns", "part"),
    [
        ((BOXES, SCORES[:1], IDS), r"Proposals.scores is float32 \[1\]; expected floating \[N = 2\]"),
        ((BOXES[:, :3], SCORES, IDS), r"Proposals.boxes is float32 \[2, 3\]; expected floating \[N, 4\]"),
        ((BOXES[0], SCORES, IDS), r"Proposals.boxes is float32 \[4\]; expected floating \[N, 4\]"),
        ((BOXES, SCORES, IDS.astype(np.float32)), r"object_ids is float32 \[2\]; expected signedinteger \[N = 2\]"),
        ((BOXES.astype(np.int64), SCORES, IDS), r"Proposals.boxes is int64 \[2, 4\]; expected floating \[N, 4\]"),
        ((BOXES + np.float32("nan"), SCORES, IDS), "Proposals.boxes: box 0 is"),
        ((BOXES + np.array([[0], [np.nan]], np.float32), SCORES, IDS), "Proposals.boxes: box 1 is"),
        ((BOXES + np.float32("inf"), SCORES, IDS), "box 0 is"),
        ((BOXES[:, [2, 1, 0, 3]], SCORES, IDS), r"box 0 is \[2.0, 0.0, 0.0, 2.0\]; expected finite x1 <= x2"),
        ((BOXES[:, [0, 3, 2, 1]], SCORES, IDS), "y1 <= y2"),
        ((BOXES, SCORES, IDS, np.zeros((1, 3), np.float16)), r"class_probabilities is float16 \[1, 3\]"),
        ((BOXES, SCORES, IDS, np.full((2, 3), 1.5, np.float16)), "class_probabilities: outside 0..1"),
        ((BOXES, SCORES, IDS, np.full((2, 3), np.nan, np.float16)), "class_probabilities: outside 0..1"),
    ],
)
def test_wrong_proposals_are_refused(columns, part):
    with pytest.raises(DataError, match=part):
        Proposals(*columns)


def test_axes_of_one_name_must_agree_across_arrays():
    with pytest.raises(DataError, match="1 prompts for 2 embeddings"):
        KnowledgeBank(("a", "b"), ("a",), ("a", "b"), *np.zeros((3, 2, 3), np.float32), "clip", "0")
    with pytest.raises(DataError, match=r"Detections.scores is float32 \[1\]; expected floating \[T = 2\]"):
        Detections(IDS.astype(np.int32), IDS.astype(np.int16), BOXES, BOXES, SCORES[:1])
