import torch

from pipeline.methods.pairing import PairRule, pair_proposals


def _loop(object_ids, offsets, human, pairable):
    rows = []
    for image in range(len(offsets) - 1):
        members = range(offsets[image], offsets[image + 1])
        rows += [
            (image, h, o)
            for h in members
            for o in members
            if object_ids[h] == human and pairable[object_ids[o]] and h != o
        ]
    return rows


def test_equals_the_loop_on_random_bags():
    generator = torch.Generator().manual_seed(1)
    for trial in range(30):
        counts = torch.randint(0, 7, (5,), generator=generator)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
        object_ids = torch.randint(0, 4, (int(offsets[-1]),), generator=generator)
        pairable = torch.tensor([trial % 2 == 0, True, True, False])
        pairs = pair_proposals(object_ids, offsets, human_object_id=0, pairable=pairable)
        expected = _loop(object_ids.tolist(), offsets.tolist(), 0, pairable.tolist())
        assert list(zip(pairs.image.tolist(), pairs.human.tolist(), pairs.object.tolist(), strict=True)) == expected
        assert pairs.offsets.tolist() == [sum(row[0] < i for row in expected) for i in range(6)]
        counts = PairRule(0, pairable).counts(object_ids.numpy(), offsets.numpy())
        assert counts.tolist() == pairs.offsets.diff().tolist()


def test_human_is_never_paired_with_itself_but_with_other_humans():
    pairs = pair_proposals(torch.tensor([0, 0]), torch.tensor([0, 2]), human_object_id=0, pairable=torch.tensor([True]))
    assert list(zip(pairs.human.tolist(), pairs.object.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_no_human_no_pairs():
    pairs = pair_proposals(
        torch.tensor([1, 1]), torch.tensor([0, 2, 2]), human_object_id=0, pairable=torch.tensor([False, True])
    )
    assert len(pairs) == 0
    assert pairs.offsets.tolist() == [0, 0, 0]


def test_some_pairs_are_of_the_same_images():
    """Images of 2, 0, 1, 1 and 1 pairs."""
    pairs = pair_proposals(
        torch.tensor([0, 1, 1, 1, 0, 1, 1, 0, 1, 0]),
        torch.tensor([0, 3, 4, 6, 8, 10]),
        human_object_id=0,
        pairable=torch.tensor([False, True]),
    )
    assert pairs.image.tolist() == [0, 0, 2, 3, 4]
    some = pairs.take(slice(1, 4))
    assert some.human.tolist() == [0, 4, 7] and some.object.tolist() == [2, 5, 6]
    assert some.image.tolist() == [0, 2, 3]
    assert some.offsets.tolist() == [0, 1, 1, 2, 3, 3] and some.bags.tolist() == [0, 2, 3]
    assert pairs.take(torch.tensor([0, 4])).offsets.tolist() == [0, 1, 1, 1, 1, 2]
