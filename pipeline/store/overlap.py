"""Reading ahead and writing behind: files are decoded and written by threads while the caller computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")


def load_ahead(
    items: Iterable[Item], load: Callable[[Item], Loaded], *, threads: int
) -> Generator[tuple[Item, Loaded], None, None]:
    """Yield (item, load(item)) in order; `threads` threads load ahead, at most threads + 1 items.

    An error of `load` is raised here, after the items before it.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="load")
    try:
        waiting = deque((item, pool.submit(load, item)) for item in islice(remaining, threads + 1))
        while waiting:
            item, loading = waiting.popleft()
            loaded = loading.result()
            waiting.extend((later, pool.submit(load, later)) for later in islice(remaining, 1))
            yield item, loaded
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def write_behind() -> Iterator[Callable[..., None]]:
    """Yield `submit(write, *arguments, done=...)`: a thread writes while the caller goes on.

    A write waits for the one before, and the end of the block for the last one; then `done()` is called in the caller's
    thread. An error of a write is raised by the next call, or at the end. If the block fails, the last write is
    finished all the same.
    """
    waiting: list[tuple[Future[None], Callable[[], None]]] = []

    def wait() -> None:
        if waiting:
            writing, done = waiting.pop()
            writing.result()
            done()

    def submit(write: Callable[..., None], *arguments: Any, done: Callable[[], None]) -> None:
        wait()
        waiting.append((pool.submit(write, *arguments), done))

    with ThreadPoolExecutor(1, thread_name_prefix="write") as pool:
        yield submit
        wait()
