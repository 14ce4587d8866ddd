import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.dump import PredictionDump, open_dump, read_dump, write_dump
from pipeline.store.files import sha256_of
from pipeline.store.ragged import Column
from tests.store.records import assert_equal, make_dump

PROPOSAL_ARRAYS = ("boxes", "proposal_scores", "object_ids")
PAIR_ARRAYS = ("human_index", "object_index", "interaction_logits", "relatedness_logits")


def fields_of(dump: PredictionDump) -> dict:
    """Its fields by name, its outputs among them."""
    return {**vars(dump), **dump.outputs}


def with_field(dump: PredictionDump, name: str, value) -> PredictionDump:
    """The same with one field or output changed."""
    if name in dump.outputs:
        return dataclasses.replace(dump, outputs={**dump.outputs, name: value})
    return dataclasses.replace(dump, **{name: value})


@pytest.mark.parametrize(
    ("proposals", "pairs"), [([3, 0, 5], [6, 0, 2]), ([2, 1], [0, 0]), ([0], [0]), ([], []), ([9] * 700, [7] * 700)]
)
def test_round_trip(tmp_path, vocabulary, proposals, pairs):
    dump = make_dump(vocabulary, proposals, pairs)
    write_dump(tmp_path / "x.zarr", **vars(dump))
    assert_equal(read_dump(tmp_path / "x.zarr", vocabulary=vocabulary, image_ids=dump.image_ids), dump)


def test_writing_twice_gives_the_same_bytes_and_replaces(tmp_path, vocabulary):
    path = tmp_path / "x.zarr"
    write_dump(path, **vars(make_dump(vocabulary, [9] * 900, [7] * 900, seed=1)))
    write_dump(path, **vars(make_dump(vocabulary, [3, 2], [4, 1])))
    before = sha256_of(path)
    write_dump(path, **vars(make_dump(vocabulary, [3, 2], [4, 1])))
    assert sha256_of(path) == before
    assert_equal(read_dump(path), make_dump(vocabulary, [3, 2], [4, 1]))


def in_pieces(array) -> Column:
    return Column(array.shape, array.dtype, lambda: np.array_split(array, 11))


def test_pieces_do_not_change_a_bit(tmp_path, vocabulary, monkeypatch):
    """Columns of many pieces, and shards of few rows, so that pieces end within shards."""
    monkeypatch.setattr("pipeline.store.dump._CHUNK_ROWS", 8)
    dump = make_dump(vocabulary, [9] * 70, [7] * 70)
    write_dump(tmp_path / "whole.zarr", **vars(dump))
    fields = {name: in_pieces(value) if isinstance(value, np.ndarray) else value for name, value in vars(dump).items()}
    fields["outputs"] = {name: in_pieces(array) for name, array in dump.outputs.items()}
    write_dump(tmp_path / "pieces.zarr", **fields)
    assert len(list((tmp_path / "whole.zarr/boxes/c").rglob("*"))) > 4  # shards
    assert sha256_of(tmp_path / "pieces.zarr") == sha256_of(tmp_path / "whole.zarr")
    assert_equal(read_dump(tmp_path / "pieces.zarr"), dump)


@pytest.mark.parametrize("cuts", [(0, 5), (0, 0, 2, 5), (1, 3)])
def test_ranges_of_images_are_dumps_of_their_own(tmp_path, vocabulary, cuts):
    """Image 1 has no pair, image 3 nothing at all."""
    whole = make_dump(vocabulary, [3, 1, 4, 0, 2], [4, 0, 9, 0, 2])
    write_dump(tmp_path / "x.zarr", **vars(whole))
    reader = open_dump(tmp_path / "x.zarr", vocabulary=vocabulary, image_ids=whole.image_ids)
    assert len(reader) == 5
    for start, stop in pairwise(cuts):
        part = reader.read(start, stop)
        assert part.image_ids == whole.image_ids[start:stop] and part.variant == whole.variant
        for offsets, names in (("proposal_offsets", PROPOSAL_ARRAYS), ("pair_offsets", PAIR_ARRAYS)):
            rows = getattr(whole, offsets)[start : stop + 1]
            np.testing.assert_array_equal(getattr(part, offsets), rows - rows[0])
            for name in names:
                np.testing.assert_array_equal(fields_of(part)[name], fields_of(whole)[name][rows[0] : rows[-1]])
        np.testing.assert_array_equal(part.outputs["image_logits"], whole.outputs["image_logits"][start:stop])


def test_a_part_that_is_damaged_after_opening_is_noticed(tmp_path, vocabulary):
    path = tmp_path / "x.zarr"
    write_dump(path, **vars(make_dump(vocabulary, [3, 1], [4, 2])))
    reader = open_dump(path)
    (path / "boxes/c/0/0").write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match="damaged or not a prediction dump"):
        reader.read(0, 1)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"image_ids": ("image 0", "image 1")}, "has 1 images, expected 2; it was made from other inputs: run"),
        ({"run": "baseline"}, 'run is "ours", expected "baseline"'),
        ({"human": "bicycle"}, 'vocabulary\'s human is "person", expected "bicycle"'),
    ],
)
def test_the_dump_of_something_else_is_refused(tmp_path, vocabulary, expected, message):
    if "human" in expected:
        expected = {"vocabulary": dataclasses.replace(vocabulary, **expected)}
    write_dump(tmp_path / "x.zarr", **vars(make_dump(vocabulary, [3], [2])))
    read_dump(tmp_path / "x.zarr", vocabulary=vocabulary, image_ids=("image 0",), run="ours")
    with pytest.raises(ArtifactError, match=message):
        read_dump(tmp_path / "x.zarr", **expected)
    with pytest.raises(ArtifactError, match="does not exist"):
        read_dump(tmp_path / "none.zarr", **expected)


