"""`detect`: an off-the-shelf detector over every image of a split, to human and object proposals."""

from __future__ import annotations

from pathlib import Path

from pipeline.config.layout import Layout
from pipeline.config.params import load_execution
from pipeline.core.boxes import has_extent
from pipeline.data.split import take_split
from pipeline.detection.detectors import detector_files
from pipeline.detection.handed_over import files_handed_over, read_handed_over
from pipeline.detection.params import DetectParams, leakage_warning
from pipeline.detection.proposals import DetectJob, count_humans, proposal_columns
from pipeline.store.proposals_file import write_proposals
from pipeline.store.stage_run import StageRun
from stages._command import (
    dataset_option,
    device_option,
    root_option,
    say,
    scheduler_option,
    split_option,
    stage_command,
)
from stages._parts import run_job


@stage_command("detect", help="Write the proposals of one split (HDF5).")
@dataset_option
@split_option()
@device_option
@scheduler_option
@root_option
def command(dataset: str, split: str, device: str, scheduler: str | None, root: Path) -> None:
    """Detect on all images, or take the proposals file that `detect.source` names."""
    layout = Layout(root, dataset)
    with StageRun("detect", layout, split) as stage:
        params, target = stage.params(DetectParams), layout.proposals(split)
        vocabulary, manifest = take_split(stage.inputs, split)
        if warning := leakage_warning(manifest.dataset, params.trained_on):
            say(warning)
        if params.source is not None:
            source = root / params.source.format(split=split)
            if source == layout.imported_proposals(split):
                stage.take(source, "import_proposals", split)
            stage.note(*files_handed_over(source, split))
            given = read_handed_over(source, layout.split(split), manifest, vocabulary)
            proposals = given.kept(has_extent(given.boxes))
            if dropped := len(given.scores) - len(proposals.scores):
                say(f"{source}: {dropped} boxes without width or height are left out")
            write_proposals(target, **vars(proposals))
            num_proposals = len(proposals.scores)
            num_humans = int((proposals.object_ids == vocabulary.human_object_id).sum())
        else:
            stage.note(*detector_files(params, root=root))
            job = DetectJob(layout, split, params, device, load_execution(layout.params).channels_last)
            opened, parts = run_job(job, stage, scheduler)
            columns = proposal_columns(parts)
            num_proposals, num_humans = len(columns["scores"]), count_humans(columns["object_ids"], opened)
            write_proposals(
                target,
                image_ids=manifest.image_ids,
                objects=vocabulary.objects,
                detector=opened.detector_name,
                **columns,
            )
        stage.finish([target], {"images": len(manifest), "proposals": num_proposals, "humans": num_humans})


if __name__ == "__main__":
    command()
