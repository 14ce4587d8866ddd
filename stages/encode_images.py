"""`encode_images`: a row's frozen encoder over every image of a split, to features that training reads for images."""

from __future__ import annotations

from pathlib import Path

from pipeline.backbones.catalog import backbone_files
from pipeline.backbones.params import EncodeImagesParams
from pipeline.config.layout import Layout
from pipeline.config.params import load_execution
from pipeline.config.run import Run
from pipeline.data.split import take_split
from pipeline.methods.params import ModelParams
from pipeline.prompts.clip_bank import clip_inputs, clip_of
from pipeline.prompts.params import ClipParams
from pipeline.store.stage_run import StageRun
from pipeline.training.image_features import EncodeJob, EncodeWork, write_parts
from stages._command import (
    dataset_option,
    device_option,
    root_option,
    say,
    scheduler_option,
    split_option,
    stage_command,
    variant_option,
)
from stages._parts import run_job


@stage_command("encode-images", help="Store the features of a frozen encoder, to train from (zarr).")
@dataset_option
@variant_option
@split_option(default="train")
@device_option
@scheduler_option
@root_option
def command(dataset: str, variant: str, split: str, device: str, scheduler: str | None, root: Path) -> None:
    """Encode the images that rows with `train.stored_features` then do without."""
    layout, run = Layout(root, dataset), Run.parse(variant, split=split)
    with StageRun("encode_images", layout, run) as stage:
        clip, chosen, params = stage.params(ClipParams), stage.params(ModelParams), stage.params(EncodeImagesParams)
        stage.sections["model"] = chosen.used()
        take_split(stage.inputs, split)
        stage.note(*clip_inputs(clip_of(clip, chosen.clip), root), *backbone_files(chosen.backbone))
        job = EncodeJob(layout, run, clip, chosen, params, device, load_execution(layout.params).channels_last)

        def tell_size(work: EncodeWork) -> None:
            say(f"{layout.features(run)}: {job.check_space(work)}")

        opened, parts = run_job(job, stage, scheduler, tell_size)
        stage.note(*opened.files)
        write_parts(layout.features(run), parts, opened)
        stage.finish([layout.features(run)], {"images": opened.num_images, "bytes per image": opened.image_bytes})


if __name__ == "__main__":
    command()
