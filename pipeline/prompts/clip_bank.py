"""CLIP as params choose it, and the knowledge bank that it encodes or that was encoded with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from pipeline.core.errors import ArtifactError
from pipeline.core.types import BankPrompts, FloatArray, KnowledgeBank
from pipeline.core.vocabulary import Vocabulary
from pipeline.prompts.params import ClipParams, PromptParams
from pipeline.prompts.role_sentences import object_sentences, verb_sentences
from pipeline.prompts.templates import hoi_prompts
from pipeline.prompts.text_only import encode_text_only
from pipeline.store.bank_file import read_bank
from pipeline.store.clip_checkpoint import ClipCheckpoint, load_clip
from pipeline.store.inputs import StageInputs

_PROMPTS_AT_ONCE = 256


def open_clip(params: ClipParams, root: Path) -> ClipCheckpoint:
    """Load the CLIP that params name: a file under the root, or one of CLIP's own names."""
    weights = str(root / params.weights) if (root / params.weights).exists() else params.weights
    return load_clip(weights, download_root=Path(params.download_root) if params.download_root else None)


def clip_inputs(params: ClipParams, root: Path) -> list[Path]:
    """The weights file as a manifest input, where params name a file."""
    path = root / params.weights
    return [path] if path.exists() else []


def clip_of(params: ClipParams, weights: str | None) -> ClipParams:
    """The dataset's CLIP, or another one of the same download folder."""
    return params if weights is None else dataclasses.replace(params, weights=weights)


def read_dataset_bank(inputs: StageInputs, vocabulary: Vocabulary, clip_model: ClipCheckpoint | None) -> KnowledgeBank:
    """Read the bank of the dataset's own CLIP; `clip_model` is the one that must have made it, None if any will do.

    Raises:
        ArtifactError: missing, damaged, or of another vocabulary or CLIP.
    """
    path = inputs.take(inputs.layout.knowledge_bank, "encode_prompts")
    remedy = f'run "weakhoi encode-prompts --dataset {inputs.layout.dataset}"'
    bank = read_bank(path, vocabulary=vocabulary, remedy=remedy)
    if clip_model is not None and bank.clip_digest != clip_model.digest:
        raise ArtifactError(
            f"{path}: made by CLIP {bank.clip_name} ({bank.clip_digest[:12]}), the backbone is {clip_model.name} "
            f"({clip_model.digest[:12]}); {remedy}"
        )
    return bank


def encode_prompts(
    clip_model: ClipCheckpoint, vocabulary: Vocabulary, params: PromptParams, *, text_only: bool = False
) -> KnowledgeBank:
    """Encode one sentence per HOI class, per object category and per verb.

    The encoder is CLIP, or `encode_prompts.text_encoder` at the width of that CLIP.

    Raises:
        ParamError, WeightsError: a template is wrong, or the text encoder cannot be loaded.
    """
    prompts = bank_prompts(vocabulary, params)
    if text_only:
        return encode_text_only(params.text_encoder, prompts, clip_model.model.text_projection.shape[1])
    return encode_bank(clip_model, prompts)


def bank_prompts(vocabulary: Vocabulary, params: PromptParams) -> BankPrompts:
    """Return the sentences of a vocabulary; errors as `hoi_prompts`."""
    return BankPrompts(
        prompts=hoi_prompts(vocabulary, params.template, params.instrument_template, params.verb_forms),
        object_prompts=object_sentences(vocabulary),
        verb_prompts=verb_sentences(vocabulary, params.verb_forms),
    )


def encode_bank(clip_checkpoint: ClipCheckpoint, prompts: BankPrompts) -> KnowledgeBank:
    """Encode sentences by CLIP: rows of unit length; those of HOI classes are W_T (sec. 3.2)."""
    return KnowledgeBank(
        **vars(prompts),
        hoi_embeddings=_encoded(clip_checkpoint, prompts.prompts),
        object_embeddings=_encoded(clip_checkpoint, prompts.object_prompts),
        verb_embeddings=_encoded(clip_checkpoint, prompts.verb_prompts),
        clip_name=clip_checkpoint.name,
        clip_digest=clip_checkpoint.digest,
    )


@torch.no_grad()
def _encoded(clip_checkpoint: ClipCheckpoint, texts: tuple[str, ...]) -> FloatArray:
    """CLIP's text embeddings at unit length, float32 [n, D]."""
    tokens = clip_checkpoint.tokenize(texts)
    chunks = [clip_checkpoint.model.encode_text(chunk).float() for chunk in tokens.split(_PROMPTS_AT_ONCE)]
    rows: FloatArray = torch.nn.functional.normalize(torch.cat(chunks), dim=1).numpy()
    return rows
