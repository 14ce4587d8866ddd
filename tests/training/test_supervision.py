import dataclasses

import numpy as np
import pytest

from pipeline.core.errors import ParamError
from pipeline.data.split import SplitManifest
from pipeline.training.supervision import check_supervision, images_with_boxes, label_source


def test_boxes_are_of_all_images_of_none_or_of_a_share(params):
    def of(**changes):
        return images_with_boxes(dataclasses.replace(params, **changes), 200)

    assert of().sum() == 0
    assert of(supervision="boxes").all()
    few, more = (of(supervision="mixed", boxes_share=share) for share in (0.05, 0.25))
    assert (few.sum(), more.sum()) == (10, 50)
    assert more[few].all()
    assert (of(supervision="mixed", boxes_share=0.25, seed=1) != more).any()
    np.testing.assert_array_equal(of(supervision="mixed", boxes_share=0.25), more)


@pytest.mark.parametrize(
    ("changes", "takes_boxes"),
    [({}, False), ({"supervision": "boxes"}, True), ({"supervision": "mixed", "boxes_share": 0.0}, True)],
)
def test_what_fits_is_accepted(params, changes, takes_boxes):
    check_supervision(dataclasses.replace(params, **changes), "mine", takes_boxes=takes_boxes)


@pytest.mark.parametrize(
    ("changes", "takes_boxes", "part"),
    [
        ({"supervision": "boxes"}, False, "the method mine learns from image-level labels alone; expected labels"),
        ({"supervision": "mixed"}, True, r"train\.boxes_share is None; expected a share of the training images"),
        ({"supervision": "boxes", "boxes_share": 0.5}, True, r"train\.boxes_share is 0\.5; expected null"),
        ({"boxes_share": 0.5}, True, r"expected null, since train\.supervision is labels"),
        ({"supervision": "boxes", "shuffle_labels": True}, True, r"shuffle_labels permutes labels, not boxes"),
    ],
)
def test_settings_that_do_not_fit_are_refused(params, changes, takes_boxes, part):
    with pytest.raises(ParamError, match=part):
        check_supervision(dataclasses.replace(params, **changes), "mine", takes_boxes=takes_boxes)


@pytest.mark.parametrize(
    ("chosen", "prepared", "source"),
    [
        (None, "annotated", "annotated"),
        (None, "captions", "captions"),
        (None, "clip", "clip"),
        ("captions", "annotated", "captions"),
        ("clip", "captions", "clip"),
        ("annotated", "annotated", "annotated"),
    ],
)
def test_labels_are_those_of_the_row_or_of_the_dataset(params, chosen, prepared, source):
    manifest = SplitManifest("mine", "train", "images", (), (), label_source=prepared)
    assert label_source(dataclasses.replace(params, labels=chosen), manifest) == source


@pytest.mark.parametrize(
    ("changes", "prepared", "part"),
    [
        (
            {"labels": "annotated"},
            "clip",
            r"annotated, but mine\.prepare\.labels is clip, ",
        ),
        (
            {"supervision": "boxes"},
            "captions",
            r"supervision is boxes, whose boxes are annotated, but labels are",
        ),
    ],
)
def test_annotated_labels_are_not_mixed_in(params, changes, prepared, part):
    manifest = SplitManifest("mine", "train", "images", (), (), label_source=prepared)
    with pytest.raises(ParamError, match=part):
        label_source(dataclasses.replace(params, **changes), manifest)