def test_every_truncated_or_missing_file_is_noticed(tmp_path, vocabulary):
    path = tmp_path / "x.zarr"
    write_dump(path, **vars(make_dump(vocabulary, [3, 1], [4, 0])))
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    assert len(files) == 1 + 2 * 10  # a group, and ten arrays of one shard each: one of zeros is written too
    for file in files:
        whole = file.read_bytes()
        for length in (0, 1, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:length])
            with pytest.raises(ArtifactError, match="damaged or not a prediction dump"):
                read_dump(path)
        file.unlink()
        with pytest.raises(ArtifactError, match="damaged or not a prediction dump"):
            read_dump(path)
        file.write_bytes(whole)


@pytest.mark.parametrize("name", ["boxes", "pair_offsets", "relatedness_logits", "image_logits"])
def test_arrays_that_do_not_fit_together_are_refused(tmp_path, vocabulary, name):
    dump = make_dump(vocabulary, [3, 1], [4, 2])
    write_dump(tmp_path / "x.zarr", **vars(with_field(dump, name, fields_of(dump)[name][:-1])))
    with pytest.raises(ArtifactError, match=r"\w+ is \w+ \[.*\]; expected \w+ \[[\w +]+ = "):
        read_dump(tmp_path / "x.zarr")


def changed(array, row, value):
    array = array.copy()
    array[row] = value
    return array


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("pair_offsets", lambda a: changed(a, 1, 6), "pair_offsets falls from 6 to 5 at image 1"),
        ("pair_offsets", lambda a: changed(a, 1, -3), "pair_offsets falls from 0 to -3 at image 0"),
        ("pair_offsets", lambda a: changed(a, 0, 2), "pair_offsets begins at 2, expected 0"),
        ("proposal_offsets", lambda a: changed(a, 1, 9), "proposal_offsets falls from 9 to 4 at image 1"),
        ("human_index", lambda a: changed(a, 4, 3), "human_index 3 of pair 4 is none of the 1 proposals of its image"),
        ("human_index", lambda a: changed(a, 0, -1), "human_index -1 of pair 0 is none of the 3 proposals"),
        ("object_index", lambda a: changed(a, 0, 9999), "object_index 9999 of pair 0"),
        ("object_ids", lambda a: changed(a, 0, 999), r"object_ids holds 999, expected 0\.\.3"),
        ("object_ids", lambda a: a - 9, "object_ids: -[89] is negative"),
        ("boxes", lambda a: a * np.nan, "boxes: box 0 is .*nan.*expected finite"),
        ("boxes", lambda a: a[:, [2, 3, 0, 1]], "boxes: box 0 is .*expected finite x1 <= x2"),
        ("proposal_scores", lambda a: a + 1, "scores: outside 0..1"),
        ("proposal_scores", lambda a: a * np.nan, "scores: outside 0..1"),
        ("interaction_logits", lambda a: changed(a, 0, np.nan), "interaction_logits holds numbers that are not finite"),
        ("image_logits", lambda a: changed(a, 0, np.inf), "image_logits holds numbers that are not finite"),
        ("pair_offsets", lambda a: a.astype(float), r"pair_offsets is float64 \[3\]; expected int64 \[I \+ 1 = 3\]"),
        ("human_index", lambda a: a.astype(np.float32), r"human_index is float32 \[5\]; expected int64 \[M = 5\]"),
        ("object_ids", lambda a: a.astype(np.uint8), r"object_ids is uint8 \[4\]; expected int64 \[N = 4\]"),
        ("image_logits", lambda a: a.astype(np.float16), r"logits is float16 \[2, 4\]; expected float32 \[I = 2, 4\]"),
        ("variant", lambda _: 5, "variant is 5; expected a text"),
        ("image_ids", lambda _: (3, "image 1"), "image_ids: row 0 is 3; expected a text"),
    ],
)
def test_values_that_no_run_writes_are_one_line(tmp_path, vocabulary, name, change, message):
    dump = make_dump(vocabulary, [3, 1], [4, 1])
    write_dump(tmp_path / "x.zarr", **vars(with_field(dump, name, change(fields_of(dump)[name]))))
    with pytest.raises(ArtifactError, match=f"x.zarr: damaged or not a prediction dump .*{message}") as error:
        read_dump(tmp_path / "x.zarr")
    assert "\n" not in str(error.value)


def test_a_range_is_checked_like_the_whole(tmp_path, vocabulary):
    dump = make_dump(vocabulary, [3, 2, 4], [4, 1, 3])
    write_dump(tmp_path / "x.zarr", **vars(dataclasses.replace(dump, object_index=changed(dump.object_index, 5, 4))))
    reader = open_dump(tmp_path / "x.zarr")
    reader.read(0, 2)
    with pytest.raises(ArtifactError, match="object_index 4 of pair 0 is none of the 4 proposals of its image"):
        reader.read(2, 3)
