import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.core.image_bounds import check_inside, check_pixels
from pipeline.core.types import unusable_boxes

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
        ((101, 0, 101, 9), (102, 0, 102, 9)),  # center on the slack
        ((-3, 0, 1, 9), (-4, 0, 1, 9)),
        ((0, 59, 9, 63), (0, 60, 9, 63)),
        ((0, -3, 9, 1), (0, -3, 9, 0)),
    ):
        check(box, dtype=dtype)
        with pytest.raises(DataError, match="outside its image of 100 x 60 pixels"):
            check(box, worse, dtype=dtype)


def test_every_normalized_box_passes():
    """(cx, cy, w, h) in 0..1, as DETR gives them, unclipped."""
    rng = np.random.default_rng(0)
    center, extent = rng.random((2, 2000, 2)) * SIZE
    check(*np.concatenate([center - extent / 2, center + extent / 2], axis=1))


def test_the_first_is_named_and_all_are_counted():
    with pytest.raises(DataError, match=r"d\.npz: boxes: box 1 is \[500.0, 0.0, 510.0, 9.0\], .*\(2 boxes are\)"):
        check((0, 0, 5, 5), (500, 0, 510, 9), (0, 0, 5, 5), (0, 500, 5, 509))


def test_sizes_go_by_row():
    boxes, sizes = np.full((2, 4), 90, np.float32), np.array([[100, 100], [50, 50]])
    with pytest.raises(DataError, match=r"box 1 is .* of 50 x 50"):
        check_inside(boxes, sizes, "boxes")


def test_rows_are_checked_to_the_last():
    boxes = np.tile(np.float32([[0, 0, 5, 5]]), (40_000, 1))
    boxes[39_999] = 500, 0, 510, 9
    with pytest.raises(DataError, match=r"box 39999 is .*\(1 boxes are\)"):
        check(*boxes)
    boxes[39_999] = 5, 0, 4, 9
    assert np.flatnonzero(unusable_boxes(boxes)).tolist() == [39_999]


def test_nothing_to_check():
    check_inside(np.zeros((0, 4), np.float32), np.zeros((0, 2), np.int64), "boxes")


def test_boxes_in_fractions_of_the_image_are_refused_alone_or_among_others():
    fractions, pixels = [[0.1, 0.1, 0.6, 0.7]], [[10.0, 10, 60, 70]]
    for boxes in (fractions, pixels + fractions, pixels * 90 + fractions):
        with pytest.raises(DataError, match=rf"box {len(boxes) - 1} is .*, 1 of {len(boxes)} boxes lie within 0\.\.1"):
            check_pixels(np.array(boxes), "d.json")


def test_a_rare_sliver_in_the_first_pixel_and_padding_are_pixels():
    pixels, sliver, padding = [[0.0, 0, 160, 160]], [[0.0, 0, 0.8, 0.9]], [[0.0, 0, 0, 0]]
    check_pixels(np.array(pixels * 99 + sliver + padding * 50), "d.json")
    check_pixels(np.zeros((0, 4)), "d.json")
