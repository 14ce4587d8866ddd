"""The HICO-DET protocol over a detections dump larger than memory: Dask tasks, one per range of HOI classes.

HOI classes never meet in the protocol, so a range of them can be evaluated alone: a task streams the dump block by
block, keeps the rows of its classes, and evaluates them as any detections. Ranges are cut by the classes' row counts so
that the tasks that run at once fit in the memory given. The figures are those of `evaluate_hicodet`, bit for bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import Detections, IntArray
from pipeline.evaluation.average_precision import Interpolation
from pipeline.evaluation.detections_file import check_hicodet_detections
from pipeline.evaluation.hicodet import HicoDetResult, Setting, evaluate_hicodet
from pipeline.evaluation.ranges import check_range
from pipeline.store.detections_dump import COLUMNS, ROW_BYTES, DetectionsDump, open_detections
from pipeline.truth.ground_truth import GroundTruth

_BYTES_PER_ROW = 3 * ROW_BYTES  # a row while it is evaluated: itself, and the sort's and the matching's columns
_BYTES_PER_CELL = 8  # look-up tables over (image, HOI class)
_BYTES_PER_BLOCK_ROW = 3 * ROW_BYTES  # a block while it is decoded and filtered
_MATCHING_BYTES = 12 << 20  # workspace of one block of box comparisons


def evaluate_dump(
    path: Path,
    truth: GroundTruth,
    *,
    num_hois: int,
    rare: NDArray[np.bool_],
    hoi_object_ids: IntArray,
    memory_bytes: int,
    sizes: IntArray | None = None,
    setting: Setting = "default",
    interpolation: Interpolation = "official_11_point",
    num_workers: int = 1,
) -> HicoDetResult:
    """Evaluate a zarr dump of scored triplets.

    Runs on the Dask scheduler that is active: a distributed client if there is one, else `num_workers` threads.

    Args:
        path: dump written by `write_detections`.
        truth, num_hois, rare, hoi_object_ids, setting, interpolation: as `evaluate_hicodet`.
        memory_bytes: for all workers together.
        sizes: width and height of the images, int64 [I, 2]; boxes and scores are checked against them where given.
        num_workers: tasks that run at once.

    Returns:
        The scores; `hits` and `matched_index` are None.

    Raises:
        ArtifactError: `path` is no dump.
        DataError: an id is out of range, or one class alone needs more memory than given.
    """
    dump = open_detections(path)
    counts = _count_rows(dump, num_hois, truth.num_images, sizes, num_workers)
    fixed = truth.num_images * num_hois * _BYTES_PER_CELL + dump.block_rows * _BYTES_PER_BLOCK_ROW + _MATCHING_BYTES
    rows_at_once = (memory_bytes // num_workers - fixed) // _BYTES_PER_ROW
    if rows_at_once < counts.max(initial=0):
        needed = num_workers * (fixed + int(counts.max(initial=0)) * _BYTES_PER_ROW)
        raise DataError(
            f"{path}: HOI class {int(counts.argmax())} has {int(counts.max(initial=0))} rows, which take "
            f"{needed >> 20} MiB with {num_workers} workers, {memory_bytes >> 20} MiB given; "
            "give more memory or fewer workers"
        )
    keywords = {"num_hois": num_hois, "rare": rare, "hoi_object_ids": hoi_object_ids}
    shared = dask.delayed(truth)
    ranges = class_ranges(counts, rows_at_once)
    tasks = [
        dask.delayed(_evaluate_range)(
            path, low, high, int(counts[low:high].sum()), shared, setting, interpolation, keywords
        )
        for low, high in ranges
    ]
    return _merge(dask.compute(*tasks, num_workers=num_workers), ranges, rare)


def class_ranges(counts: IntArray, rows_at_once: int) -> list[tuple[int, int]]:
    """Cut 0..H into ranges (low, high) whose rows [H] add up to at most `rows_at_once`; a class is never split."""
    ranges, low, rows = [], 0, 0
    for hoi_id, count in enumerate(counts.tolist()):
        if hoi_id > low and rows + count > rows_at_once:
            ranges.append((low, hoi_id))
            low, rows = hoi_id, 0
        rows += count
    return [*ranges, (low, len(counts))]


def _count_rows(
    dump: DetectionsDump, num_hois: int, num_images: int, sizes: IntArray | None, num_workers: int
) -> IntArray:
    """Rows of each class, int64 [H]; rows are checked on the way."""
    tasks = [dask.delayed(_count_block)(dump.path, rows, num_hois, num_images, sizes) for rows in dump.blocks()]
    counts = dask.compute(*tasks, num_workers=num_workers)
    return np.sum(counts, axis=0) if counts else np.zeros(num_hois, dtype=np.int64)


def _count_block(path: Path, rows: slice, num_hois: int, num_images: int, sizes: IntArray | None) -> IntArray:
    dump = open_detections(path)
    where = f"{path}: rows from {rows.start} on"
    if sizes is not None:
        detections = dump.read(rows)
        check_hicodet_detections(detections, sizes, num_hois, where)
        return np.bincount(detections.hoi_id, minlength=num_hois)
    hoi_id = dump.read_column("hoi_id", rows)
    check_range(hoi_id, num_hois, f"{where}: hoi_id", "HOI classes")
    check_range(dump.read_column("image_index", rows), num_images, f"{where}: image_index", "images")
    return np.bincount(hoi_id, minlength=num_hois)


def _evaluate_range(
    path: Path,
    low: int,
    high: int,
    num_rows: int,
    truth: GroundTruth,
    setting: Setting,
    interpolation: Interpolation,
    keywords: dict[str, Any],
) -> HicoDetResult:
    detections = _read_classes(open_detections(path), low, high, num_rows)
    return evaluate_hicodet(detections, truth, setting=setting, interpolation=interpolation, **keywords)


def _read_classes(dump: DetectionsDump, low: int, high: int, num_rows: int) -> Detections:
    """Rows of the classes low..high-1, in the dump's order."""
    columns = {name: np.empty((num_rows, *trailing), dtype) for name, (dtype, trailing) in COLUMNS.items()}
    filled = 0
    for rows in dump.blocks():
        hoi_id = dump.read_column("hoi_id", rows)
        wanted = np.flatnonzero((hoi_id >= low) & (hoi_id < high))
        if not len(wanted):
            continue
        for name, column in columns.items():
            column[filled : filled + len(wanted)] = dump.read_column(name, rows)[wanted]
        filled += len(wanted)
    return Detections(**columns)


def _merge(results: tuple[HicoDetResult, ...], ranges: list[tuple[int, int]], rare: NDArray[np.bool_]) -> HicoDetResult:
    """One result from those of class ranges: each class from its own range, hits in class order."""

    def per_class(name: str) -> NDArray[Any]:
        parts = zip(results, ranges, strict=True)
        return np.concatenate([getattr(result, name)[low:high] for result, (low, high) in parts])

    def per_hit(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(result, name) for result in results])

    return HicoDetResult(
        setting=results[0].setting,
        interpolation=results[0].interpolation,
        ap=per_class("ap"),
        max_recall=per_class("max_recall"),
        num_gt=per_class("num_gt"),
        num_detections=per_class("num_detections"),
        is_rare=rare,
        hit_hoi_id=per_hit("hit_hoi_id"),
        hit_precision=per_hit("hit_precision"),
        hit_recall=per_hit("hit_recall"),
    )
