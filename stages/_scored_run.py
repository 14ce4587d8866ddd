"""What `evaluate` and `score` share: a split with its annotations, against which runs are scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.layout import Layout, run_name
from pipeline.core.params import EvaluateParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.ground_truth_file import AnnotatedSplit, read_ground_truth
from pipeline.data.split import SplitManifest, read_split
from pipeline.data.vcoco_people_file import read_people
from pipeline.evaluation.row import Row, score_dump
from pipeline.store.dump import DumpReader, open_dump
from pipeline.store.vocabulary_file import read_vocabulary

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class ScoredSplit:
    """An open split; `seed` is that of the runs that are scored, None for the pipeline's own."""

    layout: Layout
    split: str
    seed: int | None
    vocabulary: Vocabulary
    manifest: SplitManifest
    annotated: AnnotatedSplit

    @classmethod
    def open(cls, layout: Layout, split: str, seed: int | None) -> ScoredSplit:
        """Read the split and its annotations.

        Raises:
            ArtifactError, DataError: as their readers.
        """
        vocabulary = read_vocabulary(layout.vocabulary)
        manifest = read_split(layout.split(split), vocabulary)
        annotated = read_ground_truth(layout.ground_truth(split), manifest, vocabulary.num_hois)
        return cls(layout, split, seed, vocabulary, manifest, annotated)

    def score(
        self, variant: str, params: EvaluateParams, client: Client | None, *, sweep: bool = False
    ) -> tuple[Row, list[Path]]:
        """Score the run of `variant`; also return every file that goes into its numbers.

        Raises:
            ArtifactError: predictions or annotations are missing, damaged or of other images.
        """
        layout, split = self.layout, self.split
        inputs = [layout.vocabulary, layout.split(split), layout.ground_truth(split)]
        dump = self._open_predictions(variant, inputs)
        people, times = None, None
        if params.protocol == "vcoco":
            people = read_people(layout.people(split), self.manifest)
            inputs.append(layout.people(split))
        if params.times_run is not None:
            times = self._open_predictions(params.times_run, inputs)
        truth, rare = self.annotated.truth, self.annotated.rare
        row = score_dump(dump, params, truth, rare, people=people, times=times, sweep=sweep, client=client)
        return row, inputs

    def _open_predictions(self, variant: str, inputs: list[Path]) -> DumpReader:
        inputs.append(self.layout.predictions(run_name(variant, self.seed), self.split))
        return open_dump(inputs[-1], vocabulary=self.vocabulary, image_ids=self.manifest.image_ids)
