import dataclasses
import re

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.representations_file import read_representations, write_representations
from tests.store.records import assert_equal, make_representations, replace_datasets


@pytest.mark.parametrize(("dtype", "pairs"), [("float32", 3), ("float16", 3), ("float32", 0)])
def test_round_trip_keeps_every_bit_and_dtype(tmp_path, dtype, pairs):
    written = make_representations(dtype, pairs)
    write_representations(tmp_path / "x.h5", **vars(written))
    found = read_representations(tmp_path / "x.h5", image_ids=("a", "b", "c"), num_hois=4)
    assert_equal(found, written)
    assert found.image_index.tolist() == [0, 0, 2][:pairs]


def test_same_pairs_looks_at_pairs_and_not_at_numbers_of_the_network():
    one = make_representations()
    assert one.same_pairs(dataclasses.replace(one, run="other", representation=one.representation * 2))
    assert not one.same_pairs(dataclasses.replace(one, object_ids=np.array([1, 2, 2])))
    assert not one.same_pairs(dataclasses.replace(one, image_ids=("a", "b", "d")))


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"image_ids": ("a", "b")}, "has 3 images, expected 2; it was made from other inputs: run it again"),
        ({"num_hois": 7}, "has 4 HOI classes, expected 7; it was made from other inputs: run it again"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, expected, message):
    write_representations(tmp_path / "x.h5", **vars(make_representations()))
    with pytest.raises(ArtifactError, match=message):
        read_representations(tmp_path / "x.h5", remedy="run it again", **expected)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("object_ids", np.array([0.5, 1.5, 0.5]), "object_ids is float64 [3]; expected int64 [M = 3]"),
        ("representation", np.ones((3, 5), bool), "representation is bool [3, 5]; expected floating [M = 3, D]"),
        ("object_ids", np.zeros(2, np.int64), "object_ids is int64 [2]; expected int64 [M = 3]"),
        ("image_id", np.arange(3), "image_id is int64 [3], expected a list of texts"),
        ("image_id", "a", "image_id is |S1 [], expected a list of texts"),
    ],
)
def test_a_dataset_of_another_type_is_named_with_both(tmp_path, name, values, message):
    write_representations(tmp_path / "x.h5", **vars(make_representations()))
    replace_datasets(tmp_path / "x.h5", **{name: values})
    with pytest.raises(ArtifactError, match=re.escape(message)):
        read_representations(tmp_path / "x.h5")
