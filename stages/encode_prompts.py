"""`encode_prompts`: one sentence per HOI class through CLIP's text encoder, to the knowledge bank."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.core.device import open_device
from pipeline.prompts.clip_bank import clip_inputs, encode_prompts, open_clip
from pipeline.prompts.params import ClipParams, PromptParams
from pipeline.store.bank_file import write_bank
from pipeline.store.stage_run import StageRun
from pipeline.store.vocabulary_file import read_vocabulary
from stages._command import dataset_option, root_option, stage_command


@stage_command("encode-prompts", help="Write the knowledge bank of the dataset's own CLIP (HDF5), and show it.")
@dataset_option
@root_option
def command(dataset: str, root: Path) -> None:
    """Encode the prompt of every HOI class, and show it."""
    layout = Layout(root, dataset)
    with StageRun("encode_prompts", layout) as stage:
        clip, prompts = stage.params(ClipParams), stage.params(PromptParams)
        vocabulary = read_vocabulary(stage.take(layout.vocabulary, "prepare"))
        open_device("cpu")
        clip_model = open_clip(clip, root)
        stage.note(*clip_inputs(clip, root))
        bank = encode_prompts(clip_model, vocabulary, prompts)
        write_bank(layout.knowledge_bank, bank)
        counts = {"hoi_classes": len(bank.prompts), "width": int(bank.hoi_embeddings.shape[1])}
        stage.finish([layout.knowledge_bank], counts)
    for prompt in bank.prompts:
        click.echo(prompt)


if __name__ == "__main__":
    command()
