import numpy as np
import pytest
import torch
from torchvision.ops import box_iou as torchvision_iou
from torchvision.ops import generalized_box_iou

from pipeline.core.boxes import box_area, box_giou, box_intersection, box_iou, box_union, clip_boxes, has_extent

A = [0.0, 0.0, 4.0, 2.0]
B = [2.0, 1.0, 6.0, 5.0]
INSIDE = [1.0, 0.5, 2.0, 1.5]
FAR = [10.0, 10.0, 11.0, 11.0]
LINE = [1.0, 1.0, 3.0, 1.0]


def both(*boxes):
    """The same boxes for numpy and for torch."""
    return [np.array(boxes, np.float32), torch.tensor(boxes)]


@pytest.mark.parametrize("kind", [0, 1])
def test_by_hand(kind):
    boxes = both(A, B, INSIDE, FAR, LINE)[kind]
    assert box_area(boxes).tolist() == [8, 16, 1, 1, 0]
    assert box_intersection(boxes[:1], boxes).tolist() == [8, 2, 1, 0, 0]
    assert box_iou(boxes[:1], boxes).tolist() == pytest.approx([1, 2 / 22, 1 / 8, 0, 0])
    assert box_giou(boxes[:1], boxes).tolist() == pytest.approx([1, 2 / 22 - 8 / 30, 1 / 8, -112 / 121, -0.0])
    assert box_union(boxes[:1], boxes)[[1, 3]].tolist() == [[0, 0, 6, 5], [0, 0, 11, 11]]
    assert clip_boxes(boxes, 5, 3)[[1, 3]].tolist() == [[2, 1, 5, 3], [5, 3, 5, 3]]


def test_extent_takes_both_sides():
    boxes = np.array([A, LINE, [1, 1, 1, 3], [2, 2, 2, 2], [3, 3, 1, 1], [0, 0, 0.02, 9]])
    assert has_extent(boxes).tolist() == [True, False, False, False, False, True]
    assert has_extent(boxes[:0]).shape == (0,)


@pytest.mark.parametrize("kind", [0, 1])
def test_degenerate_and_no_boxes(kind):
    inverted, line = both([3.0, 3.0, 1.0, 1.0])[kind], both(LINE)[kind]
    assert box_area(inverted).tolist() == [0]
    assert box_iou(line, line).tolist() == [0]
    none = both(*[A])[kind][:0]
    assert box_iou(none[:, None], line[None]).shape == (0, 1)
    assert box_union(none, none).shape == (0, 4)
    assert clip_boxes(none, 5, 5).shape == (0, 4)


def test_numpy_equals_torch_equals_torchvision_and_types_stay():
    rng = np.random.default_rng(0)
    corner = rng.uniform(-5, 20, (30, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.1, 20, (30, 2))], 1).astype(np.float32)
    first, second = boxes[:10], boxes[10:]
    ours = box_iou(first[:, None], second[None])
    assert ours.dtype == np.float32
    theirs = box_iou(torch.from_numpy(first)[:, None], torch.from_numpy(second)[None])
    np.testing.assert_array_equal(ours, theirs.numpy())
    expected = torchvision_iou(torch.from_numpy(first), torch.from_numpy(second))
    torch.testing.assert_close(theirs, expected)
    expected = generalized_box_iou(torch.from_numpy(first), torch.from_numpy(second))
    torch.testing.assert_close(torch.from_numpy(box_giou(first[:, None], second[None])), expected)
    np.testing.assert_array_equal(clip_boxes(first, 9, 7), clip_boxes(torch.from_numpy(first), 9, 7).numpy())
    np.testing.assert_array_equal(
        box_union(first, second[:10]), box_union(*map(torch.from_numpy, (first, second[:10])))
    )
