import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.core import texts
from pipeline.core.bags import CLIP_MEAN, CLIP_STD, BagBatch
from pipeline.core.errors import DataError
from pipeline.core.label_rows import LabelRows
from pipeline.core.types import Proposals
from pipeline.data.bags import Bag, BagDataset, EpochSampler, collate_bags, flip_batch, load_batches, permuted_labels
from pipeline.data.split import read_split, write_split
from pipeline.store.pair_labels_file import SplitPairLabels
from pipeline.store.proposals_file import open_proposals, write_proposals
from tests.conftest import make_batch
from tests.small_split import small_bags


def bag(index: int, boxes: list, object_ids: list[int], gray: int, pair_labels: list | None = None) -> Bag:
    scores = np.linspace(1, 0.5, len(boxes)).astype(np.float32)
    return Bag(
        index=index,
        pixels=torch.full((3, 2, 2), gray, dtype=torch.uint8),
        size=(10 + index, 20),
        proposals=Proposals(np.array(boxes, np.float32).reshape(-1, 4), scores, np.array(object_ids, np.int64)),
        labels=np.array([index, 1], np.float32),
        pair_labels=None if pair_labels is None else np.array(pair_labels, np.int64).reshape(-1, 3),
    )


def test_collation_by_hand():
    two, one = [[0, 0, 1, 1], [1, 2, 3, 4]], [[5, 5, 6, 6]]
    batch = collate_bags([bag(0, two, [2, 0], 255), bag(3, [], [], 0, pair_labels=[]), bag(1, one, [1], 0)])
    assert batch.proposal_offsets.tolist() == [0, 2, 2, 3]
    assert batch.proposal_image.tolist() == [0, 0, 2]
    assert batch.boxes.tolist() == [[0, 0, 1, 1], [1, 2, 3, 4], [5, 5, 6, 6]]
    assert batch.scores.tolist() == [1, 0.5, 1]
    assert batch.object_ids.tolist() == [2, 0, 1]
    assert batch.class_probabilities.shape == (3, 0)
    assert batch.image_sizes.tolist() == [[10, 20], [13, 20], [11, 20]]
    assert batch.labels.tolist() == [[0, 1], [3, 1], [1, 1]]
    assert batch.image_index.tolist() == [0, 3, 1]
    white = [(1 - mean) / std for mean, std in zip(CLIP_MEAN, CLIP_STD, strict=True)]
    assert batch.images[0, :, 1, 0].tolist() == pytest.approx(white)
    kinds = {field.name: getattr(batch, field.name).dtype for field in dataclasses.fields(BagBatch)}
    ids = {name for name, dtype in kinds.items() if dtype == torch.int64}
    assert ids == {"proposal_offsets", "object_ids", "pair_labels", "image_index"}
    assert {dtype for name, dtype in kinds.items() if name not in ids | {"has_boxes"}} == {torch.float32}


def test_pair_labels_are_rows_of_the_batch():
    two = [[0, 0, 1, 1], [1, 2, 3, 4]]
    labeled = [bag(0, two, [0, 2], 0), bag(1, two, [0, 1], 0, [[0, 1, 5], [0, 1, 6]]), bag(2, two, [0, 1], 0, [])]
    batch = collate_bags(labeled)
    assert batch.pair_labels.tolist() == [[2, 3, 5], [2, 3, 6]]
    assert batch.has_boxes.tolist() == [False, True, True]


def test_bags_hold_the_best_proposals_of_their_image(tmp_path, vocabulary):
    dataset = small_bags(tmp_path, vocabulary, [6, 0, 3], max_proposals=4)
    assert len(dataset) == 3
    assert [len(dataset[i].proposals) for i in range(3)] == [4, 0, 3]
    np.testing.assert_array_equal(dataset[2].proposals.boxes, dataset.proposals.boxes[6:9])
    assert dataset[1].labels.tolist() == [0, 1, 0, 0]
    assert dataset[0].pixels.shape == (3, 64, 64)


