"""What `prepare` asks of any dataset: a vocabulary and its splits, with boxes only where they are for scoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.core.names import SPLITS
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest
from pipeline.truth.ground_truth_file import AnnotatedSplit
from pipeline.truth.vcoco_annotations import VCocoAnnotations


@dataclass(frozen=True)
class PreparedSplit:
    """One split; `annotated` is None for training splits, whose boxes nobody may see, and where there are none.

    `people` is what the V-COCO protocol scores against, for that dataset's official files only.
    """

    manifest: SplitManifest
    annotated: AnnotatedSplit | None
    people: VCocoAnnotations | None = None


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
        """Return all splits; a dataset that draws its images writes them under `drawn_images`, others a note."""


def note_source(drawn_images: Path, image_folder: str) -> None:
    """Leave a line for each split that says where a downloaded dataset's images are, which stay where they are."""
    for split in SPLITS:
        folder = drawn_images / split
        folder.mkdir(exist_ok=True)
        (folder / "SOURCE.txt").write_text(f"Images are read from {image_folder}; none are copied here.\n")
