from __future__ import annotations

import numpy as np
import pytest

from pipeline.captions.caption_labels import label_captions
from pipeline.core.errors import DataError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest

WORLD = Vocabulary(("person", "bicycle", "cup"), ("ride", "hold"), ((0, 1), (1, 1), (1, 2)))


def split(name: str, *paths: str) -> SplitManifest:
    records = tuple(ImageRecord(f"{name}-{row}", path, 8, 8, sha256="0" * 64) for row, path in enumerate(paths))
    labels = tuple(ImageLabels(record.image_id, np.array([2])) for record in records)
    return SplitManifest("any", name, "images", records, labels)


TRAIN, TEST = split("train", "train/a.png", "train/b.png", "train/c.png"), split("test", "test/a.png", "test/d.png")


def labeled(tmp_path, *rows: str):
    path = tmp_path / "captions.csv"
    path.write_text("\n".join(("image,caption", *rows)))
    return label_captions(path, None, TRAIN, [TEST], WORLD)


def test_labels_of_training_images_with_the_share_of_captions_that_name_them(tmp_path):
    found = labeled(
        tmp_path,
        "train/a.png,a man rides a bike",  # by path
        "train/a.png,a man holding a cup and riding a bike",
        "train-1,a woman at the lake",  # by id
        "c.png,a cup held by a woman",  # by file name
        "elsewhere/c.png,a man at the lake",
        "test/a.png,a man holds a bicycle",  # not a.png of train
        "test/d.png,a man holds a bicycle",
        "d.png,a man holds a bicycle",
        "z.png,a man holds a bicycle",
    )
    labels = found.labels
    assert labels.source == "captions" and labels.image_ids == TRAIN.image_ids
    assert labels.offsets.tolist() == [0, 2, 2, 3] and labels.hoi_ids.tolist() == [0, 2, 2]
    assert labels.confidence.tolist() == [1.0, 0.5, 0.5]
    assert found.report == {
        "captions": 5,
        "with_class": 3,
        "other_splits": 3,
        "unknown_images": 1,
        "images": 3,
        "images_with_captions": 3,
        "images_with_labels": 2,
        "labels": 3,
        "classes_without": ["hold bicycle"],
        "captions_without": ["a man at the lake", "a woman at the lake"],
        "words_without": {"lake": 2, "man": 1, "woman": 1},
    }
    assert found.summary == (
        "captions: 3 of 5 name a class; 2 of 3 training images have labels; 1 classes in no caption; "
        "1 captions are of images that the dataset lacks"
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("trian/a.png,a man rides a bike", r'the first is of "trian/a.png", did you mean "train/a.png"\?; expected'),
        ("test/d.png,a man rides a bike", "none of its 1 captions is of a training image"),
        ("a.png,a lake", r"none of its 1 captions is of a training image"),  # two splits have one of this name
        ("c.png,a lake", r'none of the 1 captions of training images names a class, e\.g\. "a lake"; expected senten'),
    ],
)
def test_a_file_that_gives_no_label_is_refused(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        labeled(tmp_path, row)