def test_class_probabilities_are_handed_on_where_they_are_asked_for(tmp_path, vocabulary):
    dataset = small_bags(tmp_path, vocabulary, [2, 0, 3])
    assert collate_bags([dataset[0], dataset[2]]).class_probabilities.shape == (5, 0)
    dataset.class_probabilities = True  # none in the file: scores and categories
    batch = collate_bags([dataset[index] for index in range(3)])
    expected = torch.zeros(5, vocabulary.num_objects).scatter(1, batch.object_ids[:, None], batch.scores[:, None])
    torch.testing.assert_close(batch.class_probabilities, expected, atol=1e-3, rtol=0)
    rows = np.random.default_rng(0).random((5, vocabulary.num_objects)).astype(np.float16)
    dataset.proposals = dataclasses.replace(dataset.proposals, class_probabilities=rows)
    batch = collate_bags([dataset[2], dataset[0]])
    np.testing.assert_array_equal(batch.class_probabilities, rows[[2, 3, 4, 0, 1]].astype(np.float32))


def test_an_image_that_changed_since_prepare(tmp_path, vocabulary):
    dataset = small_bags(tmp_path, vocabulary, [2])
    Image.new("RGB", (64, 32)).save(tmp_path / "images" / "0.png")
    with pytest.raises(DataError, match=r"0.png: image has changed .*; restore it or run prepare again"):
        dataset[0]


def test_flip_by_hand(vocabulary):
    batch = make_batch([1, 1], vocabulary)
    batch.boxes[:] = torch.tensor([10.0, 20, 40, 50])
    flipped = flip_batch(batch, torch.tensor([True, False]))
    assert flipped.boxes.tolist() == [[60, 20, 90, 50], [10, 20, 40, 50]]  # images are 100 pixels wide
    assert torch.equal(flipped.images[0, :, 5, 0], batch.images[0, :, 5, -1])
    assert torch.equal(flipped.images[1], batch.images[1])


def test_flipping_twice_is_the_identity_and_touches_nothing_else(vocabulary):
    batch = make_batch([3, 0, 4], vocabulary)
    chosen = torch.tensor([True, True, False])
    once = flip_batch(batch, chosen)
    twice = flip_batch(once, chosen)
    for field in dataclasses.fields(BagBatch):
        before, after = getattr(batch, field.name), getattr(twice, field.name)
        torch.testing.assert_close(after, before)
        if field.name not in ("images", "boxes"):
            assert torch.equal(getattr(once, field.name), before)
    assert (once.boxes[:, 2:] >= once.boxes[:, :2]).all()
    assert not torch.equal(once.boxes[:3], batch.boxes[:3])


def test_bags_hold_the_pair_labels_of_images_with_boxes(tmp_path, vocabulary):
    dataset = small_bags(tmp_path, vocabulary, [6, 2, 3], max_proposals=4)
    labels = np.array([[0, 1, 0], [0, 4, 2], [0, 1, 1], [0, 1, 2]])
    dataset.pair_labels = SplitPairLabels(dataset.manifest.image_ids, np.array([0, 2, 3, 4]), labels)
    assert [dataset[index].pair_labels for index in range(3)] == [None] * 3
    dataset.has_boxes[:2] = True
    assert dataset[0].pair_labels.tolist() == [[0, 1, 0]]  # the fifth proposal is left out
    assert dataset[1].pair_labels.tolist() == [[0, 1, 1]]
    assert dataset[2].pair_labels is None


def test_unseen_classes_lose_their_labels_and_images_without_others(tmp_path, vocabulary):
    made = small_bags(tmp_path, vocabulary, [2] * 4)

    def bags_of(unseen, complete=True):
        return BagDataset(
            manifest=made.manifest,
            proposals=made.proposals,
            labels=LabelRows.of_mask(np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])),
            root=made.root,
            image_side=64,
            max_proposals=2,
            pair_labels=SplitPairLabels(
                made.manifest.image_ids, np.array([0, 2, 2, 2, 2]), np.array([[0, 1, 1], [0, 1, 0]])
            ),
            has_boxes=np.ones(4, np.bool_),
            unseen=unseen,
            complete=complete,
        )

    bags = bags_of(np.array([False, True, False, False]))
    assert bags.labels.mask().tolist() == [[1, 0, 0, 0], [0] * 4, [0] * 4, [0, 0, 0, 1]]
    assert bags.learned.tolist() == [0, 3]
    assert bags.label_rate == pytest.approx(2 / 6)  # of two images and three classes
    assert bags[0].pair_labels.tolist() == [[0, 1, 0]]
    every = bags_of(None)
    assert every.learned.tolist() == [0, 1, 2, 3]  # images without any label stay otherwise
    assert every.label_rate == 4 / 16 and len(every[0].pair_labels) == 2
    weak = bags_of(None, complete=False)
    assert weak.learned.tolist() == [0, 1, 3]  # nothing is known of the third
    assert weak.label_rate == pytest.approx(4 / 12) and weak.seen.all()


