from itertools import permutations

import pytest
import torch

from pipeline.methods.alignformer_like.matching import matched, matching_costs, to_centers, to_corners


@pytest.mark.parametrize(("queries", "targets"), [(4, 2), (5, 5), (2, 4), (3, 1)])
def test_matching_is_the_cheapest_of_all(queries, targets):
    generator = torch.Generator().manual_seed(10 * queries + targets)
    for _ in range(20):
        costs = torch.randn(queries, targets, generator=generator)
        query, target = matched(costs)
        assert len(query) == len(set(query.tolist())) == len(set(target.tolist())) == min(queries, targets)
        wide = costs if queries >= targets else costs.T
        every = (wide[list(rows), range(wide.shape[1])].sum() for rows in permutations(range(len(wide)), wide.shape[1]))
        assert costs[query, target].sum().item() == pytest.approx(min(every).item(), abs=1e-5)


def test_nothing_to_match():
    query, target = matched(torch.zeros(3, 0))
    assert len(query) == len(target) == 0


def test_boxes_there_and_back():
    centers = torch.tensor([[0.5, 0.4, 0.2, 0.6]])
    torch.testing.assert_close(to_corners(centers), torch.tensor([[0.4, 0.1, 0.6, 0.7]]))
    torch.testing.assert_close(to_centers(to_corners(centers)), centers)


def test_costs_by_hand():
    """One target: the first query is right but for half of its probabilities, the second has a shifted object box."""
    target = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.3, 0.3, 0.2, 0.2]]])
    boxes = target.repeat(2, 1, 1)
    boxes[1, 1, 0] += 0.2  # touches the target's: IoU 0, GIoU 0
    categories = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    verbs = torch.tensor([[0.0, 0.0, -9.0], [0.0, 0.0, 9.0]])
    costs = matching_costs(boxes, categories, verbs, target, torch.tensor([1]), torch.tensor([[1.0, 1, 0]]))
    assert costs[:, 0].tolist() == pytest.approx([-2 * 2 - 0.5 - 0.5, 5 * 0.2 - 2 * 1 - 0.5 - 0.5], abs=1e-5)
