"""`encode_prompts`: one sentence per HOI class through CLIP's text encoder, to the knowledge bank."""

from __future__ import annotations

from pathlib import Path

from stages._command import dataset_option, root_option, stage_command


@stage_command("encode-prompts", help="Write the knowledge bank (HDF5).")
@dataset_option
@root_option
def command(dataset: str, root: Path) -> None:
    """Encode the prompts of every HOI class."""
    from pipeline.core.layout import Layout
    from pipeline.core.params import load_params
    from pipeline.prompts.bank import encode_bank
    from pipeline.prompts.templates import hoi_prompts
    from pipeline.store.bank_file import write_bank
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.vocabulary_file import read_vocabulary
    from stages._clip import clip_inputs, open_clip
    from stages._device import open_device

    layout = Layout(root, dataset)
    params = load_params(layout.params, dataset)
    vocabulary = read_vocabulary(layout.vocabulary)
    open_device("cpu")
    clip_model = open_clip(params.clip, root)
    templates = params.encode_prompts
    bank = encode_bank(clip_model, hoi_prompts(vocabulary, templates.template, templates.instrument_template))
    write_bank(layout.knowledge_bank, bank)
    write_stage_manifest(
        layout.stage_manifest("encode_prompts"),
        root=root,
        stage="encode_prompts",
        arguments={"dataset": dataset},
        inputs=[layout.vocabulary, *clip_inputs(params.clip, root)],
        params={"clip": params.clip, "encode_prompts": params.encode_prompts},
        outputs=[layout.knowledge_bank],
        counts={"hoi_classes": len(bank.prompts), "width": int(bank.hoi_embeddings.shape[1])},
        seed=0,
    )


if __name__ == "__main__":
    command()
