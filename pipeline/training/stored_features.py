"""What stands for the images of a training run where `train.stored_features` names a row of the same encoder."""

from __future__ import annotations

from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError, ParamError
from pipeline.data.split import SplitManifest
from pipeline.methods.model import HoiModel
from pipeline.store.features_file import SplitFeatures, open_features
from pipeline.store.stage_run import StageRun
from pipeline.training.image_features import encoder_of
from pipeline.training.params import TrainParams


def take_features(
    stage: StageRun, params: TrainParams, model: HoiModel, manifest: SplitManifest
) -> SplitFeatures | None:
    """Open the features that a run reads in place of images, and tell its backbone their shapes; None without any.

    Raises:
        ParamError: training would change the features, or needs the images themselves.
        ArtifactError: missing, damaged, of another encoder or other images, or without the mirror images to flip to.
    """
    if params.stored_features is None:
        return None
    row, layout = params.stored_features, stage.layout
    if model.method.needs_teacher:
        raise ParamError(
            f"train.stored_features is {row}, but {model.config['method']['name']} shows the images to a teacher; "
            "expected null"
        )
    if not params.freeze_batch_norm:
        raise ParamError(f"train.stored_features is {row} and train.freeze_batch_norm false; expected true, or null")
    backbone, run = model.network.backbone, Run(row, split="train")
    backbone.stored_shapes = backbone.fixed_shapes(model.image_size)
    command = f'run "weakhoi encode-images --dataset {layout.dataset} {run.options}"'
    features = open_features(
        stage.take(layout.features(run), "encode_images", run),
        images=manifest.images,
        encoder=encoder_of(backbone, model.config["backbone"]["name"], model.image_size),
        remedy=f"{command}, or let train.stored_features name a row of the same encoder",
    )
    if params.flip_probability > 0 and not features.mirrored:
        raise ArtifactError(
            f"{features.path}: holds no mirror images, and train.flip_probability is {params.flip_probability}; set "
            f"encode_images.mirrored to true and {command}, or flip no images"
        )
    return features
