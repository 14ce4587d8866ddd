"""What is written is read again, and equal records give equal bytes, whatever their numbers and names."""

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ArtifactError
from pipeline.data.split import read_split, write_split
from pipeline.store.detections_dump import open_detections, write_detections
from pipeline.store.dump import read_dump, write_dump
from pipeline.store.files import sha256_of
from pipeline.store.hdf5_file import encode_strings, read_texts
from pipeline.store.proposals_file import read_proposals, write_proposals
from pipeline.store.ragged import offsets_of, row_owner
from tests.properties import (
    COUNTS,
    NAMES,
    SEEDS,
    modest,
    scored_worlds,
    split_proposals,
    splits,
    through_files,
    vocabularies,
)
from tests.store.records import assert_equal, make_dump


@modest
@given(COUNTS)
def test_offsets_cut_rows_by_their_owner(counts):
    offsets = offsets_of(np.array(counts, np.int64))
    assert offsets.dtype == np.int64
    assert np.diff(offsets).tolist() == counts
    assert row_owner(offsets).tolist() == [image for image, count in enumerate(counts) for _ in range(count)]


@modest
@given(st.lists(NAMES, max_size=5))
def test_names_survive_fixed_width_bytes(names):
    assert read_texts({"names": encode_strings(names)}, "names") == tuple(names)


@through_files
@given(st.data())
def test_split_manifests(data):
    vocabulary = data.draw(vocabularies())
    manifest = data.draw(splits(vocabulary))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.json")
        write_split(path, manifest)
        found = read_split(path, vocabulary)
        assert found.images == manifest.images
        assert (found.dataset, found.split, found.image_root) == (manifest.dataset, "train", manifest.image_root)
        assert found.upright == manifest.upright
        np.testing.assert_array_equal(found.label_rows(9).mask(), manifest.label_rows(9).mask())
        write_split(Path(folder, "again.json"), found)
        assert Path(folder, "again.json").read_bytes() == path.read_bytes()


@through_files
@given(split_proposals(), st.integers(0, 6))
def test_proposals(proposals, limit):
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder, "a.h5"), Path(folder, "b.h5")
        write_proposals(path, **vars(proposals))
        found = read_proposals(path, image_ids=proposals.image_ids, objects=proposals.objects)
        assert_equal(found, proposals)
        for image in range(len(found)):
            kept = found.image(image, limit)
            assert len(kept) == min(limit, int(np.diff(found.offsets)[image]))
            assert (np.diff(kept.scores) <= 0).all()
        write_proposals(again, **vars(found))
        assert sha256_of(again) == sha256_of(path)
        with pytest.raises(ArtifactError, match="it was made from other inputs"):
            read_proposals(path, image_ids=(*proposals.image_ids, "one more"))


@through_files
@given(vocabularies(), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=5), SEEDS)
def test_dumps(vocabulary, counts, seed):
    pairs = [count if proposals else 0 for proposals, count in counts]
    dump = make_dump(vocabulary, [proposals for proposals, _ in counts], pairs, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.zarr")
        write_dump(path, **vars(dump))
        assert_equal(read_dump(path, vocabulary=vocabulary, image_ids=dump.image_ids), dump)


@through_files
@given(scored_worlds(), st.lists(st.integers(0, 30), max_size=3), st.integers(1, 9))
def test_detections_in_blocks_of_any_size(world, cuts, block_rows):
    _, found = world
    edges = sorted({0, len(found), *(min(cut, len(found)) for cut in cuts)})
    blocks = [found.take(slice(low, high)) for low, high in pairwise(edges)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.zarr")
        write_detections(path, blocks, block_rows=block_rows)
        dump = open_detections(path)
        assert_equal(dump.read(), found)
        assert sum(len(dump.read(rows)) for rows in dump.blocks()) == len(dump) == len(found)
