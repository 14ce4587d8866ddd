import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.fusion import fuse
from pipeline.evaluation.params import EvaluateParams
from pipeline.inference.pair_outputs import batch_outputs, dump_of
from pipeline.methods.explanation_hoi.explanation import FLOOR, relevance_logs, relevances
from pipeline.methods.explanation_hoi.graph import Graph, edge_geometry, node_geometry
from pipeline.methods.explanation_hoi.method import ExplanationHoiLosses
from pipeline.methods.explanation_hoi.network import GraphNetwork, maximum_over_edges, winning_edges
from pipeline.methods.explanation_hoi.params import ExplanationHoiParams
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairIndex, PairRule, pair_proposals
from tests.conftest import make_batch
from tests.small_model import chosen, counts_of, images_of, run, small_model, with_class_probabilities

EXAMPLE = json.loads((Path(__file__).parent / "explanation_hoi_example.json").read_text())
INPUTS, EXPECTED = EXAMPLE["inputs"], EXAMPLE["expected"]


def numbers(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found, expected, tolerance=1e-6):
    torch.testing.assert_close(found.detach(), numbers(expected), atol=tolerance, rtol=0)


@dataclass
class Example:
    network: GraphNetwork
    graph: Graph
    pairs: PairIndex

    def logits(self):
        return self.network(self.graph, self.pairs, 1)


def _fill(layer: nn.Module, weight, bias) -> nn.Sequential:
    layer.weight.data, layer.bias.data = numbers(weight), numbers(bias)
    return nn.Sequential(layer, nn.ReLU())


@pytest.fixture
def example() -> Example:
    """The worked example: one layer in each part, and parts of different widths."""
    boxes, sizes = numbers(INPUTS["boxes"]), numbers([INPUTS["image_size_wh"]])
    pairs = pair_proposals(
        torch.tensor(INPUTS["object_ids"]), torch.tensor([0, 3]), human_object_id=0, pairable=torch.ones(2, dtype=bool)
    )
    ends = boxes[pairs.human], boxes[pairs.object]
    graph = Graph(
        maps=numbers(INPUTS["conv_features"]).requires_grad_(),
        nodes=torch.cat([node_geometry(boxes, sizes), numbers(INPUTS["class_probabilities"])], 1).requires_grad_(),
        edges=edge_geometry(*ends, sizes.expand(4, 2), "published").requires_grad_(),
    )
    network = GraphNetwork(map_shape=(1, 2), node_width=5, num_verbs=2, params=ExplanationHoiParams(1, 1))
    given = INPUTS["parameters"]
    network.node_maps = _fill(nn.Conv2d(1, 2, 3, padding=1), given["node"]["conv_w"], given["node"]["conv_b"])
    network.node_features = _fill(nn.Linear(5, 2), given["node"]["lin_w"], given["node"]["lin_b"])
    network.node = _fill(nn.Linear(10, 3), given["node"]["fc_w"], given["node"]["fc_b"])
    network.edge_features = _fill(nn.Linear(10, 3), given["edge_in"]["w"], given["edge_in"]["b"])
    network.edge = _fill(nn.Linear(9, 4), given["edge"]["w"], given["edge"]["b"])
    network.readout = _fill(nn.Linear(4, 3), given["readout"]["fc_w"], given["readout"]["fc_b"])
    network.verbs = _fill(nn.Linear(3, 2), given["readout"]["out_w"], given["readout"]["out_b"])[0]
    return Example(network, graph, pairs)


def test_worked_example_features(example):
    graph, pairs = example.graph, example.pairs
    assert torch.stack([pairs.human, pairs.object], 1).tolist() == EXPECTED["pairs_human_object"]
    close(graph.nodes[:, :3], EXPECTED["node_geometry"])
    close(graph.nodes, EXPECTED["node_linear_features"])
    close(graph.edges, EXPECTED["edge_features_published"])
    boxes, sizes = numbers(INPUTS["boxes"]), numbers([INPUTS["image_size_wh"]]).expand(4, 2)
    intended = edge_geometry(boxes[pairs.human], boxes[pairs.object], sizes, "intended")
    close(intended[:, 3:7], EXPECTED["edge_quadrants_intended"])
    rest = [0, 1, 2, 7, 8, 9]
    assert torch.equal(intended[:, rest], graph.edges[:, rest])


