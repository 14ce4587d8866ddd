"""Knowledge banks of text alone, which no image has shaped (Exp 10): RoBERTa's, or a stand-in without a download.

Both give unit rows float32 [*, D] of a bank's sentences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pipeline.core.errors import WeightsError, needs_extra, resource_error
from pipeline.core.types import BankPrompts, FloatArray, KnowledgeBank

WORDS = "words"


def encode_text_only(text_encoder: str, prompts: BankPrompts, width: int) -> KnowledgeBank:
    """Encode prompts without CLIP.

    Args:
        text_encoder: "words", or a name or path that transformers' AutoModel knows ("roberta-large").
        width: D, the width of the backbone's embeddings. Vectors of another width are projected by a seeded orthonormal
            matrix, which keeps their angles as far as the width allows.

    Raises:
        ParamError: transformers is not installed.
        WeightsError: the model is neither on disk nor downloadable.
    """
    encode = partial(_word_vectors, width=width) if text_encoder == WORDS else _sentence_encoder(text_encoder, width)

    def rows(texts: tuple[str, ...]) -> FloatArray:
        unit: FloatArray = torch.nn.functional.normalize(encode(texts), dim=1).numpy()
        return unit

    hoi_embeddings = rows(prompts.prompts)
    return KnowledgeBank(
        **vars(prompts),
        hoi_embeddings=hoi_embeddings,
        object_embeddings=rows(prompts.object_prompts),
        verb_embeddings=rows(prompts.verb_prompts),
        clip_name=text_encoder,
        clip_digest=hashlib.sha256(np.ascontiguousarray(hoi_embeddings).tobytes()).hexdigest(),
    )


def _word_vectors(prompts: tuple[str, ...], width: int) -> Tensor:
    """Sum of a fixed random vector for each word, without the words that all prompts have: alike by shared words."""
    sentences = [prompt.lower().split() for prompt in prompts]
    common = set.intersection(*map(set, sentences)) if len(sentences) > 1 else set()
    rows = [[_vector(word, width) for word in words if word not in common] for words in sentences]
    return torch.stack([sum(vectors, torch.zeros(width)) for vectors in rows])


def _vector(word: str, width: int) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(width).astype(np.float32))


def _sentence_encoder(name: str, width: int) -> Callable[[tuple[str, ...]], Tensor]:
    """Mean of a model's last layer over the tokens of each text, at another width: texts to [n, D]."""
    needed_by = f'encode_prompts.text_encoder: "{name}"'
    with needs_extra("roberta", "transformers", needed_by, otherwise=f', or set it to "{WORDS}"'):
        from transformers import AutoModel, AutoTokenizer  # type: ignore[import-not-found,unused-ignore]
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModel.from_pretrained(name, use_safetensors=True).eval()
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise resource_error(error) or WeightsError(
            f"{needed_by} is neither on disk nor downloadable ({reason}); give a folder"
        ) from None

    @torch.no_grad()
    def encode(texts: tuple[str, ...]) -> Tensor:
        tokens = tokenizer(list(texts), padding=True, return_tensors="pt")
        hidden = model(**tokens).last_hidden_state.float()
        mask = tokens["attention_mask"][..., None].float()
        return _fit((hidden * mask).sum(1) / mask.sum(1), width)

    return encode


def _fit(rows: Tensor, width: int) -> Tensor:
    """Rows [H, W] at another width, [H, D]."""
    if rows.shape[1] == width:
        return rows
    larger = max(rows.shape[1], width)
    draws = torch.from_numpy(np.random.default_rng(0).standard_normal((larger, min(rows.shape[1], width))))
    basis = torch.linalg.qr(draws)[0].float()  # [larger, smaller], orthonormal columns
    return rows @ (basis if rows.shape[1] == larger else basis.T)
