"""One row of a results table: a dump scored as its params say, by the protocol of its dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.params import EvaluateParams
from pipeline.evaluation.fused_dump import FusedDump
from pipeline.evaluation.fusion import fuse
from pipeline.evaluation.hicodet import HicoDetResult
from pipeline.evaluation.summary import metrics
from pipeline.evaluation.two_pass import IN_PROCESS, Rules, evaluate_rankings
from pipeline.evaluation.vcoco import evaluate_vcoco
from pipeline.evaluation.vcoco_triplets import role_detections, vcoco_metrics
from pipeline.evaluation.weight_sweep import Weights, sweeps
from pipeline.store.dump import DumpReader
from pipeline.truth.ground_truth import GroundTruth
from pipeline.truth.vcoco_annotations import VCocoAnnotations

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Row:
    """mAP over HOI classes, the numbers as JSON values (percent), and results by swept factor and weight."""

    result: HicoDetResult
    metrics: dict[str, Any]
    sweeps: Mapping[str, Mapping[float, HicoDetResult]]

    @property
    def headline(self) -> str:
        """The numbers that the protocol is quoted by, in one line."""
        if "ap_role_s1" in self.metrics:
            line = "AP_role S1 {ap_role_s1:.2f}  S2 {ap_role_s2:.2f}  AP_agent {ap_agent:.2f}".format(**self.metrics)
            roles, agents = self.metrics["per_role"].values(), self.metrics["per_agent"].values()
            empty = sum(role["s1"] is None for role in roles), sum(ap is None for ap in agents)
            return f"{line}  ({empty[0]} roles, {empty[1]} actions without positives: 0 there)" if any(empty) else line
        return "Full {full:.2f}  Rare {rare}  Non-rare {non_rare} mAP".format(**self.metrics)


def score_dump(
    dump: DumpReader,
    params: EvaluateParams,
    truth: GroundTruth,
    rare: NDArray[np.bool_],
    *,
    people: VCocoAnnotations | None = None,
    times: DumpReader | None = None,
    sweep: bool = False,
    client: Client | None = None,
    digests: Mapping[Path, str] | None = None,
) -> Row:
    """Fuse scores (eq. 3) and evaluate them, a range of images at a time.

    V-COCO's own protocol, for its few thousand images, holds all detections in memory.

    Args:
        rare: bool [H].
        people: annotated people, where the protocol is V-COCO's.
        times: the dump of `params.times_run`.
        sweep: also at other weights of each factor, one factor at a time.
        client: of a Dask cluster that does the work; None: this process.
        digests: sha256 of the dumps, which every worker of the cluster compares with what it sees.
    """
    vocabulary = dump.vocabulary
    factors = [column.factor for column in dump.columns] + ([] if times is None else ["times"])
    tried = sweeps(params, factors) if sweep else {}
    rankings: list[Weights] = [(), *(((name, weight),) for name, weights in tried.items() for weight in weights)]
    results, num_detections = evaluate_rankings(
        FusedDump(
            dump.path,
            params,
            tuple(rankings),
            None if times is None else times.path,
            (digests or {}) if client else {},
        ),
        truth,
        Rules(vocabulary.num_hois, rare, vocabulary.hoi_object_ids, params.setting),
        scheduler=client or IN_PROCESS,
    )
    result, *others = results
    found = iter(others)
    swept = {name: {weight: next(found) for weight in weights} for name, weights in tried.items()}
    numbers = metrics(result, num_detections, truth)
    if people is not None:
        detections = fuse(dump.read(), params, None if times is None else times.read())
        numbers |= vcoco_metrics(evaluate_vcoco(role_detections(detections, vocabulary, people), people))
    return Row(result, numbers, swept)
