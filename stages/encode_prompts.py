"""`encode_prompts`: one sentence per HOI class through CLIP's text encoder, to the knowledge bank."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, root_option, stage_command


@stage_command(
    "encode-prompts",
    one_of=("clip_weights", "bank"),
    help="Write the knowledge bank (HDF5), and show its sentences.",
)
@dataset_option
@click.option("--clip", "clip_weights", help="Another CLIP than the dataset's, name or path: the bank of row rn101.")
@click.option(
    "--bank",
    type=click.Choice(["clip", "roberta"]),
    default="clip",
    show_default=True,
    help="roberta: encode_prompts.text_encoder, the bank of row exp10.",
)
@root_option
def command(dataset: str, clip_weights: str | None, bank: str, root: Path) -> None:
    """Encode the prompt of every HOI class, and show it."""
    from pipeline.core.device import open_device
    from pipeline.core.layout import Layout
    from pipeline.core.params import load_params
    from pipeline.prompts.bank import encode_bank
    from pipeline.prompts.templates import hoi_prompts
    from pipeline.prompts.text_only import encode_text_only
    from pipeline.store.bank_file import write_bank
    from pipeline.store.inputs import StageInputs
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.vocabulary_file import read_vocabulary
    from stages._clip import clip_inputs, clip_of, open_clip

    layout = Layout(root, dataset)
    params = load_params(layout.params, dataset)
    inputs = StageInputs(layout)
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    templates = params.encode_prompts
    prompts = hoi_prompts(vocabulary, templates.template, templates.instrument_template, templates.verb_forms)
    open_device("cpu")
    clip_params = clip_of(params.clip, clip_weights)
    clip_model = open_clip(clip_params, root)
    for path in clip_inputs(clip_params, root):
        inputs.note(path)
    embeddings = encode_bank(clip_model, prompts)
    if bank == "roberta":
        embeddings = encode_text_only(templates.text_encoder, prompts, embeddings.hoi_embeddings.shape[1])
    source = "roberta" if bank == "roberta" else clip_weights
    target = layout.bank(source)
    write_bank(target, embeddings)
    write_stage_manifest(
        layout.stage_manifest("encode_prompts", *([target.stem] if source else [])),
        root=root,
        stage="encode_prompts",
        arguments={"dataset": dataset}
        | ({"clip": clip_weights} if clip_weights else {})
        | ({"bank": bank} if bank != "clip" else {}),
        inputs=inputs.digests,
        params={"clip": params.clip, "encode_prompts": templates},
        outputs=[target],
        counts={"hoi_classes": len(embeddings.prompts), "width": int(embeddings.hoi_embeddings.shape[1])},
        seed=0,
    )
    for prompt in prompts:
        click.echo(prompt)


if __name__ == "__main__":
    command()
