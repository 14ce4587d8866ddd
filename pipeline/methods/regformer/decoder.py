"""From tokens to verb embeddings: projector, queries of regions, and one block of cross-attention.

I images, Q queries, P patches, E encoder width, D token width, T text width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Projector(nn.Module):
    """t = LN(W_2 GELU(W_1 f)), for each patch."""

    def __init__(self, inputs: int, hidden: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, patches: Tensor) -> Tensor:
        """Tokens [I, P, D] of patches [I, P, E]."""
        tokens: Tensor = self.norm(self.layers(patches))
        return tokens


class RegionQuery(nn.Module):
    """q = LN(W_q [F_human; F_object] + b_q); each half is computed once for a region that takes part in many pairs."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def human_part(self, features: Tensor) -> Tensor:
        """W' F_human, [*, D]."""
        return functional.linear(features, self.projection.weight[:, : features.shape[-1]])

    def object_part(self, features: Tensor) -> Tensor:
        """W'' F_object + b_q, [*, D]."""
        return functional.linear(features, self.projection.weight[:, features.shape[-1] :], self.projection.bias)

    def forward(self, human_part: Tensor, object_part: Tensor) -> Tensor:
        """Queries [*, D] of the two parts."""
        query: Tensor = self.norm(human_part + object_part)
        return query


class Decoder(nn.Module):
    """Cross-attention of queries over all tokens of their image, post-norm, without an output projection of the heads.

    Queries never see each other.
    """

    def __init__(self, *, width: int, heads: int, hidden: int, text_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.out_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, text_width, bias=False)
        nn.init.normal_(self.out.weight, std=width**-0.5)

    def memory(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of tokens [I, P, D], each [I, heads, P, D / heads]."""
        return self._by_head(self.key(tokens)), self._by_head(self.value(tokens))

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """d [I, Q, T] of queries [I, Q, D] over an image's keys and values."""
        asked = self._by_head(self.query(queries))
        attention = torch.softmax(asked @ keys.transpose(2, 3) * asked.shape[3] ** -0.5, -1)  # [I, heads, Q, P]
        attended = (attention @ values).transpose(1, 2).flatten(2)  # [I, Q, D]
        hidden = self.norm(queries + attended)
        hidden = hidden + self.layers(hidden)
        decoded: Tensor = self.out(self.out_norm(hidden))
        return decoded

    def _by_head(self, rows: Tensor) -> Tensor:
        return rows.unflatten(2, (self.heads, -1)).transpose(1, 2)


class VerbClassifier(nn.Module):
    """z = lambda cos(d, omega) + beta."""

    def __init__(self, scale: float, bias: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    def forward(self, decoded: Tensor, verbs: Tensor) -> Tensor:
        """Verb logits [*, A] of d [*, T] and unit rows omega [A, T]."""
        return self.log_scale.exp() * functional.normalize(decoded, dim=-1) @ verbs.T + self.bias
