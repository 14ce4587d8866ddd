"""What `evaluate` and `score` share: a split with its annotations, against which runs are scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.layout import Layout, run_name
from pipeline.core.params import EvaluateParams
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest, read_split
from pipeline.evaluation.row import Row, score_dump
from pipeline.store.dump import DumpReader, open_dump
from pipeline.store.inputs import StageInputs
from pipeline.store.vocabulary_file import read_vocabulary
from pipeline.truth.ground_truth_file import AnnotatedSplit, read_ground_truth
from pipeline.truth.vcoco_people_file import read_people

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class ScoredSplit:
    """An open split; `seed` is that of the runs that are scored, None for the pipeline's own.

    `inputs` are the files read so far: each scored run adds its own.
    """

    layout: Layout
    split: str
    seed: int | None
    vocabulary: Vocabulary
    manifest: SplitManifest
    annotated: AnnotatedSplit
    inputs: StageInputs

    @classmethod
    def open(cls, layout: Layout, split: str, seed: int | None) -> ScoredSplit:
        """Read the split and its annotations.

        Raises:
            ArtifactError, DataError: as their readers.
        """
        inputs = StageInputs(layout)
        vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
        manifest = read_split(inputs.take(layout.split(split), "prepare"), vocabulary)
        truth = inputs.take(layout.ground_truth(split), "prepare")
        annotated = read_ground_truth(truth, manifest, vocabulary.num_hois)
        return cls(layout, split, seed, vocabulary, manifest, annotated, inputs)

    def score(self, variant: str, params: EvaluateParams, client: Client | None, *, sweep: bool = False) -> Row:
        """Score the run of `variant`; `inputs` then names every file that goes into its numbers.

        Raises:
            ArtifactError: predictions or annotations are missing, damaged or of other images.
        """
        dump = self.open_predictions(variant)
        people, times = None, None
        if params.protocol == "vcoco":
            people = read_people(self.inputs.take(self.layout.people(self.split), "prepare"), self.manifest)
        if params.times_run is not None:
            times = self.open_predictions(params.times_run)
        return score_dump(
            dump,
            params,
            self.annotated.truth,
            self.annotated.rare,
            people=people,
            times=times,
            sweep=sweep,
            client=client,
            digests={item.path: self.inputs.digests[item.path] for item in (dump, times) if item is not None},
        )

    def open_predictions(self, variant: str) -> DumpReader:
        """Open the dump of the run of `variant`; raises ArtifactError as `score`."""
        run = run_name(variant, self.seed)
        path = self.inputs.take(self.layout.predictions(run, self.split), "infer", run, self.split)
        seed = "" if self.seed is None else f" --seed {self.seed}"
        split = "" if self.split == "test" else f" --split {self.split}"
        remedy = f'run "weakhoi infer --dataset {self.layout.dataset} --variant {variant}{seed}{split}"'
        return open_dump(path, vocabulary=self.vocabulary, image_ids=self.manifest.image_ids, run=run, remedy=remedy)
