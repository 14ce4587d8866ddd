"""Nothing outside an HDF5 file is read through it, and a file that cannot be written completely is not written."""

import h5py
import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.bank_file import read_bank, write_bank
from pipeline.store.hdf5_file import write_hdf5
from pipeline.store.proposals_file import read_proposals, write_proposals
from pipeline.store.ragged import Column
from pipeline.store.representations_file import read_representations, write_representations
from tests.store.records import assert_equal, make_bank, make_proposals, make_representations


def test_without_room_there_is_one_line_and_no_file(tmp_path, monkeypatch):
    def full(descriptor, offset, length):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(ArtifactError, match=r"a\.h5: cannot be written \(No space left"):
        write(tmp_path / "a.h5", arrays(8))
    assert not list(tmp_path.iterdir())


CHUNK_ROWS = 8  # so that 400 rows are 50 chunks, four blocks


def arrays(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    wide, names = rng.random((rows, 3)).astype(np.float32), np.array([f"image {i}" for i in range(rows)], "S9")
    return {"boxes": wide, "object_ids": rng.integers(0, 9, rows), "bank": wide[:5], "name": names}


def write(path, columns):
    write_hdf5(path, columns, attributes={}, chunk_rows=CHUNK_ROWS)
    return path.read_bytes()


@pytest.mark.parametrize("rows", [0, 1, 8, 400])
def test_bytes_are_those_of_whole_arrays_written_at_once(tmp_path, rows):
    """As h5py writes the arrays, whatever the pieces. Space that was reserved and not needed is given back."""
    whole = arrays(rows)
    with h5py.File(tmp_path / "x", "w", libver="latest", track_order=False) as file:
        for name, array in whole.items():
            chunks = (min(CHUNK_ROWS, len(array)), *array.shape[1:]) if array.size else None
            file.create_dataset(name, data=array, chunks=chunks, track_times=False, fletcher32=chunks is not None)
    expected = (tmp_path / "x").read_bytes()
    assert write(tmp_path / "y", whole) == expected
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


# A link of each kind in place of a dataset of each file that is read


def soft(file: h5py.File, name: str) -> None:
    file.move(name, "elsewhere")
    file[name] = h5py.SoftLink("/elsewhere")


def outside(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = h5py.ExternalLink("other.h5", f"/{name}")


def external(file: h5py.File, name: str) -> None:
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    file.create_dataset(name, shape, dtype, external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File, name: str) -> None:
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    layout = h5py.VirtualLayout(shape, dtype)
    layout[...] = h5py.VirtualSource("other.h5", name, shape=shape)
    file.create_virtual_dataset(name, layout)


RECORDS = {"boxes": make_proposals(), "hoi_embeddings": make_bank(), "representation": make_representations()}
FILES = {
    "boxes": (lambda path, record: write_proposals(path, **vars(record)), read_proposals),
    "hoi_embeddings": (write_bank, read_bank),
    "representation": (lambda path, record: write_representations(path, **vars(record)), read_representations),
}


@pytest.fixture(params=FILES)
def artifact(request, tmp_path):
    """Reader and a dataset of each kind of file; one is at x.h5, and its twin at twin.h5."""
    write, read = FILES[request.param]
    for name in ("x.h5", "twin.h5"):
        write(tmp_path / name, RECORDS[request.param])
    return read, request.param


def test_what_is_written_is_read_and_equal_content_gives_equal_bytes(artifact, tmp_path):
    read, name = artifact
    assert_equal(read(tmp_path / "x.h5"), RECORDS[name])
    assert (tmp_path / "twin.h5").read_bytes() == (tmp_path / "x.h5").read_bytes()


def test_a_file_that_is_missing_or_truncated_at_any_length_is_refused(artifact, tmp_path):
    read, _ = artifact
    with pytest.raises(ArtifactError, match=r'none\.h5 does not exist; run "'):
        read(tmp_path / "none.h5")
    whole = (tmp_path / "x.h5").read_bytes()
    for length in [0, 1, 8, *range(16, len(whole), len(whole) // 40), len(whole) - 1]:
        (tmp_path / "y.h5").write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r'y\.h5: damaged or not (a|pair) \w+ .*; run "'):
            read(tmp_path / "y.h5")


@pytest.mark.parametrize("link", [soft, outside, external, virtual])
def test_links_out_of_a_file_are_refused(artifact, tmp_path, link):
    read, name = artifact
    read(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        link(file, name)
    with pytest.raises(ArtifactError, match=rf"x\.h5: {name} (is a link|keeps its data)"):
        read(tmp_path / "x.h5")
