import torch

from pipeline.methods.segments import segment_log_softmax, segment_max, segment_rank, segment_sum


def test_segment_max_and_its_gradient():
    values = torch.tensor([[1.0, 5.0], [3.0, 2.0], [7.0, -1.0]], requires_grad=True)
    result = segment_max(values, torch.tensor([0, 0, 2]), 3)
    assert result.tolist() == [[3.0, 5.0], [-torch.inf, -torch.inf], [7.0, -1.0]]
    result[[0, 2]].sum().backward()
    assert values.grad.tolist() == [[0, 1], [1, 0], [1, 1]]


def test_segment_rank_counts_from_the_highest_and_keeps_row_order_among_equals():
    values = torch.tensor([[1.0, 2.0], [3.0, 2.0], [2.0, -torch.inf], [9.0, 0.0]])
    rank = segment_rank(values, torch.tensor([0, 0, 0, 1]), 2)
    assert rank.tolist() == [[2, 0], [0, 1], [1, 2], [0, 0]]


def test_empty():
    assert segment_max(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), 2).shape == (2, 3)
    assert segment_rank(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), 2).shape == (0, 3)


def test_segment_softmax_equals_a_loop_and_survives_large_logits():
    values, image = torch.tensor([[1000.0, -3.0], [998.0, 2.0], [5.0, 5.0]]), torch.tensor([0, 0, 2])
    whole = segment_log_softmax(values, image, 3)
    torch.testing.assert_close(whole[:2], values[:2].log_softmax(0))
    assert whole[2].tolist() == [0.0, 0.0]
    assert segment_sum(values, image, 3).tolist() == [[1998.0, -1.0], [0.0, 0.0], [5.0, 5.0]]
