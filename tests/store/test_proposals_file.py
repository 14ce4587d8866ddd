import dataclasses
import re

import h5py
import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.proposals_file import SplitProposals, read_proposals, write_proposals
from tests.store.records import assert_equal, make_proposals, replace_datasets


@pytest.fixture
def proposals() -> SplitProposals:
    return make_proposals()


@pytest.fixture
def path(tmp_path, proposals):
    write_proposals(tmp_path / "x.h5", **vars(proposals))
    return tmp_path / "x.h5"


def test_round_trip(path, proposals):
    found = read_proposals(path, image_ids=proposals.image_ids, objects=proposals.objects)
    assert_equal(found, proposals)
    assert [len(found.image(i)) for i in range(3)] == [50, 0, 40]
    assert found.image(2, limit=7).scores.tolist() == proposals.scores[50:57].tolist()
    assert len(found.image(1, limit=7)) == 0


@pytest.fixture
def with_rows(proposals):
    rows = np.random.default_rng(1).random((90, 2)).astype(np.float16)
    return dataclasses.replace(proposals, class_probabilities=rows)


def test_class_probabilities_are_read_on_request(tmp_path, path, proposals, with_rows):
    write_proposals(tmp_path / "rows.h5", **vars(with_rows))
    assert_equal(read_proposals(tmp_path / "rows.h5"), proposals)
    found = read_proposals(tmp_path / "rows.h5", class_probabilities=True)
    assert_equal(found, with_rows)
    np.testing.assert_array_equal(found.image(2, limit=7).class_probabilities, with_rows.class_probabilities[50:57])
    high = with_rows.scores > 0.5
    np.testing.assert_array_equal(found.kept(high).class_probabilities, with_rows.class_probabilities[high])
    assert_equal(read_proposals(path, class_probabilities=True), proposals)  # a file without them


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        (np.zeros((90, 3), np.float16), "class_probabilities has 3 columns; expected 2 categories"),
        (np.full((90, 2), 2, np.float16), r"class_probabilities: outside 0\.\.1"),
        (np.zeros((89, 2), np.float16), r"class_probabilities is float16 \[89, 2\]"),
    ],
)
def test_wrong_class_probabilities_are_refused(tmp_path, with_rows, rows, part):
    path = tmp_path / "rows.h5"
    write_proposals(path, **vars(with_rows))
    replace_datasets(path, class_probabilities=rows)
    with pytest.raises(ArtifactError, match=part):
        read_proposals(path, class_probabilities=True)


def test_a_flipped_byte_in_the_data_is_noticed(path, proposals):
    whole = bytearray(path.read_bytes())
    at = whole.find(proposals.boxes.tobytes()[:64])
    assert at > 0
    whole[at + 9] ^= 1
    path.write_bytes(whole)
    with pytest.raises(ArtifactError, match="damaged"):
        read_proposals(path)


@pytest.mark.parametrize(
    ("expected", "part"),
    [
        ({"image_ids": ("a", "x", "ümlaut")}, 'images row 1 is "b", expected "x"'),
        ({"image_ids": ("b", "a", "ümlaut")}, 'images row 0 is "a", expected "b"'),
        ({"image_ids": ("a",)}, "has 3 images, expected 1"),
        ({"objects": ("person", "mug")}, 'object categories row 1 is "cup", expected "mug"'),
        ({"objects": ("person",)}, "has 2 object categories, expected 1"),
    ],
)
def test_other_images_or_categories_are_refused_with_both_named(path, expected, part):
    with pytest.raises(ArtifactError, match=part):
        read_proposals(path, **expected)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"object_ids": [2, 0]}, r"object_ids holds 2, expected 0\.\.1"),
        ({"object_ids": [-1, 0]}, "object_ids: -1 is negative"),
        ({"scores": [1.5, 0.5]}, "scores: outside 0..1"),
        ({"scores": [np.nan, 0.5]}, "scores: outside 0..1"),
        ({"offsets": [0, 3]}, r"boxes is float32 \[2, 4\]; expected float32 \[N = 3, 4\]"),
        ({"boxes": [[0, 0, 1, 1]]}, r"boxes is float32 \[1, 4\]; expected float32 \[N = 2, 4\]"),
        ({"boxes": [[0, 0, 1, 1], [5, 0, 1, 1]]}, "box 1 is"),
        ({"boxes": [[0, 0, 1, 1], [np.inf, 0, np.inf, 1]]}, "box 1 is"),
    ],
)
def test_arrays_that_cannot_be_are_refused(tmp_path, change, part):
    columns = {
        "offsets": np.array([0, 2]),
        "boxes": np.array([[0, 0, 1, 1], [0, 0, 2, 2]], np.float32),
        "scores": np.array([0.9, 0.5], np.float32),
        "object_ids": np.array([0, 1]),
    }
    good = SplitProposals(("a",), ("person", "cup"), "d", **columns)
    write_proposals(tmp_path / "x.h5", **vars(good))
    read_proposals(tmp_path / "x.h5")
    changed = {name: np.asarray(value, columns[name].dtype) for name, value in change.items()}
    write_proposals(tmp_path / "x.h5", **{**vars(good), **changed})
    with pytest.raises(ArtifactError, match=f"damaged or not a proposals file .*{part}.*; run"):
        read_proposals(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("name", "values", "found", "expected"),
    [
        ("object_ids", np.full(90, 0.4), "float64 [90]", "int64 [N = 90]"),
        ("object_ids", np.ones(90, bool), "bool [90]", "int64 [N = 90]"),
        ("object_ids", np.ones((90, 1), np.int64), "int64 [90, 1]", "int64 [N = 90]"),
        ("scores", np.ones(90, bool), "bool [90]", "float32 [N = 90]"),
        ("scores", np.full(90, b"0.5"), "|S3 [90]", "float32 [N = 90]"),
        ("scores", np.ones(90, complex), "complex128 [90]", "float32 [N = 90]"),
        ("scores", np.float32(1), "float32 []", "float32 [N = 90]"),
        ("offsets", np.array([0.0, 50, 50, 90]), "float64 [4]", "int64 [I + 1 = 4]"),
        ("boxes", np.ones((90, 5), np.float32), "float32 [90, 5]", "float32 [N = 90, 4]"),
        ("boxes", np.ones((90, 2, 2), np.float32), "float32 [90, 2, 2]", "float32 [N = 90, 4]"),
    ],
)
def test_a_dataset_of_another_type_or_shape_is_named_with_both(path, name, values, found, expected):
    replace_datasets(path, **{name: values})
    message = f"{path}: damaged or not a proposals file ({name} is {found}; expected {expected}"
    with pytest.raises(ArtifactError, match=re.escape(message)):
        read_proposals(path)


