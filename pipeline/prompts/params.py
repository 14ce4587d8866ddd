"""Sections `clip` and `encode_prompts` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.config.types import KnownKeys, Template, Text


@dataclass(frozen=True)
class ClipParams(KnownKeys):
    """The CLIP model that both the backbone and the knowledge bank start from."""

    weights: Text  # "RN50", "RN101", or a path to .pt / .safetensors
    download_root: Text | None = None  # where published weights are kept; null: CLIP's own folder


@dataclass(frozen=True)
class PromptParams(KnownKeys):
    """The sentence of an HOI class; {verb} is its -ing form, {article} is a/an."""

    text_encoder: Text  # of bank `roberta`: "words" (a stand-in, no download), or a name or path for transformers
    template: Template = "a person {verb} {article} {object}"
    instrument_template: Template = "a person {verb} with {object}"  # V-COCO's role `instr` (App. G)
    verb_forms: dict[Text, Text] = field(default_factory=dict)  # what {verb} becomes in place of its -ing form
