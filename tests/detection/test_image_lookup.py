import numpy as np
import pytest

from pipeline.core.errors import DataError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.data.split import SplitManifest
from pipeline.detection.image_lookup import ImageLookup


def lookup(*images: tuple[str, str] | str) -> ImageLookup:
    """Of (id, path) each; an image of one's own folder is named by its path."""
    named = [(image, image) if isinstance(image, str) else image for image in images]
    records = tuple(ImageRecord(image_id, path, 64, 48, "0" * 64) for image_id, path in named)
    labels = tuple(ImageLabels(record.image_id, np.zeros(0, np.int64)) for record in records)
    return ImageLookup(SplitManifest("custom", "train", "images", records, labels))


FOLDER = ("img0.png", "beach/001.jpg", "beach/002.jpg", "town/002.jpg", "town/07.b.jpg")
DOWNLOAD = (
    ("HICO_test2015_00000012", "test2015/HICO_test2015_00000012.jpg"),
    ("COCO_val2014_000000000294", "val2014/COCO_val2014_000000000294.jpg"),
    ("test-000003", "test/000003.png"),
)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("img0.png", 0), ("img0", 0), (0, 0), ("0", 0),
        ("beach/001.jpg", 1), ("beach/001", 1), ("001.jpg", 1), ("001", 1), (1, 1), ("1", 1),
        ("beach/002.jpg", 2), ("town/002", 3),
        ("town/07.b", 4), ("07.b.jpg", 4),
    ],
)  # fmt: skip
def test_images_of_a_folder_with_or_without_suffix_and_folder_and_by_number(name, row):
    assert lookup(*FOLDER).row(name) == row


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("HICO_test2015_00000012", 0), ("HICO_test2015_00000012.jpg", 0), (12, 0), ("12", 0), ("00000012", 0),
        ("test2015/HICO_test2015_00000012.jpg", 0), (294, 1), ("COCO_val2014_000000000294.jpg", 1),
        ("test-000003", 2), ("test-000003.png", 2), ("000003", 2), ("test/000003.png", 2), (3, 2),
    ],
)  # fmt: skip
def test_images_of_a_download_by_id_file_and_number(name, row):
    assert lookup(*DOWNLOAD).row(name) == row


def test_an_exact_name_is_taken_before_a_shorter_one():
    images = lookup("a/1.jpg", "1.jpg", ("2", "x/4.jpg"), ("3", "2.jpg"))
    found = [images.row(name) for name in ("1.jpg", "a/1.jpg", "a/1", "2", "2.jpg", "3", "x/4", "4")]
    assert found == [1, 0, 0, 2, 3, 3, 2, 2]


@pytest.mark.parametrize("name", ["002", "002.jpg", 2])
def test_a_name_of_two_images_is_refused_with_both(name):
    with pytest.raises(DataError) as caught:
        lookup(*FOLDER).row(name)
    line = f'image "{name}" may be 2 images of custom train, "beach/002.jpg" or "town/002.jpg"; give the whole path'
    assert str(caught.value) == line


@pytest.mark.parametrize("name", ["img1.png", "sea/001.jpg", "img0.jpg", 9, -1, "\u0660", "", "beach"])
def test_other_names_are_refused_and_the_expected_ones_shown(name):
    with pytest.raises(DataError, match=r'is not among the 5 of custom train.*names of that split, like "img0.png"'):
        lookup(*FOLDER).row(name)


def test_no_image_at_all():
    with pytest.raises(DataError, match="is not among the 0 of custom train"):
        lookup().row("x")
