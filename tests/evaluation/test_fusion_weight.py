import numpy as np

from pipeline.core.types import Detections
from pipeline.evaluation.fusion_weight import best_rows, take


def triplets(image_index, hoi_id) -> Detections:
    corner = np.arange(len(image_index), dtype=np.float32)[:, None].repeat(2, 1)
    boxes = np.concatenate([corner, corner + 9], 1)
    scores = np.zeros(len(image_index), np.float32)
    return Detections(np.array(image_index, np.int32), np.array(hoi_id, np.int16), boxes, boxes, scores)


def test_the_best_row_of_each_image_and_class_is_kept_the_first_of_equals():
    detections = triplets([0, 0, 0, 1, 1, 0], [2, 2, 1, 2, 2, 2])
    rows = best_rows(detections, np.array([0.1, 0.7, 0.2, 0.5, 0.5, 0.7]))
    assert rows.tolist() == [1, 2, 3]
    kept = take(detections, rows)
    assert kept.hoi_id.tolist() == [2, 1, 2] and kept.object_boxes[0, 0] == detections.object_boxes[1, 0]


def test_nothing_has_no_best_row():
    assert len(best_rows(triplets([], []), np.zeros(0))) == 0
