"""Resumable work over images: contiguous parts, each a file that is renamed into place when complete.

A part's folder is named by the digest of everything that affects its content, so a part made with other parameters,
images, weights or code is never reused. A part is a safetensors file of arrays; columns of the whole split are
streamed from the parts, with one part in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from pipeline.core.errors import ArtifactError, resource_error
from pipeline.store.ragged import Column
from pipeline.store.work_folder import load_tensors, save_tensors, work_folder

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
        return work_folder(self.folder, self.digest) / f"{start:09d}-{stop:09d}.safetensors"

    def is_done(self, start: int, stop: int) -> bool:
        """Whether the part's file exists and is not damaged."""
        return load_tensors(self.path(start, stop)) is not None

    def missing(self, ranges: Sequence[tuple[int, int]], done: Callable[[int], None]) -> list[tuple[int, int]]:
        """The ranges whose parts are not on disk; `done` gets the number of items of each other one."""
        missing = []
        for start, stop in ranges:
            if self.is_done(start, stop):
                done(stop - start)
            else:
                missing.append((start, stop))
        return missing

    def write(self, start: int, stop: int, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Write one part atomically."""
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
        save_tensors(self.path(start, stop), tensors)


@dataclass(frozen=True)
class FinishedParts:
    """The parts of a plan, all on disk; `empty` holds zero rows of every array: names, dtypes and trailing shapes."""

    plan: PartPlan
    empty: Mapping[str, NDArray[np.generic]]

    def column(self, name: str) -> Column:
        """One array of all items, in order.

        Raises:
            ArtifactError: a part was deleted or damaged since; here, or when the column is read.
        """
        blank = self.empty[name]
        rows = sum(int(shape[0]) for shape in self._read(name, lambda file: file.get_slice(name).get_shape()))
        return Column(
            (rows, *blank.shape[1:]), blank.dtype, lambda: self._read(name, lambda file: file.get_tensor(name))
        )

    def _read(self, name: str, take: Any) -> Iterator[Any]:
        for start, stop in self.plan.ranges():
            path = self.plan.path(start, stop)
            try:
                with safe_open(path, framework="numpy") as file:
                    taken = take(file)
            except (SafetensorError, OSError) as error:
                reason = " ".join(str(error).split())
                raise resource_error(error) or ArtifactError(
                    f"{path}: {name} cannot be read ({reason}); run the stage again"
                ) from None
            yield taken


def concatenate_arrays(rows: Sequence[Arrays], empty: Mapping[str, NDArray[np.generic]]) -> Arrays:
    """Join arrays along their first axis; `empty` gives names, dtypes and trailing shapes for no rows."""
    return {name: np.concatenate([blank, *(row[name] for row in rows)]) for name, blank in empty.items()}
