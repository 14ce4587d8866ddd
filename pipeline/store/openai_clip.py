"""All that comes from OpenAI's `clip` package (openai-clip 1.0.1, unmaintained); nobody else imports it.

It takes `packaging` out of setuptools' `pkg_resources`, which setuptools 81 removed: while it is imported, a stand-in
gives it that. Where it cannot be imported at all, only what needs it fails, with one line.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NoReturn

import packaging.version
from torch import nn

from pipeline.core.errors import WeightsError

__all__ = ["CLIP", "AttentionPool2d", "ModifiedResNet", "VisionTransformer", "tokenize", "tokenizer"]

_STAND_IN = ModuleType("pkg_resources")
_STAND_IN.packaging = packaging  # type: ignore[attr-defined]
_INSTALLED = sys.modules.setdefault("pkg_resources", _STAND_IN)
try:
    from clip.clip import _tokenizer as tokenizer
    from clip.clip import tokenize
    from clip.model import CLIP, AttentionPool2d, ModifiedResNet, VisionTransformer
except ImportError as error:
    _FAULT = (
        f"openai-clip cannot be imported ({error}); install it into this environment: "
        'pip install "setuptools<81" wheel, then pip install --no-build-isolation openai-clip==1.0.1'
    )

    class _Absent(nn.Module):
        """What cannot be built without the package; nothing is an instance of it."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise WeightsError(_FAULT)

        @staticmethod
        def encode(text: str) -> NoReturn:
            raise WeightsError(_FAULT)

    CLIP = AttentionPool2d = ModifiedResNet = VisionTransformer = tokenize = _Absent
    tokenizer = _Absent
finally:
    if _INSTALLED is _STAND_IN:
        del sys.modules["pkg_resources"]
