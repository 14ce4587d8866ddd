"""One row of a results table: a dump scored as its params say, by the protocol of its dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.class_groups import ClassGroups
from pipeline.evaluation.engine import IMAGES_AT_ONCE, Evaluation, evaluate_rankings
from pipeline.evaluation.error_gains import ErrorAnalysis
from pipeline.evaluation.error_types import ERROR_TYPES, MISSED_TYPES
from pipeline.evaluation.fusion import FusedDump, Weights, factor_names, fuse
from pipeline.evaluation.hicodet import HicoDetResult, Rules
from pipeline.evaluation.image_level import image_level_metrics
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.role_detections import RoleDetections
from pipeline.evaluation.selection import selected_rows
from pipeline.evaluation.summary import error_figures, metrics, percent
from pipeline.evaluation.vcoco import evaluate_vcoco
from pipeline.evaluation.weight_sweep import all_weights
from pipeline.store.detections_dump import ErrorNames, write_matched
from pipeline.store.dump import DumpReader
from pipeline.truth.ground_truth import GroundTruth
from pipeline.truth.vcoco_annotations import VCocoAnnotations

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Row:
    """The numbers as JSON values (percent), results by swept factor and weight, and what they were made from.

    `source` gives the triplets, `rules` say which are scored, `evaluation` holds the results and, where asked for, what
    each of the scored ones matches.
    """

    metrics: dict[str, Any]
    sweeps: Mapping[str, Mapping[float, HicoDetResult]]
    source: FusedDump
    rules: Rules
    evaluation: Evaluation

    def write_detections(self, path: Path, run: str, num_images: int) -> None:
        """Write every scored triplet with its factors, what it matches and its type of error, some images at a time.

        Args:
            run: its name.
            num_images: of the split.
        """
        factors = self.source.read_factors(0, 0)[1]
        weights = {name: factors.weight(name) for name in factors.values}
        errors = self.errors
        types = ErrorNames(ERROR_TYPES, MISSED_TYPES)
        write_matched(path, self._matched_blocks(num_images), errors.missed, run=run, weights=weights, types=types)

    def _matched_blocks(self, num_images: int) -> Iterator[dict[str, NDArray[Any]]]:
        matched, error, first = self.evaluation.matched, self.errors.error, 0
        assert matched is not None
        for start in range(0, num_images, IMAGES_AT_ONCE):
            found, factors = self.source.read_factors(start, min(start + IMAGES_AT_ONCE, num_images))
            kept = selected_rows(found, found.scores, self.rules)
            rows = slice(first, first := first + len(kept))
            columns = {**vars(found.take(kept)), "image_index": found.image_index[kept] + np.int32(start)}
            columns |= {"matched": matched[rows], "error": error[rows]}
            yield columns | {f"factor.{name}": values[kept] for name, values in factors.values.items()}

    @property
    def result(self) -> HicoDetResult:
        """Scores with the params' own weights."""
        return self.evaluation.results[0]

    @property
    def errors(self) -> ErrorAnalysis:
        """Types of errors, of a row that was scored with `keep_matches`."""
        assert self.evaluation.errors is not None
        return self.evaluation.errors

    @property
    def headline_text(self) -> str:
        """The main numbers of the protocol, as `summary.headline` keeps them, in one line."""
        if "ap_role_s1" in self.metrics:
            line = "AP_role S1 {ap_role_s1:.2f}  S2 {ap_role_s2:.2f}  AP_agent {ap_agent:.2f}".format(**self.metrics)
            roles, agents = self.metrics["per_role"].values(), self.metrics["per_agent"].values()
            empty = sum(role["s1"] is None for role in roles), sum(ap is None for ap in agents)
            return f"{line}  ({empty[0]} roles, {empty[1]} actions without positives: 0 there)" if any(empty) else line
        means = {name: self.metrics[name] for name in self.metrics["groups"]}
        return "mAP " + "  ".join(f"{name} {_shown(value)}" for name, value in means.items())


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def score_dump(
    dump: DumpReader,
    params: EvaluateParams,
    truth: GroundTruth,
    groups: ClassGroups,
    *,
    people: VCocoAnnotations | None = None,
    times: DumpReader | None = None,
    sweep: bool = False,
    keep_matches: bool = False,
    client: Client | None = None,
    digests: Mapping[Path, str] | None = None,
) -> Row:
    """Fuse scores (eq. 3) and evaluate them, a range of images at a time.

    V-COCO's own protocol, for its few thousand images, holds all detections in memory.

    Args:
        people: annotated people, where the protocol is V-COCO's.
        times: the dump of `params.times_run`.
        sweep: also at other weights of each factor, one factor at a time.
        keep_matches: also tell which annotation each triplet matches, and sort errors by type.
        client: of a Dask cluster that does the work; None: this process.
        digests: sha256 of the dumps, which every worker of the cluster compares with what it sees.
    """
    vocabulary = dump.vocabulary
    tried = all_weights(params, factor_names(dump.columns, has_times=times is not None)) if sweep else {}
    rankings: list[Weights] = [(), *(((name, weight),) for name, weights in tried.items() for weight in weights)]
    source = FusedDump(
        dump.path, params, tuple(rankings), None if times is None else times.path, (digests or {}) if client else {}
    )
    rules = Rules.of_params(vocabulary.hoi_object_ids, params)
    evaluation = evaluate_rankings(source, truth, rules, keep_matches=keep_matches, scheduler=client)
    others = iter(evaluation.results[1:])
    swept = {name: {weight: next(others) for weight in weights} for name, weights in tried.items()}
    numbers = metrics(evaluation.results[0], evaluation.num_detections, truth, groups)
    if evaluation.errors is not None:
        numbers |= error_figures(evaluation.errors)
    labels = truth.image_hois
    if labels is not None and len(labels.hoi_ids) and (of_images := image_level_metrics(dump, labels, groups)):
        numbers["image_level"] = of_images
    if people is not None:
        detections = fuse(dump.read(), params, None if times is None else times.read())
        # The settings are HICO-DET's; pair suppression is for both protocols.
        kept = selected_rows(detections, detections.scores, replace(rules, setting="default"))
        roles = RoleDetections.of_triplets(detections.take(kept), vocabulary, people)
        numbers |= evaluate_vcoco(roles, people).figures(percent)
    return Row(numbers, swept, source, rules, evaluation)
