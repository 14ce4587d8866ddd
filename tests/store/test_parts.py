import dataclasses
import threading
import tracemalloc

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError, DataError
from pipeline.store.hdf5_file import write_hdf5
from pipeline.store.part_work import compute_parts
from pipeline.store.parts import FinishedParts, PartPlan


@pytest.fixture
def plan(tmp_path) -> PartPlan:
    return PartPlan(tmp_path, "a" * 64, num_items=7, part_size=3)


class Work:
    """Rows [image, 10 image] of each image, twice for odd ones; batches of two, last images first."""

    digest, num_images = "a" * 64, 7

    def __init__(self, fail_at=None, damaged=None):
        self.empty = {"rows": np.zeros((0, 2), np.float32), "counts": np.zeros(0, np.int64)}
        self.ran, self.loaded = [], []
        self.fail_at, self.damaged = fail_at, damaged

    def batches(self, start, stop):
        images = list(range(start, stop))[::-1]
        return [images[low : low + 2] for low in range(0, len(images), 2)]

    def load(self, images):
        if self.damaged in images:
            raise DataError(f"{self.damaged}.png: image is damaged")
        self.loaded.append(threading.current_thread())
        return [float(image) for image in images]

    def run(self, images, loaded):
        if self.fail_at in images:
            raise RuntimeError("power cut")
        self.ran += images
        rows = [np.array([[value, 10 * value]] * int(1 + value % 2), np.float32) for value in loaded]
        return [{"rows": row, "counts": np.array([len(row)])} for row in rows]


EXPECTED = [[i, 10 * i] for i in range(7) for _ in range(1 + i % 2)]


def compute(plan, work, done=lambda count: None):
    compute_parts(plan, plan.ranges(), work, threads=2, done=done)
    return FinishedParts(plan, work.empty)


def rows(plan, work):
    return compute(plan, work).column("rows").read().tolist()


def test_parts_join_to_the_whole_in_image_order(plan):
    work, told = Work(), []
    parts = compute(plan, work, told.append)
    assert plan.ranges() == [(0, 3), (3, 6), (6, 7)]
    assert work.ran == [2, 1, 0, 5, 4, 3, 6]
    assert told == [3, 3, 1]
    assert len(work.loaded) == 5 and threading.main_thread() not in work.loaded
    column = parts.column("rows")
    assert (column.shape, column.dtype) == ((10, 2), np.float32)
    assert column.read().tolist() == EXPECTED
    assert parts.column("counts").read().tolist() == [1, 2, 1, 2, 1, 2, 1]
    assert [len(piece) for piece in column.pieces()] == [4, 5, 1]  # one part at a time


def test_an_interrupted_run_does_not_repeat_finished_parts(plan):
    with pytest.raises(RuntimeError, match="power cut"):
        compute(plan, Work(fail_at=3))
    second, told = Work(), []
    assert compute(plan, second, told.append).column("rows").read().tolist() == EXPECTED
    assert second.ran == [5, 4, 3, 6]
    assert told == [3, 3, 1]
    third = Work()
    assert rows(plan, third) == EXPECTED
    assert third.ran == third.loaded == []


def test_a_damaged_image_is_named_and_parts_before_it_are_kept(plan):
    with pytest.raises(DataError, match=r"^6\.png: image is damaged$"):
        compute(plan, Work(damaged=6))
    assert [plan.is_done(*part) for part in plan.ranges()] == [True, True, False]


def test_parts_that_cannot_be_written_are_one_line(plan, tmp_path):
    (tmp_path / plan.digest[:16]).write_text("in the way")
    with pytest.raises(ArtifactError, match="cannot be written"):
        compute(plan, Work())


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:60],
        lambda data: data[:-1],
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],  # one wrong number
    ],
)
def test_a_damaged_part_is_made_again(plan, damage):
    rows(plan, Work())
    path = plan.path(3, 6)
    path.write_bytes(damage(path.read_bytes()))
    work = Work()
    assert rows(plan, work) == EXPECTED
    assert work.ran == [5, 4, 3]


def test_a_part_that_vanishes_before_it_is_read_is_named(plan):
    parts = compute(plan, Work())
    column = parts.column("rows")
    plan.path(3, 6).unlink()
    with pytest.raises(
        ArtifactError, match=r"000000003-000000006\.safetensors: rows cannot be read .*run the stage again"
    ):
        column.read()
    with pytest.raises(ArtifactError, match="cannot be read"):
        parts.column("rows")


def test_parts_of_another_digest_or_size_are_never_used(plan):
    rows(plan, Work())
    for other in ({"digest": "b" * 64}, {"part_size": 4}, {"num_items": 8}):
        work = Work()
        changed = dataclasses.replace(plan, **other)
        compute(changed, work)
        again = set(changed.ranges()) - (set(plan.ranges()) if "digest" not in other else set())
        assert sorted(work.ran) == sorted(image for start, stop in again for image in range(start, stop))


def test_no_items_have_no_rows(plan):
    column = compute(dataclasses.replace(plan, num_items=0), Work(fail_at=0)).column("rows")
    assert column.shape == column.read().shape == (0, 2)


class Large(Work):
    """A quarter of a megabyte an image."""

    def __init__(self, num_images):
        self.num_images, self.empty = num_images, {"rows": np.zeros((0, 1 << 15), np.float64)}

    def load(self, images):
        return None

    def run(self, images, loaded):
        return [{"rows": np.full((1, 1 << 15), float(image))} for image in images]


def peak_bytes(folder, num_images: int) -> int:
    """Of all parts computed and their column written."""
    work, plan = Large(num_images), PartPlan(folder / str(num_images), "a" * 64, num_images, part_size=8)
    tracemalloc.start()
    column = compute(plan, work).column("rows")
    write_hdf5(folder / f"{num_images}.h5", {"rows": column}, attributes={}, chunk_rows=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    few, many = peak_bytes(tmp_path, 32), peak_bytes(tmp_path, 160)
    assert 8 << 18 < many < 1.2 * few < 160 << 17  # more than one part; less than half of all
