import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import DataError, ParamError
from pipeline.data.split import read_split, write_split
from pipeline.truth.datasets.folder import FolderReader, vocabulary_of_pairs
from pipeline.truth.params import PrepareParams

PARAMS = PrepareParams("folder", "data/own", None, None, None, val_fraction=None, seed=0)
ROWS = (
    "a.png,ride,horse,train",
    "a.png,feed,horse,train",
    "sub/b.png,hold,cup,val",
    "c.png,,,train",
    "d.png,hold,cup,test",
)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "data" / "own"
    (folder / "sub").mkdir(parents=True)
    for index, name in enumerate(("a.png", "sub/b.png", "c.png", "d.png")):
        Image.new("RGB", (20 + index, 10)).save(folder / name)
    (folder / ".hidden.png").write_text("")
    (folder / "notes.txt").write_text("")
    return folder


def open_reader(source, rows=ROWS, header="image,verb,object,split", **params) -> FolderReader:
    (source / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
    return FolderReader(dataclasses.replace(PARAMS, **params), dataset="own", root=source.parent.parent)


def read(reader, tmp_path):
    (tmp_path / "drawn").mkdir(exist_ok=True)
    return {split.manifest.split: split for split in reader.read(tmp_path / "drawn", lambda: None)}


def test_the_vocabulary_is_what_the_csv_names(source):
    vocabulary = open_reader(source).vocabulary
    assert vocabulary.objects == ("person", "cup", "horse")
    assert vocabulary.verbs == ("feed", "hold", "ride")
    assert [vocabulary.hoi_name(row) for row in range(3)] == ["hold cup", "feed horse", "ride horse"]
    assert vocabulary == open_reader(source, ROWS[::-1]).vocabulary


def test_people_can_be_objects():
    assert vocabulary_of_pairs([("hug", "person"), ("hug", "dog"), ("", "")]).objects == ("person", "dog")


def test_splits_labels_and_sizes(source, tmp_path):
    splits = read(open_reader(source), tmp_path)
    assert {name: split.manifest.image_ids for name, split in splits.items()} == {
        "train": ("a.png", "c.png"), "val": ("sub/b.png",), "test": ("d.png",),
    }  # fmt: skip
    assert all(split.annotated is None and split.people is None for split in splits.values())
    train = splits["train"].manifest
    np.testing.assert_array_equal(train.label_rows(3).mask(), [[0, 1, 1], [0, 0, 0]])
    assert [(record.width, record.height) for record in train.images] == [(20, 10), (22, 10)]
    assert train.image_root == "data/own"


def test_manifests_keep_that_pixels_are_upright(source, tmp_path):
    reader = open_reader(source)
    manifest = read(reader, tmp_path)["train"].manifest
    write_split(tmp_path / "train.json", manifest)
    again = read_split(tmp_path / "train.json", reader.vocabulary)
    assert again.upright is True
    write_split(tmp_path / "stored/train.json", dataclasses.replace(manifest, upright=False))
    assert "upright" not in (tmp_path / "stored/train.json").read_text()
    assert read_split(tmp_path / "stored/train.json", reader.vocabulary).upright is False


def test_without_a_split_column_all_images_are_trained_on_but_those_held_out(source, tmp_path):
    rows, header = [row.rpartition(",")[0] for row in ROWS], "image,verb,object"
    assert len(read(open_reader(source, rows, header), tmp_path)["train"].manifest) == 4
    held_out = read(open_reader(source, rows, header, val_fraction=0.25), tmp_path)
    assert {name: len(split.manifest) for name, split in held_out.items()} == {"train": 3, "val": 1, "test": 0}


def test_val_images_of_the_csv_and_a_fraction_exclude_each_other(source, tmp_path):
    with pytest.raises(ParamError, match=r"own.prepare.val_fraction is 0.5, but .*labels.csv names val images"):
        read(open_reader(source, val_fraction=0.5), tmp_path)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((*ROWS, "e.png,hold,cup,test"), 'labels.csv line 7: image "e.png" is not in'),
        ((*ROWS, "b.png,hold,cup,test"), 'did you mean "sub/b.png"?'),
        (ROWS[:-1], 'labels.csv: no line for 1 images of the folder, first "d.png"'),
        (ROWS[:-2], 'no line for 2 images of the folder, first "c.png"'),
        (("a.png,,", "sub/b.png,,", "c.png,,", "d.png,,"), "labels.csv line 2: 3 cells"),
        (("a.png,,,train", "sub/b.png,,,val", "c.png,,,val", "d.png,,,val"), "no row has a verb and an object"),
    ],
)
def test_rows_and_files_that_do_not_match(source, rows, expected):
    with pytest.raises(DataError, match=re.escape(expected)):
        open_reader(source, rows)


