import dataclasses
import json

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError, DataError
from pipeline.data.split import write_split
from pipeline.detection.handed_over import files_handed_over, read_handed_over
from pipeline.store.files import sha256_of
from pipeline.store.manifests import write_stage_manifest
from pipeline.store.proposals_file import write_proposals
from tests.small_split import random_proposals, write_split_images


@pytest.fixture
def given(tmp_path, vocabulary):
    """A split, and proposals of it as a colleague hands them over: file and manifest in one folder."""
    manifest = write_split_images(tmp_path, vocabulary, 3)
    split_path = tmp_path / "manifests/tiny/train.json"
    write_split(split_path, manifest)
    source = tmp_path / "given/train.h5"
    write_proposals(source, **vars(random_proposals(manifest, vocabulary, [3, 0, 2])))
    write_stage_manifest(
        source.with_name("detect-train.json"), root=tmp_path, stage="detect",
        arguments={"dataset": "tiny", "split": "train"}, inputs=[split_path], params={}, outputs=[source],
        counts={}, seed=0,
    )  # fmt: skip
    return source, split_path, manifest, vocabulary


def refused(given, kind=ArtifactError) -> str:
    with pytest.raises(kind) as caught:
        read_handed_over(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_file_of_the_run_is_taken_with_its_manifest_or_alone(given):
    source = given[0]
    assert len(read_handed_over(*given).scores) == 5
    record = source.with_name("detect-train.json")
    assert files_handed_over(source, "train") == [source, record]
    record.unlink()
    assert files_handed_over(source, "train") == [source]
    assert len(read_handed_over(*given).scores) == 5


def test_another_file_than_the_manifests_is_refused_with_both_digests(given):
    source, _, manifest, vocabulary = given
    old = sha256_of(source)
    write_proposals(source, **vars(random_proposals(manifest, vocabulary, [3, 1, 2])))
    assert f"sha256 {sha256_of(source)[:12]}, its manifest detect-train.json says {old[:12]}" in refused(given)


def test_the_same_ids_of_other_images_are_refused_with_both_digests(given):
    source, split_path, manifest, vocabulary = given
    theirs = sha256_of(split_path)
    records = (dataclasses.replace(manifest.images[0], sha256="1" * 64), *manifest.images[1:])
    ours = dataclasses.replace(manifest, images=records)
    write_split(split_path, ours)
    line = refused((source, split_path, ours, vocabulary))
    assert f"made from images or labels of sha256 {theirs[:12]}" in line
    assert f"{split_path} is {sha256_of(split_path)[:12]}" in line
    source.with_name("detect-train.json").unlink()
    assert len(read_handed_over(source, split_path, ours, vocabulary).scores) == 5  # on trust


def test_other_images_or_categories_are_refused_without_a_manifest_too(given, tmp_path):
    source, split_path, manifest, vocabulary = given
    source.with_name("detect-train.json").unlink()
    fewer = dataclasses.replace(manifest, images=manifest.images[:2], labels=manifest.labels[:2])
    assert "has 3 images, expected 2" in refused((source, split_path, fewer, vocabulary))
    renamed = dataclasses.replace(vocabulary, objects=("person", "trike", "cup", "lamp"))
    assert 'row 1 is "bicycle", expected "trike"' in refused((source, split_path, manifest, renamed))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": lambda boxes: boxes + 5000}, "outside its image of 64 x 64 pixels"),
        ({"boxes": lambda boxes: boxes * 6}, "outside its image of 64 x 64 pixels"),
        ({"boxes": lambda boxes: boxes / 64}, "5 of 5 boxes lie within 0..1"),
        ({"object_ids": lambda ids: np.maximum(ids, 1)}, 'no "person" found in any of 3 images'),
    ],
)
def test_what_cannot_be_proposals_of_these_images_is_one_line(given, change, message):
    source, _, manifest, vocabulary = given
    proposals = random_proposals(manifest, vocabulary, [3, 0, 2])
    changed = {name: edit(getattr(proposals, name)) for name, edit in change.items()}
    write_proposals(source, **vars(dataclasses.replace(proposals, **changed)))
    source.with_name("detect-train.json").unlink()
    line = refused(given, DataError)
    assert message in line
    assert source.name in line


def test_boxes_over_a_border_and_slivers_are_taken(given):
    source, _, manifest, vocabulary = given
    proposals = random_proposals(manifest, vocabulary, [3, 0, 2])
    boxes = proposals.boxes.copy()
    boxes[:3] = [[-9, -2, 30, 64], [60, 0, 66, 64], [20, 20, 20.02, 60]]
    write_proposals(source, **vars(dataclasses.replace(proposals, boxes=boxes)))
    source.with_name("detect-train.json").unlink()
    assert read_handed_over(*given).boxes.tolist() == boxes.tolist()


def test_the_manifest_of_another_run_is_refused(given):
    record = given[0].with_name("detect-train.json")
    document = json.loads(record.read_text())
    record.write_text(json.dumps(document | {"arguments": {"dataset": "tiny", "split": "val"}}))
    assert "manifest of detect val, expected detect train" in refused(given)
    record.write_text(json.dumps(document | {"stage": "infer"}))
    assert "manifest of infer train, expected detect train" in refused(given)
