import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.evaluation.fused_dump import FusedDump
from pipeline.evaluation.fusion import fuse
from pipeline.store.dump import write_dump
from pipeline.store.files import sha256_of
from tests.evaluation.test_fusion import WHOLE, dump_of

PAIRS = [[(0, 1), (0, 2), (3, 1), (3, 2)], [], [(0, 1)], [], [(1, 0), (0, 1)]]
OBJECTS = [[0, 1, 2, 0], [0], [0, 1], [], [0, 0]]


@pytest.mark.parametrize("cuts", [(0, 5), (0, 1, 2, 5), (0, 3, 4, 5)])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_ranges_of_images_give_the_detections_of_the_whole(vocabulary, tmp_path, cuts, link):
    params = dataclasses.replace(WHOLE, links={"pairwise": link})
    dump, times = (dump_of(vocabulary, OBJECTS, PAIRS, seed=seed) for seed in (1, 2))
    times = dataclasses.replace(times, boxes=dump.boxes)
    write_dump(tmp_path / "dump.zarr", **vars(dump))
    write_dump(tmp_path / "times.zarr", **vars(times))
    source = FusedDump(tmp_path / "dump.zarr", params, ((("detector", 0.5),), ()), tmp_path / "times.zarr")
    parts = [(start, *source.read(start, stop)) for start, stop in pairwise(cuts)]
    whole = fuse(dump, params, times)
    for name in ("hoi_id", "human_boxes", "object_boxes", "scores"):
        found = np.concatenate([getattr(detections, name) for _, detections, _ in parts])
        np.testing.assert_array_equal(found, getattr(whole, name))
    images = np.concatenate([start + detections.image_index for start, detections, _ in parts])
    np.testing.assert_array_equal(images, whole.image_index)
    for ranking, changes in enumerate(source.rankings):
        scores = np.concatenate([rankings[ranking] for _, _, rankings in parts])
        changed = dataclasses.replace(params, weights=params.weights | dict(changes))
        np.testing.assert_array_equal(scores, fuse(dump, changed, times).scores)


def test_dumps_over_other_pairs_are_refused(vocabulary, tmp_path):
    write_dump(tmp_path / "dump.zarr", **vars(dump_of(vocabulary, OBJECTS, PAIRS)))
    write_dump(tmp_path / "times.zarr", **vars(dump_of(vocabulary, OBJECTS, [PAIRS[0], [], [], [], PAIRS[4]])))
    source = FusedDump(tmp_path / "dump.zarr", WHOLE, ((),), tmp_path / "times.zarr")
    source.read(3, 5)
    with pytest.raises(ArtifactError, match="over other pairs"):
        source.read(0, 5)


def test_a_dump_that_is_not_the_callers_is_refused_before_it_is_read(vocabulary, tmp_path):
    mine, theirs = tmp_path / "mine.zarr", tmp_path / "theirs.zarr"
    for seed, path in enumerate((mine, theirs)):
        write_dump(path, **vars(dump_of(vocabulary, OBJECTS, PAIRS, seed=seed)))
    FusedDump(mine, WHOLE, ((),), digests={mine: sha256_of(mine)}).read(0, 5)
    with pytest.raises(ArtifactError, match=r"theirs.zarr: a worker sees sha256"):
        FusedDump(theirs, WHOLE, ((),), digests={theirs: sha256_of(mine)}).read(0, 5)