def test_worked_example_network(example):
    network, graph, pairs = example.network, example.graph, example.pairs
    close(network.edge_features(graph.edges), EXPECTED["edge_input_vectors"])
    vectors = network.edge_vectors(network.node_vectors(graph), graph.edges, pairs)
    close(vectors, EXPECTED["edge_vectors"])
    close(maximum_over_edges(vectors, pairs.image, 1)[0], EXPECTED["pooled"])
    assert winning_edges(vectors, pairs.image, 1)[0].tolist() == EXPECTED["winning_pair_by_channel"]
    close(example.logits()[0], EXPECTED["verb_logits"])


def test_worked_example_loss(example):
    vocabulary = Vocabulary(
        ("person", "cup"), ("a", "b"), tuple((verb, thing) for verb, thing in INPUTS["hoi_classes_verb_object"])
    )
    batch = make_batch([3], vocabulary)
    batch.labels[:] = torch.tensor([[1.0, 0, 0]])
    assert LabeledClasses(vocabulary).verbs(batch.labels)[0].tolist() == INPUTS["image_verbs"]
    outputs = {"verb_logits": example.logits()}
    terms = ExplanationHoiLosses(LabeledClasses(vocabulary))(
        outputs, batch, example.pairs, counts_of(batch, example.pairs)
    )
    assert terms["verb"].item() == pytest.approx(EXPECTED["loss"], abs=1e-6)


def test_worked_example_explanation(example):
    """Relevances are of logits; y (1 - y) makes them those of probabilities."""
    logits = example.logits()
    slope = (logits.sigmoid() * (1 - logits.sigmoid()))[0].detach()
    node, edge = relevances(logits, example.graph, torch.tensor([[0, 1]]))
    close(node * slope, EXPECTED["node_relevance_N_A"], 1e-7)
    close(edge * slope, EXPECTED["edge_relevance_M_A"], 1e-7)
    logs = relevance_logs(logits, example.graph, example.pairs, top_verbs=50)
    close(logs.exp(), EXPECTED["triplet_relevance_M_A"], 1e-7)
    assert logs[0].tolist() == [FLOOR, FLOOR]  # the edge that wins no channel
    scores = numbers(INPUTS["scores"])
    detected = scores[example.pairs.human] * scores[example.pairs.object]
    close(logs.exp() * logits.sigmoid() * detected[:, None], EXPECTED["relation_scores_M_A"], 1e-7)


def test_worked_example_gradients(example):
    expected = EXPECTED["gradient_of_verb_probability"]
    for verb in range(2):
        found = torch.autograd.grad(example.logits().sigmoid()[0, verb], example.graph.leaves)
        for gradient, name in zip(
            found, ("conv_features_A_N", "linear_features_A_N", "edge_features_A_M"), strict=True
        ):
            close(gradient, expected[name][verb], 1e-7)


def test_published_sizes():
    network = GraphNetwork(map_shape=(256, 7), node_width=83, num_verbs=117, params=ExplanationHoiParams())
    parts = {name: sum(value.numel() for value in part.parameters()) for name, part in network.named_children()}
    assert parts["node_maps"] == 1_180_160 and parts["node_features"] == 87_296 and parts["node"] == 3_342_848
    assert parts["edge_features"] == 68_608 and parts["edge"] == 262_656
    assert parts["readout"] + parts["verbs"] == 161_653 and sum(parts.values()) == 5_103_221


@pytest.mark.parametrize(
    ("shift", "published", "intended"),
    [((0, 10), 0, 0), ((-10, 0), 0, 1), ((0, -10), 2, 2), ((10, 0), 2, 3), ((0, 0), 2, 3)],
)  # below, left, above, right, at the same place
def test_sectors_of_directions(shift, published, intended):
    human = torch.tensor([[20.0, 20, 30, 30]])
    other = human + torch.tensor([*shift, *shift])
    for sectors, expected in (("published", published), ("intended", intended)):
        found = edge_geometry(human, other, torch.tensor([[100.0, 100]]), sectors)
        assert torch.isfinite(found).all()
        assert found[0, 3:7].tolist() == [float(sector == expected) for sector in range(4)]


def test_slivers_have_finite_geometry():
    boxes, sizes = torch.tensor([[5.0, 5, 5, 25], [3, 3, 3, 3]]), torch.tensor([[100.0, 80]] * 2)
    expected = torch.tensor([[20, 1 / 20, 20 / 8000], [1, 1, 1 / 8000]])
    torch.testing.assert_close(node_geometry(boxes, sizes), expected)
    assert torch.isfinite(edge_geometry(boxes, boxes.flip(0), sizes, "published")).all()


