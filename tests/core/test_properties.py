"""What holds for every box and every record, whatever its numbers."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.boxes import box_area, box_intersection, box_iou, box_union, clip_boxes
from pipeline.core.errors import DataError
from pipeline.core.types import Detections, ImageLabels, ImageRecord, Proposals
from pipeline.core.vocabulary import Vocabulary
from tests.properties import NAMES, SEEDS, modest, random_boxes, vocabularies

COUNT = st.integers(0, 8)
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.integers())
)

FIELDS = ("image_id", "path", "width", "height", "sha256")


@modest
@given(SEEDS, COUNT, COUNT)
def test_boxes(seed, first, second):
    rng = np.random.default_rng(seed)
    a, b = random_boxes(rng, first), random_boxes(rng, second)
    iou = box_iou(a[:, None], b[None])
    assert iou.shape == (first, second)
    assert ((iou >= 0) & (iou <= 1)).all()
    np.testing.assert_array_equal(iou, box_iou(b[:, None], a[None]).T)
    np.testing.assert_array_equal(box_iou(a, a), (box_area(a) > 0).astype(np.float32))
    shared = box_intersection(a[:, None], b[None])
    assert (shared <= np.minimum(box_area(a)[:, None], box_area(b)[None])).all()
    hull = box_union(a[:, None], b[None])
    np.testing.assert_array_equal(box_intersection(hull, a[:, None]), np.broadcast_to(box_area(a)[:, None], iou.shape))
    moved = box_iou((a + 16)[:, None], (b + 16)[None])
    np.testing.assert_array_equal(moved, iou)
    np.testing.assert_array_equal(box_iou((a * 4)[:, None], (b * 4)[None]), iou)


@modest
@given(SEEDS, COUNT, st.integers(1, 50), st.integers(1, 50))
def test_clipping_keeps_what_lies_inside(seed, count, width, height):
    boxes = random_boxes(np.random.default_rng(seed), count)
    clipped = clip_boxes(boxes, width, height)
    frame = np.array([0, 0, width, height], np.float32)
    np.testing.assert_array_equal(box_area(clipped), box_intersection(boxes, frame))
    np.testing.assert_array_equal(clip_boxes(clipped, width, height), clipped)


@modest
@given(NAMES, NAMES, st.integers(1, 10_000), st.integers(1, 10_000), st.sampled_from(FIELDS), ANYTHING)
def test_an_image_record_is_sound_or_refused(image_id, path, width, height, name, other):
    sound = dict(zip(FIELDS, (image_id, path, width, height, "0f" * 32), strict=True))
    assert asdict(ImageRecord(**sound)) == sound
    try:
        record = ImageRecord(**(sound | {name: other}))
    except DataError as error:
        assert f"ImageRecord.{name}" in str(error)
        return
    assert b"\0" not in (record.image_id + record.path).encode() and record.image_id and record.path
    assert record.width > 0 and record.height > 0 and type(record.width) is type(record.height) is int
    assert len(bytes.fromhex(record.sha256)) == 32


@modest
@given(st.lists(st.integers(-3, 6), max_size=5))
def test_labels_are_sorted_and_unique_or_refused(hoi_ids):
    sound = hoi_ids == sorted(set(hoi_ids)) and all(hoi_id >= 0 for hoi_id in hoi_ids)
    if sound:
        assert ImageLabels("a", np.array(hoi_ids, np.int64)).hoi_ids.tolist() == hoi_ids
    else:
        with pytest.raises(DataError, match="rising order"):
            ImageLabels("a", np.array(hoi_ids, np.int64))


@modest
@given(SEEDS, st.integers(1, 6), st.sampled_from(["nan", "inf", "swap", "low", "high", "id", "short"]))
def test_proposals_are_sound_or_refused(seed, count, fault):
    rng = np.random.default_rng(seed)
    boxes, scores, ids = random_boxes(rng, count), rng.random(count, np.float32), rng.integers(0, 5, count)
    assert len(Proposals(boxes, scores, ids)) == count
    row = int(rng.integers(count))
    if fault in ("nan", "inf"):
        boxes[row, rng.integers(4)] = float(fault)
    elif fault == "swap":
        boxes[row] = boxes[row, [2, 3, 0, 1]] + [1, 0, 0, 0]
    elif fault in ("low", "high"):
        scores[row] = {"low": -0.01, "high": 1.01}[fault]
    elif fault == "id":
        ids[row] = -1
    else:
        scores = scores[1:]
    with pytest.raises(DataError, match="Proposals"):
        Proposals(boxes, scores, ids)


@modest
@given(COUNT, COUNT, COUNT)
def test_columns_of_detections_have_one_length(images, classes, scores):
    columns = (np.zeros(images, np.int32), np.zeros(classes, np.int16), np.zeros((images, 4), np.float32))
    if images == classes == scores:
        assert len(Detections(*columns, columns[2], np.zeros(scores, np.float32))) == scores
    else:
        with pytest.raises(DataError, match=r"expected \w+ \[T = "):
            Detections(*columns, columns[2], np.zeros(scores, np.float32))


@modest
@given(vocabularies())
def test_a_vocabulary_survives_json_and_its_table_inverts_its_classes(vocabulary):
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary
    table = vocabulary.hoi_id_table
    assert [int(table[pair]) for pair in vocabulary.hoi_classes] == list(range(vocabulary.num_hois))
    assert (table >= 0).sum() == vocabulary.num_hois
