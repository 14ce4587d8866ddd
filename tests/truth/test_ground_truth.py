from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.core.label_rows import LabelRows
from pipeline.truth.ground_truth import GroundTruth, check_scored_boxes

BOXES = np.array([[0, 0, 4, 4], [1, 1, 9, 9]], np.float32)
SIZE = (100, 60)


def test_ground_truth_of_an_image_that_is_not_there():
    columns = (np.array([0, 2], np.int32), np.zeros(2, np.int16), BOXES, BOXES)
    assert len(GroundTruth(*columns, num_images=3)) == 2
    with pytest.raises(DataError, match="image_index 2 is out of range for 2 images"):
        GroundTruth(*columns, num_images=2)


def test_some_images_with_their_pairs():
    labels = np.eye(4, dtype=bool)
    truth = GroundTruth(
        np.array([1, 3], np.int32), np.array([5, 6], np.int16), BOXES, BOXES, 4, LabelRows.of_mask(labels)
    )
    taken = truth.take_images(np.array([0, 3]))
    assert (taken.num_images, taken.image_index.tolist(), taken.hoi_id.tolist()) == (2, [1], [6])
    assert taken.human_boxes.tolist() == taken.object_boxes.tolist() == BOXES[1:].tolist()
    assert taken.image_hois.mask().tolist() == labels[[0, 3]].tolist()


@pytest.mark.parametrize(
    "box", [(9, 1, 3, 5), (1, 9, 3, 5), (500, 0, 600, 9), (0, 0, 500, 9), (0, 0, np.nan, 5), (0, 0, np.inf, 5)]
)
@pytest.mark.parametrize("kind", ["human", "object"])
def test_annotated_boxes_that_nothing_could_match_are_refused(box, kind):
    """Pair 1, of the image "b"."""
    good, bad = (np.array([(0, 0, 9, 9), row, (0, 0, 100, 60)], np.float32) for row in ((1, 1, 1, 3), box))
    humans, objects = (bad, good) if kind == "human" else (good, bad)
    truth = GroundTruth(np.array([0, 1, 1], np.int32), np.zeros(3, np.int16), humans, objects, num_images=2)
    sizes = np.array([SIZE, SIZE])
    with pytest.raises(
        DataError, match=rf'x\.json: {kind} box of pair 1, image "b" of 100 x 60.*1 {kind} boxes are so'
    ):
        check_scored_boxes(truth, sizes, ("a", "b"), "x.json")
    check_scored_boxes(replace(truth, human_boxes=good, object_boxes=good), sizes, ("a", "b"), "x.json")