def test_the_maximum_is_of_each_image_and_its_gradient_goes_to_the_first_of_equals():
    edges = torch.tensor([[1.0, 3.0], [2.0, 3.0], [7.0, 0.5]], requires_grad=True)
    pooled = maximum_over_edges(edges, torch.tensor([0, 0, 2]), 4)
    assert pooled.tolist() == [[2, 3], [0, 0], [7, 0.5], [0, 0]]
    pooled.sum().backward()
    assert edges.grad.tolist() == [[0, 1], [1, 0], [1, 1]]


def random_graph(pairs: PairIndex, num_nodes: int, seed: int) -> Graph:
    generator = torch.Generator().manual_seed(seed)
    shapes = (num_nodes, 3, 2, 2), (num_nodes, 6), (len(pairs), 10)
    leaves = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return Graph(*(leaf.requires_grad_() for leaf in leaves))


def test_relevances_equal_central_differences(vocabulary, seed):
    """Three images, one of them without an edge: all verbs of all images, by a step in each feature."""
    pairs = PairRule.of(vocabulary).pair(make_batch([3, 1, 4], vocabulary))
    torch.manual_seed(seed)
    params = ExplanationHoiParams(width=12)
    network = GraphNetwork(map_shape=(3, 2), node_width=6, num_verbs=11, params=params).double()
    graph, step = random_graph(pairs, 8, seed), 1e-6
    verbs = torch.arange(11).expand(3, 11)
    found = relevances(network(graph, pairs, 3), graph, verbs)
    expected = torch.zeros(8, 11).double(), torch.zeros(len(pairs), 11).double()
    with torch.no_grad():
        for leaf, rows in zip(graph.leaves, (expected[0], expected[0], expected[1]), strict=True):
            for row, values in enumerate(leaf.flatten(1)):
                for column in range(len(values)):
                    flat = leaf.view(len(leaf), -1)
                    flat[row, column] += step
                    above = network(graph, pairs, 3)
                    flat[row, column] -= 2 * step
                    below = network(graph, pairs, 3)
                    flat[row, column] += step
                    rows[row] += ((above - below) / (2 * step)).abs().sum(0)  # an image's features move its own only
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.any()
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.fixture
def model(vocabulary, model_params, small_visual):
    params = chosen(model_params, method="explanation_hoi", backbone="detector_fpn", width=32)
    model = small_model(vocabulary, params, small_visual)
    model.network.eval()
    return model


@pytest.fixture
def batch(vocabulary, seed):
    """Humans are the proposals 0, 2, 4 of the first image and 1 of the last one."""
    return with_class_probabilities(make_batch([5, 0, 3], vocabulary, seed=seed), vocabulary, seed=seed)


def logs_by_boxes(vocabulary, batch, model) -> dict[tuple, torch.Tensor]:
    """Relevance of each pair, by the corners of its boxes."""
    pairs, outputs = run(model, vocabulary, batch)
    corners = [tuple(box) for box in batch.boxes[:, :2].tolist()]
    ends = zip(pairs.human.tolist(), pairs.object.tolist(), strict=True)
    return dict(zip(((corners[a], corners[b]) for a, b in ends), outputs["relevance_logs"].detach(), strict=True))


def test_an_edge_that_wins_no_channel_explains_nothing(vocabulary, model, batch):
    pairs, outputs = run(model, vocabulary, batch)
    network, graph = model.network.graph, model.network.graph_of(batch, pairs)
    vectors = network.edge_vectors(network.node_vectors(graph), graph.edges, pairs)
    wins = torch.zeros(len(pairs) + 1, dtype=torch.bool)
    positive = maximum_over_edges(vectors, pairs.image, len(batch)) > 0
    wins[winning_edges(vectors, pairs.image, len(batch))[positive]] = True
    explained = (outputs["relevance_logs"] > FLOOR).any(1)
    assert explained.any() and not (explained & ~wins[:-1]).any()


def test_order_of_proposals_does_not_matter(vocabulary, model, batch):
    whole = logs_by_boxes(vocabulary, batch, model)
    order = torch.tensor([3, 0, 4, 2, 1, 7, 5, 6])  # within images
    moved = {name: getattr(batch, name)[order] for name in ("boxes", "scores", "object_ids", "class_probabilities")}
    found = logs_by_boxes(vocabulary, replace(batch, **moved), model)
    assert found.keys() == whole.keys()
    for name, logs in whole.items():
        torch.testing.assert_close(found[name], logs, atol=1e-3, rtol=1e-3)


