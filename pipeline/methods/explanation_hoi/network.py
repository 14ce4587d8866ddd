"""The network of Explanation-HOI: one round from nodes to edges, a maximum over edges, a classifier of verbs.

I images, N nodes (proposals), M edges (pairs), F width, A verbs, C object categories; E channels and side s of the
backbone's maps of regions.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from pipeline.core.bags import BagBatch
from pipeline.methods.base import HoiNetwork, Outputs, Parts
from pipeline.methods.explanation_hoi.explanation import FLOOR, relevance_logs
from pipeline.methods.explanation_hoi.graph import EDGE_TERMS, NODE_TERMS, Graph, edge_geometry, node_geometry
from pipeline.methods.explanation_hoi.params import ExplanationHoiParams
from pipeline.methods.pair_chunks import over_rows, pairs_at_once
from pipeline.methods.pairing import PairIndex
from pipeline.methods.segments import segment_max


class GraphNetwork(nn.Module):
    """From features of nodes and edges to verb logits of images; weights start as torch's layers do.

    Args:
        map_shape: E and s.
        node_width: of the nodes' other features, 3 + C.
        num_verbs: A.
    """

    def __init__(
        self, *, map_shape: tuple[int, int], node_width: int, num_verbs: int, params: ExplanationHoiParams
    ) -> None:
        super().__init__()
        width, layers, (channels, side) = params.width, params.layers, map_shape
        self.node_maps = _convolutions(channels, width, layers)
        self.node_features = _fully_connected(node_width, width, layers)
        self.node = _fully_connected(width * side * side + width, width, layers)
        self.edge_features = _fully_connected(EDGE_TERMS, width, layers)
        self.edge = _fully_connected(3 * width, width, layers)
        self.readout = _fully_connected(width, width, layers)
        self.verbs = nn.Linear(width, num_verbs)

    def node_vectors(self, graph: Graph) -> Tensor:
        """v_n [N, F]."""
        maps = self.node_maps(graph.maps).flatten(1)  # channel-major
        vectors: Tensor = self.node(torch.cat([maps, self.node_features(graph.nodes)], 1))
        return vectors

    def edge_vectors(self, nodes: Tensor, edges: Tensor, pairs: PairIndex) -> Tensor:
        """e_m [M, F] of [v_human; e'; v_other], from v_n [N, F] and the edges' features."""
        ends = [nodes[pairs.human], self.edge_features(edges), nodes[pairs.object]]
        vectors: Tensor = self.edge(torch.cat(ends, 1))
        return vectors

    def forward(self, graph: Graph, pairs: PairIndex, num_images: int) -> Tensor:
        """Verb logits z [I, A]."""
        edges = self.edge_vectors(self.node_vectors(graph), graph.edges, pairs)
        pooled = maximum_over_edges(edges, pairs.image, num_images)
        logits: Tensor = self.verbs(self.readout(pooled))
        return logits


class ExplanationHoiNetwork(HoiNetwork):
    """Outputs: verb_logits [I, A] and relevance_logs [M, A]; the backbone is frozen, norms included.

    Relevances take a backward pass for each verb and no loss reads them: in training they are `FLOOR` throughout.
    """

    def __init__(self, parts: Parts, params: ExplanationHoiParams) -> None:
        super().__init__()
        self.params, self.num_verbs = params, parts.vocabulary.num_verbs
        self.backbone = parts.backbone.requires_grad_(False)
        self.graph = GraphNetwork(
            map_shape=parts.backbone.region_map_shape,
            node_width=NODE_TERMS + parts.vocabulary.num_objects,
            num_verbs=parts.vocabulary.num_verbs,
            params=params,
        )

    def train(self, mode: bool = True) -> ExplanationHoiNetwork:
        """Switch between training and evaluation; the backbone stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, batch: BagBatch, pairs: PairIndex) -> Outputs:
        """Recognize the verbs of a batch's images; in evaluation mode, with gradients enabled, explain them too."""
        graph = self.graph_of(batch, pairs)
        if self.training:
            logits = self.graph(graph, pairs, len(batch))
            return {"verb_logits": logits, "relevance_logs": logits.new_full((len(pairs), self.num_verbs), FLOOR)}
        edges = None
        if len(pairs) > pairs_at_once(self.backbone):
            edges = self._deciding_edges(graph, pairs, len(batch))
            graph = replace(graph, edges=graph.edges[edges])
        for leaf in graph.leaves:
            leaf.requires_grad_()
        logits = self.graph(graph, pairs if edges is None else pairs.take(edges), len(batch))
        logs = relevance_logs(logits, graph, pairs, top_verbs=self.params.top_verbs, edges=edges)
        return {"verb_logits": logits, "relevance_logs": logs}

    @torch.no_grad()
    def _deciding_edges(self, graph: Graph, pairs: PairIndex, num_images: int) -> Tensor:
        """Rows of the edges that are the highest of their image in some column, ascending: no other has a gradient."""
        nodes = self.graph.node_vectors(graph)

        def vectors(rows: slice) -> Outputs:
            return {"edges": self.graph.edge_vectors(nodes, graph.edges[rows], pairs.take(rows))}

        found = over_rows(vectors, len(pairs), self.backbone)
        winners = winning_edges(found["edges"], pairs.image, num_images).unique()
        return winners[winners < len(pairs)]

    @torch.no_grad()
    def graph_of(self, batch: BagBatch, pairs: PairIndex) -> Graph:
        """Features of all nodes and edges of a batch."""
        image, boxes = batch.proposal_image, batch.boxes
        placed = boxes / batch.image_sizes[image].repeat(1, 2)
        maps = self.backbone.region_maps(self.backbone.features_of(batch), placed, image)
        nodes = torch.cat([node_geometry(boxes, batch.image_sizes[image]), batch.class_probabilities], 1)
        sizes = batch.image_sizes[pairs.image]
        edges = edge_geometry(boxes[pairs.human], boxes[pairs.object], sizes, self.params.sectors)
        return Graph(maps, nodes, edges)


def maximum_over_edges(edges: Tensor, image: Tensor, num_images: int) -> Tensor:
    """Elementwise maximum over each image's edges [M, F] to [I, F]; zeros where an image has none.

    The gradient goes to the first edge among equals.

    Args:
        image: int64 [M].
    """
    winners = winning_edges(edges.detach(), image, num_images)
    return torch.cat([edges, edges.new_zeros(1, edges.shape[1])]).gather(0, winners)


def winning_edges(edges: Tensor, image: Tensor, num_images: int) -> Tensor:
    """Row of the highest edge, the first among equals, by image and column: [M, F] to int64 [I, F]; M if none."""
    best = segment_max(edges, image, num_images)[image]
    rows = torch.arange(len(edges), device=edges.device)[:, None]
    candidates = torch.where(edges == best, rows, len(edges))
    none = candidates.new_full((num_images, edges.shape[1]), len(edges))
    return none.scatter_reduce(0, image[:, None].expand_as(candidates), candidates, "amin")


def _fully_connected(inputs: int, width: int, layers: int) -> nn.Sequential:
    """FC: linear layers with bias, each followed by ReLU."""
    widths = [inputs, *[width] * layers]
    parts = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths)]
    return nn.Sequential(*(layer for pair in parts for layer in pair))


def _convolutions(channels: int, width: int, layers: int) -> nn.Sequential:
    """3 x 3 convolutions that keep the side, each followed by ReLU."""
    widths = [channels, *[width] * layers]
    parts = [(nn.Conv2d(a, b, 3, padding=1), nn.ReLU()) for a, b in pairwise(widths)]
    return nn.Sequential(*(layer for pair in parts for layer in pair))
