"""Bags of a small split, one image without proposals and one without a pair."""

import pytest

from tests.small_split import small_bags


@pytest.fixture
def bags(tmp_path, vocabulary, seed):
    return small_bags(tmp_path / "split", vocabulary, [5, 0, 8, 1, 4, 6], max_proposals=6, seed=seed)
