"""`detect` with a torchvision detector of one's own categories: weights, and their names in a file beside them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torchvision.models import get_model_builder

from pipeline.config.layout import Layout
from pipeline.data.split import write_split
from pipeline.store.proposals_file import read_proposals
from pipeline.store.vocabulary_file import write_vocabulary
from tests.roots import new_root, refused, succeeds
from tests.small_split import write_split_images

pytestmark = pytest.mark.slow

SSDLITE = "ssdlite320_mobilenet_v3_large"
DETECT = ("detect", "--dataset", "custom", "--split", "train")
NAMES = ["__background__", "lamp", "person", "cup", "bicycle"]


@pytest.fixture
def root(tmp_path, vocabulary):
    """Three images, prepared, and params that name the weights; no file beside them yet."""
    layout = Layout(tmp_path, "custom")
    write_split(layout.split("train"), write_split_images(tmp_path, vocabulary, 3))
    write_vocabulary(layout.vocabulary, vocabulary)
    own = {"detector": SSDLITE, "weights": "own.pt", "score_threshold": 0.0, "max_per_image": 1000}
    new_root(tmp_path, lambda document: document["custom"]["detect"].update(own))
    torch.manual_seed(0)
    model = get_model_builder(SSDLITE)(weights=None, weights_backbone=None, num_classes=len(NAMES))
    torch.save({"model": model.state_dict()}, tmp_path / "own.pt")
    return tmp_path


def test_proposals_are_named_by_the_file_beside_the_weights(root):
    names = root / "own.categories.json"
    found = []
    for renamed in (NAMES, ["__background__", "person", "lamp", "cup", "bicycle"]):
        names.write_text(json.dumps({"categories": renamed}))
        succeeds(root, *DETECT)
        found.append(read_proposals(root / "cache/custom/proposals/train.h5").object_ids)
    assert set(found[0].tolist()) == {0, 1, 2, 3}
    assert np.array([3, 1, 2, 0])[found[0]].tolist() == found[1].tolist()  # person and lamp have changed places
    record = json.loads((root / "manifests/custom/runs/detect-train.json").read_text())
    assert {"own.pt", "own.categories.json"} <= set(record["inputs"])


def test_without_names_one_line_says_where_to_put_them(root):
    line = refused(root, *DETECT)
    assert f"own.pt has {len(NAMES)} categories" in line
    assert f"name its {len(NAMES)} in {root / 'own.categories.json'}" in line
