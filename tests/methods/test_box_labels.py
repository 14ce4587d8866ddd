import dataclasses

import torch

from pipeline.methods.box_labels import annotated_verbs
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.pairing import PairRule
from tests.conftest import make_batch


def test_each_label_finds_its_pair(vocabulary):
    """HOI classes: 0 ride bicycle, 1 hold bicycle, 2 hold cup, 3 drink_with cup; two verbs of a pair add up."""
    batch = make_batch([4, 0, 6], vocabulary)  # persons are even rows
    pairs = PairRule.of(vocabulary).pair(batch)
    rows = {pair: row for row, pair in enumerate(zip(pairs.human.tolist(), pairs.object.tolist(), strict=True))}
    labels = [[*pair, hoi_id] for pair, hoi_id in zip([*rows][::3], [3, 0, 2, 1, 3, 0, 2], strict=False)]
    labels.append([*labels[1][:2], 1])
    labeled = dataclasses.replace(batch, pair_labels=torch.tensor(labels))
    verbs = annotated_verbs(labeled, pairs, LabeledClasses(vocabulary).hoi_to_verb)
    expected = torch.zeros(len(pairs), 3)
    for human, partner, hoi_id in labels:
        expected[rows[human, partner], vocabulary.hoi_verb_ids[hoi_id]] = 1
    assert len(labels) > 3
    assert torch.equal(verbs, expected)


def test_without_labels_or_pairs_nothing_is_annotated(vocabulary):
    for counts in ([4, 3], [0, 1], [0]):
        batch = make_batch(counts, vocabulary)
        pairs = PairRule.of(vocabulary).pair(batch)
        verbs = annotated_verbs(batch, pairs, LabeledClasses(vocabulary).hoi_to_verb)
        assert verbs.shape == (len(pairs), 3)
        assert not verbs.any()
