"""A prediction dump as scored triplets, fused a range of images at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pipeline.core.types import Detections, FloatArray
from pipeline.evaluation.fusion import Factors, fuse_factors
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.weight_sweep import Weights
from pipeline.store.cluster import check_seen
from pipeline.store.dump import DumpReader, open_dump


@dataclass(frozen=True)
class FusedDump:
    """Triplets of eq. (3), ranked once for each change of weights; `times` is the dump of `params.times_run`.

    Implements `engine.ImageBlocks`: whoever gets one opens the dumps anew. `digests` are those of the dumps as the
    caller found them, for workers that may see other files under the same paths; a dump without one is taken as it is.
    """

    path: Path
    params: EvaluateParams
    rankings: tuple[Weights, ...]
    times: Path | None = None
    digests: Mapping[Path, str] = field(default_factory=dict)

    def read(self, start: int, stop: int) -> tuple[Detections, Sequence[FloatArray]]:
        """Triplets of images start..stop-1 (image_index from 0), and their scores in each ranking.

        Raises:
            ArtifactError: a dump is missing, damaged or not the caller's, or the two are not over the same pairs.
        """
        detections, factors = self.read_factors(start, stop)
        return detections, [factors.with_weights(dict(changes)).scores() for changes in self.rankings]

    def read_factors(self, start: int, stop: int) -> tuple[Detections, Factors]:
        """The same triplets with the params' own scores, and the factors of these; errors as `read`."""
        dump, times = self._readers
        return fuse_factors(dump.read(start, stop), self.params, None if times is None else times.read(start, stop))

    @cached_property
    def _readers(self) -> tuple[DumpReader, DumpReader | None]:
        for path, digest in self.digests.items():
            check_seen(path, digest)
        return open_dump(self.path), None if self.times is None else open_dump(self.times)
