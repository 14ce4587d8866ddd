"""`evaluate-detections`: score detections of any method by the official protocol of HICO-DET or V-COCO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pipeline.core.class_groups import ClassGroups
from pipeline.core.errors import ParamError
from pipeline.core.types import Detections
from pipeline.data.class_splits import class_split, class_split_names
from pipeline.evaluation.arrays import number_or_none
from pipeline.evaluation.detections_file import meets_nothing, open_zarr_detections
from pipeline.evaluation.engine import evaluate_hicodet, evaluate_rankings
from pipeline.evaluation.exchange import read_hicodet, read_vcoco_roles
from pipeline.evaluation.hicodet import SETTINGS, HicoDetResult, Rules, Setting
from pipeline.evaluation.vcoco import TIES, Ties, evaluate_vcoco
from pipeline.store.files import write_json
from pipeline.store.targets import check_json_target
from pipeline.truth.ground_truth import check_scored_boxes
from pipeline.truth.hicodet_annotations import HicoDetAnnotations, read_hicodet_json
from pipeline.truth.hicodet_mat import read_hicodet_mat, with_image_labels
from pipeline.truth.vcoco_annotations import read_vcoco
from stages._command import progress, say, stage_command

_IMAGES_LOOKED_AT = 100  # enough to tell boxes in 0..1
_FILE = click.Path(path_type=Path)  # no check by click: the readers report all faults in one line
_OWN_KEYS = (("setting", "full", "ap"), ("ap_role_s1", "ap_agent", "per_role"))  # of the JSON files of this command
_CLASS_SPLITS = class_split_names()
_HELP = """Score detections of any method by the official protocol of HICO-DET or V-COCO.

Arrays of the npz, T rows each; their order breaks ties (--ties):

\b
hicodet  image_index    [T]     number of the image in the annotations
         hoi_id         [T]     HOI class, from 0 in the official order
         human_boxes    [T, 4]  x1, y1, x2, y2
         object_boxes   [T, 4]
         scores         [T]
vcoco    image_id       [T]     COCO's number of the image
         action_id      [T]     action, from 0 in the file's order
         role_index     [T]     column of role_name; 0: the agent alone
         human_boxes    [T, 4]
         role_boxes     [T, 4]  nan: no object
         scores         [T]

Boxes are in pixels of the original image, from 0, right and bottom exclusive.
They are scored as they are; refused is a box whose center is outside its
image, or that leaves it by more than half the image's side.
"""


class _ClassSplit(click.Choice[str]):
    """A class split by name, or one of the user's own as FILE.json:NAME."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return value if ":" in value else super().convert(value, param, ctx)


annotations_option = click.option(
    "--annotations",
    type=_FILE,
    required=True,
    help="hicodet: the JSON form or the official anno_bbox.mat (its test split); vcoco: the official vcoco_*.json.",
)
instances_option = click.option("--instances", type=_FILE, help="vcoco only: COCO instances that hold the ann_ids.")


@stage_command("evaluate-detections", help=_HELP)
@click.option(
    "--dataset", type=click.Choice(["hicodet", "vcoco"]), required=True, help="Whose protocol, classes and images."
)
@annotations_option
@click.option(
    "--detections",
    type=click.Path(path_type=Path),
    required=True,
    help="npz with the arrays above. hicodet: or zarr in image order (of any size), a folder of detections_NN.mat, "
    "results.json of CDN, GEN-VLKT or HOICLIP. vcoco: or a pickle, the official one or UPT's cache.pkl. "
    "docs/formats.md lists the forms.",
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
    type=_ClassSplit(_CLASS_SPLITS),
    metavar=f"[{'|'.join(_CLASS_SPLITS)}|FILE.json:NAME]",
    help="hicodet only: also score the unseen and the seen classes of a zero-shot split, here or in a file of yours.",
)
@instances_option
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
        if image_labels is not None or split is not None or setting != "default":
            raise ParamError("--setting, --split and --image-labels belong to --dataset hicodet; leave them out")
        scores, summary, notes = _evaluate_vcoco(annotations, needed_instances(instances), detections, ties)
    else:
        refuse_options_of_vcoco({"--instances": instances is not None, "--ties": ties != "row_order"})
        scores, summary, notes = _evaluate_hicodet(annotations, image_labels, detections, setting, split)
    write_json(output, scores)
    click.echo(summary)
    for note in notes:
        say(f"Note: {note}")


