"""`convert`: detections from one form into another."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pipeline.core.errors import ParamError
from pipeline.evaluation.exchange import (
    HICODET_FORMS,
    VCOCO_FORMS,
    check_output,
    form_of,
    one_table,
    read_vcoco_roles,
    write_hicodet,
    write_vcoco,
)
from pipeline.truth.vcoco_annotations import read_vcoco
from stages._command import progress, say, stage_command
from stages.evaluate_detections import (
    annotations_option,
    instances_option,
    needed_instances,
    read_hicodet_annotations,
    read_triplets,
    refuse_options_of_vcoco,
)

_PATH = click.Path(path_type=Path)  # no check by click: the readers report all faults in one line


@stage_command("convert", help="Turn detections from one form into another. docs/formats.md lists the forms.")
@click.option("--dataset", type=click.Choice(["hicodet", "vcoco"]), required=True, help="Whose classes and images.")
@annotations_option
@instances_option
@click.option("--detections", type=_PATH, required=True, help="A file or folder in any of the forms below, or PPDM's.")
@click.option("--output", type=_PATH, required=True, help="File or folder to write; an earlier output is replaced.")
@click.option(
    "--format",
    "form",
    type=click.Choice(tuple(HICODET_FORMS | VCOCO_FORMS)),
    show_default="by the end of --output: .npz, .zarr, .json, .pkl, or a folder: hicodet-mat",
    help="hicodet-mat, upt-mat: detections_NN.mat in COCO's or the alphabetical order of objects; results-json: "
    "GEN-VLKT's; vcoco-pickle: for vsrl_eval.py; upt-cache: UPT's cache.pkl.",
)
def command(
    dataset: str, annotations: Path, instances: Path | None, detections: Path, output: Path, form: str | None
) -> None:
    """Read, check and write; notes about what a form can't say go to stderr."""
    form = form_of(dataset, form, output)
    if os.path.realpath(output) == os.path.realpath(detections):
        raise ParamError(f"--output {output} is the file to convert; give another path")
    check_output(form, output)
    if dataset == "hicodet":
        refuse_options_of_vcoco({"--instances": instances is not None})
        count, notes = _convert_hicodet(annotations, detections, output, form)
    else:
        count, notes = _convert_vcoco(annotations, needed_instances(instances), detections, output, form)
    click.echo(f"{output}: {count} detections, {form}")
    for note in notes:
        say(f"Note: {note}")


def _convert_hicodet(path: Path, detections: Path, output: Path, form: str) -> tuple[int, list[str]]:
    annotations = read_hicodet_annotations(path)
    found, notes = read_triplets(detections, annotations)
    with progress(80, "write", unit="file", hidden="mat" not in form) as advance:
        write_hicodet(form, output, found, annotations, advance)
    return len(found), notes


def _convert_vcoco(path: Path, instances: Path, detections: Path, output: Path, form: str) -> tuple[int, list[str]]:
    annotations = read_vcoco(path, instances)
    found, agents = read_vcoco_roles(detections, annotations)
    notes = []
    if agents is not None:
        found = one_table(found, agents, annotations)
        notes = ["a row's score is that of its role and of its person: the pickle's scores of persons are left out"]
    return len(found), notes + write_vcoco(form, output, found, annotations)


if __name__ == "__main__":
    command()
