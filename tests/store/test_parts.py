import dataclasses

import numpy as np
import pytest

from pipeline.store.parts import PartPlan, concatenate_parts, run_parts

EMPTY = {"rows": np.zeros((0, 2), np.float32)}


@pytest.fixture
def plan(tmp_path) -> PartPlan:
    return PartPlan(tmp_path, "a" * 64, num_items=7, part_size=3)


class Work:
    """Computes rows [item, 10 item] and remembers which ranges it was asked for; fails at `fail_at`."""

    def __init__(self, fail_at=None):
        self.asked, self.fail_at = [], fail_at

    def __call__(self, start, stop):
        if start == self.fail_at:
            raise RuntimeError("power cut")
        self.asked.append((start, stop))
        items = np.arange(start, stop, dtype=np.float32)
        return {"rows": np.stack([items, 10 * items], 1)}


def joined(plan, work):
    return concatenate_parts(list(run_parts(plan, work)), EMPTY)["rows"]


def test_parts_join_to_the_whole(plan):
    work, told = Work(), []
    rows = concatenate_parts(list(run_parts(plan, work, told.append)), EMPTY)["rows"]
    assert rows.tolist() == [[i, 10 * i] for i in range(7)]
    assert rows.dtype == np.float32
    assert work.asked == plan.ranges() == [(0, 3), (3, 6), (6, 7)]
    assert told == [3, 3, 1]


def test_an_interrupted_run_does_not_repeat_finished_parts(plan):
    with pytest.raises(RuntimeError, match="power cut"):
        joined(plan, Work(fail_at=3))
    second = Work()
    rows = joined(plan, second)
    assert second.asked == [(3, 6), (6, 7)]
    third = Work()
    np.testing.assert_array_equal(joined(plan, third), rows)
    assert third.asked == []


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_a_damaged_part_is_made_again(plan, keep):
    whole = joined(plan, Work())
    path = plan.path(3, 6)
    path.write_bytes(path.read_bytes()[:keep])
    work = Work()
    np.testing.assert_array_equal(joined(plan, work), whole)
    assert work.asked == [(3, 6)]


def test_a_part_with_one_wrong_number_is_made_again(plan):
    whole = joined(plan, Work())
    path = plan.path(3, 6)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    work = Work()
    np.testing.assert_array_equal(joined(plan, work), whole)
    assert work.asked == [(3, 6)]


def test_parts_of_another_digest_or_size_are_never_used(plan):
    joined(plan, Work())
    for other in ({"digest": "b" * 64}, {"part_size": 4}, {"num_items": 8}):
        work = Work()
        changed = dataclasses.replace(plan, **other)
        joined(changed, work)
        assert set(work.asked) == set(changed.ranges()) - (set(plan.ranges()) if "digest" not in other else set())


def test_no_items_have_no_rows(plan):
    assert joined(dataclasses.replace(plan, num_items=0), Work(fail_at=0)).shape == (0, 2)
