"""All that comes from OpenAI's `clip` package (openai-clip 1.0.1, unmaintained); nobody else imports it.

It imports `pkg_resources`, which setuptools 81 removed and earlier versions warn about.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=".*pkg_resources.*")
    from clip.clip import _MODELS as MODEL_ADDRESSES
    from clip.clip import _download as download
    from clip.clip import _tokenizer as tokenizer
    from clip.clip import tokenize
    from clip.model import CLIP, AttentionPool2d, ModifiedResNet, VisionTransformer

__all__ = [
    "CLIP",
    "MODEL_ADDRESSES",
    "AttentionPool2d",
    "ModifiedResNet",
    "VisionTransformer",
    "download",
    "tokenize",
    "tokenizer",
]
