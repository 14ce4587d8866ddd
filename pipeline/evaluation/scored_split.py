"""A split with its annotations, against which the predictions of runs are scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.config.run import Run
from pipeline.core.class_groups import ClassGroups
from pipeline.core.errors import ParamError
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.class_splits import class_split
from pipeline.data.split import SplitManifest, take_split
from pipeline.evaluation.fusion import factor_names
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.row import Row, score_dump
from pipeline.store.dump import DumpReader, open_dump
from pipeline.store.inputs import StageInputs
from pipeline.truth.ground_truth_file import AnnotatedSplit, read_ground_truth
from pipeline.truth.vcoco_people_file import read_people

if TYPE_CHECKING:
    from distributed import Client

WITHOUT_BOXES = "no annotated boxes in the {split} split, so detections have no mAP; the report shows them"


@dataclass(frozen=True)
class ScoredSplit:
    """An open split; `inputs` are the files read so far, to which each scored run adds its own."""

    inputs: StageInputs
    vocabulary: Vocabulary
    manifest: SplitManifest
    annotated: AnnotatedSplit

    @classmethod
    def open(cls, inputs: StageInputs, split: str, *, may_lack_boxes: bool = False) -> ScoredSplit:
        """Read the split and its annotations.

        Args:
            may_lack_boxes: as `read_ground_truth`; no detection is then right or wrong, and no class has an AP.

        Raises:
            ArtifactError, DataError: as their readers.
        """
        vocabulary, manifest = take_split(inputs, split)
        truth = inputs.take(inputs.layout.ground_truth(split), "prepare")
        annotated = read_ground_truth(truth, manifest, vocabulary.num_hois, may_lack_boxes=may_lack_boxes)
        return cls(inputs, vocabulary, manifest, annotated)

    def score(self, run: Run, params: EvaluateParams, client: Client | None, *, in_full: bool = False) -> Row:
        """Score a run on this split; `inputs` then names every file that goes into its numbers.

        Args:
            in_full: also sweep the weights, and keep what each detection matches.

        Raises:
            ArtifactError: predictions or annotations are missing, damaged or of other images.
            ParamError: the protocol counts people, and the annotations list pairs alone.
        """
        dump, times = self.open_predictions(run, params)
        people = None
        if params.protocol == "vcoco":
            if not self.inputs.layout.people(run.split).exists():
                raise ParamError(
                    f"{self.inputs.layout.dataset}.evaluate.protocol is vcoco, which counts people, but the annotations"
                    " list pairs alone: set it to hicodet, or prepare V-COCO from its official files"
                )
            people = read_people(self.inputs.take(self.inputs.layout.people(run.split), "prepare"), self.manifest)
        groups, has_boxes = self.groups(params), self.annotated.has_boxes
        row = score_dump(
            dump,
            params,
            self.annotated.truth,
            groups,
            people=people,
            times=times,
            sweep=in_full and has_boxes,
            keep_matches=in_full,
            client=client,
            digests={item.path: self.inputs.digests[item.path] for item in (dump, times) if item is not None},
        )
        if has_boxes:
            return row
        unknown = dict.fromkeys([*groups, "max_recall"])  # 0 would say that all detections are wrong
        unknown |= {"at_break_even": {}, "gain_if_fixed": {}}
        factors = factor_names(dump.columns, has_times=times is not None)
        return replace(row, metrics=row.metrics | unknown, sweeps={name: {} for name in factors})

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
