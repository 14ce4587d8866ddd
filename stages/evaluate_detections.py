"""`evaluate-detections`: score detections of any method by the official protocol of HICO-DET or V-COCO."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pipeline.core.class_groups import ClassGroups
from pipeline.core.errors import ParamError
from pipeline.data.class_splits import class_split
from pipeline.evaluation.detections_file import (
    meets_nothing,
    open_zarr_detections,
    read_hicodet_detections,
    read_vcoco_detections,
)
from pipeline.evaluation.engine import evaluate_hicodet, evaluate_rankings
from pipeline.evaluation.exchange_vcoco import read_vcoco_pickle
from pipeline.evaluation.hicodet import SETTINGS, HicoDetResult, Rules, Setting
from pipeline.evaluation.vcoco import TIES, Ties, evaluate_vcoco
from pipeline.store.files import write_json
from pipeline.store.targets import check_json_target
from pipeline.truth.ground_truth import check_scored_boxes
from pipeline.truth.hicodet_annotations import HicoDetAnnotations, read_hicodet_json
from pipeline.truth.hicodet_mat import read_hicodet_mat, with_image_labels
from pipeline.truth.vcoco_annotations import read_vcoco
from stages._command import stage_command

_IMAGES_LOOKED_AT = 100  # enough to tell boxes in 0..1
_FILE = click.Path(path_type=Path)  # no check by click: the readers report all faults in one line
_OWN_KEYS = (("setting", "full", "ap"), ("ap_role_s1", "ap_agent", "per_role"))  # of the JSON files of this command


@stage_command("evaluate-detections", help=__doc__)
@click.option("--dataset", type=click.Choice(["hicodet", "vcoco"]), required=True)
@click.option(
    "--annotations",
    type=_FILE,
    required=True,
    help="hicodet: the JSON form or the official anno_bbox.mat (its test split); vcoco: the official vcoco_*.json.",
)
@click.option(
    "--detections",
    type=click.Path(path_type=Path),
    required=True,
    help="npz (hicodet: or zarr in image order, of any size); boxes continuous 0-based, right/bottom exclusive, scored "
    "as they are: those with their center outside the image, or more than half its side beyond a border, are refused. "
    "vcoco: or the official pickle (.pkl).",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="JSON with scores in 0..1."
)
@click.option(
    "--setting",
    type=click.Choice(list(SETTINGS)),
    default="default",
    show_default=True,
    help="hicodet only. explanation_hoi, upt and gen_vlkt reproduce evaluators of these repositories, to explain a "
    "difference to a published table (docs/protocols.md).",
)
@click.option(
    "--split",
    help="hicodet only: also score the unseen and the seen classes of a zero-shot split: rf_uc, nf_uc, uo, uv, ua, "
    "uc0 to uc4, or FILE.json:NAME.",
)
@click.option("--instances", type=_FILE, help="vcoco only: COCO instances that hold the ann_ids.")
@click.option(
    "--image-labels", type=_FILE, help="hicodet: anno.mat of the release, whose test labels define known_object."
)
@click.option(
    "--ties",
    type=click.Choice(TIES),
    default="row_order",
    show_default=True,
    help="vcoco only: which of equal scores comes first. row_order: the first row. official: as vsrl_eval.py has them "
    "where its sort is stable: the last row claims a person first, the last image comes first in the ranking.",
)
def command(
    dataset: str,
    annotations: Path,
    detections: Path,
    output: Path,
    setting: Setting,
    split: str | None,
    instances: Path | None,
    image_labels: Path | None,
    ties: Ties,
) -> None:
    """Evaluate, write the JSON file, print a summary; notes about doubtful figures go to stderr."""
    check_json_target(output, *_OWN_KEYS, what="scores", option="--output")
    if dataset == "vcoco":
        if instances is None:
            raise ParamError("--instances is missing; V-COCO's boxes are in COCO's instances.json, give its path")
        if image_labels is not None or split is not None or setting != "default":
            raise ParamError("--setting, --split and --image-labels belong to --dataset hicodet; leave them out")
        scores, summary, notes = _evaluate_vcoco(annotations, instances, detections, ties)
    else:
        for option, given in (("--instances", instances is not None), ("--ties", ties != "row_order")):
            if given:
                raise ParamError(f"{option} belongs to --dataset vcoco; leave it out")
        scores, summary, notes = _evaluate_hicodet(annotations, image_labels, detections, setting, split)
    write_json(output, scores)
    click.echo(summary)
    for note in notes:
        click.echo(f"Note: {note}", err=True)


def _evaluate_hicodet(
    path: Path, image_labels: Path | None, detections_path: Path, setting: Setting, split: str | None
) -> tuple[dict[str, Any], str, list[str]]:
    annotations = _read_hicodet(path, image_labels)
    truth = annotations.truth
    groups = ClassGroups.of(annotations.vocabulary.num_hois, {"rare": annotations.rare, "non_rare": ~annotations.rare})
    if split is not None:
        groups = groups.and_of(class_split(split, annotations.vocabulary).groups)
    check_scored_boxes(truth, annotations.sizes, annotations.filenames, str(path))
    rules = Rules(annotations.vocabulary.hoi_object_ids, setting)
    if detections_path.suffix == ".zarr":
        source = open_zarr_detections(detections_path, annotations.sizes, rules.num_hois)
        num_detections, (found, _) = len(source), source.read(0, min(len(annotations), _IMAGES_LOOKED_AT))
        result = evaluate_rankings(source, truth, rules).results[0]
    else:
        found = read_hicodet_detections(detections_path, annotations.sizes, rules.num_hois)
        num_detections, result = len(found), evaluate_hicodet(found, truth, rules)
    notes = []
    if num_detections and len(truth) and not len(result.hit_hoi_id):
        what = f"a pair of its image and HOI class in {path}"
        notes.append(meets_nothing(num_detections, what, (found.human_boxes, found.object_boxes)))
    return _hicodet_json(result, groups), _hicodet_summary(result, groups, image_labels), notes


def _read_hicodet(path: Path, image_labels: Path | None) -> HicoDetAnnotations:
    if path.suffix == ".mat":
        return read_hicodet_mat(path, "test", image_labels)
    annotations = read_hicodet_json(path)
    return annotations if image_labels is None else with_image_labels(annotations, "test", image_labels)


def _hicodet_json(result: HicoDetResult, groups: ClassGroups) -> dict[str, Any]:
    return {
        "setting": result.setting,
        **{name: _number(mean) for name, mean in groups.means(result.ap).items()},
        "ap": [_number(ap) for ap in result.ap.tolist()],
        "num_gt": result.num_gt.tolist(),
    }


def _hicodet_summary(result: HicoDetResult, groups: ClassGroups, image_labels: Path | None) -> str:
    means = ", ".join(f"{name.replace('_', '-')} {mean:.4f}" for name, mean in groups.means(result.ap).items())
    lines = [f"HICO-DET, {result.setting}: {means}, mean maximum recall {result.mean_max_recall:.4f}"]
    if result.setting == "known_object":
        source = "image-level labels" if image_labels else "annotated pairs (no --image-labels given)"
        lines.append(f"Images of each object: from {source}")
    if result.setting in ("explanation_hoi", "upt", "gen_vlkt"):
        lines.append(f"{result.setting} is not the official protocol: compare with that repository's tables alone")
    absent = int((result.num_gt == 0).sum())
    if absent:
        lines.append(f"{absent} classes have no ground truth: null in the file, 0 in the means, as officially")
    return "\n".join(lines)


def _evaluate_vcoco(
    path: Path, instances_path: Path, detections_path: Path, ties: Ties
) -> tuple[dict[str, Any], str, list[str]]:
    annotations = read_vcoco(path, instances_path)
    if detections_path.suffix in (".pkl", ".pickle"):
        found, agents = read_vcoco_pickle(detections_path, annotations)
        of_roles, of_agents = (evaluate_vcoco(rows, annotations, ties) for rows in (found, agents))
        result = replace(of_roles, agent=of_agents.agent, num_met=of_roles.num_met + of_agents.num_met)
    else:
        found = read_vcoco_detections(detections_path, annotations.image_ids, annotations.sizes)
        result = evaluate_vcoco(found, annotations, ties)
    summary = (
        f"V-COCO: role AP {result.ap_role_s1:.4f} (scenario 1), {result.ap_role_s2:.4f} (scenario 2), "
        f"agent AP {result.ap_agent:.4f}"
    )
    notes = [f"{result.without_positives}: null in the file, 0 in the means"] if result.without_positives else []
    if len(found) and not result.num_met:
        what = f"a person who does its action in {path}"
        notes.append(meets_nothing(len(found), what, (found.human_boxes, found.role_boxes)))
    return result.figures(_number), summary, notes


def _number(value: float) -> float | None:
    """JSON has no NaN: null."""
    return None if value != value else value


if __name__ == "__main__":
    command()
