import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError, DataError
from pipeline.evaluation import matching, out_of_core
from pipeline.evaluation.hicodet import SETTINGS, evaluate_hicodet
from pipeline.evaluation.out_of_core import class_ranges, evaluate_dump
from pipeline.store.detections_dump import COLUMNS, ROW_BYTES, open_detections, write_detections
from tests.evaluation import worlds

KEYWORDS = {"num_hois": worlds.NUM_HOIS, "rare": worlds.RARE, "hoi_object_ids": worlds.HOI_OBJECT_IDS}
MIB = 1 << 20


def dump_of(path, found, block_rows=64, step=77):
    """A dump of a few blocks, written in pieces that do not fit them."""
    pieces = (worlds.take(found, slice(row, row + step)) for row in range(0, len(found), step))
    write_detections(path, pieces, block_rows=block_rows)
    return path


def memory_for(rows: int, num_images: int = 8, block_rows: int = 64) -> int:
    """Memory that lets one worker hold so many rows."""
    fixed = num_images * worlds.NUM_HOIS * out_of_core._BYTES_PER_CELL + block_rows * out_of_core._BYTES_PER_BLOCK_ROW
    return fixed + out_of_core._MATCHING_BYTES + rows * out_of_core._BYTES_PER_ROW


def test_round_trip(tmp_path):
    _, found = worlds.random_world(0)
    dump = open_detections(dump_of(tmp_path / "d.zarr", found))
    assert len(dump) == len(found)
    assert [rows.stop - rows.start for rows in dump.blocks()] == [64, 64, 64, 64, 44]
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(dump.read(), name), getattr(found, name))
    assert dump.read(slice(5, 9)).scores.tolist() == found.scores[5:9].tolist()


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("num_workers", [1, 2])
def test_equals_the_evaluation_in_memory(tmp_path, setting, num_workers):
    truth, found = worlds.random_world(3)
    whole = evaluate_hicodet(found, truth, setting=setting, **KEYWORDS)
    path = dump_of(tmp_path / "d.zarr", found)
    largest = int(np.bincount(found.hoi_id).max())
    parts = evaluate_dump(
        path,
        truth,
        setting=setting,
        memory_bytes=num_workers * memory_for(largest),
        num_workers=num_workers,
        **KEYWORDS,
    )
    for name in ("ap", "max_recall", "num_gt", "num_detections", "hit_hoi_id", "hit_precision", "hit_recall"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert (parts.full, parts.rare, parts.setting) == (whole.full, whole.rare, setting)


def test_no_rows(tmp_path):
    truth, found = worlds.random_world(3)
    path = tmp_path / "d.zarr"
    write_detections(path, [worlds.take(found, slice(0, 0))])
    assert evaluate_dump(path, truth, memory_bytes=64 * MIB, **KEYWORDS).full == 0
    write_detections(path, [])
    assert evaluate_dump(path, truth, memory_bytes=64 * MIB, **KEYWORDS).full == 0


@pytest.mark.slow
def test_a_dump_larger_than_memory(tmp_path, monkeypatch):
    """600 thousand rows, 25 MB, in 10 MiB: ten copies of a world, each under classes of its own."""
    monkeypatch.setattr(matching, "_BLOCK_PAIRS", 1 << 12)
    monkeypatch.setattr(out_of_core, "_MATCHING_BYTES", MIB)
    truth, found = worlds.random_world(5, num_detections=60_000, num_levels=10**6)
    num_hois, path, memory = 10 * worlds.NUM_HOIS, tmp_path / "d.zarr", 10 * MIB
    copies = (replace(found, hoi_id=(found.hoi_id + worlds.NUM_HOIS * copy).astype(np.int16)) for copy in range(10))
    write_detections(path, copies, block_rows=1 << 14)
    assert len(open_detections(path)) * ROW_BYTES > 2 * memory
    first = dump_of(tmp_path / "first.zarr", worlds.take(found, slice(0, 9)))
    evaluate_dump(first, truth, memory_bytes=memory, **KEYWORDS)  # modules that a first run imports count for nothing
    tracemalloc.start()
    result = evaluate_dump(
        path,
        truth,
        memory_bytes=memory,
        num_hois=num_hois,
        rare=np.zeros(num_hois, bool),
        hoi_object_ids=np.zeros(num_hois, np.int64),
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < memory
    whole = evaluate_hicodet(found, truth, **KEYWORDS)
    np.testing.assert_array_equal(result.ap[: worlds.NUM_HOIS], whole.ap)


def test_ranges_cover_every_class_once():
    counts = np.array([3, 4, 0, 9, 1, 1])
    assert class_ranges(counts, 9) == [(0, 3), (3, 4), (4, 6)]
    assert class_ranges(counts, 100) == [(0, 6)]
    assert class_ranges(np.array([9, 9]), 9) == [(0, 1), (1, 2)]


def test_mistakes(tmp_path):
    truth, found = worlds.random_world(3)
    path = dump_of(tmp_path / "d.zarr", found)
    with pytest.raises(DataError, match="give more memory or fewer workers"):
        evaluate_dump(path, truth, memory_bytes=memory_for(10), **KEYWORDS)
    with pytest.raises(DataError, match=r"hoi_id . in row \d+ is out of range"):
        evaluate_dump(
            path,
            truth,
            memory_bytes=MIB,
            num_hois=2,
            rare=np.zeros(2, bool),
            hoi_object_ids=np.zeros(2, np.int64),
        )
    with pytest.raises(ArtifactError, match="no detections in zarr v3"):
        evaluate_dump(tmp_path, truth, memory_bytes=MIB, **KEYWORDS)
