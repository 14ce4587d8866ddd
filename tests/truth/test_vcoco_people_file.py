import json
from dataclasses import fields, replace

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.data.split import SplitManifest
from pipeline.evaluation.vcoco import evaluate_vcoco
from pipeline.truth.vcoco_people_file import read_people, write_people
from tests.evaluation.vcoco_worlds import annotations, random_world, role_detections


def manifest(names):
    records = tuple(ImageRecord(name, f"{name}.jpg", 100, 100, "0" * 64) for name in names)
    return SplitManifest("vcoco", "test", "i", records, tuple(ImageLabels(n, np.zeros(0, np.int64)) for n in names))


@pytest.fixture
def world(tmp_path):
    people, world, rows = random_world(0)
    return annotations(tmp_path, people, world), rows


def test_round_trip(world, tmp_path):
    truth, _ = world
    write_people(tmp_path / "p.json", truth)
    found = read_people(tmp_path / "p.json", manifest([f"{10 * i}" for i in range(1, 7)]))
    for item in fields(truth):
        ours, theirs = getattr(found, item.name), getattr(truth, item.name)
        assert np.array_equal(ours, theirs) if isinstance(theirs, np.ndarray) else ours == theirs, item.name


def test_some_images_score_as_the_whole_file_would_on_them(world):
    truth, rows = world
    kept = np.array([1, 3])
    part = truth.take_images(kept)
    assert part.image_ids.tolist() == [20, 40]
    assert len(part.boxes) < len(truth.boxes)
    people = np.isin(truth.person_image, kept)
    np.testing.assert_array_equal(part.boxes[part.person_box], truth.boxes[truth.person_box[people]])
    own = role_detections([row for row in rows if row[0] in (20, 40)])
    labels = np.where(people[:, None], truth.labels, np.where(truth.labels == 1, 0, truth.labels))
    whole = evaluate_vcoco(own, replace(truth, labels=labels))
    np.testing.assert_allclose(evaluate_vcoco(own, part).role_s1, whole.role_s1)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("boxes", 0, [9, 0, 3, 5], r"boxes: box 0 is \[9.0, 0.0, 3.0, 5.0\]; expected finite x1 <= x2"),
        ("boxes", 0, [0, 0, float("nan"), 5], "boxes: box 0 is .*nan"),
        ("person_box", 0, 999, "person_box holds rows .* to 999, expected 0 to"),
        ("person_box", 0, -1, "person_box holds rows -1 to"),
        ("person_image", -1, 6, "person_image holds rows 0 to 6, expected 0 to 5"),
        ("person_image", 0, 5, "person_image falls"),
        ("role_box", 0, [[999, -1]] * 4, "role_box holds rows -1 to 999"),
        ("labels", slice(0, 1), [], "columns differ in length"),
    ],
)
def test_values_that_prepare_never_writes_are_one_line(world, tmp_path, column, row, value, message):
    path = tmp_path / "p.json"
    write_people(path, world[0])
    data = json.loads(path.read_text())
    data[column][row] = value
    path.write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match=rf"p\.json: not annotated people \({message}"):
        read_people(path, manifest([f"{10 * i}" for i in range(1, 7)]))


def test_wrong_files_are_one_line(world, tmp_path):
    write_people(tmp_path / "p.json", world[0])
    with pytest.raises(ArtifactError, match="annotates 6 images that are not the 1 of the test manifest"):
        read_people(tmp_path / "p.json", manifest(["10"]))
    with pytest.raises(ArtifactError, match=r"needs the official vcoco_\*\.json files"):
        read_people(tmp_path / "absent.json", manifest(["10"]))
    (tmp_path / "p.json").write_text('{"actions": []}')
    with pytest.raises(ArtifactError, match="not annotated people"):
        read_people(tmp_path / "p.json", manifest(["10"]))
