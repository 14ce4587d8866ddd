from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.core.image_bounds import check_inside, check_scored_boxes
from pipeline.core.types import GroundTruth

SIZE = (100, 60)


def check(*boxes, dtype=np.float32):
    check_inside(np.array(boxes, dtype).reshape(-1, 4), np.tile(np.array([SIZE]), (len(boxes), 1)), "d.npz: boxes")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rule_side_by_side(dtype):
    """Each box passes; one pixel more on one side fails."""
    for box, worse in (
        ((-51, 0, 60, 9), (-52, 0, 60, 9)),
        ((40, 0, 151, 9), (40, 0, 152, 9)),
        ((0, -31, 9, 40), (0, -32, 9, 40)),
        ((0, 20, 9, 91), (0, 20, 9, 92)),
        ((101, 0, 101, 9), (102, 0, 102, 9)),  # centre on the slack
        ((-3, 0, 1, 9), (-4, 0, 1, 9)),
        ((0, 59, 9, 63), (0, 60, 9, 63)),
        ((0, -3, 9, 1), (0, -3, 9, 0)),
    ):
        check(box, dtype=dtype)
        with pytest.raises(DataError, match="outside its image of 100 x 60 pixels"):
            check(box, worse, dtype=dtype)


def test_every_normalised_box_passes():
    """(cx, cy, w, h) in 0..1, as detectors of DETR's kind give them, unclipped."""
    rng = np.random.default_rng(0)
    centre, extent = rng.random((2, 2000, 2)) * SIZE
    check(*np.concatenate([centre - extent / 2, centre + extent / 2], axis=1))


def test_the_first_is_named_and_all_are_counted():
    with pytest.raises(DataError, match=r"d\.npz: boxes: box 1 is \[500.0, 0.0, 510.0, 9.0\], .*\(2 boxes are\)"):
        check((0, 0, 5, 5), (500, 0, 510, 9), (0, 0, 5, 5), (0, 500, 5, 509))


def test_sizes_go_by_row():
    boxes, sizes = np.full((2, 4), 90, np.float32), np.array([[100, 100], [50, 50]])
    with pytest.raises(DataError, match=r"box 1 is .* of 50 x 50"):
        check_inside(boxes, sizes, "boxes")


def test_nothing_to_check():
    check_inside(np.zeros((0, 4), np.float32), np.zeros((0, 2), np.int64), "boxes")


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
