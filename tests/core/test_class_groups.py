"""Groups of HOI classes: the dataset's, and those that params add by wildcards."""

import numpy as np
import pytest

from pipeline.core.class_groups import ClassGroups
from pipeline.core.errors import DataError, ParamError

NAMES = ["ride bicycle", "hold bicycle", "hold cup", "drink_with cup"]
OWN = ClassGroups.of(4, {"rare": np.array([True, False, False, True])})


@pytest.mark.parametrize(
    ("patterns", "members"),
    [
        (["hold *"], [0, 1, 1, 0]),
        (["ride bicycle", "drink with cup"], [1, 0, 0, 1]),
        (["drink_with *"], [0, 0, 0, 1]),
        (["*", "!* cup"], [1, 1, 0, 0]),
        (["*", "!hold *", "hold cup"], [1, 0, 1, 1]),  # the last that matches decides
        ([], [0, 0, 0, 0]),
    ],
)
def test_wildcards_choose_classes(patterns, members):
    groups = OWN.adding({"mine": patterns}, NAMES)
    assert list(groups) == ["full", "rare", "mine"]
    assert groups["mine"].tolist() == [bool(member) for member in members]


def test_means_count_a_class_without_annotations_as_0():
    groups = OWN.adding({"cups": ["* cup"], "none": []}, NAMES)
    means = groups.means(np.array([0.5, 0.5, 1.0, np.nan]))
    assert (means["full"], means["rare"], means["cups"]) == (0.5, 0.25, 0.5)
    assert np.isnan(means["none"])


@pytest.mark.parametrize(
    ("patterns", "line"),
    [
        ({"mine": ["hold cap"]}, 'class_groups.mine: "hold cap" matches no HOI class, did you mean "hold cup"?'),
        ({"mine": ["!* dog"]}, '"* dog" matches no HOI class'),
        ({"rare": ["*"]}, '"rare" is a group of this dataset; choose another name'),
    ],
)
def test_what_fits_no_class_or_is_there_already_is_one_line(patterns, line):
    with pytest.raises(ParamError) as caught:
        OWN.adding(patterns, NAMES)
    assert line in str(caught.value)


def test_masks_have_one_entry_a_class_and_names_are_those_of_files():
    with pytest.raises(DataError, match="expected one entry for each of 4 classes"):
        ClassGroups.of(4, {"mine": np.ones(3, bool)})
    with pytest.raises(DataError, match="a/b"):
        ClassGroups.of(4, {"a/b": np.ones(4, bool)})