CLASSES = "verb,object\nride,horse\nHold,Wine Glass\n"


def test_without_annotation_a_list_of_classes_is_enough(source, tmp_path):
    (source / "classes.csv").write_text(CLASSES)
    reader = FolderReader(dataclasses.replace(PARAMS, labels="clip"), dataset="own", root=source.parent.parent)
    assert reader.inputs == (source / "classes.csv",)
    assert reader.vocabulary.hoi_names == ["ride horse", "hold wine_glass"]
    splits = read(reader, tmp_path)
    assert splits["train"].manifest.image_ids == ("a.png", "c.png", "d.png", "sub/b.png")
    assert not any(len(split.manifest) for name, split in splits.items() if name != "train")


def test_beside_weak_labels_rows_name_images_of_other_splits(source, tmp_path):
    (source / "classes.csv").write_text(CLASSES)
    reader = open_reader(source, ("c.png,ride,horse,test",), labels="captions")
    splits = read(reader, tmp_path)
    assert splits["train"].manifest.image_ids == ("a.png", "d.png", "sub/b.png")
    assert splits["test"].manifest.label_rows(2).mask().tolist() == [[1, 0]]
    (source / "classes.csv").unlink()  # then rows name the classes too
    assert open_reader(source, labels="captions").vocabulary.num_hois == 3


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ("verb,object\nride,\n", 'classes.csv line 2: "ride," is no class; expected a verb and an object'),
        ("verb\nride\n", 'classes.csv line 1: no column "object"'),
        ("verb,object\n", "classes.csv: no row has a verb and an object"),
        ("verb,object\nrde,horse\n", 'has no class "ride,horse", did you mean "rde horse"?, which labels.csv line 2'),
    ],
)
def test_classes_of_another_form(source, classes, expected):
    (source / "classes.csv").write_text(classes)
    with pytest.raises(DataError, match=re.escape(expected)):
        open_reader(source, labels="clip")


def test_a_file_in_another_unicode_form_or_case_is_what_is_meant(source):
    (source / "c.png").rename(source / "c.PNG")
    with pytest.raises(DataError, match=r'image "c.png" is not in .*, did you mean "c.PNG"\?; expected a path'):
        open_reader(source)
    (source / "c.PNG").rename(source / "e\u0301.png")
    with pytest.raises(DataError, match=r"did you mean the same letters in Unicode form NFD\? This is NFC"):
        open_reader(source, [*ROWS[:3], "\u00e9.png,,,train", ROWS[4]])


def test_an_image_of_a_kind_that_cannot_be_read_is_not_left_out_silently(source):
    (source / "phone.heic").write_text("")
    with pytest.raises(DataError, match=r'no line for 1 images of the folder, first "phone.heic"'):
        open_reader(source)


def test_nothing_to_train_on(source, tmp_path):
    rows = [row.replace(",train", ",test") for row in ROWS]
    with pytest.raises(DataError, match="no training image has an interaction"):
        read(open_reader(source, rows), tmp_path)


def test_damaged_images_are_counted_and_the_first_named_with_its_line(source, tmp_path):
    (source / "c.png").write_text("no image")
    (source / "d.png").write_text("no image")
    with pytest.raises(DataError, match=r"2 of 4 images are unusable: .*labels.csv line 5: .*c.png: image cannot be"):
        read(open_reader(source), tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"folder does not exist; put your images and labels.csv there"):
        FolderReader(PARAMS, dataset="own", root=tmp_path)
