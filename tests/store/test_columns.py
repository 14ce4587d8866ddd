import numpy as np
import pytest

from pipeline.store.columns import Column


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
    """A long column is never in memory whole."""
    asked = []

    def pieces():
        for index in range(100):
            asked.append(index)
            yield np.full(4, index)

    blocks = Column((400,), np.dtype(np.int64), pieces).blocks(8)
    next(blocks)
    assert asked == [0, 1]
