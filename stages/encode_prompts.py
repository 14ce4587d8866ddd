"""`encode_prompts`: one sentence per HOI class through CLIP's text encoder, to the knowledge bank."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, root_option, stage_command


@stage_command(
    "encode-prompts",
    one_of=(),
    help="Write the knowledge bank of the dataset's own CLIP (HDF5), and show its sentences.",
)
@dataset_option
@root_option
def command(dataset: str, root: Path) -> None:
    """Encode the prompt of every HOI class, and show it."""
    from pipeline.core.device import open_device
    from pipeline.core.layout import Layout
    from pipeline.core.params import load_params
    from pipeline.store.bank_file import write_bank
    from pipeline.store.inputs import StageInputs
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.vocabulary_file import read_vocabulary
    from stages._clip import clip_inputs, encode_prompts, open_clip

    layout = Layout(root, dataset)
    params = load_params(layout.params, dataset)
    inputs = StageInputs(layout)
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    open_device("cpu")
    clip_model = open_clip(params.clip, root)
    for path in clip_inputs(params.clip, root):
        inputs.note(path)
    bank = encode_prompts(clip_model, vocabulary, params.encode_prompts)
    write_bank(layout.knowledge_bank, bank)
    write_stage_manifest(
        layout.stage_manifest("encode_prompts"),
        root=root,
        stage="encode_prompts",
        arguments={"dataset": dataset},
        inputs=inputs.digests,
        params={"clip": params.clip, "encode_prompts": params.encode_prompts},
        outputs=[layout.knowledge_bank],
        counts={"hoi_classes": len(bank.prompts), "width": int(bank.hoi_embeddings.shape[1])},
        seed=0,
    )
    for prompt in bank.prompts:
        click.echo(prompt)


if __name__ == "__main__":
    command()
