"""A split with its annotations, against which the predictions of runs are scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.config.run import Run
from pipeline.core.class_groups import ClassGroups
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.class_splits import class_split
from pipeline.data.split import SplitManifest, take_split
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.row import Row, score_dump
from pipeline.store.dump import DumpReader, open_dump
from pipeline.store.inputs import StageInputs
from pipeline.truth.ground_truth_file import AnnotatedSplit, read_ground_truth
from pipeline.truth.vcoco_people_file import read_people

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class ScoredSplit:
    """An open split; `inputs` are the files read so far, to which each scored run adds its own."""

    inputs: StageInputs
    vocabulary: Vocabulary
    manifest: SplitManifest
    annotated: AnnotatedSplit

    @classmethod
    def open(cls, inputs: StageInputs, split: str) -> ScoredSplit:
        """Read the split and its annotations.

        Raises:
            ArtifactError, DataError: as their readers.
        """
        vocabulary, manifest = take_split(inputs, split)
        truth = inputs.take(inputs.layout.ground_truth(split), "prepare")
        return cls(inputs, vocabulary, manifest, read_ground_truth(truth, manifest, vocabulary.num_hois))

    def score(self, run: Run, params: EvaluateParams, client: Client | None, *, in_full: bool = False) -> Row:
        """Score a run on this split; `inputs` then names every file that goes into its numbers.

        Args:
            in_full: also sweep the weights, and keep what each detection matches.

        Raises:
            ArtifactError: predictions or annotations are missing, damaged or of other images.
        """
        dump, times = self.open_predictions(run, params)
        people = None
        if params.protocol == "vcoco":
            people = read_people(self.inputs.take(self.inputs.layout.people(run.split), "prepare"), self.manifest)
        return score_dump(
            dump,
            params,
            self.annotated.truth,
            self.groups(params),
            people=people,
            times=times,
            sweep=in_full,
            keep_matches=in_full,
            client=client,
            digests={item.path: self.inputs.digests[item.path] for item in (dump, times) if item is not None},
        )

    def groups(self, params: EvaluateParams) -> ClassGroups:
        """Groups of classes to average over: the dataset's and the params'; raises ParamError where these are wrong."""
        groups = self.annotated.groups
        if params.unseen is not None:
            groups = groups.and_of(class_split(params.unseen, self.vocabulary).groups)
        return groups.adding(params.class_groups, self.vocabulary.hoi_names)

    def open_predictions(self, run: Run, params: EvaluateParams) -> tuple[DumpReader, DumpReader | None]:
        """Open the dump of a run, and that of `params.times_run`, if any; raises ArtifactError as `score`."""
        return self._open(run), None if params.times_run is None else self._open(run.of(params.times_run))

    def _open(self, run: Run) -> DumpReader:
        layout = self.inputs.layout
        return open_dump(
            self.inputs.take(layout.predictions(run), "infer", run),
            vocabulary=self.vocabulary,
            image_ids=self.manifest.image_ids,
            run=run.source_name,
            remedy=f'run "weakhoi infer --dataset {layout.dataset} {run.options}"',
        )
