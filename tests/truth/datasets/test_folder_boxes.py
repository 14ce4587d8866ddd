"""Boxes of a user's own dataset, in each of their forms."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import DataError
from pipeline.truth.datasets.catalog import read_training_boxes
from pipeline.truth.datasets.folder import FolderReader
from pipeline.truth.params import PrepareParams
from tests.conftest import ROOT

PARAMS = PrepareParams("folder", "data/own")
LABELS = (
    "image,verb,object,split",
    "a.png,ride,horse,train",
    "a.png,feed,horse,train",
    "b.png,,,test",
    "c.png,ride,horse,test",
    "c.png,sit on,kite box,test",
)
HUMAN, HORSE, KITE = [1.5, 2, 11, 18], [5, 6, 15, 19], [0, 0, 20, 20]
PAIRS = [
    {"image": "c.png", "verb": "ride", "object": "horse", "human_box": HUMAN, "object_box": HORSE, "split": "test"},
    {"image": "c.png", "verb": "Sit on", "object": "kite_box", "human_box": HUMAN, "object_box": KITE, "split": "test"},
    {"image": "b.png", "split": "test"},
]
NAMES = {"verbs": {"1": "ride", "2": "sit on", "3": "feed"}, "objects": {"1": "person", "2": "horse", "7": "kite box"}}
COMMUNITY = [
    {
        "file_name": "c.png",
        "split": "test",
        "annotations": [
            {"bbox": HUMAN, "category_id": 1},
            {"bbox": HORSE, "category_id": "2"},
            {"bbox": KITE, "category_id": 7},
        ],
        "hoi_annotation": [
            {"subject_id": 0, "object_id": 1, "category_id": 1},
            {"subject_id": 0, "object_id": 2, "category_id": 2},
        ],
    },
    {"file_name": "b.png", "split": "test", "annotations": [], "hoi_annotation": []},
]


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "data" / "own"
    folder.mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (20, 20)).save(folder / name)
    (folder / "labels.csv").write_text("\n".join(LABELS))
    return folder


def write_csv(source, pairs):
    corners = [f"{kind}_{corner}" for kind in ("human", "object") for corner in ("x1", "y1", "x2", "y2")]
    with (source / "annotations.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "verb", "object", *corners, "split"])
        for pair in pairs:
            boxes = [*pair.get("human_box", [""] * 4), *pair.get("object_box", [""] * 4)]
            writer.writerow([pair["image"], pair.get("verb"), pair.get("object"), *boxes, pair["split"]])


def write_json(source, data):
    (source / "annotations.json").write_text(json.dumps(data))


def write_community(source, data):
    write_json(source, data)
    (source / "annotations.names.json").write_text(json.dumps(NAMES))


WRITERS = {"csv": (write_csv, PAIRS), "json": (write_json, PAIRS), "community": (write_community, COMMUNITY)}


def reader_of(source, **params) -> FolderReader:
    return FolderReader(dataclasses.replace(PARAMS, **params), dataset="own", root=source.parent.parent)


def read(source, **params):
    reader, drawn = reader_of(source, **params), source.parent / "drawn"
    drawn.mkdir(exist_ok=True)
    return reader, {split.manifest.split: split for split in reader.read(drawn, lambda: None)}


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("labeled", [True, False], ids=["labels.csv", "alone"])
def test_all_forms_say_the_same(source, form, labeled):
    """Without labels.csv, images and labels are those of the annotations."""
    write, data = WRITERS[form]
    write(source, data)
    if not labeled:
        (source / "labels.csv").unlink()
        further = {"image": "a.png", "verb": "feed", "object": "horse", "human_box": HUMAN, "object_box": HORSE}
        image = {
            "file_name": "a.png",
            "annotations": COMMUNITY[0]["annotations"],
            "hoi_annotation": [{"subject_id": 0, "object_id": 1, "category_id": 3}],
        }
        write(source, [*data, (image if form == "community" else further) | {"split": "train"}])
    reader, splits = read(source)
    names = ["feed horse", "ride horse", "sit_on kite_box"]
    assert reader.vocabulary.hoi_names == names
    assert splits["train"].annotated is None
    assert splits["val"].annotated is None
    annotated = splits["test"].annotated
    truth = annotated.truth
    assert splits["test"].manifest.image_ids == ("b.png", "c.png")
    assert (truth.image_index.tolist(), truth.hoi_id.tolist()) == ([1, 1], [1, 2])
    assert truth.human_boxes.tolist() == [HUMAN, HUMAN]
    assert truth.object_boxes.tolist() == [HORSE, KITE]
    # labels.csv: images that show a class, as no training image has boxes; else annotated pairs
    assert annotated.train_instances.tolist() == ([1, 1, 0] if labeled else [1, 0, 0])
    assert {path.name for path in reader.inputs} == {
        *(["labels.csv"] if labeled else []),
        *(["annotations.csv"] if form == "csv" else ["annotations.json"]),
        *(["annotations.names.json"] if form == "community" else []),
    }


def test_boxes_of_training_images_are_for_label_pairs_alone(source):
    write_json(source, PAIRS)
    with pytest.raises(DataError, match=r"annotations.json: no boxes of training images.*train.supervision: labels"):
        reader_of(source).training_boxes()
    pair = {"image": "a.png", "verb": "ride", "object": "horse", "human_box": HUMAN, "object_box": HORSE}
    write_json(source, [*PAIRS, pair])
    reader, splits = read(source)
    manifest = splits["train"].manifest
    truth = read_training_boxes(reader, PARAMS, manifest, reader.vocabulary)
    assert (truth.hoi_id.tolist(), truth.human_boxes.tolist()) == ([1], [HUMAN])
    assert manifest.labels[0].hoi_ids.tolist() == [0, 1]  # labels.csv says more than the boxes do


def test_beside_weak_labels(source):
    """labels: clip. No training image needs a row; annotated test images are those of the annotations."""
    (source / "labels.csv").unlink()
    (source / "classes.csv").write_text("verb,object\nride,horse\nsit on,kite box\n")
    write_json(source, PAIRS)
    _, splits = read(source, labels="clip")
    assert splits["train"].manifest.image_ids == ("a.png",)
    assert len(splits["test"].annotated.truth) == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"human_box": [41, 61, 30, 40]}, "pair 0: human box is [41.0, 61.0, 30.0, 40.0]; expected x1 <= x2"),
        ({"object_box": [5, 6, 15]}, "pair 0: object_box is [5, 6, 15]; expected four finite numbers"),
        ({"object_box": None}, "pair 0: has verb, but no object_box"),
        ({"objekt": "horse"}, 'unknown key "objekt", did you mean "object"?'),
        ({"object": "hors"}, '"c.png" has boxes of "ride hors", did you mean "ride horse"?, which labels.csv'),
        ({"verb": "feed"}, '"c.png" has boxes of "feed horse"'),  # a class, but not of this image
        ({"image": "d.png"}, 'image "d.png" has no line in labels.csv'),
        ({"image": "../c.png"}, 'path "../c.png" leaves the folder'),
        ({"split": "val"}, '"c.png" is in split test, '),
        ({"split": "tst"}, 'split is "tst", did you mean "test"?'),
    ],
)
def test_one_line_says_what_is_wrong(source, change, expected):
    write_json(source, [PAIRS[0] | change, *PAIRS[1:]])
    with pytest.raises(DataError, match=re.escape(expected)):
        reader_of(source)


def test_a_csv_names_its_lines(source):
    write_csv(source, [PAIRS[0], PAIRS[1] | {"object_box": ["1", "2", "x", "4"]}])
    with pytest.raises(DataError, match=r"annotations.csv line 3: object_box is \[1.0, 2.0, 'x', 4.0\]"):
        reader_of(source)


def test_boxes_outside_their_image_and_images_without_boxes_are_refused_before_they_are_scored(source):
    write_json(source, [PAIRS[0] | {"object_box": [511, 511, 800, 900]}, *PAIRS[1:]])
    with pytest.raises(DataError, match=r'annotations.json: object box of pair 0, image "c.png" of 20 x 20 pixels'):
        read(source)
    write_json(source, PAIRS[2:])  # b.png alone
    with pytest.raises(DataError, match=r'boxes of some test images, but none of "c.png", which .*labels.csv line 5'):
        read(source)


@pytest.mark.parametrize(
    ("change", "names", "expected"),
    [
        ({}, None, "verbs have ids; name them in"),
        ({}, {"verbs": {"1": "ride"}}, 'image "c.png": verb id 2 has no name'),
        ({}, NAMES | {"objects": {"1": "person", "2": "horse"}}, 'image "c.png": object id 7 has no name'),
        ({}, {"verbs": NAMES["verbs"]}, '"c.png" has boxes of "ride bicycle"'),  # COCO's 2
        ({}, {"verbs": ["ride"]}, "verbs is no object of names by id"),
        ({"annotations": [{"bbox": HUMAN, "category_id": 2}] * 3}, NAMES, 'the subject of a pair is a "horse"'),
        ({"annotations": [{"bbox": HUMAN, "category_id": 1}]}, NAMES, "2 rows of hoi_annotation point past"),
    ],
)
def test_what_the_community_form_lacks(source, change, names, expected):
    write_json(source, [COMMUNITY[0] | change])
    if names is not None:
        (source / "annotations.names.json").write_text(json.dumps(names))
    with pytest.raises(DataError, match=re.escape(expected)):
        reader_of(source)


def test_two_files_of_boxes(source):
    write_csv(source, PAIRS)
    write_json(source, PAIRS)
    with pytest.raises(DataError, match=r"holds both annotations.csv and annotations.json; keep one"):
        reader_of(source)


def test_equal_numbers_whatever_the_order_of_images(source):
    write_json(source, PAIRS[::-1])
    _, splits = read(source)
    truth = splits["test"].annotated.truth
    assert np.array_equal(truth.image_index, [1, 1])
    assert truth.hoi_id.tolist() == [2, 1]


def test_the_examples_of_the_docs_say_the_same(tmp_path):
    text = (ROOT / "docs/datasets.md").read_text()
    (_, table), (community,) = (
        re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) for language in ("csv", "json")
    )
    names, pair = (re.search(rf"`({start}.*?)`", text, re.DOTALL)[1] for start in ('{"verbs"', '{"image"'))
    folder = tmp_path / "data" / "own"
    (folder / "beach").mkdir(parents=True)
    for name in ("001", "002"):
        Image.new("RGB", (320, 420)).save(folder / f"beach/{name}.jpg")
    (folder / "labels.csv").write_text(
        "image,verb,object,split\nbeach/001.jpg,ride,horse,test\nbeach/002.jpg,ride,horse,train\n"
    )
    found = []
    for name, content in (("csv", table), ("json", f"[{pair}]"), ("json", community)):
        (folder / "annotations.csv").unlink(missing_ok=True)
        (folder / f"annotations.{name}").write_text(content)
        (folder / "annotations.names.json").write_text(names)
        truth = read(folder)[1]["test"].annotated.truth
        found.append((truth.human_boxes.tolist(), truth.object_boxes.tolist(), truth.hoi_id.tolist()))
    assert found == [([[120, 40, 210, 260]], [[90, 110, 300, 400]], [0])] * 3
