"""What `prepare` asks of any dataset: a vocabulary and its splits, with boxes only where they are for scoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.core.vocabulary import Vocabulary
from pipeline.data.ground_truth_file import AnnotatedSplit
from pipeline.data.split import SplitManifest


@dataclass(frozen=True)
class PreparedSplit:
    """One split; `annotated` is None for training splits, whose boxes nobody may see."""

    manifest: SplitManifest
    annotated: AnnotatedSplit | None


class DatasetReader(Protocol):
    """A dataset's own reader."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Verbs, object categories and HOI classes."""

    @property
    def num_images(self) -> int:
        """Images of all splits, for progress."""

    @property
    def inputs(self) -> Sequence[Path]:
        """Annotation files that the splits come from; their digests go into the manifest."""

    def read(self, drawn_images: Path, advance: Callable[[], None]) -> list[PreparedSplit]:
        """Return all splits; a dataset that draws its images writes them under `drawn_images`."""
