"""A dump of random numbers, and the comparison of records that were written and read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.core.outputs import OutputColumn
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.dump import PredictionDump
from pipeline.store.ragged import offsets_of

OUTPUTS = (
    OutputColumn("image_logits", "image", "hois", "global"),
    OutputColumn("interaction_logits", "pair", "verbs", "pairwise", "softmax"),
    OutputColumn("relatedness_logits", "pair", None, "relatedness"),
)


def make_dump(vocabulary: Vocabulary, proposals: list[int], pairs: list[int], seed: int = 0) -> PredictionDump:
    """Random numbers, but with valid boxes and indices of proposals; a pair needs a proposal in its image."""
    rng = np.random.default_rng(seed)
    rows, total = sum(proposals), sum(pairs)
    most = np.repeat(proposals, pairs).astype(np.int64)  # proposals of each pair's image
    return PredictionDump(
        vocabulary=vocabulary,
        image_ids=tuple(f"image {i}" for i in range(len(proposals))),
        variant="ours",
        columns=OUTPUTS,
        outputs={
            "image_logits": rng.standard_normal((len(proposals), vocabulary.num_hois)).astype(np.float32),
            "interaction_logits": rng.standard_normal((total, vocabulary.num_verbs)).astype(np.float32),
            "relatedness_logits": np.zeros(total, np.float32),
        },
        proposal_offsets=offsets_of(np.array(proposals, np.int64)),
        boxes=np.sort(rng.random((rows, 2, 2)), axis=1).reshape(-1, 4).astype(np.float32),
        proposal_scores=rng.random(rows).astype(np.float32),
        object_ids=rng.integers(0, vocabulary.num_objects, rows),
        pair_offsets=offsets_of(np.array(pairs, np.int64)),
        human_index=rng.integers(0, most),
        object_index=rng.integers(0, most),
    )


def assert_equal(found: Any, expected: Any) -> None:
    """Compare records, or mappings, to the types and bits of their arrays."""
    if dataclasses.is_dataclass(expected):
        names = [item.name for item in dataclasses.fields(expected)]
        found, expected = ({name: getattr(record, name) for name in names} for record in (found, expected))
    if isinstance(expected, Mapping):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_equal(found[name], value)
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected
