"""A dataset of one's own, taken through every stage once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.own_dataset import build_root, run_stages


@pytest.fixture(scope="session")
def own_dataset(tmp_path_factory, seed) -> Path:
    root = build_root(tmp_path_factory.mktemp("own"), seed=seed)
    run_stages(root)
    return root
