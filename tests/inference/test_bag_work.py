"""Batches close by images and by pairs. Categories 0 to 3: humans, bicycles, cups, and lamps that pair with nobody."""

import numpy as np
import pytest

from pipeline.inference.bag_work import closed_batches
from pipeline.methods import pair_chunks
from tests.small_model import small_model

ONE, TWO, NONE, SIX = [0, 1], [0, 0, 2], [0, 3], [0, 0, 1, 1, 2]  # so many pairs


@pytest.mark.parametrize(
    ("images", "batch_size", "expected"),
    [
        ([ONE] * 5, 2, [[0, 1], [2, 3], [4]]),
        ([TWO, ONE, ONE, TWO, TWO, NONE], 8, [[0, 1, 2], [3, 4, 5]]),  # at most four pairs
        ([ONE, SIX, NONE, ONE], 8, [[0], [1], [2, 3]]),  # one image may have more
        ([NONE] * 3, 8, [[0, 1, 2]]),
        ([], 8, []),
    ],
)
def test_a_batch_closes_when_its_images_or_its_pairs_are_enough(
    images, batch_size, expected, vocabulary, model_params, small_visual, monkeypatch
):
    model = small_model(vocabulary, model_params, small_visual)
    monkeypatch.setattr(pair_chunks, "CHUNK_BYTES", 4 * model.network.backbone.region_bytes)
    found = [np.array(image, np.int64) for image in images]
    batches = closed_batches(model, vocabulary, found, batch_size, start=10)
    assert [list(batch) for batch in batches] == [[10 + image for image in batch] for batch in expected]
