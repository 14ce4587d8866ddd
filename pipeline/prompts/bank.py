"""The HOI knowledge bank W_T: CLIP's text embedding of every HOI class's sentence (sec. 3.2)."""

from __future__ import annotations

import torch

from pipeline.core.types import KnowledgeBank
from pipeline.store.clip_checkpoint import ClipCheckpoint

_BATCH = 256


@torch.no_grad()
def encode_bank(clip_checkpoint: ClipCheckpoint, prompts: tuple[str, ...]) -> KnowledgeBank:
    """Encode prompts to unit-length rows, float32 [H, D]."""
    tokens = clip_checkpoint.tokenize(prompts)
    chunks = [clip_checkpoint.model.encode_text(chunk).float() for chunk in tokens.split(_BATCH)]
    embeddings = torch.nn.functional.normalize(torch.cat(chunks), dim=1)
    return KnowledgeBank(
        hoi_embeddings=embeddings.numpy(),
        prompts=prompts,
        clip_name=clip_checkpoint.name,
        clip_digest=clip_checkpoint.digest,
    )
