"""Detections in zarr: what is lost, damaged or linked is refused, not scored."""

import shutil

import numpy as np
import pytest
import zarr

from pipeline.core.errors import ArtifactError, UserError
from pipeline.store.detections_dump import (
    COLUMNS,
    ErrorNames,
    open_detections,
    open_matched,
    write_detections,
    write_matched,
)
from tests.evaluation import worlds
from tests.store.records import assert_equal


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A dump of five blocks."""
    _, found = worlds.random_world(0)
    path = tmp_path_factory.mktemp("detections") / "d.zarr"
    write_detections(path, [found.take(slice(0, 300))], block_rows=64)
    return path


@pytest.fixture
def copy(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "d.zarr")
    return tmp_path / "d.zarr"


def test_blocks_of_zeros_are_written(tmp_path):
    _, found = worlds.random_world(0)
    zeros = found.take(slice(0, 9))
    for name in COLUMNS:
        getattr(zeros, name)[:] = 0
    write_detections(tmp_path / "d.zarr", [zeros, zeros], block_rows=4)
    assert all(len(list((tmp_path / "d.zarr" / name / "c").rglob("*"))) >= 5 for name in COLUMNS)
    assert open_detections(tmp_path / "d.zarr").read().scores.tolist() == [0] * 18


@pytest.mark.parametrize("name", COLUMNS)
def test_a_lost_or_empty_chunk_is_refused(copy, name):
    chunk = next(file for file in sorted((copy / name / "c").rglob("*")) if file.is_file())
    chunk.write_bytes(b"")
    with pytest.raises(ArtifactError, match=f"{name} has 4 chunks, expected 5.*copy it again"):
        open_detections(copy)
    chunk.unlink()
    with pytest.raises(ArtifactError, match=f"{name} has 4 chunks, expected 5"):
        open_detections(copy)


def test_a_link_is_refused(copy, whole):
    (copy / "scores/c/2").unlink()
    (copy / "scores/c/2").symlink_to(whole / "scores/c/2")
    with pytest.raises(ArtifactError, match="scores/c/2: a link that leads elsewhere"):
        open_detections(copy)
    shutil.rmtree(copy / "scores")
    (copy / "scores").symlink_to(whole / "scores")
    with pytest.raises(ArtifactError, match="scores: a link that leads elsewhere"):
        open_detections(copy)


def test_no_flipped_bit_changes_a_value(copy):
    """A flipped bit is refused in one line, or changes no value."""
    expected = open_detections(copy).read()
    refused = 0
    for number, file in enumerate(sorted(file for file in copy.rglob("*") if file.is_file())):
        data = file.read_bytes()
        for place in {0, len(data) // 3, len(data) // 2, len(data) - 1, number % len(data)}:
            damaged = bytearray(data)
            damaged[place] ^= 1 << (number % 8)
            file.write_bytes(damaged)
            try:
                found = open_detections(copy).read()
            except UserError as error:
                assert "\n" not in str(error)
                refused += 1
            else:
                assert_equal(found, expected)
        file.write_bytes(data)
    assert refused > 100


def test_a_block_that_is_damaged_after_opening_is_refused(copy):
    dump = open_detections(copy)
    (copy / "scores/c/4").write_bytes(b"damaged")
    dump.read_column("scores", slice(0, 256))
    with pytest.raises(ArtifactError, match=r"d\.zarr: damaged or no detections in zarr v3"):
        dump.read_column("scores", slice(256, 300))


def test_groups_without_checksums_are_read(whole, tmp_path):
    """Others may still have such files."""
    expected = open_detections(whole).read()
    group = zarr.open_group(tmp_path / "old.zarr", mode="w", zarr_format=3)
    for name in COLUMNS:
        values = getattr(expected, name)
        group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=(300, *values.shape[1:]))[:] = values
    assert_equal(open_detections(tmp_path / "old.zarr").read(), expected)


def test_other_columns_are_refused(copy, tmp_path):
    group = zarr.open_group(copy, mode="r+", zarr_format=3)
    group.create_array("scores", shape=(300,), dtype="float64", chunks=(300,), overwrite=True)[:] = np.ones(300)
    with pytest.raises(ArtifactError, match=r"scores is float64 \[300\]; expected float32 \[T = 300\]"):
        open_detections(copy)
    for path in (tmp_path / "absent.zarr", tmp_path):
        with pytest.raises(ArtifactError, match=r"does not exist|no detections in zarr v3"):
            open_detections(path)


def test_what_evaluate_writes_of_another_schema_is_refused_by_name(tmp_path):
    _, found = worlds.random_world(0)
    path, types, count = tmp_path / "ours.zarr", ErrorNames(("right", "wrong"), ("lost",)), len(found)
    matches = {"matched": np.arange(count) - 1, "error": np.arange(count) % 2}
    half = slice(0, count // 2), slice(count // 2, count)
    blocks = [vars(found.take(rows)) | {name: values[rows] for name, values in matches.items()} for rows in half]
    write_matched(path, blocks, np.array([0, -1], np.int8), run="ours", weights={}, types=types)
    dump = open_matched(path, run="ours", remedy="evaluate again")
    assert_equal(dump.read(), found)
    assert dump.types == types and dump.read_column("missed").tolist() == [0, -1]
    assert all(dump.read_column(name).tolist() == values.tolist() for name, values in matches.items())
    del zarr.open_group(path, mode="r+").attrs["schema_version"]  # as files with `hit` have none
    with pytest.raises(ArtifactError, match=r"ours\.zarr: detections of schema 1, expected 2; evaluate again"):
        open_matched(path, run="ours", remedy="evaluate again")
