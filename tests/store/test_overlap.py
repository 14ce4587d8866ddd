import threading

import pytest

from pipeline.store.overlap import load_ahead, write_behind

PATIENCE = 30  # seconds, then a test has failed


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_items_come_in_order_whichever_is_loaded_first(threads):
    last_is_loaded = threading.Event()

    def load(item):
        if item == threads - 1:
            last_is_loaded.set()
        assert last_is_loaded.wait(PATIENCE)  # the first ones wait for the last of them
        return item * 10

    assert list(load_ahead(range(9), load, threads=threads)) == [(i, 10 * i) for i in range(9)]


def test_the_next_item_is_loaded_while_the_caller_computes():
    second = threading.Event()
    items = load_ahead([1, 2], lambda item: second.set() if item == 2 else None, threads=1)
    next(items)
    assert second.wait(PATIENCE)
    items.close()


def test_no_more_is_loaded_ahead_than_is_said():
    asked = []

    def source():
        for item in range(100):
            asked.append(item)
            yield item

    items = load_ahead(source(), lambda item: item, threads=2)
    next(items)
    assert asked == [0, 1, 2, 3]
    items.close()


def test_an_error_is_raised_in_its_items_turn():
    def load(item):
        if item == 2:
            raise ValueError("item 2 is damaged")
        return item

    items = load_ahead(range(5), load, threads=3)
    assert [next(items), next(items)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="item 2 is damaged"):
        next(items)


def test_a_write_goes_on_while_the_caller_does():
    go, told = threading.Event(), []
    with write_behind() as submit:
        submit(lambda: go.wait(PATIENCE), done=lambda: told.append("first"))
        assert told == []  # the caller is here, the write has not ended
        go.set()
        submit(lambda: None, done=lambda: told.append("second"))
        assert told == ["first"]
    assert told == ["first", "second"]


def test_a_failed_write_is_raised_by_the_next_call_and_not_told_as_done():
    def fail():
        raise OSError("disk full")

    told = []
    with pytest.raises(OSError, match="disk full"), write_behind() as submit:
        submit(fail, done=lambda: told.append(1))
        submit(lambda: None, done=lambda: told.append(2))
    with pytest.raises(OSError, match="disk full"), write_behind() as submit:
        submit(fail, done=lambda: told.append(3))
    assert told == []


def test_what_was_computed_is_written_even_when_the_caller_fails():
    go, written = threading.Event(), []

    def write():
        assert go.wait(PATIENCE)
        written.append(1)

    with pytest.raises(KeyboardInterrupt), write_behind() as submit:
        submit(write, done=lambda: None)
        go.set()
        raise KeyboardInterrupt
    assert written == [1]
