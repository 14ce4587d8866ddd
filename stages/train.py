"""`train`: image-level labels, images, proposals and the knowledge bank, to a checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stages._command import dataset_option, device_option, progress, root_option, run_options, stage_command

if TYPE_CHECKING:
    from torchvision.models.detection import FasterRCNN

    from pipeline.training.distributed import Ranks


@stage_command("train", one_of=("variant", "seed"), help="Train one variant end to end from image-level labels.")
@dataset_option
@run_options
@device_option
@root_option
def command(dataset: str, variant: str, seed: int | None, device: str, root: Path) -> None:
    """Train, resuming where an interrupted run of the same params and inputs stopped.

    `torchrun --nproc-per-node N -m stages.train ...` shares each batch among N processes, one on each GPU.
    """
    from pipeline.training.distributed import join_ranks

    with join_ranks() as ranks:
        _train(dataset, variant, seed, device, root, ranks)


def _train(dataset: str, variant: str, seed: int | None, device: str, root: Path, ranks: Ranks) -> None:
    """All of it, on one of the ranks; the first alone writes."""
    import shutil
    from functools import partial

    from pipeline.backbones.base import Sources
    from pipeline.core.device import open_device
    from pipeline.core.layout import Layout, run_name
    from pipeline.core.params import digest_of, load_execution, load_params
    from pipeline.core.seeding import torch_seed
    from pipeline.data.bags import BagDataset, permuted_labels
    from pipeline.data.split import read_split
    from pipeline.detection.detectors import detector_files, load_fasterrcnn
    from pipeline.methods.base import trained_state
    from pipeline.methods.model import ModelChoice, new_model
    from pipeline.store.checkpoint import save_checkpoint
    from pipeline.store.files import write_text
    from pipeline.store.inputs import StageInputs
    from pipeline.store.manifests import relative, write_stage_manifest
    from pipeline.store.proposals_file import read_proposals
    from pipeline.store.running_code import code_digest
    from pipeline.store.vocabulary_file import read_vocabulary
    from pipeline.store.work_folder import tell_of_other_work, work_folder
    from pipeline.training.loop import TrainingRun, train
    from stages._clip import clip_inputs, clip_of, encode_prompts, has_own_bank, open_clip, read_dataset_bank

    layout, run = Layout(root, dataset), run_name(variant, seed)
    params = load_params(layout.params, dataset, variant)
    choice = ModelChoice.of(params.model)
    section = params.train if seed is None else dataclasses.replace(params.train, seed=seed)
    inputs = StageInputs(layout)
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    manifest = read_split(inputs.take(layout.split("train"), "prepare"), vocabulary)
    proposals = read_proposals(
        inputs.take(layout.proposals("train"), "detect", "train"),
        image_ids=manifest.image_ids,
        objects=vocabulary.objects,
    )
    clip_params = clip_of(params.clip, params.model.clip)
    own_bank = has_own_bank(params.model)
    if not own_bank:  # first: where CLIP's file is another than the bank's, this names both
        inputs.take(layout.knowledge_bank, "encode_prompts")
    clip_model = open_clip(clip_params, root)
    if own_bank:
        text_only = params.model.bank == "roberta"
        bank = encode_prompts(clip_model, vocabulary, params.encode_prompts, text_only=text_only)
    else:
        bank = read_dataset_bank(inputs, vocabulary, clip_model if params.model.bank == "clip" else None)
    labels = manifest.label_matrix(vocabulary.num_hois)
    dataset_of_bags = BagDataset(
        manifest=manifest,
        proposals=proposals,
        labels=permuted_labels(labels, section.seed) if section.shuffle_labels else labels,
        root=root,
        image_side=params.model.image_size,
        max_proposals=section.max_proposals,
    )
    opened = open_device(device, local_rank=ranks.local_rank if ranks.size > 1 else None)
    ranks.connect(opened)
    weights = clip_inputs(clip_params, root)
    sections: dict[str, Any] = {"clip": params.clip, "model": params.model.used(), "train": section}
    if own_bank:
        sections["encode_prompts"] = params.encode_prompts

    def detector() -> tuple[FasterRCNN, dict[str, Any]]:
        sections["detect"] = params.detect
        weights.extend(detector_files(params.detect, root=root))
        return load_fasterrcnn(params.detect, root=root)

    model = new_model(
        choice,
        Sources(clip_model, detector, bank.hoi_embeddings.shape[1], params.model.image_size),
        bank,
        vocabulary,
        seed=torch_seed(section.seed, "network"),
        origin={"clip": clip_model.name, "clip_digest": clip_model.digest, "prompts": list(bank.prompts)},
    )
    for path in (*weights, *model.outside_files):
        inputs.note(path)
    digest = digest_of(
        {
            "inputs": {relative(path, root): found for path, found in inputs.digests.items()},
            "params": {name: digest_of(value) for name, value in sections.items()},
            "code": code_digest("stages.train"),
            "random streams": {"ranks": ranks.size, "device": opened.type},  # each draws numbers of its own
        }
    )
    work = layout.work("train", run)
    if ranks.writes:
        tell_of_other_work(work, digest, partial(click.echo, err=True))
    steps = section.epochs * max(1, len(manifest) // section.batch_size)
    with progress(steps * section.batch_size, f"train {run}", hidden=not ranks.writes) as advance:
        log = train(
            model,
            vocabulary,
            dataset_of_bags,
            TrainingRun(
                params=section,
                digest=digest,
                work=work_folder(work, digest),
                device=opened,
                progress=lambda losses: advance(section.batch_size, **losses),
                execution=load_execution(layout.params),
                ranks=ranks,
                tell=partial(click.echo, err=True),
            ),
        )
    if not ranks.writes:
        return
    save_checkpoint(layout.checkpoint(run), trained_state(model.network), model.config)
    write_text(layout.training_log(run), log.text())
    write_stage_manifest(
        layout.stage_manifest("train", run),
        root=root,
        stage="train",
        arguments={"dataset": dataset, "variant": variant} | ({} if seed is None else {"seed": str(seed)}),
        inputs=inputs.digests,
        params=sections,
        outputs=[layout.checkpoint(run), layout.training_log(run)],
        counts={"images": len(manifest), "iterations": len(log.rows)}
        | ({} if ranks.size == 1 else {"ranks": ranks.size}),  # for the order of float sums
        seed=section.seed,
    )
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    command()
