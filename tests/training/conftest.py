"""A short run of five images a batch, its bags, and one batch."""

import pytest

from pipeline.training.params import TrainParams
from tests.conftest import make_batch
from tests.small_model import short_run
from tests.small_split import small_bags

COUNTS = [4, 3, 0, 5, 4, 1, 4, 4, 2, 5]  # proposals; the third and the sixth image have no pair


@pytest.fixture
def params(toyworld_params):
    return short_run(toyworld_params[TrainParams])


@pytest.fixture
def bags(tmp_path, vocabulary, seed):
    return small_bags(tmp_path / "split", vocabulary, COUNTS, seed=seed)


@pytest.fixture
def batch(vocabulary, seed):
    return make_batch([5, 4, 0, 6], vocabulary, seed=seed)
