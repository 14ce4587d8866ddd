"""`train`: image-level labels, images, proposals and the knowledge bank, to a checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stages._command import dataset_option, device_option, progress, root_option, run_options, stage_command


@stage_command("train", help="Train one variant end to end from image-level labels.")
@dataset_option
@run_options
@device_option
@root_option
def command(dataset: str, variant: str, seed: int | None, device: str, root: Path) -> None:
    """Train, resuming where an interrupted run of the same params and inputs stopped."""
    import shutil

    from pipeline.core.layout import Layout, run_name
    from pipeline.core.params import digest_of, load_params
    from pipeline.core.seeding import torch_seed
    from pipeline.data.bags import BagDataset, permuted_labels
    from pipeline.data.split import read_split
    from pipeline.hoi.backbone import VisualConfig
    from pipeline.hoi.losses import WeakHoiLoss
    from pipeline.hoi.network_config import network_config
    from pipeline.store.bank_file import read_bank
    from pipeline.store.checkpoint import save_checkpoint
    from pipeline.store.files import sha256_of, write_text
    from pipeline.store.manifests import relative, write_stage_manifest
    from pipeline.store.proposals_file import read_proposals
    from pipeline.store.vocabulary_file import read_vocabulary
    from pipeline.training.loop import TrainingRun, train
    from pipeline.training.start import build_network
    from stages._clip import clip_inputs, open_clip
    from stages._device import open_device

    layout, run = Layout(root, dataset), run_name(variant, seed)
    params = load_params(layout.params, dataset, variant)
    section = params.train if seed is None else dataclasses.replace(params.train, seed=seed)
    vocabulary = read_vocabulary(layout.vocabulary)
    manifest = read_split(layout.split("train"), vocabulary)
    proposals = read_proposals(layout.proposals("train"), image_ids=manifest.image_ids, objects=vocabulary.objects)
    bank = read_bank(layout.knowledge_bank, num_hois=vocabulary.num_hois)
    clip_model = open_clip(params.clip, root)
    labels = manifest.label_matrix(vocabulary.num_hois)
    dataset_of_bags = BagDataset(
        manifest=manifest,
        proposals=proposals,
        labels=permuted_labels(labels, section.seed) if section.shuffle_labels else labels,
        root=root,
        image_side=params.model.image_size,
        max_proposals=section.max_proposals,
    )
    opened = open_device(device)
    network = build_network(clip_model, bank, vocabulary, params.model, seed=torch_seed(section.seed, "network"))
    inputs = [layout.vocabulary, layout.split("train"), layout.proposals("train"), layout.knowledge_bank]
    inputs += clip_inputs(params.clip, root)
    sections = {"clip": params.clip, "model": params.model, "train": section}
    digest = digest_of(
        {
            "inputs": {relative(path, root): sha256_of(path) for path in inputs},
            "params": {name: digest_of(value) for name, value in sections.items()},
        }
    )
    steps = section.epochs * max(1, len(manifest) // section.batch_size)
    with progress(steps * section.batch_size, f"train {run}") as advance:
        log = train(
            network,
            WeakHoiLoss(vocabulary=vocabulary, model=params.model, train=section),
            dataset_of_bags,
            TrainingRun(
                params=section,
                digest=digest,
                work=layout.work("train", run),
                device=opened,
                progress=lambda losses: advance(section.batch_size, **losses),
            ),
        )
    origin = {"clip": clip_model.name, "clip_digest": clip_model.digest, "prompts": list(bank.prompts)}
    config = network_config(
        visual=VisualConfig.of(clip_model.model.visual), vocabulary=vocabulary, model=params.model, origin=origin
    )
    save_checkpoint(layout.checkpoint(run), network.state_dict(), config)
    write_text(layout.training_log(run), log.text())
    write_stage_manifest(
        layout.stage_manifest("train", run),
        root=root,
        stage="train",
        arguments={"dataset": dataset, "variant": variant} | ({} if seed is None else {"seed": str(seed)}),
        inputs=inputs,
        params=sections,
        outputs=[layout.checkpoint(run), layout.training_log(run)],
        counts={"images": len(manifest), "iterations": len(log.rows)},
        seed=section.seed,
    )
    shutil.rmtree(layout.work("train", run), ignore_errors=True)


if __name__ == "__main__":
    command()
