"""Damaged or incomplete groups are refused."""

import pytest
import zarr

from pipeline.store.zarr_files import WRITE_ZEROS, open_whole_array


@pytest.fixture
def group(tmp_path):
    """A group at x.zarr with an array of zeros: five files."""
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=3)
    group.create_array("a", shape=(9,), dtype="float32", chunks=(2,), config=WRITE_ZEROS)[:] = 0
    return group


def test_a_stranger_among_the_files_does_not_stand_for_a_lost_one(group, tmp_path):
    assert open_whole_array(tmp_path / "x.zarr", group, "a")[:].tolist() == [0] * 9
    chunk = tmp_path / "x.zarr/a/c/3"
    chunk.rename(chunk.with_name("3.bak"))
    with pytest.raises(ValueError, match="a: c/3 is lost or empty"):
        open_whole_array(tmp_path / "x.zarr", group, "a")
    chunk.with_name("3.bak").write_bytes(b"")  # an empty file is a lost one
    with pytest.raises(ValueError, match="a has 4 chunks, expected 5: files are lost or empty"):
        open_whole_array(tmp_path / "x.zarr", group, "a")


def test_a_shape_of_billions_is_not_walked_through(tmp_path):
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=3)
    group.create_array("a", shape=(1 << 60,), dtype="int8", chunks=(1,))
    with pytest.raises(ValueError, match="a has 0 chunks"):
        open_whole_array(tmp_path / "x.zarr", group, "a")