def test_a_proposal_without_edges_and_other_images_change_nothing(vocabulary, model, batch):
    lamp = vocabulary.objects.index("lamp")  # no class has one
    batch.object_ids[3] = lamp
    whole = logs_by_boxes(vocabulary, batch, model)
    alone = images_of(batch, [0])
    kept = alone.object_ids != lamp
    assert kept.sum() == 4
    names = ("boxes", "scores", "object_ids", "class_probabilities")
    fewer = replace(
        alone, proposal_offsets=torch.tensor([0, int(kept.sum())]), **{n: getattr(alone, n)[kept] for n in names}
    )
    found = logs_by_boxes(vocabulary, fewer, model)
    assert found
    for name, logs in found.items():
        torch.testing.assert_close(whole[name], logs, atol=1e-3, rtol=1e-3)


def test_only_the_most_probable_verbs_are_explained(vocabulary, model, batch):
    pairs, outputs = run(model, vocabulary, batch)
    graph = model.network.graph_of(batch, pairs)
    for leaf in graph.leaves:
        leaf.requires_grad_()
    logits = model.network.graph(graph, pairs, len(batch))
    few = relevance_logs(logits, graph, pairs, top_verbs=2)
    kept = logits.argsort(1, descending=True).argsort(1)[pairs.image] < 2
    torch.testing.assert_close(few[kept], outputs["relevance_logs"][kept], atol=1e-5, rtol=1e-5)
    assert (few[~kept] == FLOOR).all() and (few[kept] > FLOOR).any()


def test_the_score_of_the_row_is_a_power_of_the_product_of_all_factors(vocabulary, model, batch):
    """Also: half the detector scores make a quarter of the products."""
    root = 0.25
    weights = {"verb": root, "relevance": root, "detector": root}
    params = EvaluateParams("hicodet", weights=weights)
    dump = dump_of_batch(model, vocabulary, batch)
    halved = dump_of_batch(model, vocabulary, replace(batch, scores=batch.scores / 2))
    pairs, outputs = run(model, vocabulary, batch)
    verbs = outputs["verb_logits"].detach().double().sigmoid()[pairs.image]
    detected = (batch.scores[pairs.human] * batch.scores[pairs.object]).double()
    product = outputs["relevance_logs"].detach().double().exp() * verbs * detected[:, None]
    expected = [
        float(product[row, verb])
        for row in range(len(pairs))
        for verb, thing in vocabulary.hoi_classes
        if thing == int(batch.object_ids[pairs.object[row]])
    ]
    assert fuse(dump, params).scores.tolist() == pytest.approx([value**root for value in expected], rel=1e-4)
    assert fuse(halved, params).scores.tolist() == pytest.approx([(v / 4) ** root for v in expected], rel=1e-4)


def dump_of_batch(model, vocabulary, batch):
    arrays = batch_outputs(model, vocabulary, batch, torch.device("cpu"))
    return dump_of(arrays, model.method.columns, vocabulary, tuple("abc"), "x")


def test_images_without_an_edge_are_left_out_of_the_mean(vocabulary, model, batch):
    pairs, outputs = run(model, vocabulary, batch)
    assert pairs.bags.tolist() == [0, 2]
    losses, whole = model.method.losses(LabeledClasses(vocabulary)), counts_of(batch, pairs)
    found = losses(outputs, batch, pairs, whole)["verb"]
    alone = []
    for image in (0, 2):
        one = images_of(batch, [image])
        pairs, outputs = run(model, vocabulary, one)
        alone.append(losses(outputs, one, pairs, whole)["verb"])  # a rank's part of the batch
    torch.testing.assert_close(found, alone[0] + alone[1])
    none = images_of(batch, [1])
    pairs, outputs = run(model, vocabulary, none)
    assert losses(outputs, none, pairs, counts_of(none, pairs))["verb"] == 0


def test_the_backbone_is_frozen_with_its_norms(vocabulary, model, batch):
    network = model.network.train()
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    pairs = PairRule.of(vocabulary).pair(batch)
    outputs = network(batch, pairs)
    assert (outputs["relevance_logs"] == FLOOR).all()
    model.method.losses(LabeledClasses(vocabulary))(outputs, batch, pairs, counts_of(batch, pairs))["verb"].backward()
    assert all(value.grad is None for value in network.backbone.parameters())
    assert all(value.grad is not None and value.grad.isfinite().all() for value in network.graph.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.backbone.state_dict().items())
