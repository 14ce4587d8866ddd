"""CLIP as params choose it, and the knowledge bank that it encodes or that was encoded with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from pipeline.core.errors import ArtifactError
from pipeline.core.types import KnowledgeBank
from pipeline.core.vocabulary import Vocabulary
from pipeline.prompts.params import ClipParams, PromptParams
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
    bank = read_bank(path, num_hois=vocabulary.num_hois, remedy=remedy)
    if clip_model is not None and bank.clip_digest != clip_model.digest:
        raise ArtifactError(
            f"{path}: made by CLIP {bank.clip_name} ({bank.clip_digest[:12]}), the backbone is {clip_model.name} "
            f"({clip_model.digest[:12]}); {remedy}"
        )
    return bank


def encode_prompts(
    clip_model: ClipCheckpoint, vocabulary: Vocabulary, params: PromptParams, *, text_only: bool = False
) -> KnowledgeBank:
    """Encode one sentence per HOI class: by CLIP, or by `encode_prompts.text_encoder` at the width of that CLIP.

    Raises:
        ParamError, WeightsError: a template is wrong, or the text encoder cannot be loaded.
    """
    prompts = hoi_prompts(vocabulary, params.template, params.instrument_template, params.verb_forms)
    if text_only:
        return encode_text_only(params.text_encoder, prompts, clip_model.model.text_projection.shape[1])
    return encode_bank(clip_model, prompts)


@torch.no_grad()
def encode_bank(clip_checkpoint: ClipCheckpoint, prompts: tuple[str, ...]) -> KnowledgeBank:
    """Encode prompts by CLIP to W_T: rows of unit length, float32 [H, D] (sec. 3.2)."""
    tokens = clip_checkpoint.tokenize(prompts)
    chunks = [clip_checkpoint.model.encode_text(chunk).float() for chunk in tokens.split(_PROMPTS_AT_ONCE)]
    embeddings = torch.nn.functional.normalize(torch.cat(chunks), dim=1)
    return KnowledgeBank(
        hoi_embeddings=embeddings.numpy(),
        prompts=prompts,
        clip_name=clip_checkpoint.name,
        clip_digest=clip_checkpoint.digest,
    )
