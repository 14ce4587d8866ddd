"""One stage as a process of its own, for benchmarks/million.py: runs a command and prints its figures as JSON.

    python -m benchmarks.stage_process "module:function" NAME [ARGUMENT ...]

The first call of the function ends the start-up. Nothing is imported here that the stage does not need.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages.cli import main

STEPS, PARTS = 200, 4  # of train, of infer


def tell_first_call(where: str, tell: Callable[[], None]) -> None:
    """Call `tell` at each call of a function, named as "module:name" or "module:class.name"."""
    module, _, names = where.partition(":")
    *owners, function = names.split(".")
    owner: Any = importlib.import_module(module)
    for name in owners:
        owner = getattr(owner, name)
    original = getattr(owner, function)

    def called(*args: Any, **kwargs: Any) -> Any:
        tell()
        return original(*args, **kwargs)

    setattr(owner, function, called)


def shorten(stage: str) -> None:
    """Let `train` end after `STEPS` batches, and `infer` after `PARTS` parts in the middle of the split."""
    if stage == "train":
        importlib.import_module("pipeline.data.bags").EpochSampler._batches_of = lambda self, images: STEPS
    if stage == "infer":
        parts = importlib.import_module("pipeline.store.parts")
        every = parts.PartPlan.ranges

        def some(plan: Any) -> list[tuple[int, int]]:
            ranges = every(plan)
            middle = len(ranges) // 2
            return ranges[middle : middle + PARTS]

        parts.PartPlan.ranges = some
        setattr(importlib.import_module("stages.infer"), "write_dump", stop)  # noqa: B010 - a module has no such type


def stop(*args: Any, **kwargs: Any) -> None:
    """In place of writing a dump of a part of the images."""
    report()
    sys.exit()


started = time.perf_counter()
figures: dict[str, float] = {}


def first_work() -> None:
    """Note the end of the start-up."""
    figures.setdefault("start_up_s", time.perf_counter() - started)
    figures.setdefault("start_up_cpu_s", time.process_time())


def report() -> None:
    """Print the figures of this process, and the highest memory of one that it started."""
    figures.update(wall_s=time.perf_counter() - started, cpu_s=time.process_time())
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    figures["peak_mb"] = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / 1e6
    figures["child_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    print(json.dumps(figures))


if __name__ == "__main__":
    tell_first_call(sys.argv[1], first_work)
    shorten(sys.argv[2])
    main(sys.argv[2:], standalone_mode=False)
    report()
