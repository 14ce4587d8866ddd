"""Blocks do not depend on the pieces of a column, and tables whose columns do not fit together are refused."""

import numpy as np
import pytest

from pipeline.core.arrays import Form
from pipeline.core.errors import ArtifactError, DataError, ResourceError
from pipeline.store.ragged import Column, Table, check_made_for, reading


def cut(array: np.ndarray, at: list[int]) -> Column:
    """A column of pieces that end at these rows."""
    return Column(array.shape, array.dtype, lambda: np.split(array, at))


@pytest.mark.parametrize("at", [[], [0], [3, 3, 4], [1, 9], [5, 10], list(range(1, 10))])
@pytest.mark.parametrize("rows", [1, 3, 5, 10, 64])
def test_blocks_do_not_depend_on_the_pieces(at, rows):
    array = np.arange(20, dtype=np.int16).reshape(10, 2)
    blocks = list(cut(array, at).blocks(rows))
    assert [start for start, _ in blocks] == list(range(0, 10, rows))
    assert [len(block) for _, block in blocks[:-1]] == [rows] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), array)
    np.testing.assert_array_equal(cut(array, at).read(), array)


def test_a_column_is_read_again_each_time():
    column = cut(np.arange(5), [2])
    assert column.read().tolist() == column.read().tolist() == [0, 1, 2, 3, 4]


def test_no_rows():
    for column in (Column.of(np.zeros((0, 4), np.float32)), Column((0, 4), np.dtype(np.float32), lambda: ())):
        assert (len(column), column.size, list(column.blocks(8))) == (0, 0, [])
        assert column.read().shape == (0, 4)
        assert column.read().dtype == np.float32


def test_pieces_are_asked_for_as_blocks_are_taken():
    """A long column is never in memory as a whole."""
    asked = []

    def pieces():
        for index in range(100):
            asked.append(index)
            yield np.full(4, index)

    blocks = Column((400,), np.dtype(np.int64), pieces).blocks(8)
    next(blocks)
    assert asked == [0, 1]


FORMS = {
    "scores": Form(np.float32, ("N",)),
    "offsets": Form(np.int64, ("I + 1",), cuts="N"),
    "image_logits": Form(np.floating, ("I", 2)),
    "bank": Form(np.float32, ("H", 2)),
}


def columns(**changes) -> dict[str, np.ndarray]:
    """Three rows of two images, of which the first has none."""
    arrays = {
        "scores": np.array([0.9, 0.5, 0.1], np.float32),
        "offsets": np.array([0, 0, 3]),
        "image_logits": np.array([[1, 2], [3, 4]], np.float16),
        "bank": np.ones((5, 2), np.float32),
    }
    return {name: np.asarray(changes.get(name, array)) for name, array in arrays.items()}


@pytest.mark.parametrize(("start", "stop", "rows"), [(0, None, 3), (0, 1, 0), (1, 2, 3), (1, 1, 0)])
def test_a_table_is_read_by_ranges_of_images(start, stop, rows):
    """A column that no offsets cut is read as a whole; a type of any width stays."""
    found = Table.of(columns(), FORMS, 2).read(start, stop)
    assert found["scores"].tolist() == columns()["scores"][:rows].tolist()
    assert found["offsets"].tolist() == columns()["offsets"][start : 3 if stop is None else stop + 1].tolist()
    assert found["image_logits"].tolist() == columns()["image_logits"][start:stop].tolist()
    assert (found["image_logits"].dtype, found["bank"].shape) == (np.float16, (5, 2))


def test_numbers_are_converted_where_one_asks_for_it():
    changed = columns(scores=[1, 0, 0], offsets=np.array([0, 1, 3], np.uint8))
    with pytest.raises(DataError, match="offsets is uint8"):
        Table.of(changed, FORMS, 2)
    found = Table.of(changed, FORMS, 2, convertible=True).read()
    assert (found["scores"].dtype, found["offsets"].dtype) == (np.float32, np.int64)
    assert found["offsets"].tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": [1, 2, 3]}, r"offsets begins at 1, expected 0"),
        ({"offsets": [0, 4, 3]}, r"offsets falls from 4 to 3 at image 1"),
        ({"offsets": [0, 0, 2]}, r"scores is float32 \[3\]; expected float32 \[N = 2\]"),
        ({"offsets": [0, 3]}, r"offsets is int64 \[2\]; expected int64 \[I \+ 1 = 3\]"),
        ({"image_logits": np.ones((3, 2))}, r"image_logits is float64 \[3, 2\]; expected floating \[I = 2, 2\]"),
        ({"bank": np.ones((5, 2), np.float64)}, r"bank is float64 \[5, 2\]; expected float32 \[H, 2\]$"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        Table.of(columns(**change), FORMS, 2)


def test_damage_is_one_line_and_lack_of_memory_is_no_damage(tmp_path):
    path = tmp_path / "x.zarr"
    with pytest.raises(ArtifactError, match=r"x\.zarr does not exist; make it"), reading(path, "", "make it"):
        pass
    path.mkdir()
    with (
        pytest.raises(ArtifactError, match=r"x\.zarr: damaged or not a thing \(one two\); make it anew"),
        reading(path, "not a thing", "make it anew"),
    ):
        raise RuntimeError("one\ntwo")
    with pytest.raises(ResourceError, match="memory ran out"), reading(path, "not a thing", ""):
        raise RuntimeError("not enough memory: tried to allocate")


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        (("a", "b"), ("a",), "has 2 images, expected 1"),
        (("a", "b"), ("a", "c"), 'images row 1 is "b", expected "c"'),
        (3, 4, "has 3 images, expected 4"),
        ("a", "b", 'images is "a", expected "b"'),
    ],
)
def test_what_was_made_for_something_else_is_refused_with_both_named(tmp_path, found, expected, message):
    check_made_for(tmp_path, "images", found, None, "")
    check_made_for(tmp_path, "images", found, found, "")
    with pytest.raises(ArtifactError, match=f"{message}; it was made from other inputs: run it"):
        check_made_for(tmp_path, "images", found, expected, "run it")
