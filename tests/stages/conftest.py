"""Finished runs, made once for all tests of this folder; each test changes a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.layout import Layout
from tests.report.worlds import write_world
from tests.roots import copied, succeeds
from tests.stages.own_dataset import STAGES, build_root


@pytest.fixture(scope="session")
def own_dataset(tmp_path_factory, seed) -> Path:
    """A dataset of one's own, taken through every stage."""
    root = build_root(tmp_path_factory.mktemp("own"), seed=seed)
    for stage, *options in STAGES:
        succeeds(root, stage, "--dataset", "custom", *options)
    return root


@pytest.fixture(scope="session")
def scored_world(tmp_path_factory) -> Layout:
    """Two evaluated variants of a world without model (tests/report/worlds.py)."""
    return write_world(tmp_path_factory.mktemp("scored"))


@pytest.fixture
def layout(scored_world, tmp_path) -> Layout:
    """A copy of `scored_world`."""
    return Layout(copied(scored_world.root, tmp_path / "root"), scored_world.dataset)
