import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.evaluation.ranking import sort_detections


def expected(class_id, scores, image_index):
    rows = range(len(scores))
    return sorted(rows, key=lambda row: (class_id[row], -scores[row], image_index[row], row))


@given(size=st.integers(0, 40), seed=st.integers(0, 1000), dtype=st.sampled_from([np.float16, np.float32, np.float64]))
def test_order_is_class_score_image_row(size, seed, dtype):
    rng = np.random.default_rng(seed)
    class_id, image_index = rng.integers(0, 3, size).astype(np.int16), rng.integers(0, 4, size).astype(np.int32)
    scores = (rng.integers(-3, 4, size) / 4).astype(dtype)
    assert sort_detections(class_id, scores, image_index).tolist() == expected(class_id, scores, image_index)


@given(hnp.arrays(np.float32, st.integers(0, 30), elements=st.floats(width=32, allow_nan=False)))
def test_any_float32_but_nan(scores):
    zeros = np.zeros(len(scores), np.int16)
    assert sort_detections(zeros, scores, zeros).tolist() == expected(zeros, scores, zeros)


def test_negative_zero_ties_with_zero():
    scores = np.array([-0.0, 0.0, -0.0], np.float32)
    zeros = np.zeros(3, np.int16)
    assert sort_detections(zeros, scores, zeros).tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64])
def test_class_dtype_does_not_matter(dtype):
    rng = np.random.default_rng(3)
    class_id, scores = rng.integers(0, 600, 500), rng.random(500).astype(np.float32)
    images = np.zeros(500, np.int32)
    order = sort_detections(class_id.astype(dtype), scores, images)
    np.testing.assert_array_equal(order, np.lexsort((-scores, class_id)))
