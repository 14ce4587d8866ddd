"""`infer`: a checkpoint over a split's images and proposals, to a dump of raw logits."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, device_option, progress, root_option, run_options, stage_command


@stage_command("infer", one_of=("variant", "seed", "split"), help="Write the raw pair logits of a split (zarr).")
@dataset_option
@run_options
@click.option("--split", default="test", show_default=True, help="val or test.")
@device_option
@root_option
def command(dataset: str, variant: str, seed: int | None, split: str, device: str, root: Path) -> None:
    """Run the network over every image of the split."""
    import shutil

    from pipeline.core.layout import Layout, run_name
    from pipeline.core.params import digest_of, load_params
    from pipeline.data.bags import BagDataset
    from pipeline.data.split import read_split
    from pipeline.detection.detectors import build_architecture
    from pipeline.hoi.network_config import network_from_config
    from pipeline.inference.dump_split import infer_split
    from pipeline.store.checkpoint import load_checkpoint
    from pipeline.store.dump import write_dump
    from pipeline.store.inputs import StageInputs
    from pipeline.store.manifests import relative, write_stage_manifest
    from pipeline.store.proposals_file import read_proposals
    from pipeline.store.vocabulary_file import read_vocabulary
    from stages._device import open_device

    layout, run = Layout(root, dataset), run_name(variant, seed)
    params = load_params(layout.params, dataset, variant).infer
    inputs = StageInputs(layout)
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    manifest = read_split(inputs.take(layout.split(split), "prepare"), vocabulary)
    state, config = load_checkpoint(inputs.take(layout.checkpoint(run), "train", run), vocabulary=vocabulary)
    network = network_from_config(config, state, build_detector=build_architecture)
    dataset_of_bags = BagDataset(
        manifest=manifest,
        proposals=read_proposals(
            inputs.take(layout.proposals(split), "detect", split),
            image_ids=manifest.image_ids,
            objects=vocabulary.objects,
        ),
        labels=manifest.label_matrix(vocabulary.num_hois) * 0,
        root=root,
        image_side=config["model"]["image_size"],
        max_proposals=params.max_proposals,
    )
    digest = digest_of(
        {"inputs": {relative(path, root): found for path, found in inputs.digests.items()}, "params": digest_of(params)}
    )
    work = layout.work("infer", run, split)
    with progress(len(manifest), f"infer {run} {split}") as advance:
        dump = infer_split(
            network,
            dataset_of_bags,
            vocabulary,
            params,
            variant=run,
            work=work,
            digest=digest,
            device=open_device(device),
            done=advance,
        )
    write_dump(layout.predictions(run, split), dump)
    write_stage_manifest(
        layout.stage_manifest("infer", run, split),
        root=root,
        stage="infer",
        arguments={"dataset": dataset, "variant": variant, "split": split}
        | ({} if seed is None else {"seed": str(seed)}),
        inputs=inputs.digests,
        params={"infer": params},
        outputs=[layout.predictions(run, split)],
        counts={"images": len(manifest), "pairs": len(dump.human_index)},
        seed=0,
    )
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    command()
