"""A small toyworld taken through every stage once for all tests of this folder; each test damages a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.faults.stages import STAGES, in_process

WEIGHTS = "pipeline/toyworld/weights"


def build_root(root: Path) -> Path:
    """A repository root of a few images, cut into parts that are fewer still; no stage has run."""
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    document |= {"run_variants": ["ours"], "figure_variants": ["ours"], "figure_seeds": [0]}
    toyworld = document["toyworld"]
    toyworld["prepare"]["num_images"] = {"train": 24, "val": 2, "test": 16}
    toyworld["detect"] |= {"part_size": 4, "batch_size": 4}
    toyworld["train"] |= {"epochs": 1, "batch_size": 4, "checkpoint_every": 1}
    toyworld["infer"] |= {"part_size": 3, "batch_size": 3}
    toyworld["report"] |= {"num_images": 2, "gallery_images": 3}
    toyworld["tsne"] |= {"num_classes": 5, "samples_per_class": 8, "neighbors": 2, "perplexity": 3.0}
    (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (root / WEIGHTS).parent.mkdir(parents=True)
    (root / WEIGHTS).symlink_to(ROOT / WEIGHTS)
    return root


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    root = build_root(tmp_path_factory.mktemp("world"))
    for call in STAGES.values():
        done = in_process(root, *call)
        assert done.exit_code == 0, (call, done.output, done.exception)
    return root


@pytest.fixture
def root(world, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(world, tmp_path / "root", symlinks=True))
