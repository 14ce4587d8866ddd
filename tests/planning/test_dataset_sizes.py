import dataclasses

import numpy as np
import pytest

from pipeline.config.layout import Layout
from pipeline.config.params import load_params
from pipeline.core import texts
from pipeline.core.errors import ParamError
from pipeline.data.role_cap import RoleCap
from pipeline.data.split import write_split
from pipeline.methods.pairing import PairRule
from pipeline.planning.dataset_sizes import Crowd, SplitSizes, dataset_sizes
from pipeline.store.proposals_file import write_proposals
from pipeline.store.vocabulary_file import write_vocabulary
from tests.conftest import ROOT
from tests.small_split import random_proposals, write_split_images

HUMAN, BICYCLE, CUP, LAMP = range(4)
PARAMS = load_params(ROOT / "params.yaml", "hicodet")


def ids(*images):
    return tuple(np.array(image, np.int64) for image in images)


def test_pairs_of_known_images(vocabulary):
    rule = PairRule.of(vocabulary)  # a lamp takes part in no class, and no human in this vocabulary
    split = SplitSizes(3, ids([HUMAN, CUP], [HUMAN, HUMAN, CUP, BICYCLE, LAMP], []))
    assert split.pairs(rule).tolist() == [1, 4, 0]
    assert [found.tolist() for found in split.fullest(2, rule)] == [[0, 0, 2, 1, 3], [0, 2]]
    assert split.total(split.pairs(rule)) == 5
    assert [len(found) for found in split.capped(1).object_ids] == [1, 1, 0]
    assert split.capped(RoleCap(2, HUMAN)).object_ids[1].tolist() == [HUMAN, CUP]


def test_one_image_stands_for_all(vocabulary):
    split = SplitSizes(1000, (Crowd(2, 3).object_ids(vocabulary),))
    assert split.object_ids[0].tolist() == [HUMAN, HUMAN, BICYCLE, BICYCLE, BICYCLE]
    assert split.total(split.pairs(PairRule.of(vocabulary))) == 6000
    assert [len(found) for found in split.fullest(4, PairRule.of(vocabulary))] == [5] * 4


@pytest.mark.parametrize("many", [texts.MANY, 1])  # of more images, the list is in columns
def test_counts_of_the_dataset_where_its_files_are_there(tmp_path, vocabulary, monkeypatch, many):
    monkeypatch.setattr(texts, "MANY", many)
    layout = Layout(tmp_path, "hicodet")
    before = dataset_sizes(layout, PARAMS, None)
    assert (before.train.images, before.test.images, before.vocabulary.num_hois) == (38_118, 9_658, 600)
    assert before.images_from == "as published, not prepared yet"
    assert before.proposals_from == "assumed: 15 people and 15 others in every image"

    write_vocabulary(layout.vocabulary, vocabulary)
    counts = {"train": [3, 0, 5, 2], "test": [1, 4]}
    manifests = {}
    for split, found in counts.items():
        manifest = write_split_images(tmp_path / split, vocabulary, len(found))
        manifests[split] = dataclasses.replace(manifest, dataset="hicodet", split=split)
        write_split(layout.split(split), manifests[split], layout.split_columns(split))
    prepared = dataset_sizes(layout, PARAMS, None)
    assert (prepared.train.images, prepared.test.images, prepared.vocabulary) == (4, 2, vocabulary)
    assert len(prepared.train.object_ids) == 1

    for split, found in counts.items():
        write_proposals(layout.proposals(split), **vars(random_proposals(manifests[split], vocabulary, found)))
    detected = dataset_sizes(layout, PARAMS, None)
    assert [[len(found) for found in split.object_ids] for split in (detected.train, detected.test)] == [
        *counts.values()
    ]
    assumed = dataset_sizes(layout, PARAMS, Crowd(1, 2))
    assert [len(found) for found in assumed.train.object_ids] == [3]


def test_a_dataset_of_unknown_size_has_to_be_prepared(tmp_path):
    with pytest.raises(ParamError, match='no sizes are published; run "weakhoi prepare --dataset custom"'):
        dataset_sizes(Layout(tmp_path, "custom"), load_params(ROOT / "params.yaml", "custom"), None)
