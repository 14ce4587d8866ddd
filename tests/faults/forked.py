"""Stages as processes that start at once: forked from a server that has imported all that they need.

To the file system and the kernel they are processes like any other. The server imports and runs nothing else, so that
it has no thread for a fork to lose.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.preload"])


class Forked:
    """One command in a process group of its own, its output in a file."""

    def __init__(self, arguments: list[str], output: Path, prepare: Callable[[], None] | None = None) -> None:
        self.output = output
        self._process = _CONTEXT.Process(target=_run, args=(arguments, output, prepare))
        self._process.start()

    @property
    def pid(self) -> int:
        """The process, which leads its group."""
        pid = self._process.pid
        assert pid is not None
        return pid

    def wait(self, seconds: float | None = None) -> int | None:
        """Exit code, negative after a signal; None where it is still at work after so many seconds."""
        self._process.join(seconds)
        return self._process.exitcode

    def pause(self) -> None:
        """Stop the whole group where it is, until `go_on`."""
        os.killpg(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused group run again."""
        os.killpg(self.pid, signal.SIGCONT)

    def kill(self) -> int | None:
        """kill -9 of the whole group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            self._process.kill()  # it has ended, or not yet become a group
        return self.wait()


def run_forked(arguments: list[str], output: Path, prepare: Callable[[], None] | None = None) -> tuple[int | None, str]:
    """Run a command to its end; return its exit code and output. `prepare` runs in the process first."""
    code = Forked(arguments, output, prepare).wait()
    return code, output.read_text()


def _run(arguments: list[str], output: Path, prepare: Callable[[], None] | None) -> None:
    os.setsid()
    multiprocessing.set_start_method("fork", force=True)  # of its own workers: the default of a process that we start
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if prepare:
        prepare()
    from stages.cli import main

    sys.argv = ["weakhoi", *arguments]
    main(arguments)
