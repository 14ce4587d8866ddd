"""Where a verb of an image comes from: gradients of its logit with respect to the features of nodes and edges."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.methods import pair_chunks
from pipeline.methods.explanation_hoi.graph import Graph
from pipeline.methods.pairing import PairIndex

FLOOR = -200.0  # logarithm of a relevance of zero: float64 holds its exponential
_VERBS_AT_ONCE = 8  # backward passes that are computed as one, at most
_COPIES = 3  # of the gradients of the nodes' maps, while their norms are taken


def relevance_logs(
    logits: Tensor, graph: Graph, pairs: PairIndex, *, top_verbs: int, edges: Tensor | None = None
) -> Tensor:
    """Logarithm of relevance(human) x relevance(edge) x relevance(other) for the verb's probability y, [M, A].

    Relevances are L1 norms of gradients of the logit z; dy = y (1 - y) dz makes them those of y, without underflow.
    `FLOOR` where one of them is zero, and for verbs that are not among the most probable of the image.

    Args:
        logits: z [I, A], computed from `graph`, whose features require gradients.
        top_verbs: most probable verbs of an image, which are explained.
        edges: int64, the pairs that `graph` has edges of; the gradients of the others are zero. None: all.
    """
    logs = logits.new_full((len(pairs), logits.shape[1]), FLOOR)
    if not len(pairs):
        return logs
    verbs = logits.detach().topk(min(top_verbs, logits.shape[1]), dim=1).indices  # [I, K]
    node, edge = relevances(logits, graph, verbs)
    if edges is not None:
        edge = edge.new_zeros(len(pairs), edge.shape[1]).index_copy(0, edges, edge)
    values = logits.detach().gather(1, verbs)
    uncertain = 3 * (functional.logsigmoid(values) + functional.logsigmoid(-values))[pairs.image]
    product = node[pairs.human].log() + edge.log() + node[pairs.object].log() + uncertain
    return logs.scatter(1, verbs[pairs.image], product.clamp(min=FLOOR))


def relevances(logits: Tensor, graph: Graph, verbs: Tensor) -> tuple[Tensor, Tensor]:
    """L1 norms of gradients of z: of each node's features [N, K] and of each edge's [M, K].

    Images share nothing, so one backward pass serves one verb of each image.

    Args:
        verbs: int64 [I, K], verbs of each image.
    """
    nodes, edges = [], []
    fitting = pair_chunks.CHUNK_BYTES // max(1, _COPIES * graph.maps.nbytes)
    for chosen in verbs.split(min(max(1, fitting), _VERBS_AT_ONCE), dim=1):
        picks = functional.one_hot(chosen.T, logits.shape[1]).to(logits.dtype)  # [k, I, A]
        maps, linear, edge = torch.autograd.grad(logits, graph.leaves, picks, retain_graph=True, is_grads_batched=True)
        nodes.append(maps.abs().flatten(2).sum(2) + linear.abs().sum(2))
        edges.append(edge.abs().sum(2))
    return torch.cat(nodes).T, torch.cat(edges).T
