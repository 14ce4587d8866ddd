"""A small toyworld taken through every stage once for all tests of this folder; each test damages a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.stages import STAGES
from tests.roots import copied, new_root, succeeds


def shrink(document: dict[str, Any]) -> None:
    """A few images, cut into parts that are fewer still."""
    document |= {"run_variants": ["ours"], "figure_variants": ["ours"], "figure_seeds": [0]}
    toyworld = document["toyworld"]
    toyworld["prepare"]["num_images"] = {"train": 24, "val": 2, "test": 16}
    toyworld["detect"] |= {"part_size": 4, "batch_size": 4}
    toyworld["encode_images"] |= {"part_size": 4, "batch_size": 4}
    toyworld["train"] |= {"epochs": 1, "batch_size": 4, "checkpoint_every": 1}
    toyworld["infer"] |= {"part_size": 3, "batch_size": 3}
    toyworld["report"] |= {"num_images": 2, "gallery_images": 3}
    toyworld["tsne"] |= {"num_classes": 5, "samples_per_class": 8, "neighbors": 2, "perplexity": 3.0}


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    root = new_root(tmp_path_factory.mktemp("world"), shrink)
    for call in STAGES.values():
        succeeds(root, *call, "--dataset", "toyworld")
    return root


@pytest.fixture
def root(world, tmp_path) -> Path:
    """A copy that a test may damage."""
    return copied(world, tmp_path / "root")
