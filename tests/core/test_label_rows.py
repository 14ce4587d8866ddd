from __future__ import annotations

import numpy as np
import pytest

from pipeline.core.label_rows import LabelRows


@pytest.fixture
def mask(seed):
    return np.random.default_rng(seed).random((7, 5)) < 0.3


def test_rows_are_the_matrix(mask):
    rows = LabelRows.of_mask(mask)
    image, hoi_ids = np.nonzero(mask)
    backwards = LabelRows.of_pairs(np.tile(image[::-1], 2), np.tile(hoi_ids[::-1], 2), 7, 5)  # each pair twice
    of_lists = LabelRows.of_lists([np.flatnonzero(row) for row in mask], 5)
    for found in (rows, backwards, of_lists):
        assert (found.mask() == mask).all()
        assert len(found) == 7
    assert (rows.labeled == mask.any(1)).all()
    assert (np.stack([rows.of_image(image) for image in range(7)]) == mask).all()


def test_parts_of_rows_are_parts_of_the_matrix(mask):
    rows, order, kept = LabelRows.of_mask(mask), np.array([6, 0, 6, 3]), np.array([1, 0, 1, 1, 0], bool)
    assert (rows.part(2, 5).mask() == mask[2:5]).all()
    assert (rows.take(order).mask() == mask[order]).all()
    assert (rows.of_classes(kept).mask() == mask * kept).all()
    assert rows.part(3, 3).mask().shape == (0, 5)


def test_no_label_and_no_image():
    assert not LabelRows.none(3, 2).mask().any()
    assert LabelRows.of_pairs(np.zeros(0, int), np.zeros(0, int), 0, 2).mask().shape == (0, 2)
