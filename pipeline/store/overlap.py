"""Reading ahead and writing behind: files are decoded and written by threads while the caller computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
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


class WriteBehind:
    """A thread that writes while the caller goes on; a write waits for the one before.

    As a context it waits for the last write at the end. An error of a write is raised by the next call, or there.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._last: tuple[Future[None], Callable[[], None]] | None = None

    def submit(self, write: Callable[..., None], *arguments: Any, done: Callable[[], None]) -> None:
        """Wait for the write before, then start this one; `done` is called in the caller's thread after it."""
        self.wait()
        self._last = self._pool.submit(write, *arguments), done

    def wait(self) -> None:
        """Wait for the last write."""
        if self._last is not None:
            (writing, done), self._last = self._last, None
            writing.result()
            done()

    def __enter__(self) -> WriteBehind:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown()  # after an error too: what was computed is kept
