import dataclasses

import numpy as np

from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.proposal_recall import proposal_recall, recall_table
from pipeline.store.proposals_file import SplitProposals
from pipeline.truth.annotated_proposals import annotated_proposals
from tests.evaluation.worlds import ground_truth

VOCABULARY = Vocabulary(
    objects=("person", "bicycle", "cup"), verbs=("ride", "hold"), hoi_classes=((0, 1), (1, 1), (1, 2), (1, 0))
)
ANN, BEN, BICYCLE, CUP = (0, 0, 10, 10), (40, 0, 50, 10), (20, 0, 30, 10), (60, 0, 70, 10)
# Image 0: Ann rides and holds the bicycle, Ben holds a cup and holds Ann. Image 1 has no pair, image 2 one.
TRUTH = ground_truth(
    [(2, 1, ANN, BICYCLE), (0, 0, ANN, BICYCLE), (0, 1, ANN, BICYCLE), (0, 2, BEN, CUP), (0, 3, BEN, ANN)], 3
)


def proposals(*rows, counts=(0, 0, 0)):
    """Proposals from (box, category) rows, all of score 1."""
    boxes, categories = zip(*rows, strict=True)
    return SplitProposals(
        image_ids=("a", "b", "c"),
        objects=VOCABULARY.objects,
        detector="drawn",
        offsets=np.cumsum([0, *counts]),
        boxes=np.array(boxes, np.float32),
        scores=np.ones(len(rows), np.float32),
        object_ids=np.array(categories),
    )


def test_boxes_count_once_and_pairs_under_their_object():
    # Half of Ann's box is enough; Ben is found as a cup, and the cup's box as one too; the bicycle is found twice.
    found = proposals(((0, 0, 10, 5), 0), (BEN, 2), (CUP, 2), (BICYCLE, 1), (BICYCLE, 1), counts=(5, 0, 0))
    figures = recall_table(*proposal_recall(found, TRUTH, VOCABULARY), VOCABULARY)
    # boxes: Ann, Ben, bicycle and cup of image 0; a person and a bicycle of image 2
    assert figures["boxes"] == {"annotated": 6, "recalled": 3, "recall": 50.0}
    assert figures["pairs"] == {"annotated": 5, "recalled": 2, "recall": 40.0}
    assert figures["categories"] == {
        "person": {
            "boxes": {"annotated": 3, "recalled": 1, "recall": 33.3333},
            "pairs": {"annotated": 1, "recalled": 0, "recall": 0.0},
        },
        "bicycle": {
            "boxes": {"annotated": 2, "recalled": 1, "recall": 50.0},
            "pairs": {"annotated": 3, "recalled": 2, "recall": 66.6667},
        },
        "cup": {
            "boxes": {"annotated": 1, "recalled": 1, "recall": 100.0},
            "pairs": {"annotated": 1, "recalled": 0, "recall": 0.0},
        },
    }


def test_only_the_best_proposals_count_and_none_is_both_boxes_of_a_pair():
    found = proposals((CUP, 2), (ANN, 0), (BICYCLE, 1), counts=(3, 0, 0))
    assert proposal_recall(found, TRUTH, VOCABULARY, 2)[0].recalled.tolist() == [1, 0, 1]
    assert proposal_recall(found, TRUTH, VOCABULARY, 2)[1].recalled.tolist() == [0, 0, 0]
    assert proposal_recall(found, TRUTH, VOCABULARY)[1].recalled.tolist() == [0, 2, 0]
    together = ground_truth([(0, 3, ANN, (0, 0, 10, 8))], 3)  # one proposal shows both persons
    alone = proposals((ANN, 0), counts=(1, 0, 0))
    assert proposal_recall(alone, together, VOCABULARY)[0].recalled.tolist() == [2, 0, 0]
    assert proposal_recall(alone, together, VOCABULARY)[1].recalled.tolist() == [0, 0, 0]


def test_annotated_boxes_recall_all_of_themselves():
    flat = dataclasses.replace(TRUTH, object_boxes=TRUTH.object_boxes * np.array([[1, 1, 1, 0]] + [[1] * 4] * 4))
    found = annotated_proposals(flat, ("a", "b", "c"), VOCABULARY)
    assert found.offsets.tolist() == [0, 4, 4, 5]  # the bicycle of image 2 has no height
    assert found.object_ids.tolist() == [0, 0, 1, 2, 0] and found.detector == "annotated boxes"
    boxes, pairs = proposal_recall(annotated_proposals(TRUTH, ("a", "b", "c"), VOCABULARY), TRUTH, VOCABULARY)
    np.testing.assert_array_equal(boxes.recalled, boxes.annotated)
    np.testing.assert_array_equal(pairs.recalled, pairs.annotated)
    none = recall_table(*proposal_recall(found, ground_truth([], 3), VOCABULARY), VOCABULARY)
    assert none["pairs"] == {"annotated": 0, "recalled": 0, "recall": None} and none["categories"] == {}