def sampler(start=0, **changes) -> EpochSampler:
    return EpochSampler(**({"images": np.arange(11), "batch_size": 3, "seed": 0, "epochs": 4} | changes), start=start)


def test_every_epoch_is_a_permutation_without_its_rest():
    batches = list(sampler())
    assert len(batches) == len(sampler()) == 12
    assert all(len(batch) == 3 for batch in batches)
    epochs = [[*batches[i], *batches[i + 1], *batches[i + 2]] for i in range(0, 12, 3)]
    assert all(len(set(epoch)) == 9 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize("start", range(13))
def test_a_resumed_sampler_is_the_tail(start):
    assert list(sampler(start)) == list(sampler())[start:]
    assert len(sampler(start)) == 12 - start


def test_seeds_differ_and_a_split_smaller_than_a_batch_is_one_batch():
    assert list(sampler()) != list(sampler(seed=1))
    assert [sorted(batch) for batch in sampler(images=np.arange(2), epochs=2)] == [[0, 1], [0, 1]]


def test_batches_of_two_kinds_take_turns_evenly():
    kinds = np.isin(np.arange(23), [1, 4, 9, 16, 17, 18, 20])  # 7 of one kind make 2 batches, 16 of the other 5
    batches = list(sampler(images=np.arange(23), kinds=kinds))
    assert len(batches) == len(sampler(images=np.arange(23), kinds=kinds)) == 4 * 7
    for epoch in range(4):
        own = batches[7 * epoch : 7 * epoch + 7]
        found = [set(kinds[batch]) for batch in own]
        assert [len(kind) for kind in found] == [1] * 7
        assert [kind == {True} for kind in found] == [False, True, False, False, False, True, False]
        assert len({index for batch in own for index in batch}) == 21
    assert list(sampler(9, images=np.arange(23), kinds=kinds)) == batches[9:]


@pytest.mark.parametrize("kind", [False, True])
def test_images_of_one_kind_come_as_without_kinds(kind):
    assert list(sampler(kinds=np.full(11, kind))) == list(sampler())


def test_a_kind_with_few_images_is_one_small_batch():
    kinds = np.arange(11) < 2
    assert sampler(kinds=kinds).smallest_batch == 2
    assert [sorted(batch) for batch in sampler(kinds=kinds, epochs=1) if kinds[batch].all()] == [[0, 1]]
    assert sampler().smallest_batch == 3


def test_permuted_labels_keep_their_rows():
    labels = np.random.default_rng(0).integers(0, 2, (40, 6))
    shuffled, again, other = (permuted_labels(LabelRows.of_mask(labels), seed).mask() for seed in (0, 0, 1))
    assert sorted(map(tuple, shuffled)) == sorted(map(tuple, labels))
    assert (shuffled != labels).any(1).mean() > 0.5
    np.testing.assert_array_equal(shuffled, again)
    assert (shuffled != other).any()


def test_processes_read_stored_images_and_proposals_by_themselves(tmp_path, vocabulary, monkeypatch):
    monkeypatch.setattr(texts, "MANY", 2)
    listed = small_bags(tmp_path, vocabulary, [3, 2, 4, 2])
    write_split(tmp_path / "train.json", listed.manifest)
    write_proposals(tmp_path / "x.h5", **vars(listed.proposals))
    manifest = read_split(tmp_path / "train.json", vocabulary)
    proposals = open_proposals(tmp_path / "x.h5", image_ids=manifest.image_ids)
    stored = BagDataset(
        manifest=manifest,
        proposals=proposals,
        labels=manifest.label_rows(vocabulary.num_hois),
        root=tmp_path,
        image_side=64,
        max_proposals=10,
    )
    stored[0]  # this process has opened the files
    batches = [[2, 0], [1, 3]]
    loading = load_batches(stored, batches, num_workers=2, pin_memory=False, generator=torch.Generator())
    for batch, images in zip(loading, batches, strict=True):
        expected = collate_bags([listed[image] for image in images])
        for name in ("images", "boxes", "scores", "object_ids", "labels", "image_index", "image_sizes"):
            assert torch.equal(getattr(batch, name), getattr(expected, name))
