import math

import pytest
import torch

from pipeline.methods.spatial import NUM_TERMS, SpatialEncoder, spatial_encoding

HUMAN = torch.tensor([[10.0, 20.0, 30.0, 60.0]])  # 20 x 40 around (20, 40)
OBJECT = torch.tensor([[25.0, 30.0, 65.0, 50.0]])  # 40 x 20 around (45, 40)
SIZE = torch.tensor([[100.0, 200.0]])


def test_hand_worked_terms():
    overlap = 5 * 20
    expected = [
        0.20, 0.20, 0.45, 0.20,  # centers x/W, y/H: human (20, 40), object (45, 40)
        0.20, 0.20, 0.40, 0.10,  # widths and heights: human 20 x 40, object 40 x 20
        800 / 20000, 800 / 20000, 1.0,  # areas over the image's, object over human
        0.5, 2.0,  # aspect ratios w/h
        overlap / (800 + 800 - overlap),
        25 / 20, 0.0, 0.0, 0.0,  # object 25 px to the right, over the human's width
    ]  # fmt: skip
    assert spatial_encoding(HUMAN, OBJECT, SIZE)[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("shift", "term"), [((1, 0), 14), ((-1, 0), 15), ((0, 1), 16), ((0, -1), 17)])
def test_directions_right_left_below_above(shift, term):
    moved = HUMAN + torch.tensor([[*shift, *shift]]) * 10.0
    directions = spatial_encoding(HUMAN, moved, SIZE)[0, 14:]
    expected = [0.0] * 4
    expected[term - 14] = 10 / 20 if shift[0] else 10 / 40
    assert directions.tolist() == pytest.approx(expected)


def test_degenerate_boxes_stay_finite():
    point = torch.tensor([[5.0, 5.0, 5.0, 5.0]])
    encoding = spatial_encoding(point, point, SIZE)
    assert torch.isfinite(encoding).all()
    assert torch.isfinite(SpatialEncoder(hidden=8, width=4, epsilon=1e-6)(encoding)).all()


@pytest.mark.parametrize("extent", [0.0, 1e-6, 0.02])
def test_a_sliver_is_encoded_as_one_pixel_wide(extent):
    """Ratios stay in the range of real boxes: no term exceeds the longest side in pixels."""
    sliver, pixel = (torch.tensor([[20.0 - width / 2, 20.0, 20.0 + width / 2, 60.0]]) for width in (extent, 1.0))
    for first, second in ((sliver, OBJECT), (OBJECT, sliver), (sliver, sliver)):
        encoding = spatial_encoding(first, second, SIZE)[0]
        assert encoding.max() <= SIZE.max()
        wide = [pixel if box is sliver else box for box in (first, second)]
        expected = spatial_encoding(*wide, SIZE)[0]
        expected[13] = encoding[13]  # IoU is of the boxes as they are
        assert encoding.tolist() == pytest.approx(expected.tolist())


def test_boxes_of_a_pixel_and_more_are_encoded_as_they_are():
    human = torch.tensor([[10.0, 20.0, 11.0, 22.5]])  # 1 x 2.5
    encoding = spatial_encoding(human, OBJECT, SIZE)[0]
    assert encoding[[4, 5, 11]].tolist() == pytest.approx([1 / 100, 2.5 / 200, 1 / 2.5])


def test_encoder_sees_the_logarithm_too():
    encoder = SpatialEncoder(hidden=8, width=4, epsilon=1e-3)
    seen = []
    encoder.layers[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    encoding = spatial_encoding(HUMAN, OBJECT, SIZE)
    encoder(encoding)
    assert seen[0].shape == (1, 2 * NUM_TERMS)
    assert seen[0][0, NUM_TERMS].item() == pytest.approx(math.log(0.20 + 1e-3), rel=1e-5)


def test_no_pairs():
    assert spatial_encoding(HUMAN[:0], OBJECT[:0], SIZE[:0]).shape == (0, NUM_TERMS)