def _evaluate_hicodet(
    path: Path, image_labels: Path | None, detections_path: Path, setting: Setting, split: str | None
) -> tuple[dict[str, Any], str, list[str]]:
    annotations = read_hicodet_annotations(path, image_labels)
    truth = annotations.truth
    groups = ClassGroups.of(annotations.vocabulary.num_hois, {"rare": annotations.rare, "non_rare": ~annotations.rare})
    if split is not None:
        groups = groups.and_of(class_split(split, annotations.vocabulary).groups)
    check_scored_boxes(truth, annotations.sizes, annotations.filenames, str(path))
    rules = Rules(annotations.vocabulary.hoi_object_ids, setting)
    notes: list[str] = []
    if detections_path.suffix == ".zarr":
        source = open_zarr_detections(detections_path, annotations.sizes, rules.num_hois)
        num_detections, (found, _) = len(source), source.read(0, min(len(annotations), _IMAGES_LOOKED_AT))
        result = evaluate_rankings(source, truth, rules).results[0]
    else:
        found, notes = read_triplets(detections_path, annotations)
        num_detections, result = len(found), evaluate_hicodet(found, truth, rules)
    if num_detections and len(truth) and not len(result.hit_hoi_id):
        what = f"a pair of its image and HOI class in {path}"
        notes.append(meets_nothing(num_detections, what, (found.human_boxes, found.object_boxes)))
    return result.figures(groups, number_or_none), _hicodet_summary(result, groups, image_labels), notes


def read_hicodet_annotations(path: Path, image_labels: Path | None = None) -> HicoDetAnnotations:
    """Read either form of the annotations, with the image-level labels of `anno.mat`."""
    if path.suffix == ".mat":
        return read_hicodet_mat(path, "test", image_labels)
    annotations = read_hicodet_json(path)
    return annotations if image_labels is None else with_image_labels(annotations, "test", image_labels)


def needed_instances(instances: Path | None) -> Path:
    """Return --instances, which V-COCO needs; raises ParamError without it."""
    if instances is None:
        raise ParamError("--instances is missing; V-COCO's boxes are in COCO's instances.json, give its path")
    return instances


def refuse_options_of_vcoco(given: Mapping[str, bool]) -> None:
    """Refuse the first of V-COCO's options that HICO-DET was given; raises ParamError."""
    for option in (option for option, is_given in given.items() if is_given):
        raise ParamError(f"{option} belongs to --dataset vcoco; leave it out")


def read_triplets(path: Path, annotations: HicoDetAnnotations) -> tuple[Detections, list[str]]:
    """Read triplets of any form, with a bar where many files are read, and notes on how they were understood."""
    with progress(annotations.vocabulary.num_objects, "read", unit="file", hidden=not path.is_dir()) as advance:
        return read_hicodet(path, annotations, advance)


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
    found, agents = read_vcoco_roles(detections_path, annotations)
    result = evaluate_vcoco(found, annotations, ties)
    if agents is not None:
        of_agents = evaluate_vcoco(agents, annotations, ties)
        result = replace(result, agent=of_agents.agent, num_met=result.num_met + of_agents.num_met)
    summary = (
        f"V-COCO: role AP {result.ap_role_s1:.4f} (scenario 1), {result.ap_role_s2:.4f} (scenario 2), "
        f"agent AP {result.ap_agent:.4f}"
    )
    notes = [f"{result.without_positives}: null in the file, 0 in the means"] if result.without_positives else []
    if len(found) and not result.num_met:
        what = f"a person who does its action in {path}"
        notes.append(meets_nothing(len(found), what, (found.human_boxes, found.role_boxes)))
    return result.figures(number_or_none), summary, notes


if __name__ == "__main__":
    command()
