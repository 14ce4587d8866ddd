"""Batches as a step takes them, against the same made by hand from the bags."""

import dataclasses
import threading

import pytest
import torch

from pipeline.core.bags import BagBatch
from pipeline.core.errors import DataError
from pipeline.core.seeding import torch_generator
from pipeline.data.bags import EpochSampler, collate_bags, flip_batch
from pipeline.methods.pairing import PairRule
from pipeline.training.distributed import ALONE, Ranks
from pipeline.training.feed import Feed


@pytest.fixture
def feed_of(vocabulary, bags, params):
    def make(ranks=ALONE, start=0, dataset=bags, num_workers=0, micro_batch=None):
        section = dataclasses.replace(params, num_workers=num_workers)
        sampler = EpochSampler(
            images=bags.learned,
            batch_size=params.batch_size,
            seed=params.seed,
            start=start,
            epochs=params.epochs,
        )
        rule = PairRule.of(vocabulary)
        where = {"device": torch.device("cpu"), "ranks": ranks, "channels_last": True, "micro_batch": micro_batch}
        return Feed(dataset, sampler, rule, section, **where)

    return make


def by_hand(bags, batch, iteration):
    """The images of a fed batch, collated and flipped here."""
    joined = collate_bags([bags[index] for index in batch.image_index])
    draws = torch.rand(len(joined), generator=torch_generator(0, "flip", iteration))
    return flip_batch(joined, draws < 0.5)


def same(one, other):
    return all(torch.equal(getattr(one, item.name), getattr(other, item.name)) for item in dataclasses.fields(BagBatch))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_are_the_samplers_in_order_flipped_and_paired(feed_of, bags, num_workers):
    feed = feed_of(num_workers=num_workers)
    batches = [batch for (batch,) in feed]
    assert [batch.image_index for batch in batches] == [tuple(batch) for batch in feed_of()._sampler]
    assert len(batches) == 4
    for iteration, batch in enumerate(batches):
        expected = by_hand(bags, batch, iteration)
        assert same(batch.bags, expected)
        assert torch.equal(batch.pairs.image.unique(), batch.pairs.bags)
        assert not torch.equal(batch.bags.images, collate_bags([bags[index] for index in batch.image_index]).images)
    assert feed.waited > 0


def test_a_resumed_feed_is_the_tail(feed_of):
    whole, tail = list(feed_of()), list(feed_of(start=3))
    assert len(tail) == 1
    assert same(tail[0][0].bags, whole[3][0].bags)


def test_ranks_share_each_batch(feed_of):
    for (whole,), *shares in zip(feed_of(), *(feed_of(Ranks(rank, 2, rank)) for rank in range(2)), strict=True):
        parts = [part for share in shares for part in share]
        assert [len(part.bags) for part in parts] == [2, 3]
        assert {part.image_index for part in parts} == {whole.image_index}
        assert torch.equal(torch.cat([part.bags.images for part in parts]), whole.bags.images)
        assert torch.equal(torch.cat([part.bags.boxes for part in parts]), whole.bags.boxes)
        assert sum(len(part.pairs) for part in parts) == len(whole.pairs)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_micro_batches_are_the_ranks_share_in_order(feed_of, num_workers):
    for wholes, parts in zip(
        feed_of(Ranks(1, 2, 1)), feed_of(Ranks(1, 2, 1), micro_batch=2, num_workers=num_workers), strict=True
    ):
        (whole,) = wholes
        assert [len(part.bags) for part in parts] == [2, 1]
        assert {part.image_index for part in parts} == {whole.image_index}
        assert torch.equal(torch.cat([part.bags.images for part in parts]), whole.bags.images)
        assert torch.equal(torch.cat([part.bags.boxes for part in parts]), whole.bags.boxes)
        assert sum(len(part.pairs) for part in parts) == len(whole.pairs)


class Watched:
    """Bags that tell which image is read."""

    def __init__(self, bags):
        self.bags, self.read = bags, {index: threading.Event() for index in range(len(bags))}

    def __len__(self):
        return len(self.bags)

    def __getitem__(self, index):
        self.read[index].set()
        return self.bags[index]


def test_without_processes_the_next_batch_is_made_while_the_step_is_computed(feed_of, bags):
    watched = Watched(bags)
    order = list(feed_of()._sampler)
    batches = iter(feed_of(dataset=watched))
    next(batches)
    assert watched.read[order[1][-1]].wait(60)  # the feed has not been asked for it
    batches.close()


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_damaged_image_is_told_after_the_batches_before(feed_of, bags, num_workers):
    damaged = list(feed_of()._sampler)[1][0]
    path = bags.manifest.image_path(damaged, bags.root)
    path.write_bytes(b"")
    batches = iter(feed_of(num_workers=num_workers))
    next(batches)
    with pytest.raises(DataError, match="image has changed"):
        next(batches)