def test_numbers_of_another_width_are_read_as_what_they_are(path, proposals):
    types = {"offsets": np.uint64, "object_ids": np.uint8, "scores": np.float64, "boxes": np.float64}
    replace_datasets(path, **{name: getattr(proposals, name).astype(dtype) for name, dtype in types.items()})
    assert_equal(read_proposals(path), proposals)


def test_texts_as_h5py_writes_them_unencoded(path, proposals):
    with h5py.File(path, "a") as file:
        file.attrs["objects"] = list(proposals.objects)
        file.attrs["detector"] = np.bytes_(b"tiny 0")
    replace_datasets(path, image_id=list(proposals.image_ids))
    assert_equal(read_proposals(path), proposals)


@pytest.mark.parametrize("objects", ["person", [0, 1], [[b"person", b"cup"]], h5py.Empty("f")])
def test_names_of_categories_that_are_no_list_of_texts_are_one_line(path, objects):
    with h5py.File(path, "a") as file:
        file.attrs["objects"] = objects
    with pytest.raises(ArtifactError, match=r"objects is .*, expected a list of texts") as caught:
        read_proposals(path)
    assert "\n" not in str(caught.value)


def test_chosen_proposals_stay_with_their_images_and_may_be_none(tmp_path, proposals):
    rows = np.zeros(90, bool)
    rows[[3, 49, 50, 89]] = True
    kept = proposals.kept(rows)
    assert kept.offsets.tolist() == [0, 2, 2, 4]
    assert kept.scores.tolist() == proposals.scores[rows].tolist()
    assert_equal(proposals.kept(np.ones(90, bool)), proposals)
    none = proposals.kept(np.zeros(90, bool))
    write_proposals(tmp_path / "none.h5", **vars(none))
    assert_equal(read_proposals(tmp_path / "none.h5"), none)


@pytest.mark.parametrize("name", ["nothing", "scores"])
def test_other_hdf5_files_are_refused(path, name):
    with h5py.File(path, "a") as file:
        del file["scores"]
        file.create_group(name)
    with pytest.raises(ArtifactError, match="damaged or not a proposals file"):
        read_proposals(path)


def test_scores_must_fall_within_an_image(path, proposals):
    columns = dataclasses.replace(proposals, scores=np.roll(proposals.scores, -50))  # 0..39 low, 40..89 high, falling
    write_proposals(path, **vars(columns))
    with pytest.raises(ArtifactError, match='scores of image "a" are not in falling order'):
        read_proposals(path)
    swapped = proposals.scores.copy()
    swapped[[88, 89]] = swapped[[89, 88]]
    write_proposals(path, **vars(dataclasses.replace(proposals, scores=swapped)))
    with pytest.raises(ArtifactError, match='scores of image "ümlaut"'):
        read_proposals(path)


def test_images_may_start_anew_and_scores_may_tie(path, proposals):
    rising_over_images = np.concatenate([proposals.scores[40:], proposals.scores[:40]])  # image 0: 50 rows, then 40
    tied = rising_over_images.copy()
    tied[3] = tied[2]
    for scores in (rising_over_images, tied):
        write_proposals(path, **vars(dataclasses.replace(proposals, scores=scores)))
        assert read_proposals(path).scores.tolist() == scores.tolist()
