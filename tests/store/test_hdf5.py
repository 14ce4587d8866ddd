import h5py
import numpy as np
import pytest

from pipeline.store.columns import Column
from pipeline.store.hdf5_file import create_hdf5, write_columns

CHUNK_ROWS = 8  # so that 400 rows are 50 chunks, four blocks


def arrays(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    wide, names = rng.random((rows, 3)).astype(np.float32), np.array([f"image {i}" for i in range(rows)], "S9")
    return {"boxes": wide, "object_ids": rng.integers(0, 9, rows), "bank": wide[:5], "name": names}


def write(path, columns):
    with create_hdf5(path, 1 << 20) as file:
        write_columns(file, columns, chunk_rows=CHUNK_ROWS)
    return path.read_bytes()


@pytest.mark.parametrize("rows", [0, 1, 8, 400])
def test_bytes_are_those_of_whole_arrays_written_at_once(tmp_path, rows):
    """What h5py writes when it is handed the arrays, whatever the pieces."""
    whole = arrays(rows)
    with h5py.File(tmp_path / "x", "w", libver="latest", track_order=False) as file:
        for name, array in whole.items():
            chunks = (min(CHUNK_ROWS, len(array)), *array.shape[1:]) if array.size else None
            file.create_dataset(name, data=array, chunks=chunks, track_times=False, fletcher32=chunks is not None)
    expected = (tmp_path / "x").read_bytes()
    assert write(tmp_path / "y", {name: Column.of(array) for name, array in whole.items()}) == expected
    odd = {
        name: Column(array.shape, array.dtype, lambda array=array: np.array_split(array, 7))
        for name, array in whole.items()
    }
    assert write(tmp_path / "z", odd) == expected


def test_a_column_that_cannot_be_read_leaves_no_file(tmp_path):
    def pieces():
        yield np.zeros(8)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write(tmp_path / "x.h5", {"scores": Column((400,), np.dtype(np.float64), pieces)})
    assert list(tmp_path.iterdir()) == []
