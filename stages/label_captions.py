"""`label_captions`: captions to labels of the training images, for rows that take these (`train.labels: captions`).

Where `prepare.labels` is captions, `prepare` has written them as the labels of all rows already.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.config.layout import Layout
from pipeline.core.errors import ParamError
from pipeline.data.split import take_split
from pipeline.store.image_labels_file import write_image_labels
from pipeline.store.stage_run import StageRun
from pipeline.truth.params import DRAWN_CAPTIONS, PrepareParams
from stages._captions import caption_labels, check_captions
from stages._command import dataset_option, root_option, stage_command


@stage_command("label-captions", help="Label training images by their captions, beside the annotated labels (HDF5).")
@dataset_option
@root_option
def command(dataset: str, root: Path) -> None:
    """Match the captions with the vocabulary; nothing annotated is read."""
    layout = Layout(root, dataset)
    with StageRun("label_captions", layout) as stage:
        params = stage.params(PrepareParams)
        check_captions(params, layout)
        if params.captions is None:
            raise ParamError(f"{dataset}.prepare.captions is null; expected a file of captions")
        vocabulary, train = take_split(stage.inputs, "train")
        others = [take_split(stage.inputs, name)[1] for name in ("val", "test")]
        if params.captions == DRAWN_CAPTIONS:
            stage.take(layout.drawn_images, "prepare")
        found = caption_labels(stage, params, train, others, vocabulary)
        output = layout.image_labels("captions")
        write_image_labels(output, found.labels)
        stage.finish([output], {"captions": found.report}, seed=params.seed)


if __name__ == "__main__":
    command()
