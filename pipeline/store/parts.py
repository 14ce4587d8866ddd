"""Resumable work over images: contiguous parts, each a file that is renamed into place when whole.

A part's folder is named by the digest of everything that shapes its content, so a part made with other parameters,
images or weights is never reused. A part is a safetensors file of arrays whose first axes the caller knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.store.tensors_file import load_tensors, save_tensors

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class PartPlan:
    """Items 0..num_items cut into parts of `part_size`; `digest` names what they are made from."""

    folder: Path
    digest: str
    num_items: int
    part_size: int

    def ranges(self) -> list[tuple[int, int]]:
        """Half-open item ranges of the parts, in order."""
        return [(low, min(low + self.part_size, self.num_items)) for low in range(0, self.num_items, self.part_size)]

    def path(self, start: int, stop: int) -> Path:
        """File of one part."""
        return self.folder / self.digest[:16] / f"{start:09d}-{stop:09d}.safetensors"


def run_parts(
    plan: PartPlan,
    compute: Callable[[int, int], Mapping[str, NDArray[np.generic]]],
    done: Callable[[int], None] = lambda count: None,
) -> Iterator[Arrays]:
    """Yield every part in order, computing those that are not on disk; `done` is told the items of each part."""
    for start, stop in plan.ranges():
        path = plan.path(start, stop)
        arrays = _read(path)
        if arrays is None:
            arrays = {name: np.ascontiguousarray(value) for name, value in compute(start, stop).items()}
            save_tensors(path, {name: torch.from_numpy(array) for name, array in arrays.items()})
        done(stop - start)
        yield arrays


def _read(path: Path) -> Arrays | None:
    """Return a finished part, or None where it is absent or damaged (it is then made again)."""
    found = load_tensors(path)
    return None if found is None else {name: tensor.numpy() for name, tensor in found[0].items()}


def concatenate_parts(parts: list[Arrays], empty: Mapping[str, NDArray[np.generic]]) -> Arrays:
    """Join parts along their first axis; `empty` gives names, dtypes and trailing shapes for zero parts."""
    return {name: np.concatenate([blank, *(part[name] for part in parts)]) for name, blank in empty.items()}
