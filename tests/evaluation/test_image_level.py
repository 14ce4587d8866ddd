import dataclasses

import numpy as np
import pytest

from pipeline.core.class_groups import ClassGroups
from pipeline.core.errors import ArtifactError
from pipeline.core.label_rows import LabelRows
from pipeline.evaluation.image_level import image_level_ap, image_level_metrics
from pipeline.evaluation.row import score_dump
from tests.evaluation.test_fusion import COLUMNS, WHOLE, dump_of
from tests.evaluation.test_weight_sweep import GROUPS, VOCABULARY, opened, world


def test_by_hand():
    labels = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 0]], bool)
    scores = np.array([[3, 0, -1], [2, 0, -1], [1, 0, -2]], np.float32)
    # class 0: right at ranks 1 and 3 of 2, so precision 1 up to recall 0.5 (6 levels), then 2/3 (5 levels);
    # class 1 is shown by no image; class 2: image 1 stands behind image 0, whose score is the same
    expected = [(6 * 1 + 5 * 2 / 3) / 11, np.nan, 1 / 2]
    for blocks in ([scores], [scores[:2], scores[2:]], [scores[:1], scores[1:2], scores[2:]]):
        np.testing.assert_allclose(image_level_ap(lambda blocks=blocks: blocks, LabelRows.of_mask(labels)), expected)
    np.testing.assert_array_equal(image_level_ap(lambda: [], LabelRows.none(0, 3)), [np.nan] * 3)


def test_the_image_scores_of_a_dump_are_ranked(tmp_path):
    dump, truth = world()
    labels = np.random.default_rng(2).random((8, 3)) < 0.5
    labels[:, 2] = False
    labels = LabelRows.of_mask(labels)
    row = score_dump(opened(dump, tmp_path / "x.zarr"), WHOLE, dataclasses.replace(truth, image_hois=labels), GROUPS)
    ap = image_level_ap(lambda: [1 / (1 + np.exp(-dump.outputs["image_logits"]))], labels)
    means = {"full": round(100 * np.nansum(ap) / 3, 4), "rare": round(100 * ap[0], 4), "other": None}  # class 2: 0
    assert row.metrics["image_level"] == {"factor": "global", **means}
    assert "image_level" not in score_dump(opened(dump, tmp_path / "y.zarr"), WHOLE, truth, GROUPS).metrics


def test_methods_without_image_scores_have_none(tmp_path):
    dump = dataclasses.replace(dump_of(VOCABULARY, [[0, 1]], [[(0, 1)]]), columns=COLUMNS[:1])
    found = image_level_metrics(
        opened(dump, tmp_path / "x.zarr"), LabelRows.of_mask(np.ones((1, 3))), ClassGroups.of(3)
    )
    assert found is None


def test_image_scores_that_are_no_numbers_are_refused(tmp_path):
    dump = dump_of(VOCABULARY, [[0, 1]], [[(0, 1)]])
    dump.outputs["image_logits"][0, 0] = np.nan
    with pytest.raises(ArtifactError, match="image_logits holds numbers that are not finite"):
        image_level_metrics(opened(dump, tmp_path / "x.zarr"), LabelRows.of_mask(np.ones((1, 3))), ClassGroups.of(3))
