"""`label`: labels of the training images from CLIP's similarities alone, for training without annotation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from pipeline.config.layout import Layout
from pipeline.config.params import load_execution
from pipeline.labeling.clip_scores import LabelJob
from pipeline.labeling.params import LabelParams
from pipeline.labeling.thresholds import label_by_scores
from pipeline.methods.params import ModelParams
from pipeline.prompts.params import ClipParams
from pipeline.store.image_labels_file import write_image_labels
from pipeline.store.stage_run import StageRun
from stages._command import dataset_option, device_option, root_option, scheduler_option, stage_command
from stages._parts import run_job

SPLIT = "train"


@stage_command("label", help="Label training images by CLIP, without any annotation (HDF5).")
@dataset_option
@device_option
@scheduler_option
@root_option
def command(dataset: str, device: str, scheduler: str | None, root: Path) -> None:
    """Compare images and union regions with the knowledge bank, and label what scores high for its class."""
    layout = Layout(root, dataset)
    with StageRun("label", layout) as stage:
        params, clip = stage.params(LabelParams), stage.params(ClipParams)
        model = stage.sections["model"] = stage.params(ModelParams).used()
        channels_last = load_execution(layout.params).channels_last
        job = LabelJob(layout, SPLIT, params, clip, model, device, channels_last)
        opened, parts = run_job(job, stage, scheduler)
        stage.inputs.digests.update(opened.inputs)
        columns = {name: parts.column(name).read() for name in opened.empty}
        vocabulary = opened.vocabulary
        labels = label_by_scores(
            **columns, image_ids=opened.bags.manifest.image_ids, vocabulary=vocabulary, params=params
        )
        output = layout.image_labels("clip")
        write_image_labels(output, labels)
        shown = labels.rows(vocabulary.num_hois)
        absent = np.setdiff1d(np.arange(vocabulary.num_hois), shown.hoi_ids).tolist()
        counts: dict[str, Any] = {
            "images": opened.num_images,
            "images_with_labels": int(shown.labeled.sum()),
            "labels": len(labels.hoi_ids),
            "classes_without": [vocabulary.hoi_name(row) for row in absent],
        }
        stage.finish([output], counts)
    click.echo(
        f"{output}: {counts['labels']} labels of {counts['images_with_labels']} of {counts['images']} images; "
        f"{len(counts['classes_without'])} classes have none"
    )


if __name__ == "__main__":
    command()
