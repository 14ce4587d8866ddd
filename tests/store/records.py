"""Small records of random numbers for each kind of file, and their comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.core.outputs import OutputColumn
from pipeline.core.types import KnowledgeBank
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.dump import PredictionDump
from pipeline.store.proposals_file import SplitProposals
from pipeline.store.ragged import offsets_of
from pipeline.store.representations_file import SplitRepresentations

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


def make_proposals() -> SplitProposals:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 50, (90, 2))
    return SplitProposals(
        image_ids=("a", "b", "ümlaut"),
        objects=("person", "cup"),
        detector="tiny 0",
        offsets=np.array([0, 50, 50, 90]),
        boxes=np.concatenate([corner, corner + rng.uniform(0, 9, (90, 2))], 1).astype(np.float32),
        scores=np.sort(rng.random(90).astype(np.float32))[::-1],
        object_ids=rng.integers(0, 2, 90),
    )


def make_bank() -> KnowledgeBank:
    rng = np.random.default_rng(0)
    hois, objects, verbs = (rng.standard_normal((rows, 40)).astype(np.float32) for rows in (3, 2, 1))
    return KnowledgeBank(
        prompts=("riding a bike", "überholen", "c"),
        object_prompts=("a photo of a person", "a photo of an äpfel"),
        verb_prompts=("a photo of a person is riding the object",),
        hoi_embeddings=hois,
        object_embeddings=objects,
        verb_embeddings=verbs,
        clip_name="tiny",
        clip_digest="0f",
    )


def make_representations(dtype="float32", pairs=3) -> SplitRepresentations:
    rng = np.random.default_rng(0)
    boxes = np.array([[0, 0, 4, 4], [1, 1, 5, 6], [2, 2, 3, 3]], np.float32)[:pairs]
    return SplitRepresentations(
        image_ids=("a", "b", "c"),
        run="seeds/ours-0",
        offsets=np.array([0, 2, 2, 3]).clip(max=pairs),
        human_boxes=boxes,
        object_boxes=boxes + 1,
        object_ids=np.array([1, 2, 1])[:pairs],
        representation=rng.normal(size=(pairs, 5)).astype(dtype),
        bank=rng.normal(size=(4, 5)).astype(np.float32),
    )


def replace_datasets(path: Path, **values: Any) -> None:
    """Put other values in place of datasets of an HDF5 file."""
    with h5py.File(path, "a") as file:
        for name, value in values.items():
            del file[name]
            file[name] = value


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
